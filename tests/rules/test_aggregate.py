"""`aggregate`: whom it sums up, and how a sum is rated that is not fully known."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from monitor.model.alert import Verdict
from monitor.model.record import Roundup
from monitor.model.sums import Interval, Part, Sum
from monitor.rules.aggregate import labels_of_subject, rate_interval, subject_of
from monitor.rules.contributors import breakdown, contributors_of
from monitor.rules.facts import Overview
from tests.builders import NOON, minutes
from tests.facts import Watched, account, answer, rule, sighting, snapshot

POOL = account("aggregate:Tested", provider="@store")


def sums(**by_asset):
    """`USDT="a=100 b=?"`: what each account adds."""
    found = {}
    for asset, said in by_asset.items():
        found[asset] = Sum()
        for word in said.split():
            name, _, amount = word.partition("=")
            known = None if amount == "?" else Decimal(amount)
            found[asset].put(Part(name, asset, known, NOON - minutes(1)))
    return found


def judged(tested, subjects, *, alerting=(), prices=None, unknown=None):
    prices = {name: Decimal(price) for name, price in (prices or {}).items()}
    accounts = {name: len({one for each in found.values() for one in each.parts}) for name, found in subjects.items()}
    reading = Roundup(NOON, subjects, unknown=unknown or {}, accounts=accounts)
    facts = Overview(NOON, POOL, reading, prices=prices, alerting=frozenset(alerting))
    return {verdict.subject: verdict for verdict in tested.judge(facts)}


def low(**settings):
    return rule("low_balance", **{"below": 100, "resolve_above": 120, "aggregate": {"by": ["asset"]}, **settings})


def high(**settings):
    return rule("high_balance", **{"above": 100, "resolve_below": 80, "aggregate": {"by": ["asset"]}, **settings})


@pytest.mark.parametrize(
    ("tested", "said", "bad", "data"),
    [
        (low(), "a=40 b=50", "warning", "ok"),
        (low(), "a=40 b=80", None, "ok"),
        (low(), "a=110 b=?", None, "unknown"),
        (low(), "a=130 b=?", None, "ok"),
        (low(), "a=40 b=?", None, "unknown"),
        (high(), "a=40 b=?", None, "unknown"),
        (high(), "a=101 b=?", "warning", "ok"),
        (high(), "a=60 b=50", "warning", "ok"),
        (high(), "a=60 b=10", None, "ok"),
    ],
)
def test_a_sum_is_bad_when_all_it_may_be_is_bad_and_good_when_all_of_it_is_good(tested, said, bad, data):
    verdict = judged(tested, {"USDT": sums(USDT=said)}, alerting=["USDT"])["USDT"]

    assert (verdict.bad, verdict.data) == (bad, data)


def test_what_may_be_bad_opens_no_alert():
    assert judged(low(), {"USDT": sums(USDT="a=40 b=?")}) == {}


def test_the_worst_level_that_holds_for_certain_is_told_and_a_worse_one_that_may_hold_is_kept():
    levels = {"warning": {"above": 100}, "critical": {"above": 1000}}
    tested = rule("high_balance", levels=levels, aggregate={"by": ["asset"]})

    verdict = judged(tested, {"USDT": sums(USDT="a=500 b=?")})["USDT"]

    assert (verdict.bad, verdict.held) == ("warning", "critical")


@pytest.mark.parametrize(
    ("tested", "prices", "bad", "data"),
    [
        (low(unit="usd", aggregate={"by": []}), {"USDT": 1, "BTC": 50}, "warning", "ok"),
        (low(unit="usd", aggregate={"by": []}), {"USDT": 1}, None, "unknown"),
        (low(unit="usd", aggregate={"by": []}), {"USDT": 7}, None, "ok"),
        (high(unit="usd", aggregate={"by": []}), {"USDT": 6}, "warning", "ok"),
        (high(unit="usd", aggregate={"by": []}), {"USDT": 1}, None, "unknown"),
    ],
)
def test_case_19_a_sum_without_a_price_is_the_priced_part_or_more(tested, prices, bad, data):
    subjects = {"": sums(USDT="a=20", BTC="a=1")}

    verdict = judged(tested, subjects, prices=prices, alerting=[""])[""]

    assert (verdict.bad, verdict.data) == (bad, data)
    assert verdict.details.get("unpriced") == (None if "BTC" in prices else "BTC")


def test_nothing_of_an_asset_needs_no_price():
    verdict = judged(low(unit="usd", aggregate={"by": []}), {"": sums(USDT="a=20", BTC="a=0")}, prices={"USDT": 1})[""]

    assert (verdict.bad, verdict.data, verdict.value) == ("warning", "ok", 20)


def test_a_member_that_was_never_read_makes_every_sum_it_may_belong_to_open_ended():
    unknown = {("hot",): ["c"]}
    tested = low(aggregate={"by": ["role", "asset"]})
    hot, cold = '["hot", "USDT"]', '["cold", "USDT"]'
    verdicts = judged(tested, {hot: sums(USDT="a=1"), cold: sums(USDT="b=1")}, unknown=unknown, alerting=[hot, cold])

    assert (verdicts[hot].data, verdicts[hot].details["missing"]) == ("unknown", "c")
    assert (verdicts[cold].data, verdicts[cold].bad) == ("ok", "warning")
    assert verdicts[cold].labels == {"role": "cold", "asset": "USDT"}


def test_case_20_a_sum_names_its_largest_parts_with_their_ages_and_those_that_are_missing():
    tested = low()
    verdict = judged(tested, {"USDT": sums(USDT="a=1 b=30 c=2 d=3 e=? f=?")}, alerting=["USDT"])["USDT"]

    assert verdict.details["missing"] == "e, f"
    assert breakdown(verdict.details) == " (b 30, d 3, c 2, and 1 more; missing: e, f)"
    ages = [(one["account"], one["value"], one["age"]) for one in contributors_of(verdict.details, NOON)]
    assert ages[0] == ("b", 30, minutes(1))
    assert ages[-1] == ("f", None, minutes(1))
    assert verdict.details["at_least"] == "36"
    assert verdict.details["at_most"] == "unknown"
    assert verdict.details["accounts"] == "6"


@pytest.mark.parametrize("by", [(), ("asset",), ("role",), ("role", "asset"), ("asset", "provider", "tier")])
@pytest.mark.parametrize("text", ["hot", 'a", "b', "", "ä|\x1f🎰"])
def test_the_name_of_a_sum_tells_its_labels_whatever_they_hold(by, text):
    labels = dict.fromkeys(by, text)

    assert labels_of_subject(by, subject_of(by, labels, text)) == labels


@pytest.mark.parametrize("low_side", [True, False])
@pytest.mark.parametrize("ends", [("1", "1"), ("1", "3"), (None, "3"), ("1", None), (None, None)])
def test_a_rating_is_never_more_certain_than_every_value_of_the_interval(ends, low_side):
    def rate(value):
        bad = value < 2 if low_side else value > 2
        return ("warning", "warning") if bad else (None, None)

    interval = Interval(*(None if end is None else Decimal(end) for end in ends))
    rated = rate_interval(interval, rate, "warning", low=low_side)
    values = [Decimal(x) for x in ("-99", "1", "1.5", "2", "2.5", "3", "99")]
    inside = [
        rate(value)[0]
        for value in values
        if (interval.low is None or value >= interval.low) and (interval.high is None or value <= interval.high)
    ]

    if rated.decided:
        assert set(inside) == {rated.bad}
    else:
        assert rated.bad is None
        assert set(inside) == {None, "warning"}


class TestOneAccount:
    """`by` with `account`: judged where the account is."""

    def test_assets_are_added_up_at_their_prices_under_the_account(self):
        tested = low(unit="usd", aggregate={"by": ["account"]})
        seen = sighting({"USDT": "20", "BTC": "1"}, prices={"USDT": Decimal(1), "BTC": Decimal(50)})

        [verdict] = tested.judge(seen)

        assert isinstance(verdict, Verdict)
        assert (verdict.subject, verdict.bad, verdict.value, verdict.unit) == ("", "warning", 70, "USD")
        assert not tested.spans

    def test_case_20_an_asset_that_this_answer_lacks_counts_as_last_read_until_it_is_stale(self):
        tested = low(unit="usd", aggregate={"by": ["account"]})
        prices = {"USDT": Decimal(1), "BTC": Decimal(50)}
        before = {"USDT": "20", "BTC": "1"}

        [fresh] = tested.judge(sighting({"USDT": "20"}, previous=before, prices=prices))
        long_ago = snapshot(before, at=NOON - minutes(9))
        [stale] = tested.judge(sighting({"USDT": "20"}, prices=prices)._replace(previous=long_ago))

        assert (fresh.value, fresh.data) == (70, "ok")
        assert (stale.value, stale.data) == (20, "unknown")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"aggregate": {"by": ["role"]}}, "different assets add up only in USD"),
        ({"aggregate": {"by": ["asset", "asset"]}}, "a label is there twice"),
        ({"aggregate": {"by": ["asset"], "unit": "usd"}, "unit": "asset"}, "contradicts"),
        ({"aggregate": {"by": ["asset"]}, "on_no_data": "fire"}, "always holds its alert"),
        ({"aggregate": {"over": ["asset"]}}, "over"),
        ({"aggregate": {"by": ["severity", "asset"]}}, "is of alerts"),
    ],
)
def test_a_sum_that_means_nothing_is_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        low(**settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"above": 5, "aggregate": {"by": ["asset"]}}, "add `within`"),
        ({"above": "5%", "within": "1h", "aggregate": {"by": ["asset"]}}, "write an amount"),
    ],
)
def test_a_flow_that_cannot_be_summed_is_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        rule("large_outflow", **settings)


def test_worths_at_prices_that_a_provider_tells_by_worths_add_up_and_are_told_shortly():
    """What 3 of an asset are worth may be a price without an end: two such worths are added up all the same."""
    one = Watched((rule("large_outflow", above=100, within="1h", aggregate={"by": ["account"], "unit": "usd"}),))
    usd = {"AAA": Decimal(100), "BBB": Decimal("0.000123")}

    one.see(answer(snapshot({"AAA": "3", "BBB": "70000"}, usd=usd)), NOON)
    one.see(answer(snapshot({"AAA": "0.7", "BBB": "0.007"}, at=NOON + minutes(1), usd=usd)), NOON + minutes(1))

    [(_, news, entry)] = one.told
    assert (news, entry.value) == ("firing", Decimal("1558.571305571428571428571428571"))
    assert " 1558.57130557143 USD went out within 1h" in entry.annotations["summary"]
