"""A clock that is set forward is proven to be, by nothing but answers; and none is suspected that was not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.store.reckoning import Reckoning

SECOND, STEP, HOUR = 1_000_000, 2_000_000, 3_600_000_000
#: For so long the same is said.
SAID = 50_000
NOON = 1_795_176_000 * SECOND

#: Until the next thing happens, in microseconds: mostly a moment, sometimes an hour.
pauses = st.integers(0, 200_000) | st.integers(0, HOUR)
#: What a clock that is disciplined gains in a million.
drifts = st.integers(-5_000, 990)


class Clocks:
    """The store's clock, ours that nobody sets, and what is heard of the one by the other."""

    def __init__(self):
        self.steady, self.ahead, self.reckoning = HOUR, NOON, Reckoning()

    def pass_(self, pause, drift=0):
        self.steady += pause
        self.ahead += pause * drift // SECOND

    @property
    def now(self):
        return self.steady + self.ahead

    @property
    def ours(self):
        return self.steady * 1_000

    def send(self):
        return self.ours, self.reckoning.latest(self.ours)

    def hear(self, call, now):
        """By how much the store's clock has gained for certain, by an answer that says this."""
        sent, latest = call
        gained = self.reckoning.gained(sent, self.ours, now, latest)
        if sent == self.reckoning.said_at:
            self.reckoning.heard(sent, now)
        return gained


@st.composite
def histories(draw, most=STEP):
    """What happens, each after a pause of so long and with such a drift: `send` a call, `run` and `hear` one of those
    on their way, set the clock `back` or `forward` by so much, forward no more than this in all."""
    sent, run, acts = 0, [], []
    for _ in range(draw(st.integers(1, 30))):
        what, by = draw(st.sampled_from(("send", "run", "run", "hear", "hear", "back", "forward"))), 0
        if what == "forward":
            by = draw(st.integers(0, most))
            most -= by
        elif what == "back":
            by = draw(st.integers(0, 2 * HOUR))
        elif what == "send":
            sent, by = sent + 1, sent
            run.append(by)
        elif run:
            by = draw(st.sampled_from(run))
        else:
            continue
        acts.append((draw(pauses), draw(drifts), what, by))
    return acts


def lived(clocks, acts):
    """Live through it; by how much the clock was set forward by then, and has gained for certain, at each answer."""
    calls, said, forward, told = {}, {}, 0, []
    for pause, drift, what, by in acts:
        clocks.pass_(pause, drift)
        if what == "send":
            calls[by] = clocks.send()
        elif what == "run" and by in calls:
            said.setdefault(by, clocks.now)
        elif what == "hear" and by in said and by in calls:
            told.append((forward, clocks.hear(calls.pop(by), said[by])))
        elif what == "back":
            clocks.ahead -= by
        elif what == "forward":
            clocks.ahead, forward = clocks.ahead + by, forward + by
    return told


@given(histories())
def test_no_clock_is_suspected_that_was_set_forward_by_less_than_a_step(acts):
    assert {gained for _, gained in lived(Clocks(), acts)} <= {0}


@given(histories(most=3 * HOUR))
def test_a_clock_has_gained_no_less_than_is_said(acts):
    assert [(forward, gained) for forward, gained in lived(Clocks(), acts) if gained > forward] == []


@given(histories(most=0), *[st.integers(0, 100_000)] * 2, pauses, st.integers(STEP, HOUR), st.integers(-990, 990))
def test_every_step_is_proven_by_the_next_prompt_answer(acts, before, after, pause, more, drift):
    """However it went before: what is set forward by more than a STEP, by both calls' time, by as long as the same is
    said, and by two milliseconds for each second between them is known."""
    clocks = Clocks()
    lived(clocks, acts)
    clocks.pass_(SAID)
    call, now = clocks.send(), clocks.now
    clocks.pass_(before)
    clocks.hear(call, now)

    pause = max(pause, SAID)
    clocks.pass_(pause, drift)
    step = more + before + after + 2 * (before + pause + after) // 1000 + SAID + SAID // 1000 + 3
    clocks.ahead += step
    call, now = clocks.send(), clocks.now
    clocks.pass_(after)

    assert now > int(call[1]), "and the function that is called does not decide"
    assert STEP < clocks.hear(call, now) <= step


@given(st.integers(0, 100_000), pauses, pauses, drifts, st.integers(0, STEP * 99 // 100))
def test_no_call_is_late_that_is_on_its_way_for_less_than_a_step(before, pause, more, drift, took):
    clocks = Clocks()
    call = clocks.send()
    clocks.pass_(before)
    clocks.hear(call, clocks.now)
    clocks.pass_(pause, drift)
    clocks.send()
    clocks.pass_(more, drift)
    _, latest = clocks.send()
    clocks.pass_(took, drift)

    assert clocks.now <= int(latest)


def test_an_answer_from_before_the_clock_was_set_back_proves_nothing_however_late_it_comes():
    clocks = Clocks()
    first, said = clocks.send(), clocks.now
    clocks.ahead -= HOUR
    assert clocks.hear(clocks.send(), clocks.now) == 0

    assert clocks.hear(first, said) == 0


def test_a_clock_that_is_set_back_is_known_again_when_it_is_set_forward():
    clocks = Clocks()
    assert gained(clocks) == 0
    clocks.ahead -= 60 * SECOND
    assert gained(clocks) == 0
    clocks.ahead += 60 * SECOND

    assert gained(clocks) == pytest.approx(60 * SECOND, abs=2 * SAID)


def test_a_clock_that_gains_for_long_has_gained_a_step():
    clocks, found = Clocks(), []
    for _ in range(60):
        clocks.pass_(SECOND - SAID, 83_333)
        found.append(gained(clocks) > 0)

    assert found == sorted(found), "once it is proven it stays so"
    assert 24 <= found.index(True) <= 28


def test_once_it_is_dealt_with_the_new_time_counts():
    clocks = Clocks()
    assert gained(clocks) == 0
    clocks.ahead += HOUR
    clocks.pass_(SAID)
    first, second, third = clocks.send(), clocks.send(), clocks.send()
    assert clocks.hear(first, clocks.now) == pytest.approx(HOUR, abs=2 * SAID)
    assert clocks.hear(second, clocks.now) > 0, "as long as nobody has seen to it"

    clocks.reckoning.begin(first[0], clocks.now)
    assert clocks.hear(third, clocks.now) == gained(clocks) == 0
    clocks.ahead += HOUR
    assert gained(clocks) == pytest.approx(HOUR, abs=2 * SAID)


def gained(clocks):
    """What a call says that is heard at once, after a moment."""
    clocks.pass_(SAID)
    return clocks.hear(clocks.send(), clocks.now)


def test_of_what_nothing_is_known_nothing_is_said():
    clocks = Clocks()
    assert clocks.send()[1] == b"9" * 16
    assert clocks.hear(clocks.send(), clocks.now) == 0
    assert int(clocks.send()[1]) - clocks.now == STEP + SAID + SAID // 1000


def test_the_same_is_said_for_a_moment_since_that_costs_less():
    clocks = Clocks()
    gained(clocks)
    said = [(clocks.pass_(SAID // 10), clocks.send()[1])[1] for _ in range(20)]

    assert len(set(said)) == 2
