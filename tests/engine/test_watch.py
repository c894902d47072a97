"""Which rules judge which account, and the accounts that stand for providers."""

from datetime import timedelta

import pytest

from monitor.engine.watch import STORE_PROVIDER, StoreReader, Watch, checkups, match_labels
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
