"""Every row is an event exactly once, however the ledger is cut into polls, and none before the baseline."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.event import Ledger, LedgerRow, numbered, walk

OVERLAP = 100
PLENTY = 10_000
LATER = 10**15


def row(name: str, at: int, value: str = "") -> LedgerRow:
    return LedgerRow(tuple_key=f"{at}|{name}|{value}", at=at, name=f"{at}|{name}")


def step(ledger, rows, **options):
    return walk(ledger, sorted(rows, key=lambda r: r.at), overlap=OVERLAP, keep=PLENTY, now=LATER, **options)


def baseline(*rows: LedgerRow, **options) -> Ledger:
    return step(None, rows, **options).ledger


def test_the_first_walk_tells_nothing():
    walked = step(None, [row("a", 10), row("b", 20)])

    assert walked.fresh == ()
    assert walked.ledger.checkpoint == 20
    assert len(walked.ledger.known) == 2


def test_equal_rows_are_told_apart_by_their_occurrence():
    twin = row("chunk", 10)
    ledger = baseline(row("a", 5), twin)

    walked = step(ledger, [row("a", 5), twin, twin, twin])

    assert len(walked.fresh) == 2
    assert len(set(numbered([twin, twin, twin]))) == 3


def test_a_late_row_behind_the_newest_one_is_news():
    ledger = baseline(row("a", 5), row("b", 500))

    walked = step(ledger, [row("b", 500), row("late", 450)])

    assert [walked.keys[i] for i in walked.fresh] == list(numbered([row("late", 450)]))


def test_a_late_row_is_news_even_when_only_the_newest_row_is_remembered():
    ledger = baseline(row("b", 500))

    assert step(ledger, [row("late", 450), row("b", 500)]).fresh == (0,)


@pytest.mark.parametrize(
    ("since", "older", "news"),
    [
        pytest.param(0, 450, True, id="the baseline saw everything, so this was not there"),
        pytest.param(480, 450, False, id="the baseline began later, so this is history"),
        pytest.param(480, 480, True, id="on the first instant that was read whole"),
        pytest.param(0, 399, False, id="older than the overlap"),
    ],
)
def test_what_a_baseline_did_not_read_is_history(since, older, news):
    ledger = baseline(row("b", 500), since=since)

    assert bool(step(ledger, [row("x", older), row("b", 500)]).fresh) is news


def test_a_changed_row_is_reported_and_never_told_again():
    ledger = baseline(row("a", 10, "1"), row("b", 20, "2"))

    changed = step(ledger, [row("a", 10, "1"), row("b", 20, "3")])
    again = step(changed.ledger, [row("a", 10, "1"), row("b", 20, "3")])

    assert (changed.fresh, changed.changed, len(changed.vanished)) == ((), (1,), 1)
    assert (again.fresh, again.changed, again.vanished) == ((), (), ())
    assert again.ledger == changed.ledger


def test_a_row_that_vanishes_and_returns_is_told_once_and_its_loss_reported_once():
    ledger = baseline(row("a", 10), row("b", 20))

    gone = step(ledger, [row("a", 10)])
    still = step(gone.ledger, [row("a", 10)])
    back = step(still.ledger, [row("a", 10), row("b", 20)])
    gone_again = step(back.ledger, [row("a", 10)])

    assert [len(w.vanished) for w in (gone, still, back, gone_again)] == [1, 0, 0, 1]
    assert [w.fresh for w in (gone, still, back, gone_again)] == [()] * 4


def test_a_ledger_whose_rows_were_all_taken_back_expects_none():
    ledger = baseline(row("a", 10))

    assert ledger.expects_rows
    assert not step(ledger, []).ledger.expects_rows


def test_rows_outside_the_range_that_was_read_whole_are_left_for_later():
    ledger = baseline(row("a", 10))
    rows = [row("a", 10), row("b", 20), row("c", 30)]

    first = step(ledger, rows, until=29)
    second = step(first.ledger, rows)

    assert [r.at for r in (rows[i] for i in first.fresh)] == [20]
    assert first.keys[2] == ""
    assert first.ledger.checkpoint == 20
    assert [r.at for r in (rows[i] for i in second.fresh)] == [30]


def test_a_known_row_beyond_the_range_has_not_vanished():
    ledger = baseline(row("a", 10), row("b", 20))

    assert step(ledger, [row("a", 10)], until=15).vanished == ()
    assert step(ledger, [row("b", 20)], since=15).vanished == ()


def test_a_walk_that_leaves_a_hole_is_refused():
    with pytest.raises(ValueError, match="reach back"):
        step(baseline(row("a", 10)), [row("c", 30)], since=11)


def test_case_07_a_time_in_the_future_does_not_hide_what_comes_before_it():
    ledger = walk(None, [row("a", 10)], overlap=OVERLAP, keep=PLENTY, now=50).ledger
    odd = walk(ledger, [row("a", 10), row("future", 10**9)], overlap=OVERLAP, keep=PLENTY, now=50)
    rows = [row("a", 10), row("b", 60), row("future", 10**9)]
    walked = walk(odd.ledger, rows, overlap=OVERLAP, keep=PLENTY, now=70)

    assert len(odd.fresh) == 1
    assert odd.ledger.checkpoint == 50
    assert [rows[i].at for i in walked.fresh] == [60]


@pytest.mark.parametrize("wrong", [10**12, 0], ids=["ahead by days", "behind"])
def test_case_07_no_clock_decides_what_is_known(wrong):
    """Whatever a process takes for now while it reads: nothing is told twice, and nothing after it is missed."""
    rows = [LedgerRow("a", 100), LedgerRow("b", 110)]
    first = walk(None, rows[:1], overlap=20, keep=50, now=100).ledger

    jumped = walk(first, rows, overlap=20, keep=50, now=wrong)
    again = walk(jumped.ledger, [*rows, LedgerRow("c", 111)], overlap=20, keep=50, now=112)

    assert (jumped.fresh, again.fresh) == ((1,), (2,))


def test_too_many_keys_are_forgotten_from_the_oldest_and_become_history():
    rows = [row(str(at), at) for at in range(50)]
    ledger = walk(None, rows, overlap=OVERLAP, keep=10, now=LATER).ledger

    again = walk(ledger, rows, overlap=OVERLAP, keep=10, now=LATER)

    assert len(ledger.known) == 10
    assert again.fresh == ()
    assert again.ledger == ledger


def test_a_small_memory_does_not_forget_past_what_was_read():
    ledger = baseline(*(row(str(at), at) for at in range(100, 104)))
    rows = [row("late", 50), *(row(str(at), at) for at in range(100, 104)), row("later", 60)]
    rows.sort(key=lambda r: r.at)

    first = walk(ledger, rows[:2], overlap=OVERLAP, keep=1, now=LATER, until=55)
    second = walk(first.ledger, rows, overlap=OVERLAP, keep=1, now=LATER, since=first.ledger.floor)

    assert [rows[i].at for i in (*first.fresh, *second.fresh)] == [50, 60]


def test_no_instant_is_half_remembered():
    rows = [row("old", 10), *(row(str(i), 20) for i in range(30))]
    ledger = walk(None, rows, overlap=OVERLAP, keep=10, now=LATER).ledger

    assert len(ledger.known) == 30
    assert walk(ledger, rows, overlap=OVERLAP, keep=10, now=LATER).fresh == ()


def test_a_poll_without_news_changes_nothing():
    rows = [row("a", 10), row("b", 20)]
    ledger = baseline(*rows)

    assert step(ledger, rows).ledger == ledger


@dataclass
class Provider:
    """A ledger as it grows: `arrive` adds rows, some of them behind the newest."""

    rows: list[LedgerRow] = field(default_factory=list)

    @property
    def newest(self) -> int:
        return max((r.at for r in self.rows), default=1000)


ARRIVALS = st.lists(
    st.tuples(
        st.integers(-OVERLAP, 60),  # how far behind or ahead of the newest row
        st.integers(0, 2),  # few names, so that equal rows are common
    ),
    max_size=12,
)
POLLS = st.lists(st.tuples(ARRIVALS, st.integers(0, 100)), min_size=1, max_size=12)


def arrive(provider: Provider, arrivals) -> None:
    for shift, name in arrivals:
        provider.rows.append(row(str(name), provider.newest + shift))


def told(rows, walked) -> list[str]:
    return [walked.keys[i] for i in walked.fresh]


@given(before=ARRIVALS, polls=POLLS)
@settings(deadline=None)
def test_every_row_is_an_event_exactly_once_however_the_ledger_is_cut(before, polls):
    provider = Provider()
    arrive(provider, before)
    history = set(numbered(sorted(provider.rows, key=lambda r: r.at)))
    ledger, events = baseline(*provider.rows), Counter()

    for arrivals, percent in [*polls, ([], 100)]:
        arrive(provider, arrivals)
        # What a walk from the floor to a page cap sees; the cap may fall anywhere.
        rows = sorted((r for r in provider.rows if r.at >= ledger.floor), key=lambda r: r.at)
        rows = rows[: max(1, len(rows) * percent // 100)] if percent < 100 else rows
        until = rows[-1].at - 1 if percent < 100 and rows else None
        walked = step(ledger, rows, since=ledger.floor, until=until)
        events.update(told(rows, walked))
        assert walked.vanished == ()
        ledger = walked.ledger

    everything = set(numbered(sorted(provider.rows, key=lambda r: r.at)))
    assert set(events) == everything - history
    assert set(events.values()) <= {1}


@given(before=ARRIVALS, polls=POLLS, page=st.integers(1, 9))
@settings(deadline=None)
def test_newest_first_pages_that_stop_at_a_known_row_lose_and_repeat_nothing(before, polls, page):
    provider = Provider()
    arrive(provider, [(abs(shift), name) for shift, name in before])
    history = set(numbered(provider.rows))
    ledger, events = baseline(*provider.rows), Counter()

    for arrivals, _ in polls:
        arrive(provider, [(abs(shift), name) for shift, name in arrivals])
        rows = newest_first(provider.rows, ledger, page)
        ended = len(rows) == len(provider.rows)
        walked = step(ledger, rows, since=0 if ended else min(r.at for r in rows) + 1)
        events.update(told(rows, walked))
        ledger = walked.ledger

    assert set(events) == set(numbered(provider.rows)) - history
    assert set(events.values()) <= {1}


def newest_first(rows, ledger, page) -> list[LedgerRow]:
    """Whole pages back to a row older than the checkpoint, as a provider without a time filter gives them."""
    ordered = sorted(rows, key=lambda r: r.at, reverse=True)
    count = page
    while count < len(ordered) and ordered[count - 1].at >= ledger.checkpoint:
        count += page
    return sorted(ordered[:count], key=lambda r: r.at)


@given(before=ARRIVALS, polls=POLLS, keep=st.integers(1, 5))
@settings(deadline=None)
def test_a_small_memory_repeats_nothing_and_loses_nothing_newer_than_the_checkpoint(before, polls, keep):
    provider = Provider()
    arrive(provider, before)
    ledger = walk(None, sorted(provider.rows, key=lambda r: r.at), overlap=OVERLAP, keep=keep, now=LATER).ledger
    seen = Counter(numbered(sorted(provider.rows, key=lambda r: r.at)))

    for arrivals, _ in polls:
        arrive(provider, arrivals)
        rows = sorted(provider.rows, key=lambda r: r.at)
        ahead = {key for key, r in zip(numbered(rows), rows, strict=True) if r.at > ledger.checkpoint}
        walked = walk(ledger, rows, overlap=OVERLAP, keep=keep, now=LATER)
        fresh = told(rows, walked)
        seen.update(fresh)
        assert ahead <= set(fresh)
        ledger = walked.ledger

    assert set(seen.values()) <= {1}


@given(before=st.lists(st.integers(0, 5), min_size=1, max_size=20), hidden=st.lists(st.booleans(), max_size=20))
def test_rows_that_flicker_are_never_told(before, hidden):
    provider = Provider()
    arrive(provider, [(5, name) for name in before])
    ledger = baseline(*provider.rows)

    for flick in hidden:
        rows = provider.rows[: len(provider.rows) // 2] if flick else provider.rows
        walked = step(ledger, rows)
        assert walked.fresh == ()
        ledger = walked.ledger
