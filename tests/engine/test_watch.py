"""Which rules judge which account, and the accounts that stand for providers."""

from datetime import timedelta

import pytest

from monitor.engine.watch import STORE_PROVIDER, StoreReader, Watch, aggregates, checkups, match_labels
from monitor.model.record import Health, ProviderWatch
from tests.builders import NOON, minutes, seconds
from tests.facts import account, policy, rule


def watch(*rules):
    return Watch(policy=policy(), rules=rules, due=lambda one, now: now + one.interval)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param({}, True, id="no match is every account"),
        pytest.param({"role": "hot"}, True, id="a label"),
        pytest.param({"role": "cold"}, False, id="another value"),
        pytest.param({"account": "hot-*"}, True, id="its name"),
        pytest.param({"provider": "casino", "role": ["cold", "hot"]}, True, id="all must hold"),
        pytest.param({"team": "x"}, False, id="a label it lacks"),
    ],
)
def test_a_rule_judges_the_accounts_that_it_matches(match, expected):
    one = rule("low_balance", below=1, match=match)

    assert watch(one).rules_for(account(labels={"role": "hot"})) == ((one,) if expected else ())


def test_rules_about_providers_judge_providers_only():
    down, low = rule("provider_down"), rule("low_balance", alert="Low", below=1)
    [pseudo] = checkups([account()]).values()

    assert watch(down, low).rules_for(account()) == (low,)
    assert watch(down, low).rules_for(pseudo) == (down,)
    assert watch(rule("provider_down", match={"provider": "other"})).rules_for(pseudo) == ()


def test_accounts_with_the_same_rules_share_them():
    it = watch(rule("stale"))

    assert it.rules_for(account("a")) is it.rules_for(account("b"))


def test_an_accounts_own_labels_cannot_pretend_to_be_another_account():
    assert match_labels(account(labels={"account": "treasury", "provider": "bank"})) == {
        "account": "hot-usdt", "provider": "casino",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("intervals", "every"),
    [
        ([seconds(5), minutes(1)], seconds(5)),
        ([timedelta(milliseconds=100)], seconds(1)),
        ([minutes(10)], seconds(15)),
    ],
)
def test_a_provider_is_judged_about_as_often_as_its_quickest_account_is_polled(intervals, every):
    [pseudo] = checkups(account(str(n), interval=interval) for n, interval in enumerate(intervals)).values()

    assert (pseudo.provider, pseudo.interval) == (STORE_PROVIDER, every)
    assert pseudo.target == ProviderWatch("casino", min(intervals))


def test_there_is_one_for_each_provider():
    assert set(checkups([account("a"), account("b", provider="bank"), account("c")])) == {
        "provider:casino", "provider:bank",
    }  # fmt: skip


async def test_health_is_read_from_the_store_as_if_it_were_a_balance(store):
    await store.note("casino", Health(at=NOON, good_at=NOON))
    [pseudo] = checkups([account()]).values()

    health = await StoreReader(store).poll(pseudo, None, None, NOON)

    assert (health.noted_at, health.good_at, health.failing_since) == (NOON, NOON, None)


def flows(alert, **settings):
    return rule("large_outflow", alert=alert, **{"above": 1, "within": "1h", "match": {"role": "hot"}, **settings})


def test_movements_are_kept_as_long_as_the_rule_that_looks_back_furthest_wants():
    short = flows("Short", aggregate={"by": ["asset"]})
    long = flows("Long", within="2d", match={"role": "cold"}, aggregate={"by": ["asset"]})

    assert watch(short).summing(account(labels={"role": "hot"})).moves == minutes(120)
    # They share a stream with those of other accounts.
    assert watch(short, long).summing(account(labels={"role": "hot"})).moves == minutes(49 * 60)


def test_every_account_tells_a_rule_on_transfers_what_moved_there():
    nets = flows("Leak", net_internal=True, settle_within="30m")
    stranger = account("cold", labels={"role": "cold"})

    assert watch(nets).rules_for(stranger) == ()
    assert watch(nets).sums_over(stranger) == ("aggregate:Leak",)
    # Its values are nobody's business.
    assert watch(nets).summing(stranger) == (None, minutes(150))
    assert watch(nets).summing(account(labels={"role": "hot"})) == (minutes(3), minutes(150))


def test_a_rule_on_transfers_knows_everybody_and_judges_those_it_matches():
    nets, plain = flows("Leak", net_internal=True), flows("Plain", aggregate={"by": ["asset"]})
    everyone = {name: account(name, labels={"role": role}) for name, role in (("a", "hot"), ("b", "cold"))}

    found = aggregates((nets, plain), everyone)

    assert list(found["aggregate:Leak"].target.members) == ["a"]
    assert found["aggregate:Leak"].target.everyone == everyone
    assert found["aggregate:Plain"].target.everyone == {}
