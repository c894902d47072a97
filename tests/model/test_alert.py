"""The life of an alert, row by row of the table in the semantics, and what must hold however it goes."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.model.alert import (
    SEVERITIES,
    Alert,
    State,
    Verdict,
    advance,
    close,
    fingerprint,
    mildest,
    opened,
    pause,
    worst,
)
from monitor.model.damping import Flap, Renotify, Timing
from tests.builders import NOON, minutes
from tests.facts import rule, sighting

AT_ONCE = Timing(wait=timedelta(0), keep=timedelta(0), tolerance=timedelta(hours=1))
NONE, PENDING, FIRING, KEEPING = "none", "pending", "firing", "keep-firing"


def timing(wait=0, keep=0, tolerance=60, changes=6):
    flap = Flap(changes, minutes(10))
    return Timing(wait=minutes(wait), keep=minutes(keep), tolerance=minutes(tolerance), flap=flap)


def verdict(bad=None, held=None, value=None):
    """`held` is at least as bad as `bad`."""
    number = None if value is None else Decimal(value)
    return Verdict("USDT", bad, worst(bad, held), value=number)


class Life:
    """One subject of one rule, judged or not at given minutes, as the engine would do it."""

    def __init__(self, rules):
        self.rules, self.alert, self.news, self.turns = rules, None, [], ()

    def judge(self, at, bad=None, held=None):
        now, said = NOON + minutes(at), verdict(bad, held)
        if self.alert is None:
            if bad is None:
                return self
            born = opened("Low", "low_balance", "hot", "USDT", int(at), bad, now)
            self.alert = replace(born, turns=self.turns)
        self.turns = self.alert.turns
        self.alert, news = advance(self.alert, said, self.rules, now)
        if news:
            self.news.append((at, news, self.alert.severity))
        if self.alert and self.alert.state is State.RESOLVED:
            self.turns, self.alert = self.alert.turns, None
        return self

    def blind(self, at, data="error"):
        if self.alert:
            self.alert = pause(self.alert, data)
        return self

    @property
    def state(self):
        if self.alert is None:
            return NONE
        if self.alert.state is State.FIRING and self.alert.calm:
            return KEEPING
        return self.alert.state.value


BAD, GOOD, UNKNOWN = "bad", "good", "unknown"


def step(life, at, what):
    match what:
        case "bad":
            life.judge(at, "warning")
        case "critical":
            life.judge(at, "critical")
        case "eased":  # good as for critical, still a warning
            life.judge(at, "warning")
        case "band":
            life.judge(at, None, "warning")
        case "good":
            life.judge(at)
        case "unknown":
            life.blind(at)


@pytest.mark.parametrize(
    ("what", "state", "news"),
    [
        pytest.param([GOOD], NONE, [], id="none, good: nothing"),
        pytest.param([UNKNOWN], NONE, [], id="none, unknown: nothing"),
        pytest.param(["band"], NONE, [], id="none, in the band: never was bad"),
        pytest.param([BAD], PENDING, [], id="none, bad: pending"),
        pytest.param([BAD, BAD], PENDING, [], id="pending, bad: the timer runs"),
        pytest.param([BAD, BAD, BAD], FIRING, ["firing"], id="pending, bad for long enough: firing"),
        pytest.param([BAD, GOOD], NONE, [], id="pending, good: forgotten silently"),
        pytest.param([BAD, "band"], NONE, [], id="pending, in the band: it never fired, so it is good"),
        pytest.param([BAD, UNKNOWN], PENDING, [], id="pending, unknown: pending still"),
        pytest.param([BAD, UNKNOWN, BAD, BAD], PENDING, [], id="and the timer had paused"),
        pytest.param([BAD, UNKNOWN, BAD, BAD, BAD], FIRING, ["firing"], id="and goes on where it was"),
        pytest.param([BAD] * 5, FIRING, ["firing"], id="firing, bad: stays, nothing is said"),
        pytest.param([BAD, BAD, BAD, GOOD], KEEPING, ["firing"], id="firing, good: keeps firing"),
        pytest.param([BAD, BAD, BAD, "band"], FIRING, ["firing"], id="firing, in the band: still bad"),
        pytest.param([BAD, BAD, BAD, UNKNOWN], FIRING, ["firing"], id="firing, unknown: stays"),
        pytest.param([BAD] * 3 + [GOOD, GOOD], KEEPING, ["firing"], id="keeping, good: the timer runs"),
        pytest.param(
            [BAD] * 3 + [GOOD] * 3, NONE, ["firing", "resolved"], id="keeping, good for long enough: resolved"
        ),
        pytest.param([BAD] * 3 + [GOOD, BAD], FIRING, ["firing"], id="keeping, bad: back to firing, not announced"),
        pytest.param([BAD] * 3 + [GOOD, BAD, GOOD, GOOD], KEEPING, ["firing"], id="and the timer starts anew"),
        pytest.param([BAD] * 3 + [GOOD, UNKNOWN, GOOD], KEEPING, ["firing"], id="keeping, unknown: paused"),
        pytest.param([BAD] * 3 + [GOOD, UNKNOWN, GOOD, GOOD, GOOD], NONE, ["firing", "resolved"], id="then it goes on"),
    ],
)
def test_the_table_of_states(what, state, news):
    life = Life(timing(wait=2, keep=2))

    for minute, each in enumerate(what):
        step(life, minute, each)

    assert life.state == state
    assert [said for _, said, _ in life.news] == news


def test_without_for_it_fires_at_the_first_bad_reading_and_resolves_at_the_first_good_one():
    life = Life(AT_ONCE).judge(0, "warning").judge(1)

    assert life.news == [(0, "firing", "warning"), (1, "resolved", "warning")]


def test_case_01_a_restart_counts_towards_for_when_the_gap_is_bearable():
    life = Life(timing(wait=10, tolerance=60)).judge(0, "warning").judge(50, "warning")

    assert life.news == [(50, "firing", "warning")]


def test_case_01_after_a_longer_gap_pending_starts_again():
    life = Life(timing(wait=10, tolerance=60)).judge(0, "warning").judge(61, "warning")

    assert life.state == PENDING
    assert life.alert.pending_since == NOON + minutes(61)
    assert life.judge(70, "warning").state == PENDING
    assert life.judge(71, "warning").state == FIRING


def test_case_04_a_restart_while_keeping_goes_on_with_the_original_timer():
    life = Life(timing(keep=10)).judge(0, "warning").judge(1).judge(6).judge(11)

    assert life.news == [(0, "firing", "warning"), (11, "resolved", "warning")]


def test_case_04_no_gap_counts_for_more_than_the_tolerance():
    life = Life(timing(keep=90, tolerance=60)).judge(0, "warning").judge(1).judge(1_000)

    assert life.state == KEEPING
    assert life.judge(1_030).state == NONE


def test_case_07_a_clock_that_steps_back_takes_nothing_away_and_gives_nothing():
    life = Life(timing(wait=4)).judge(10, "warning").judge(12, "warning").judge(2, "warning")

    assert life.state == PENDING
    assert life.judge(4, "warning").state == FIRING


def test_case_12_an_outage_pauses_for():
    life = Life(timing(wait=3)).judge(0, "warning").judge(2, "warning")
    for minute in range(3, 30):
        life.blind(minute)

    assert life.judge(30, "warning").state == PENDING
    assert life.judge(31, "warning").state == FIRING


def test_case_27_one_alert_goes_up_at_once_and_down_after_keep_firing_for():
    life = Life(timing(keep=5)).judge(0, "warning")
    episode = life.alert.id
    life.judge(1, "critical").judge(2, "warning").judge(4, "warning")
    assert life.alert.severity == "critical"
    life.judge(7, "warning")
    assert life.alert.id == episode
    life.judge(8).judge(13)

    assert life.news == [
        (0, "firing", "warning"),
        (1, "updated", "critical"),
        (7, "updated", "warning"),
        (13, "resolved", "warning"),
    ]


def test_it_resolves_only_after_being_good_for_all_of_keep_firing_for():
    life = Life(timing(keep=10)).judge(0, "critical")
    for minute in range(1, 10):
        life.judge(minute, "warning")
    life.judge(10).judge(11)

    # Calmer than critical for ten minutes, but good for one: that is a warning, not the end.
    assert life.news[-1] == (11, "updated", "warning")
    assert life.judge(19).state == KEEPING
    assert life.judge(21).news[-1] == (21, "resolved", "warning")


def test_without_keep_firing_for_each_level_is_told_as_it_is():
    life = Life(AT_ONCE)
    for minute, level in enumerate(["info", "critical", "warning", "info", None]):
        life.judge(minute, level)

    assert [(news, level) for _, news, level in life.news] == [
        ("firing", "info"),
        ("updated", "critical"),
        ("updated", "warning"),
        ("updated", "info"),
        ("resolved", "info"),
    ]


def test_a_level_it_never_had_cannot_hold_it():
    # Between the critical threshold and its recovery, but critical was never reached.
    life = Life(AT_ONCE).judge(0, "warning").judge(1, "warning", held="critical")

    assert life.news == [(0, "firing", "warning")]
    assert life.judge(2, None, held="critical").alert.severity == "warning"


def test_a_pending_alert_fires_at_the_level_it_has_then():
    life = Life(timing(wait=2)).judge(0, "warning").judge(1, "critical").judge(2, "warning")

    assert life.news == [(2, "firing", "warning")]


def test_an_alert_tells_the_facts_of_its_last_judgement():
    born = opened("Low", "low_balance", "hot", "USDT", 7, "critical", NOON)
    said = Verdict(
        "USDT", "critical", "critical", Decimal(40), Decimal(90), {"critical": Decimal(50)}, "available",
        "USDT", {"of": "1000"},
    )  # fmt: skip

    alert, _ = advance(born, said, AT_ONCE, NOON + minutes(1))

    assert (alert.value, alert.previous, alert.threshold) == (40, 90, 50)
    assert (alert.measure, alert.unit, alert.details) == ("available", "USDT", {"of": "1000"})
    assert (alert.started_at, alert.observed_at, alert.data) == (NOON + minutes(1), NOON + minutes(1), "ok")


def test_a_pause_says_why_and_changes_nothing_else():
    alert = Life(timing(wait=5)).judge(0, "warning").judge(2, "warning").alert

    paused = pause(alert, "error")

    assert paused == replace(alert, counted_at=None, data="error")
    assert pause(paused, "error") is paused
    assert pause(paused, "stale").data == "stale"


@pytest.mark.parametrize("reason", ["rule_removed", "account_removed"])
def test_closing_tells_only_of_what_was_told(reason):
    pending = Life(timing(wait=5)).judge(0, "warning").alert
    firing = Life(AT_ONCE).judge(0, "warning").alert

    assert close(pending, reason, NOON) == (None, None)
    closed, news = close(firing, reason, NOON + minutes(3))
    assert (closed.state, closed.reason, closed.resolved_at) == (State.RESOLVED, reason, NOON + minutes(3))
    assert news == "resolved"


def test_a_resolved_alert_cannot_go_on():
    resolved, _ = close(Life(AT_ONCE).judge(0, "warning").alert, "recovered", NOON)

    with pytest.raises(AssertionError):
        advance(resolved, verdict("warning"), AT_ONCE, NOON)


def test_names_are_for_ever_and_episodes_are_not():
    first = opened("Low", "low_balance", "hot", "USDT", 7, "warning", NOON)
    again = opened("Low", "low_balance", "hot", "USDT", 8, "warning", NOON)

    assert first == opened("Low", "low_balance", "hot", "USDT", 7, "warning", NOON)
    assert first.fingerprint == again.fingerprint == fingerprint("Low", "hot", "USDT")
    assert first.id != again.id
    assert fingerprint("Low", "hot", "USDT") != fingerprint("Low", "hotUS", "DT")


def test_levels_are_ordered_and_none_is_below_them():
    assert worst(None, "info", "critical", "warning") == "critical"
    assert mildest("critical", "warning") == "warning"
    assert mildest("critical", None) is None
    assert worst(None, None) is None


# What must hold however it goes.

LEVELS = {"warning": {"below": 250, "resolve_above": 300}, "critical": {"below": 80, "resolve_above": 100}}
TIMINGS = st.builds(timing, st.integers(0, 5), st.integers(0, 5), st.integers(1, 90), st.integers(1, 7))
READINGS = st.one_of(st.none(), st.integers(0, 400))
SERIES = st.lists(st.tuples(st.integers(1, 20), READINGS), min_size=1, max_size=40)


def lived(rules, series, levels=None):
    """A life under a low_balance rule, from (minutes passed, reading or None for an outage)."""
    watching = rule("low_balance", levels=levels or LEVELS)
    life, at = Life(rules), 0
    for passed, reading in series:
        at += passed
        if reading is None:
            life.blind(at)
            continue
        [said] = watching.judge(sighting({"USDT": str(reading)}))
        life.judge(at, said.bad, said.held)
    return life


@given(TIMINGS, SERIES)
def test_firing_never_ends_without_a_good_reading_beyond_recovery(rules, series):
    life, at = Life(rules), 0
    watching = rule("low_balance", levels=LEVELS)

    for passed, reading in series:
        at += passed
        told = len(life.news)
        if reading is None:
            life.blind(at)
        else:
            [said] = watching.judge(sighting({"USDT": str(reading)}))
            life.judge(at, said.bad, said.held)
        if any(news == "resolved" for _, news, _ in life.news[told:]):
            assert reading is not None
            assert reading > 300


@given(TIMINGS, SERIES)
def test_it_is_told_as_firing_first_and_as_resolved_last(rules, series):
    news = [said for _, said, _ in lived(rules, series).news]

    for before, after in zip([None, *news], news, strict=False):
        assert (after == "firing") == (before in (None, "resolved"))


@given(TIMINGS, SERIES)
def test_what_is_told_is_never_milder_than_the_reading(rules, series):
    life = lived(rules, series)
    last = series[-1][1]

    if last is not None and life.state in (FIRING, KEEPING):
        bad = "critical" if last < 80 else "warning" if last < 250 else None
        assert worst(life.alert.severity, bad) == life.alert.severity


@given(TIMINGS, SERIES)
def test_before_for_has_passed_nothing_is_told(rules, series):
    at, since = 0, None
    starts = []
    for passed, reading in series:
        at += passed
        if reading is not None:
            since = (since if since is not None else at) if reading < 250 else None
        starts.append((at, since))

    first = next((when for when, news, _ in lived(rules, series).news if news == "firing"), None)

    if first is not None:
        assert minutes(first - dict(starts)[first]) >= rules.wait


@given(st.lists(READINGS, min_size=1, max_size=30), st.data())
def test_pauses_between_readings_change_no_outcome(readings, data):
    """Without timers at all; with them a pause can only delay."""
    series = [(1, reading) for reading in readings]
    with_pauses = []
    for entry in series:
        with_pauses += [(1, None)] * data.draw(st.integers(0, 2))
        with_pauses.append(entry)

    # Flapping is about time, which pauses take.
    never_flaps = timing(changes=100)
    plain, paused = lived(never_flaps, series), lived(never_flaps, with_pauses)

    assert [news[1:] for news in plain.news] == [news[1:] for news in paused.news]
    assert plain.state == paused.state


@given(TIMINGS, st.integers(0, 400), st.lists(st.booleans(), max_size=40))
def test_pauses_never_make_it_fire_earlier_and_never_for_ever_later(rules, reading, seen):
    steady = [(1, reading if here else None) for here in seen]

    life = lived(rules, steady)
    settled = lived(rules, steady + [(1, reading)] * 8)

    fires_after = next((at for at, _, _ in lived(rules, [(1, reading)] * 60).news), None)
    assert all(at >= fires_after for at, _, _ in life.news)
    assert (settled.state == FIRING) is (reading < 250)


def bad_levels(series, levels):
    watching = rule("low_balance", levels=levels)
    said = [next(watching.judge(sighting({"USDT": str(r)}))) for _, r in series if r is not None]
    return [(v.bad, v.held) for v in said]


@given(SERIES, st.integers(0, 100), st.integers(0, 50))
def test_a_tighter_threshold_never_breaches_less(series, tighter, wider):
    tight = {
        "warning": {"below": 250 + tighter, "resolve_above": 300 + tighter + wider},
        "critical": {"below": 80 + tighter, "resolve_above": 100 + tighter},
    }

    for (bad, held), (bad_then, held_then) in zip(bad_levels(series, LEVELS), bad_levels(series, tight), strict=True):
        assert worst(bad, bad_then) == bad_then
        assert worst(held, held_then) == held_then


@given(TIMINGS, SERIES, st.integers(-18, 18))
def test_the_unit_in_which_amounts_are_counted_changes_nothing(rules, series, places):
    def scaled(number):
        return Decimal(number).scaleb(places)

    levels = {name: {key: scaled(value) for key, value in level.items()} for name, level in LEVELS.items()}

    same = lived(rules, [(m, r if r is None else scaled(r)) for m, r in series], levels)

    assert same.news == lived(rules, series).news


@given(TIMINGS, SERIES)
def test_case_25_a_window_never_has_more_messages_than_flapping_takes_to_be_seen_and_to_be_over(rules, series):
    at = [when for when, _, _ in lived(rules, series).news]
    most = rules.flap.max + rules.flap.max // 2 + len(SEVERITIES) + 2

    assert all(sum(first <= when < first + 10 for when in at) <= most for first in at)


@given(TIMINGS, SERIES)
def test_case_25_what_flaps_is_held_as_firing_and_counts_no_more_than_it_must(rules, series):
    alert = lived(rules, series).alert

    if alert is not None:
        assert len(alert.turns) <= rules.flap.max + 1
        assert not alert.flapping or (alert.state is State.FIRING and len(alert.turns) > rules.flap.max // 2)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60), st.integers(1, 7))
def test_case_25_the_stored_changes_are_few_and_recent(steps, most):
    flap, turns, now = Flap(most, minutes(10)), (), NOON

    for passed, turned in steps:
        now += minutes(passed)
        turns = flap.add(turns, now, turned=turned)
        assert len(turns) <= most + 1
        assert all(now - turn < minutes(10) for turn in turns)


@given(SERIES, st.integers(1, 60), st.integers(0, 30))
def test_case_28_a_larger_step_never_tells_more(series, step, more):
    def updates(percent):
        told, count = Decimal(400), 0
        for _, reading in series:
            if reading is not None and Renotify(Decimal(percent), percent=True, low=True).due(told, Decimal(reading)):
                told, count = Decimal(reading), count + 1
        return count

    assert updates(step + more) <= updates(step)


@given(TIMINGS, SERIES)
def test_a_decision_repeated_is_the_same_decision(rules, series):
    first, second = lived(rules, series), lived(rules, series)

    assert (first.alert, first.news) == (second.alert, second.news)


@given(TIMINGS, SERIES)
def test_timers_never_count_more_than_has_passed(rules, series):
    life = lived(rules, series)

    if isinstance(life.alert, Alert):
        passed = minutes(sum(step[0] for step in series))
        assert timedelta(0) <= life.alert.waited <= passed
        assert timedelta(0) <= life.alert.kept <= passed
        assert life.alert.severity in SEVERITIES


def test_two_episodes_never_share_an_id_not_even_the_first_ones_of_a_store_that_was_emptied():
    first = opened("Low", "low_balance", "hot", "USDT", 0, "warning", NOON)
    after_the_loss = opened("Low", "low_balance", "hot", "USDT", 0, "warning", NOON + minutes(60))

    assert first.id != after_the_loss.id
    assert first.fingerprint == after_the_loss.fingerprint
    assert first == opened("Low", "low_balance", "hot", "USDT", 0, "warning", NOON)
