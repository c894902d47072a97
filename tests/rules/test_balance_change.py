"""balance_change: how far a measure is from the highest or lowest of its window."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.model.extremes import leave
from tests.builders import NOON, minutes
from tests.facts import Watched, answer, blindness, outage, policy, rule, sighting, snapshot

HOUR = timedelta(hours=1)


def changed(judge, before, after, *, asset="USDT", **settings):
    """The verdicts when the measure read `before` until now and reads `after` now."""
    spec = judge.extreme()
    steps = leave((), Decimal(before), spec.side, spec.within, NOON)
    measures = {asset: {spec.measure: after}}
    facts = sighting(measures, previous={asset: {spec.measure: before}}, **settings)
    return list(judge.judge(facts._replace(extremes={spec.key(asset): steps})))


@pytest.mark.parametrize(
    ("settings", "before", "after", "bad"),
    [
        pytest.param({"falls_by": 40}, "100", "60", None, id="exactly the threshold is not more than it"),
        pytest.param({"falls_by": 40}, "100", "59.999999999999999999", "warning", id="a wei more is"),
        pytest.param({"falls_by": 40}, "100", "60.000000000000000001", None, id="a wei less is not"),
        pytest.param({"falls_by": 40}, "60", "200", None, id="a rise is no fall"),
        pytest.param({"rises_by": 40}, "60", "100", None, id="a rise of the threshold"),
        pytest.param({"rises_by": 40}, "60", "100.000000000000000001", "warning", id="a rise of a wei more"),
        pytest.param({"rises_by": 40}, "200", "60", None, id="a fall is no rise"),
        pytest.param({"falls_by": "25%"}, "100", "75", None, id="a quarter of the highest"),
        pytest.param({"falls_by": "25%"}, "100", "74.999999999999999999", "warning", id="a wei more than a quarter"),
        pytest.param({"rises_by": "25%"}, "100", "125.000000000000000001", "warning", id="a quarter of the lowest"),
        pytest.param({"falls_by": "0.01%"}, "3", "2.9997", None, id="a percentage is exact"),
        pytest.param({"falls_by": "0.01%"}, "3", "2.999699999999999999", "warning", id="to the last digit"),
        pytest.param({"falls_by": "100%"}, "100", "0", None, id="no more than all can go"),
        pytest.param({"falls_by": "100%"}, "100", "-0.01", "warning", id="unless it ends in debt"),
        pytest.param({"falls_by": 0}, "100", "99.99", "warning", id="zero: any fall"),
        pytest.param({"falls_by": 20}, "10", "-10.01", "warning", id="through zero"),
        pytest.param({"falls_by": 20}, "-10", "-30.01", "warning", id="a debt that grows"),
        pytest.param({"rises_by": 20}, "-30.01", "-10", "warning", id="a debt that shrinks"),
        pytest.param({"falls_by": "25%"}, "-100", "-125", None, id="a quarter of a debt"),
        pytest.param({"falls_by": "25%"}, "-100", "-125.01", "warning", id="more than a quarter of a debt"),
        pytest.param({"rises_by": "25%"}, "-100", "-74.99", "warning", id="a debt that shrank by more than a quarter"),
        pytest.param({"rises_by": "500%"}, "0", "0.01", "warning", id="of nothing, anything is more"),
    ],
)
def test_bad_is_only_more_than_the_threshold(settings, before, after, bad):
    judge = rule("balance_change", within="1h", measure="equity", **settings)

    [verdict] = changed(judge, before, after)

    assert (verdict.bad, verdict.held) == (bad, bad)


@pytest.mark.parametrize(
    ("after", "bad", "threshold"), [("90", None, None), ("85", "warning", "10"), ("49", "critical", "50")]
)
def test_the_worst_level_that_is_exceeded_counts(after, bad, threshold):
    levels = {"warning": {"falls_by": "10%"}, "critical": {"falls_by": "50%"}}

    [verdict] = changed(rule("balance_change", levels=levels, within="1h"), "100", after)

    assert verdict.bad == bad
    assert verdict.thresholds == {"critical": 50, "warning": 10}


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        pytest.param({"BTC": "60000"}, [("warning", Decimal(6000))], id="both ends at the price of now"),
        pytest.param({"BTC": "40000"}, [(None, Decimal(4000))], id="a lower one"),
        pytest.param({}, [], id="without a price it is unknown"),
    ],
)
def test_case_24_in_usd_both_ends_have_one_price(prices, expected):
    judge = rule("balance_change", falls_by=5000, unit="usd", within="1h")

    found = changed(judge, "1", "0.9", asset="BTC", prices={k: Decimal(v) for k, v in prices.items()})

    assert [(verdict.bad, verdict.value) for verdict in found] == expected
    assert all((verdict.unit, verdict.measure) == ("USD", "available") for verdict in found)


def test_case_24_a_price_that_crashes_is_no_fall():
    watched = Watched((rule("balance_change", falls_by=100, unit="usd", within="1h"),))
    for minute, price in enumerate(["60000", "60000", "20000", "1"]):
        watched.policy = policy(prices={"BTC": Decimal(price)})
        watched.see(answer({"BTC": "1"}, at=NOON + minutes(minute)), NOON + minutes(minute))

    assert watched.news == []


def test_what_did_not_move_needs_no_price_to_be_good():
    judge = rule("balance_change", falls_by=5, unit="usd", within="1h")

    [verdict] = judge.judge(sighting({"BTC": "1"}, previous={"BTC": "1"}))

    assert (verdict.bad, verdict.value) == (None, 0)


def test_case_26_the_first_observation_has_no_verdict_and_the_second_has():
    judge = rule("balance_change", falls_by=0, within="1h")

    assert list(judge.judge(sighting({"USDT": "1"}))) == []
    assert list(judge.judge(sighting({"USDT": "1"}, previous={"BTC": "1"}))) == []
    assert list(judge.judge(sighting({"USDT": "1"}, previous={"USDT": {"total": "5"}}))) == []
    assert [v.bad for v in judge.judge(sighting({"USDT": "1"}, previous={"USDT": "1"}))] == [None]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(sighting({}, previous={"USDT": "1"}), id="the asset is missing"),
        pytest.param(sighting({"USDT": {"total": "1"}}, previous={"USDT": "1"}), id="the measure is missing"),
        pytest.param(sighting({"BTC": "1"}, previous={"BTC": "2"}), id="another asset"),
        pytest.param(blindness(), id="an outage"),
    ],
)
def test_what_is_not_known_gets_no_verdict(facts):
    assert list(rule("balance_change", falls_by=0, within="1h", assets=["USDT"]).judge(facts)) == []


@pytest.mark.parametrize(
    ("settings", "series", "news"),
    [
        pytest.param(
            {"falls_by": 20}, "100 90 79 79 79 79 79 79", [(2, "firing"), (6, "resolved")],
            id="until the highest was left five minutes ago: 90 is no longer too far",
        ),
        pytest.param({"falls_by": 20}, "100 79 100", [(1, "firing"), (2, "resolved")], id="until it is back"),
        pytest.param({"falls_by": 20}, "100 95 90 85 79", [(4, "firing")], id="a slide adds up"),
        pytest.param({"falls_by": 20}, "100 96 92 88 84 80 76 72 68", [], id="a slow slide does not"),
        pytest.param({"rises_by": 20}, "10 20 31 31 31 31 31", [(2, "firing"), (6, "resolved")], id="rising"),
        pytest.param({"falls_by": 20}, "79 79 79", [], id="it was low all along"),
        pytest.param({"falls_by": 20}, "100 error error 79", [(3, "firing")], id="it fell during an outage"),
        pytest.param(
            {"falls_by": 20}, "100 error error error error error error error 79", [(8, "firing")],
            id="or during one longer than the window: what was true before counts",
        ),
        pytest.param({"falls_by": 20}, "100 _ _ 79", [(3, "firing")], id="or while the asset was missing"),
        pytest.param({"falls_by": 20}, "100 79 error error error error error error", [(1, "firing")],
                     id="not knowing resolves nothing"),
        pytest.param({"falls_by": 20}, "100 79 _ _ _ _ _ _ _ 79", [(1, "firing"), (9, "resolved")],
                     id="nor does a missing asset, until it is read again"),
        pytest.param({"falls_by": 20, "for_": "2m"}, "100 79 100 79 79 79", [(5, "firing")], id="it waits its for"),
        pytest.param({"falls_by": "25%"}, "100 100 100 100 100 100 100 100 74", [(8, "firing")],
                     id="after a quiet time longer than the window"),
    ],
)  # fmt: skip
def test_it_fires_and_resolves_with_its_window(settings, series, news):
    watched = Watched((rule("balance_change", within="5m", **settings),)).reads(series)

    assert watched.news == news


def test_an_alert_says_where_it_fell_from_and_what_is_well_again():
    judge = rule("balance_change", falls_by="25%", within="5m")
    watched = Watched((judge,)).reads("100 100 80 74 74 74 74 74")

    assert [(e.value, e.threshold, e.unit, e.measure) for _, _, e in watched.told] == [
        (26, 25, "USDT", "available"), (6, 20, "USDT", "available"),
    ]  # fmt: skip
    assert [e.annotations["summary"] for _, _, e in watched.told] == [
        "hot-usdt USDT available fell by 26 within 5m, from 100 to 74, more than 25% (25)",
        "hot-usdt USDT available is 6 below its highest of 5m, which is good again",
    ]


def test_templates_see_both_ends_and_when_the_extreme_was_left():
    judge = rule("balance_change", rises_by=5, within="5m", annotations={
        "summary": "{{ details.lowest }} {{ details.until }} {{ details.now }}"})  # fmt: skip

    watched = Watched((judge,)).reads("1 7")

    assert watched.told[0][2].annotations["summary"] == "1 2026-11-20T12:01:00Z 7"


class TestRings:
    FALL = rule("balance_change", falls_by=20, within="5m")

    def test_a_quiet_poll_writes_none_and_a_first_change_one(self):
        watched = Watched((self.FALL,)).reads("100 100 90")

        assert {key: len(steps) for key, steps in watched.record.extremes.items()} == {
            "USDT|available|high|300000000": 1
        }
        before = watched.record.extremes
        assert (
            watched.decided(answer({"USDT": "90"}, at=NOON + minutes(3)), NOON + minutes(3)).record.extremes is before
        )

    def test_rules_with_equal_needs_share_one_and_the_other_side_has_its_own(self):
        equal = rule("balance_change", alert="Equal", falls_by=3, within="5m")
        other = rule("balance_change", alert="Other", rises_by=3, within="5m")

        watched = Watched((self.FALL, equal, other)).reads("100 90")

        assert sorted(watched.record.extremes) == ["USDT|available|high|300000000", "USDT|available|low|300000000"]

    def test_only_its_measure_and_its_assets_are_remembered(self):
        watched = Watched((rule("balance_change", falls_by=1, within="5m", assets=["BTC"]),)).reads("100 90")

        assert watched.record.extremes == {}

    def test_it_is_forgotten_when_its_window_has_passed_or_nobody_reads_it(self):
        watched = Watched((self.FALL,)).reads("100 90 90 90 90 90")
        unread = replace(watched, rules=())
        unread.see(answer({"USDT": "90"}, at=NOON + minutes(6)), NOON + minutes(6))

        watched.see(answer({"USDT": "90"}, at=NOON + minutes(6)), NOON + minutes(6))

        assert watched.record.extremes == unread.record.extremes == {}

    def test_case_52_another_window_ends_no_alert(self):
        watched = Watched((self.FALL,)).reads("100 79")
        watched.rules = (rule("balance_change", falls_by=20, within="10m"),)

        watched.reads("79 79", start=NOON + minutes(2))

        assert watched.news == [(1, "firing")]
        assert sorted(watched.record.extremes) == ["USDT|available|high|600000000"]

    def test_a_rule_that_is_new_starts_now(self):
        watched = Watched(()).reads("100 79")
        watched.rules = (self.FALL,)

        watched.reads("79 59 58", start=NOON + minutes(2))

        assert watched.news == [(4, "firing")]

    def test_an_asset_name_may_look_like_a_rings_name(self):
        watched = Watched((self.FALL,))
        for minute, amount in enumerate(("100", "90", "90", "79")):
            watched.see(answer({"A|B": amount}, at=NOON + minutes(minute)), NOON + minutes(minute))

        assert watched.news == [(3, "firing")]

    def test_an_asset_that_appears_where_zero_rows_are_dropped_rose_from_zero(self):
        watched = Watched((rule("balance_change", rises_by=20, within="5m"),))
        for minute, amounts in enumerate(({"BTC": "1"}, {"BTC": "1", "USDT": "50"})):
            shot = snapshot(amounts, at=NOON + minutes(minute), absent_is_zero=True)
            watched.see(answer(shot), NOON + minutes(minute))

        assert [(e.asset, e.value) for _, _, e in watched.told] == [("USDT", 50)]

    def test_case_07_a_clock_that_was_ahead_makes_no_alert_last_longer_than_the_window(self):
        one = Watched((self.FALL,)).reads("100 40", start=NOON + minutes(600))

        one.reads("40 " * 7)

        assert one.news == [(601, "firing"), (5, "resolved")]

    def test_an_outage_forgets_nothing(self):
        watched = Watched((self.FALL,)).reads("100 90")
        before = watched.record.extremes

        watched.see(outage(NOON + minutes(2)), NOON + minutes(2))

        assert watched.record.extremes == before


@pytest.mark.parametrize(
    ("settings", "where", "what"),
    [
        pytest.param({}, (), "a threshold is missing: write `falls_by` or `rises_by`", id="no threshold"),
        pytest.param({"falls_by": 1, "rises_by": 1}, (),
                     "`falls_by` and `rises_by` are two rules: write one of them", id="both"),
        pytest.param({"falls_by": -1}, (), "`falls_by` says which way, its amount cannot be negative", id="negative"),
        pytest.param({"falls_by": "5%", "unit": "usd"}, (),
                     "5% is a percentage, `unit: usd` contradicts it", id="a percentage of USD"),
        pytest.param({"levels": {"info": {"falls_by": 1}, "warning": {"rises_by": 2}}}, (),
                     "one rule looks one way: the levels mix `falls_by` and `rises_by`", id="levels of both ways"),
        pytest.param({"levels": {"info": {"falls_by": 1}, "warning": {"falls_by": "2%"}}}, ("levels",),
                     "the levels mix amounts and percentages", id="levels of both sorts"),
        pytest.param({"levels": {"info": {"falls_by": 5}, "warning": {"falls_by": 2}}}, ("levels", "warning"),
                     "falls_by 2 is not above the 5 of info", id="a worse level that is laxer"),
        pytest.param({"levels": {"info": {}}}, ("levels", "info"),
                     "a threshold is missing: write `falls_by` or `rises_by`", id="a level of nothing"),
        pytest.param({"falls_by": 1, "levels": {"info": {"falls_by": 5}}}, (),
                     "`falls_by` stands inside `levels` here, not beside it", id="a threshold beside levels"),
        pytest.param({"severity": "info", "levels": {"info": {"falls_by": 5}}}, (),
                     "`severity` stands inside `levels` here, not beside it", id="a severity beside levels"),
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_mistakes(settings, where, what):
    with pytest.raises(ValidationError) as caught:
        rule("balance_change", within="1h", **settings)

    assert [(e["loc"][1:], e["msg"].removeprefix("Value error, ")) for e in caught.value.errors()] == [(where, what)]


@pytest.mark.parametrize("settings", [{}, {"within": "0s"}, {"within": "400d"}, {"within": "1h", "above": 1}])
def test_a_window_is_needed_and_no_other_key(settings):
    with pytest.raises(ValidationError):
        rule("balance_change", falls_by=1, **settings)


def test_it_says_which_measure_it_reads():
    assert rule("balance_change", falls_by=1, within="1h", measure="equity").measures() == ("equity",)


_POLLS = st.lists(st.one_of(st.integers(-30, 60), st.just("same"), st.sampled_from(["error", "_"])), max_size=40)


@given(_POLLS, st.sampled_from([3, 5, 10]), st.sampled_from([0, 5, 20]))
def test_through_outages_and_missing_answers_it_tells_what_a_model_with_every_reading_tells(polls, window, limit):
    calm = {"flap": {"max": 100}}  # The model knows nothing of flapping.
    watched = Watched((rule("balance_change", falls_by=limit, within=f"{window}m", **calm),))
    readings, firing, expected = [], False, []
    for minute, word in enumerate(polls):
        value = (readings[-1][1] if readings else 0) if word == "same" else word
        watched.reads(str(value), start=NOON + minutes(minute))
        if value in ("error", "_"):
            continue
        readings.append((minute, value))
        ends = [end for end, _ in readings[1:]]
        held = [old for (_, old), end in zip(readings, ends, strict=False) if end > minute - window]
        bad = max([*held, value]) - value > limit
        if bad != firing:
            expected.append((minute, "firing" if bad else "resolved"))
            firing = bad

    assert watched.news == expected
