"""`runway`: how long an account lasts at the speed of recent outflows, and what would make it last."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.model.record import Need
from monitor.model.window import Coverage, micros, record_flow
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, answer, blindness, event, rule, sighting, snapshot

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
#: A day's history: buckets of one hour, and NOON ends one.
DAILY = {"below": "24h", "history": "1d"}
ALWAYS = Coverage(0)


def paying(judge, hourly, *, now=NOON, cover=ALWAYS, asset="USDT", amounts="1000", **settings):
    """The facts after these outflows, one an hour, the last in the hour before `now`."""
    outs = [
        event(amount, at=now - (place + 1) * HOUR + minutes(30), name=f"e{place}", asset=asset)
        for place, amount in enumerate(reversed(hourly))
        if amount
    ]
    spec = judge.flow()
    ring = record_flow(judge._empty, outs, now)
    flows = {spec.key(asset): ring} if outs else {}
    coverage = {spec.scope(judge.assets): cover} if cover else {}
    return sighting({asset: amounts}, now=now, flows=flows, coverage=coverage, **settings)


def judged(judge, hourly, **settings):
    return list(judge.judge(paying(judge, hourly, **settings)))


@pytest.mark.parametrize(
    ("left", "bad", "lasts"),
    [
        pytest.param("240", None, 86_400, id="exactly the threshold is not below it"),
        pytest.param("239.99", "warning", 86_396, id="a cent less is"),
        pytest.param("60", "warning", 21_600, id="six hours left"),
        pytest.param("0.001", "warning", 0, id="not a second"),
        pytest.param("0", "warning", 0, id="nothing left"),
        pytest.param("-5", "warning", 0, id="overdrawn"),
        pytest.param("100000000000000000000", None, 3650 * 86_400, id="more than anybody counts"),
    ],
)
def test_bad_is_only_less_than_the_threshold_at_the_speed_of_late(left, bad, lasts):
    [verdict] = judged(rule("runway", **DAILY), ["10"] * 24, amounts=left)

    assert (verdict.bad, verdict.value, verdict.unit) == (bad, lasts, "s")
    assert (verdict.thresholds, verdict.measure) == ({"warning": 86_400}, "available")


@pytest.mark.parametrize(
    ("hourly", "lasts"),
    [
        pytest.param([""] * 24, None, id="nothing went out: it lasts for ever"),
        pytest.param(["900", *[""] * 23], None, id="one whale"),
        pytest.param([*[""] * 11, "900", "900", *[""] * 11], None, id="a burst that straddles two buckets"),
        pytest.param([*[""] * 11, "900", "900", "500", *[""] * 10], 7_200, id="three hours of it are a speed"),
        pytest.param([*["10"] * 12, *[""] * 12], 360_000, id="idle half a day, the busy half counts"),
        pytest.param(["10"] * 22 + ["999"] * 2, 360_000, id="a whale on top of the usual"),
        pytest.param([str(n) for n in range(1, 25)], 163_636, id="the 22nd of 24 is the p90"),
    ],
)
def test_case_33_the_speed_is_a_quantile_over_buckets(hourly, lasts):
    [verdict] = judged(rule("runway", **DAILY), hourly)

    assert verdict.value == lasts


def test_the_quantile_can_be_chosen():
    hourly = [str(n) for n in range(1, 25)]

    found = {q: judged(rule("runway", quantile=q, **DAILY), hourly)[0].value for q in ("0.5", "1", "0.01")}

    assert found == {"0.5": 300_000, "1": 150_000, "0.01": 3_600_000}


def test_case_33_top_ups_idle_days_and_one_whale():
    """A month of a wallet: it pays 240 a day, is topped up, idles for a weekend, and a whale leaves."""
    watched = Watched((rule("runway", below="24h", resolve_above="48h", history="7d"),))
    total, now = 2_000, NOON
    watched.reads(str(total))
    for hour in range(1, 15 * 24):
        now = NOON + hour * HOUR
        weekend = 96 <= hour < 144
        total -= 0 if weekend else 10
        total += 1_500 if hour in (60, 200) else 0
        total -= 900 if hour == 230 else 0
        watched.reads(str(total), start=now)
    assert (watched.news, watched.needs) == ([], [])

    # Nothing is topped up any more: 24 hours at 10 an hour are 240.
    while total >= 150:
        now += HOUR
        total -= 10
        watched.reads(str(total), start=now)
    watched.reads("800", start=now + minutes(1))

    first, second = watched.told
    assert (first[1], first[2].value, second[1], second[2].value) == ("firing", 82_800, "resolved", 288_000)


def test_case_26_the_first_observation_has_no_verdict():
    watched = Watched((rule("runway", **DAILY),)).reads("0 0 0")

    assert watched.record.alerts == ()


@pytest.mark.parametrize(
    ("settings", "known", "said"),
    [
        pytest.param({}, DAY / 7 - seconds(1), False, id="a seventh of the history, less a second"),
        pytest.param({}, timedelta(hours=4), True, id="four hours are more"),
        pytest.param({"min_history": "6h"}, timedelta(hours=5, minutes=59), False, id="not yet what was asked"),
        pytest.param({"min_history": "6h"}, timedelta(hours=6), True, id="what was asked"),
        pytest.param({"min_history": "1s"}, minutes(59), False, id="no bucket is whole yet"),
        pytest.param({"min_history": "1d"}, DAY, True, id="all of it"),
    ],
)
def test_case_33_nothing_is_said_before_enough_is_known(settings, known, said):
    judge = rule("runway", **DAILY, **settings)

    found = judged(judge, ["100"] * 24, cover=Coverage(micros(NOON - known)))

    assert bool(found) is said


def test_below_a_whole_history_the_buckets_there_are_count():
    judge = rule("runway", **DAILY)

    [verdict] = judged(judge, ["500"] * 20 + ["10"] * 4, cover=Coverage(micros(NOON - 4 * HOUR)), amounts="100")

    assert verdict.value == 36_000
    assert verdict.details["over"] == "4h"


def test_an_asset_that_came_later_is_judged_by_its_own_history():
    watched = Watched((rule("runway", **DAILY, min_history="6h"),))
    for hour in range(30):
        amounts = {"BTC": "5"} if hour < 20 else {"BTC": "5", "USDT": str(1_000 - 90 * (hour - 20))}
        watched.see(answer(amounts, at=NOON + hour * HOUR), NOON + hour * HOUR)

    # It came at 20:00; six hours later five hours are whole.
    assert [(hour / 60, news, entry.asset) for hour, news, entry in watched.told] == [(26, "firing", "USDT")]


def test_a_new_rule_on_an_old_account_knows_what_is_stored():
    watched = Watched(())
    for hour in range(30):
        watched.reads(str(1_000 - 10 * hour), start=NOON + hour * HOUR)

    watched.rules = (rule("runway", below="4d", history="1d"),)
    watched.reads("700", start=NOON + 30 * HOUR)

    assert len(watched.needs) == 1
    [(_, news, entry)] = watched.told
    assert (news, entry.value) == ("firing", 252_000)


def test_a_new_rule_on_an_account_of_which_nothing_is_stored_starts_now():
    watched = Watched(()).reads("100")

    watched.rules = (rule("runway", **DAILY, min_history="1h"),)
    watched.reads("100", start=NOON + 50 * HOUR)
    cover = next(iter(watched.record.coverage.values()))

    assert cover == Coverage(micros(NOON + 50 * HOUR))


@pytest.mark.parametrize(
    ("settings", "left", "hourly", "expected"),
    [
        pytest.param({}, "0", [""] * 24, [], id="never used: nothing to say"),
        pytest.param({}, "0", ["900", *[""] * 23], [("warning", 0)], id="emptied by one burst"),
        pytest.param({"floor": 100}, "100", [""] * 24, [("warning", 0)], id="on the floor, and nobody pays"),
        pytest.param({"floor": 100}, "101", [""] * 24, [(None, None)], id="above it"),
        pytest.param({"floor": 100}, "220", ["10"] * 24, [("warning", 43_200)], id="what is above the floor counts"),
    ],
)
def test_what_is_down_already_is_bad(settings, left, hourly, expected):
    found = judged(rule("runway", **DAILY, **settings), hourly, amounts=left)

    assert [(verdict.bad, verdict.value) for verdict in found] == expected


def test_a_wallet_that_ran_dry_is_not_well_again_because_nothing_goes_out():
    watched = Watched((rule("runway", **DAILY),))
    for hour in range(40):
        watched.reads(str(max(0, 250 - 10 * hour)), start=NOON + hour * HOUR)
    for hour in range(40, 100, 7):
        watched.reads("0", start=NOON + hour * HOUR)
    assert [news for _, news in watched.news] == ["firing"]

    watched.reads("500", start=NOON + 101 * HOUR)
    assert [news for _, news in watched.news] == ["firing", "resolved"]


def test_levels_hold_until_their_own_recovery():
    levels = {"warning": {"below": "48h", "resolve_above": "72h"}, "critical": {"below": "12h", "resolve_above": "24h"}}
    judge = rule("runway", levels=levels, history="1d")

    found = {left: judged(judge, ["10"] * 24, amounts=left)[0] for left in ("119", "200", "479", "600", "721")}

    assert {left: (verdict.bad, verdict.held) for left, verdict in found.items()} == {
        "119": ("critical", "critical"),
        "200": ("warning", "critical"),
        "479": ("warning", "warning"),
        "600": (None, "warning"),
        "721": (None, None),
    }
    assert {left: verdict.details.get("send") for left, verdict in found.items()} == {
        "119": "121",
        "200": "520",
        "479": "241",
        "600": "120",
        "721": None,
    }


def test_case_33_what_came_in_does_not_count():
    judge = rule("runway", **DAILY)
    facts = paying(judge, ["10"] * 24)
    came = [event("500", "in", at=NOON - n * HOUR, name=f"i{n}") for n in range(1, 24)]
    key = judge.flow().key("USDT")

    richer = facts._replace(flows={key: record_flow(facts.flows[key], came, NOON)})

    assert list(judge.judge(richer)) == list(judge.judge(facts))


def test_trading_results_are_no_outflow():
    judge = rule("runway", **DAILY)

    assert [kind for kind in ("withdraw", "payout", "trade", "fee") if judge.flow().counts(event(kind=kind))] == [
        "withdraw",
        "payout",
    ]


def test_while_events_may_be_missing_it_may_get_worse_but_not_better():
    judge = rule("runway", **DAILY)

    assert judged(judge, ["10"] * 24, amounts="1000", gap="page 3 failed") == []
    assert [v.bad for v in judged(judge, ["10"] * 24, amounts="100", gap="page 3 failed")] == ["warning"]


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(blindness(), id="an outage"),
        pytest.param(sighting({}), id="no asset"),
        pytest.param(sighting({"USDT": {"total": "0"}}), id="another measure"),
        pytest.param(sighting({"USDT": "0"}), id="nothing is known of the past"),
    ],
)
def test_nothing_is_said_of_what_is_not_known(facts):
    assert list(rule("runway", **DAILY).judge(facts)) == []


class TestWords:
    @staticmethod
    def told(left, hourly=("1200",) * 24, **settings):
        judge = rule("runway", **{**DAILY, **settings})
        watched = Watched((judge,))
        facts = paying(judge, list(hourly), amounts=left)
        watched.record = type(watched.record)(
            "hot-usdt", 7, snapshot({"USDT": left}), flows=facts.flows, coverage=facts.coverage
        )
        watched.reads(left, start=NOON)
        [(_, _, entry)] = watched.told
        return entry.annotations["summary"]

    def test_it_says_what_to_send(self):
        assert self.told("14_400", resolve_above="48h") == (
            "hot-usdt USDT available lasts 12h at the p90 of the last 1d (1,200 USDT/h); "
            "43,200 USDT more would make it 2d"
        )

    def test_a_floor_is_named(self):
        assert self.told("8_600", floor=5_000, quantile="0.955") == (
            "hot-usdt USDT available reaches its floor of 5000 in 3h at the p95.5 of the last 1d (1,200 USDT/h); "
            "25,200 USDT more would make it 1d"
        )

    def test_what_is_empty_is_used_up(self):
        assert self.told("0") == (
            "hot-usdt USDT available is used up at the p90 of the last 1d (1,200 USDT/h); "
            "28,800 USDT more would make it 1d"
        )

    def test_a_template_finds_the_same(self):
        said = "{{ value | duration }}, {{ details.send }} {{ asset }} for {{ details.target }} ({{ details.speed }})"

        assert self.told("1200", annotations={"summary": said}) == "1h, 27,600 USDT for 1d (1,200)"

    def test_it_is_over(self):
        watched = Watched((rule("runway", **DAILY, min_history="1h"),))
        for hour in range(20):
            watched.reads(str(200 - 10 * hour), start=NOON + hour * HOUR)
        watched.reads("500", start=NOON + 19 * HOUR + minutes(1))

        assert watched.told[-1][2].annotations["summary"] == "hot-usdt USDT available lasts 2d2h again"


@given(
    left=st.decimals("-1e9", "1e18", places=8),
    hourly=st.lists(st.decimals("0.00000001", "1e15", places=8), min_size=24, max_size=24),
    hours=st.integers(1, 10_000),
    more=st.integers(1, 7_000_000),
)
def test_what_it_says_to_send_is_enough_and_little_more(left, hourly, hours, more):
    """With what it asks for, it lasts at least as long as it says; no need is rounded by more than a hundredth."""
    target = timedelta(hours=hours, seconds=more)
    judge = rule("runway", below=f"{hours}h", resolve_above=target, history="1d")
    facts = paying(judge, [str(amount) for amount in hourly], amounts=str(left))

    for verdict in judge.judge(facts):
        if "send" in verdict.details:
            send = Decimal(verdict.details["send"].replace(",", ""))
            speed = sorted(hourly)[21]
            needed = speed * (hours * 3600 + more) / 3600 - left
            assert max(needed, 0) * Decimal("0.999999999999") <= send <= max(needed, 0) * Decimal("1.0101")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({}, "write `below`, or `levels`", id="no threshold"),
        pytest.param({"below": "48h", "resolve_above": "24h"}, "resolve_above 1d is not above below 2d", id="a band"),
        pytest.param({"below": "1h", "history": "1d", "min_history": "2d"}, "min_history 2d is longer", id="never"),
        pytest.param({"below": "0s"}, "greater than datetime", id="no time"),
        pytest.param({"below": "1h", "min_history": "0s"}, "greater than datetime", id="no history"),
        pytest.param({"below": "1h", "quantile": "0"}, "greater than 0", id="no quantile"),
        pytest.param({"below": "1h", "quantile": "1.1"}, "less than or equal to 1", id="more than all"),
        pytest.param({"below": "1h", "history": "0s"}, "`history` is at least 1s", id="no past"),
        pytest.param({"below": 80_000}, "is not a duration", id="an amount"),
        pytest.param(
            {"levels": {"warning": {"below": "12h"}, "critical": {"below": "24h"}}},
            "below 1d is not below the 12h of warning",
            id="levels the wrong way round",
        ),
        pytest.param({"levels": {"warning": {"below": "2h", "resolve_above": "1h"}}}, "is not above", id="in a level"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        rule("runway", **settings)


def test_a_quiet_poll_needs_nothing_from_the_ledger():
    watched = Watched((rule("runway", **DAILY),))
    for hour in range(80):
        watched.reads(str(1000 - hour), start=NOON + hour * HOUR)

    assert not [need for need in watched.needs if isinstance(need, Need)]
