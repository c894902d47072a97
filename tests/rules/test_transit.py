"""`net_internal`: which settings make sense, what an alert says, and a drain that no single asset shows."""

from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import ValidationError

from monitor.engine.decide import decide
from monitor.engine.roundup import stream_of
from monitor.model.asset import bare
from monitor.model.event import Ledger, Use
from monitor.model.members import Members
from monitor.model.record import Record, Roundup, RuleWatch
from monitor.model.settlement import LEGS_MAX
from tests.builders import NOON, minutes
from tests.facts import Watched, account, answer, event, policy, rule, snapshot

HOT, COLD, BANK = (account(name, labels={"role": name}) for name in ("hot", "cold", "bank"))


def leaves(**settings):
    return rule("large_outflow", **{"above": 100, "within": "1h", "net_internal": True, **settings})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"within": None}, "one movement alone cannot be matched with another: add `within`"),
        ({"within": "30s"}, "with `net_internal` it is at least 1m"),
        ({"settle_within": "8d"}, "it is at least 1s and at most 7d"),
        ({"settle_within": "0s"}, "it is at least 1s and at most 7d"),
        ({"above": "25%"}, "with `net_internal` a share has no fixed whole: write an amount"),
        ({"on_no_data": "fire"}, "with `net_internal` an alert is always held while its account is not known"),
        ({"net_internal": False, "settle_within": "5m"}, "how long transfers may take with `net_internal: true`"),
    ],
)
def test_settings_that_settle_nothing_are_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        leaves(**settings)


@pytest.mark.parametrize(
    ("settings", "by"),
    [
        ({}, ("provider", "account", "asset")),
        ({"aggregate": {"by": ["account"], "unit": "usd"}}, ("account",)),
        ({"aggregate": {"by": ["role", "asset"]}}, ("role", "asset")),
    ],
)
def test_it_spans_accounts_whatever_its_alerts_are_about(settings, by):
    tested = leaves(**settings)

    assert tested.spans
    assert tested.summed_by == by


def test_the_limit_is_part_of_what_is_remembered_so_an_edited_one_begins_anew():
    assert leaves().flow().suffix != leaves(settle_within="11m").flow().suffix
    assert leaves().flow().suffix != leaves(net_internal=False).flow().suffix


class Summed(Watched):
    """The record of one rule over hot, cold and bank, which it hears of movement by movement."""

    def __init__(self, tested, **settings):
        members = {one.name: one for one in (HOT, COLD, BANK)}
        watch = RuleWatch("Tested", Members(members), members)
        pseudo = account("aggregate:Tested", provider="@store", target=watch)
        super().__init__((tested,), pseudo, policy("ops", **settings), Record("aggregate:Tested"))

    def moves(self, minute, *events):
        now = NOON + minutes(minute)
        [tested] = self.rules
        ledgers = {f"{stream_of(tested, tested.flow())}0": Ledger(minute)}
        return self.see(Roundup(now, events=events, ledgers=ledgers), now).rows


def test_case_30_an_alert_carries_the_labels_of_its_account():
    seen = Summed(leaves(labels={"team": "risk"}))
    seen.moves(0, event("600", account="hot"))

    [row] = seen.moves(10)

    assert row.entry.labels == {"role": "hot", "team": "risk"}
    assert (row.entry.provider, row.entry.account, row.entry.asset) == ("casino", "hot", "USDT")


def test_case_30_several_that_did_not_arrive_are_told_as_one_sum():
    seen = Summed(
        leaves(aggregate={"by": [], "unit": "usd"}, settle_within="5m"), prices={"USDT": Decimal(1), "BTC": Decimal(1)}
    )
    seen.moves(0, event("60", account="hot"), event("70", account="cold", asset="BTC", name="e2"))

    [row] = seen.moves(5)

    assert row.entry.annotations["summary"] == (
        "all accounts 130 USD went out within 1h, above 100 USD (70 BTC, 60 USDT); "
        "2 transfers of 70 BTC, 60 USDT in all from cold, hot have not arrived within 5m"
    )


def test_case_30_what_was_expected_to_leave_is_not_missed():
    seen = Summed(leaves())
    payroll = event("600", account="hot", expected=(Use("payroll", Decimal(550), 0),))

    assert seen.moves(0, payroll) == ()
    assert seen.moves(10) == ()


def test_case_30_net_of_what_came_from_outside_too():
    seen = Summed(leaves(net=True))
    came = event("550", "in", account="hot", name="in")
    seen.moves(0, event("600", account="hot"), came)

    assert seen.moves(10) == ()


def test_kinds_choose_what_is_judged_not_what_may_be_the_other_end():
    seen = Summed(leaves(kinds=["withdraw"]))
    seen.moves(0, event("600", account="hot"), event("600", "in", account="cold", name="in", kind="deposit"))
    seen.moves(0, event("700", account="bank", name="paid", kind="payout"))

    assert seen.moves(10) == ()


