"""A past is replayed as the daemon would have lived it, and leaving out polls that change nothing changes nothing."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.backtest.replay import Life, Span, replay, steps_of
from monitor.model.event import Telling
from monitor.model.past import Past
from monitor.model.record import Point
from monitor.schedule import Cron, Every
from monitor.virtual import Virtual
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, event, policy, rule, snapshot

HOUR = minutes(60)
SPAN = Span(NOON - 6 * HOUR, NOON, NOON + 24 * HOUR)
EVERY = Every(minutes(1))
MEASURES = ("available", "total")


def read(minute, value, asset="USDT", measures=MEASURES):
    return [Point(asset, measure, Decimal(value), NOON + minutes(minute)) for measure in measures]


def past(series, events=(), **settings):
    """`{minute: value}` of USDT, and events."""
    points = tuple(point for minute, value in sorted(series.items()) for point in read(minute, value))
    return Past(points, tuple((one.occurred_at, one) for one in events), **settings)


def life(*rules, timetable=EVERY, **settings):
    return Life(account(), rules, policy(prices={"USDT": Decimal(1)}), timetable, **settings)


def told(life, past, span=SPAN, **settings):
    """(minutes since noon, news) of every row."""
    rows = list(replay(life, past, span, **settings))
    return [((at - NOON) / minutes(1), row.news) for at, row in rows]


def test_timers_run_between_the_points():
    low = rule("low_balance", below="100", for_="2m", keep_firing_for="3m")

    assert told(life(low), past({0: "150", 10: "90", 30: "150"})) == [(12, "firing"), (33, "resolved")]


def test_a_window_lets_go_of_what_left_it():
    out = rule("large_outflow", above="50", within="1h")

    # One bucket of a minute later than the hour: the events tell exactly when.
    assert told(life(out, infers=True), past({0: "150", 10: "90"})) == [(10, "firing"), (70, "resolved")]


def test_a_share_is_of_what_the_window_began_with_by_then():
    grown = rule("large_inflow", above="25%", within="1h")

    assert told(life(grown), past({0: "1000", 30: "100"}, [event("60", "in", at=NOON + minutes(40))])) == [
        (91, "firing"), (100, "resolved"),
    ]  # fmt: skip


def test_what_makes_a_firing_alert_worse_may_be_that_something_left_the_window():
    net = rule("large_outflow", above="40", within="1h", net=True, renotify_every="25%")
    moved = [event("30", "in", at=NOON + minutes(5), name="in"), event("100", at=NOON + minutes(10), name="out")]

    assert told(life(net), past({0: "500"}, moved)) == [(10, "firing"), (66, "updated"), (70, "resolved")]


def test_a_speed_is_known_when_its_bucket_is_over():
    soon = rule("runway", below="30m", history="6h", quantile="1")

    assert told(life(soon, infers=True), past({-360: "100", 2: "50"}), replace(SPAN, until=NOON + minutes(60))) == [
        (15, "firing")
    ]


def test_alerts_begin_with_the_span_and_windows_before_it():
    out, low = rule("large_outflow", alert="Out", above="50", within="4h"), rule("low_balance", below="100")
    moved = event("60", at=NOON - minutes(60))

    assert told(life(out, low), past({-90: "150", -60: "90", 600: "110"}, [moved])) == [
        (0, "firing"), (0, "firing"), (180, "resolved"), (600, "resolved"),
    ]  # fmt: skip


def test_before_its_first_point_an_asset_is_unknown_and_unknown_is_not_zero():
    low = rule("low_balance", below="100")

    assert told(life(low), past({})) == []
    assert told(life(low), past({90: "50"})) == [(90, "firing")]


def test_what_held_long_before_holds_at_the_start():
    assert told(life(rule("low_balance", below="100")), past({-100_000: "50"})) == [(0, "firing")]


def test_an_event_without_a_change_is_judged_where_it_was_recorded():
    drained = rule("event", kinds=["withdraw"])

    assert told(life(drained), past({0: "150"}, [event("5", at=NOON + minutes(7))])) == [(7, "event")]


def test_movements_are_inferred_only_where_the_ledger_holds_none():
    out = rule("large_outflow", above="50")
    stored = event("60", at=NOON + minutes(20), kind="inferred")

    assert told(life(out, infers=True), past({0: "200", 10: "140", 20: "80"}, [stored])) == [
        (10, "event"),
        (20, "event"),
    ]
    assert told(life(out), past({0: "200", 10: "140"})) == []


def test_what_was_taken_back_is_taken_back_again_and_what_was_imported_is_history():
    out = rule("large_outflow", above="50")
    sent = event("60", at=NOON + minutes(10), told=(Telling("Other", "info", Decimal(60)),))
    gone = replace(sent, reverted=True, revision=1)
    words = (
        (NOON, event("70", name="old", at=NOON, imported=True)),
        (NOON + minutes(10), sent),
        (NOON + minutes(20), gone),
    )

    rows = list(replay(life(out), Past(past({0: "100"}).points, words), SPAN))

    assert [((at - NOON) / minutes(1), row.entry.reason) for at, row in rows] == [(10, None), (20, "event_reverted")]


def test_in_the_coarse_part_a_first_value_is_no_growth():
    grown = rule("balance_change", rises_by="50", within="1h")
    points = (*read(0, "100"), *read(60, "100", "BTC"))

    assert told(life(grown, drops_zero=True), Past(points)) == [(60, "firing"), (120, "resolved")]
    assert told(life(grown, drops_zero=True), Past(points, fine_from=NOON + minutes(61))) == []


def test_a_cron_line_polls_at_its_times():
    low = rule("low_balance", below="100", for_="30m")
    hourly = Cron("0 * * * *", spread=0)

    assert told(life(low, timetable=hourly), past({0: "150", 61: "90"})) == [(120, "firing")]


def test_steps_are_whole_readings_and_earlier_ones_stay_as_they_were():
    steps = list(steps_of(Past((*read(0, "1"), *read(5, "2", measures=["total"]))), SPAN))

    assert [dict(step.amounts["USDT"]) for step in steps] == [
        {"available": Decimal(1), "total": Decimal(1)},
        {"available": Decimal(1), "total": Decimal(2)},
    ]
    assert [step.first for step in steps] == [True, False]


def test_the_replay_tells_what_the_daemon_told():
    """Every poll through the daemon's decisions, against the points that its commits would have stored."""
    rules = (
        rule("low_balance", alert="Low", below="100", resolve_above="120", for_="2m", keep_firing_for="2m"),
        rule("large_outflow", alert="Out", above="30", within="10m"),
        rule("expression", alert="Fell", expression="previous.available - available > 20"),
    )
    lived = Watched(rules, policy=policy(prices={"USDT": Decimal(1)}))
    values = "150 150 110 90 90 90 90 130 130 130 60 60 60 60 60 121 121 121 121 121 121 121 121 121 121 121 121 121"
    points, events = [], []
    for place, value in enumerate(values.split()):
        at = NOON + minutes(place)
        commit = lived.see(answer(snapshot({"USDT": value}, at=at)), at)
        points += commit.points
        events += [(at, one) for one in commit.events]

    again = replay(
        life(*rules, infers=True), Past(tuple(points), tuple(events)), replace(SPAN, until=NOON + minutes(28))
    )

    assert [(at, row.news, row.entry.rule, row.entry.value) for at, row in again] == [
        (NOON + minutes(minute), news, entry.rule, entry.value) for minute, news, entry in lived.told
    ]