def test_assets_choose_what_is_judged_on_whatever_network_it_arrives():
    seen = Summed(leaves(assets=["USDT@TRX"]))
    seen.moves(0, event("600", account="hot", asset="USDT@TRX"))
    seen.moves(1, event("600", "in", account="cold", name="in", asset="USDT@ETH"))
    seen.moves(1, event("900", account="hot", name="other", asset="BTC"))

    assert seen.moves(11) == ()
    assert {bare(leg.asset) for legs in seen.record.transfers.values() for leg in legs} == {"USDT"}


def test_more_movements_than_are_remembered_one_by_one_still_add_up():
    seen = Summed(leaves(above=LEGS_MAX))
    events = [event("1", account="hot", name=f"e{number}", at=NOON) for number in range(LEGS_MAX + 500)]
    [row] = seen.moves(10, *events)

    assert row.entry.value == LEGS_MAX + 500
    assert len(seen.record.transfers[leaves().flow().suffix]) == LEGS_MAX
    assert seen.needs == []
    [row] = seen.moves(72)
    assert (row.news, row.entry.value) == ("resolved", 0)


def test_deciding_twice_about_one_reading_gives_the_same():
    seen = Summed(leaves())
    seen.moves(0, event("600", account="hot"))
    now = NOON + minutes(10)
    reading = Roundup(now, events=(event("5", account="hot", name="e2", at=now),))
    given = (seen.record, reading, seen.account, seen.rules, seen.policy, now)

    assert decide(*given) == decide(*given)


def test_case_29_a_drain_over_twelve_assets_is_one_alert_of_the_account():
    drain = rule("large_outflow", above=100, within="1h", aggregate={"by": ["account"], "unit": "usd"})
    assets = [f"A{number:02}" for number in range(12)]
    seen = Watched((drain,), policy=policy("ops", prices=dict.fromkeys(assets, Decimal(2))))
    for minute, left in enumerate(("100", "91", "90", "89")):
        now = NOON + minutes(minute)
        # Each alone stays far below.
        seen.see(answer(snapshot(dict.fromkeys(assets, left), at=now)), now)

    [(minute, news, told)] = seen.told

    assert (minute, news, told.asset, told.account, told.value, told.unit) == (
        1,
        "firing",
        None,
        "hot-usdt",
        216,
        "USD",
    )
    summary = told.annotations["summary"]
    assert summary.startswith("hot-usdt 216 USD went out within 1h, above 100 USD (9 A00, 9 A01, ")
    assert summary.endswith(" and 2 more)")
    [alert] = seen.record.alerts
    assert (alert.subject, alert.value) == ("", 264)


def test_a_movement_that_was_taken_back_belongs_to_nothing_until_it_stands_again():
    seen = Summed(leaves())
    out, came = event("600", account="hot", name="out"), event("600", "in", account="cold", name="in")
    seen.moves(0, out, came)

    seen.moves(5, replace(came, reverted=True))
    assert [row.news for row in seen.moves(10)] == ["firing"]
    assert [row.news for row in seen.moves(11, replace(came, revision=2))] == ["resolved"]
    assert seen.moves(12, replace(out, reverted=True), replace(came, reverted=True, revision=3)) == ()
    assert seen.record.transfers == {}


def by(*labels):
    return rule("large_outflow", above=100, within="1h", match={}, aggregate={"by": labels})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(by("asset"), by("role", "asset"), id="more labels tell the sums apart"),
        pytest.param(by("role", "asset"), by("asset"), id="fewer"),
        pytest.param(by("asset"), leaves(settle_within="1s"), id="transfers are left out now"),
        pytest.param(leaves(settle_within="1s"), by("asset"), id="and are no longer"),
    ],
)
def test_a_rule_that_tells_other_sums_apart_since_it_was_edited_begins_anew(before, after):
    seen = Summed(before)
    went = event("600", account="hot")
    seen.moves(0, went)
    seen.moves(1)
    seen.rules = (after,)

    # Its movements are read again from where the kept ones begin.
    told = seen.moves(2, went)

    assert sorted((row.news, row.entry.reason, row.entry.value) for row in told) == [
        ("firing", None, 600),
        ("resolved", "superseded", 600),
    ]


def test_an_alert_of_an_account_that_is_gone_closes_and_says_why():
    seen = Summed(leaves(settle_within="1s"))
    seen.moves(0, event("600", account="hot"), event("700", account="cold", name="e2"))
    assert len(seen.moves(1)) == 2
    rest = {one.name: one for one in (COLD, BANK)}
    seen.account = replace(seen.account, target=RuleWatch("Tested", Members(rest), rest))

    assert [(row.news, row.entry.reason, row.entry.account) for row in seen.moves(2)] == [
        ("resolved", "account_removed", "hot")
    ]


def test_what_counts_no_more_is_not_told_of_either():
    seen = Summed(leaves(within="5m", settle_within="1m"))
    seen.moves(0, event("600", account="hot"))
    assert [row.news for row in seen.moves(1)] == ["firing"]
    seen.moves(6)
    seen.moves(7, event("200", account="hot", name="e2", at=NOON + minutes(7)))

    [row] = seen.moves(8)

    assert row.entry.annotations["summary"].endswith("; a transfer of 200 USDT from hot has not arrived within 1m")