LEVELS = {"warning": {"below": "150"}, "critical": {"below": "60"}}
RULES = st.lists(
    st.sampled_from([
        rule("low_balance", alert="Low", below="100", resolve_above="120", for_="150s", keep_firing_for="11m"),
        rule("low_balance", alert="Levels", levels=LEVELS, keep_firing_for="5m"),
        rule("high_balance", alert="High", above="150", renotify_every="10%", flap={"max": 2, "within": "40m"}),
        rule("low_balance", alert="Worth", below="90", unit="usd", for_="3m"),
        rule("large_outflow", alert="Out", above="50", within="37m"),
        rule("large_inflow", alert="In", above="25%", within="2h", for_="4m"),
        rule("large_outflow", alert="Net", above="40", within="45m", net=True, keep_firing_for="3m"),
        rule("balance_change", alert="Fell", falls_by="25%", within="50m", for_="2m"),
        rule("balance_change", alert="Rose", rises_by="60", within="3h", measure="total"),
        rule("expression", alert="Step", expression="previous.available - available > 20", for_="90s"),
        rule("runway", alert="Soon", below="3h", history="2h", min_history="40m", resolve_above="4h", quantile="0.5"),
        rule("runway", alert="Floor", below="1h", history="48m", floor="60", for_="3m"),
        rule("event", alert="Any", kinds=["inferred"]),
    ]),
    min_size=1, max_size=6, unique_by=lambda one: one.alert,
)  # fmt: skip
SERIES = st.dictionaries(st.integers(-100, 300), st.integers(0, 250).map(str), max_size=12)
LEDGERS = st.dictionaries(
    st.integers(-100, 300), st.tuples(st.integers(1, 120), st.sampled_from(["in", "out"])), max_size=8
)
INTERVALS = st.sampled_from([minutes(1), seconds(97), minutes(7)])


def owed(rows):
    """Rows without what counts polls: the ids, in which the record's version is, and when the last one was."""
    return [
        (
            at,
            row.news,
            row.targets,
            replace(row.entry, id="", event=row.entry.event and replace(row.entry.event, id="", since=None)),
        )
        for at, row in rows
    ]


@settings(max_examples=200, deadline=None)
@given(RULES, SERIES, LEDGERS, INTERVALS, st.booleans())
def test_leaving_out_polls_that_change_nothing_changes_nothing(rules, series, ledger, interval, infers):
    events = [
        event(str(amount), way, at=NOON + minutes(minute), name=f"e{minute}")
        for minute, (amount, way) in sorted(ledger.items())
    ]
    span = Span(NOON - 3 * HOUR, NOON, NOON + 7 * HOUR)
    one = life(*rules, timetable=Every(interval), infers=infers)

    known = past(series, events)
    assert owed(replay(one, known, span)) == owed(replay(one, known, span, every_poll=True))


def test_a_quiet_month_takes_a_handful_of_decisions(monkeypatch):
    polls = []
    plain = Virtual.decide
    monkeypatch.setattr(Virtual, "decide", lambda self, *given: polls.append(given[1]) or plain(self, *given))
    rules = rule("low_balance", below="100", for_="2m"), rule("large_outflow", alert="Out", above="50", within="1d")

    list(replay(life(*rules, infers=True), past({0: "150", 10: "90"}), Span(NOON, NOON, NOON + timedelta(days=30))))

    assert len(polls) < 50
