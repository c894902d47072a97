"""Events in the hard cases 35 to 39: the first look, gaps, late rows, rows told twice, and one commit."""

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from monitor.channels.webhook import render
from monitor.engine.chronicle import LATE_MAX
from monitor.engine.flush import flush
from monitor.model.event import Ledger, LedgerRow, walk
from monitor.model.group import Item
from monitor.model.window import micros
from tests.builders import NOON, group, minutes
from tests.facts import Watched, answer, event, outage, rule, snapshot
from tests.fakes import virtual_time
from tests.scenes import scene
from tests.store.test_life_survives import restarted

OUT = rule("large_outflow", above=50, alert="Out")
QUICK = rule("large_outflow", above=100, within="15m", alert="Quick")


def sees(one, now, *events, **settings):
    return one.see(answer(snapshot(at=now), events=events, **settings), now)


def late(amount, minute, name, direction="out", **settings):
    return event(amount, direction, name=name, at=NOON + minutes(minute), late=True, **settings)


def told(one):
    return [(minute, entry.rule, news) for minute, news, entry in one.told]


class TestCase35FirstRun:
    def imported(self, count=412, large=12):
        amounts = ["60"] * large + ["10"] * (count - large)
        return tuple(event(amount, name=f"old{n}", at=NOON - minutes(n + 1)) for n, amount in enumerate(amounts))

    @virtual_time
    async def test_case_35_one_log_line_says_how_many_were_imported_and_would_have_alerted(self):
        async def old(_):
            return answer({"USDT": "1"}, events=(), imported=self.imported(), ledgers={"": Ledger(5)})

        async def later(_):
            return answer({"USDT": "1"}, events=(), ledgers={"": Ledger(5)})

        async with scene(old, later, rules=(OUT,)) as it:
            with capture_logs() as logs:
                first = await it.poll()
                await asyncio.sleep(60)
                await it.poll()

        [line] = [line for line in logs if line["event"] == "events.imported"]
        assert (line["account"], line["events"], line["would_have_alerted"]) == ("hot-usdt", 412, 12)
        assert first.commit.rows == ()

    def test_case_35_they_are_stored_as_history_and_counted_by_no_rule(self):
        one = Watched((OUT, rule("large_outflow", above=50, within="1h", alert="Within")))
        sees(one, NOON, imported=self.imported(30))
        sees(one, NOON + minutes(1))

        assert one.told == []
        assert [each.imported for each in one.stored] == [True] * 30

        one.record = replace(one.record, flows={}, coverage={}, judged=None)
        sees(one, NOON + minutes(2))
        assert one.needs
        assert one.told == [], "a ring that is rebuilt leaves them out as well"


class TestCase36Gap:
    def test_case_36_every_event_of_a_gap_is_judged_and_told_as_late(self):
        one = Watched((OUT,))
        sees(one, NOON)
        one.see(outage(NOON + minutes(1)), NOON + minutes(1))

        sees(one, NOON + minutes(30), *(late("60", n, f"e{n}") for n in range(1, 20)), late("10", 20, "small"))

        assert [entry.event.id for _, _, entry in one.told] == [f"e{n}" for n in range(1, 20)]
        assert all(entry.event.late for _, _, entry in one.told)
        assert {entry.more for _, _, entry in one.told} == {0}

    def test_case_36_of_more_than_k_the_worst_are_told_and_the_rest_counted_with_a_link(self):
        one = Watched((OUT,))
        sees(one, NOON)
        many = [late(str(100 + n), n / 10, f"e{n}") for n in range(412)]

        sees(one, NOON + minutes(50), *many, event("60", name="now", at=NOON + minutes(50)))

        names = {entry.event.id for _, _, entry in one.told}
        assert names == {f"e{n}" for n in range(412 - LATE_MAX, 412)} | {"now"}, "what is not late is told all the same"
        [counting] = [entry for _, _, entry in one.told if entry.more]
        assert (counting.event.id, counting.more) == ("e411", 412 - LATE_MAX)
        assert counting.annotations["caveat"].endswith("none worse: see /v1/accounts/hot-usdt/events")
        assert len(one.stored) == 413, "the ledger has them all"

    def test_case_36_the_message_counts_what_it_does_not_tell(self):
        one = Watched((OUT,))
        sees(one, NOON)
        sees(one, NOON + minutes(50), *(late(str(100 + n), n / 10, f"e{n}") for n in range(412)))

        message = flush(group(*(Item(f"{n}-0", "event", entry) for n, (_, _, entry) in enumerate(one.told))), NOON)

        assert (len(message.alerts), message.truncated) == (LATE_MAX, 412 - LATE_MAX)
        assert b'"late":true' in render(message)

    def test_case_36_much_of_a_small_coin_hides_nothing_of_a_large_one(self):
        """Amounts of two assets compare with nothing: the worst of each is told before the second worst of any."""
        one = Watched((rule("large_outflow", above=1, alert="Any"),))
        sees(one, NOON)
        dust = [late(str(1_000_000 + n), n / 10, f"dust{n}", asset="SHIB") for n in range(40)]

        sees(one, NOON + minutes(50), *dust, late("5", 1, "theft", asset="BTC"))

        names = {entry.event.id for _, _, entry in one.told}
        assert names == {"theft"} | {f"dust{n}" for n in range(40 - LATE_MAX + 1, 40)}
        [counting] = [entry for _, _, entry in one.told if entry.more]
        assert (counting.event.asset, counting.more) == ("SHIB", 41 - LATE_MAX)


class TestCase37LateEvents:
    def test_case_37_the_window_it_belongs_to_is_computed_again_and_fires_now(self):
        one = Watched((QUICK,))
        sees(one, NOON, event("60", name="a"))
        sees(one, NOON + minutes(20))

        sees(one, NOON + minutes(53), late("50", 10, "b"))
        sees(one, NOON + minutes(54))

        assert told(one) == [(53, "Quick", "firing"), (54, "Quick", "resolved")]
        entry = one.told[0][2]
        assert entry.value == 110
        assert entry.annotations["summary"].endswith("110 went out within 15m, above 100, occurred 43m ago")

    def test_case_37_a_whole_drain_that_is_found_late_fires_although_nothing_of_it_is_within_the_window(self):
        one = Watched((QUICK,))
        sees(one, NOON)

        sees(one, NOON + minutes(60), *(late("40", n, f"e{n}") for n in (1, 2, 3)))

        assert told(one) == [(60, "Quick", "firing")]
        assert one.told[0][2].value == 120

    def test_case_37_what_makes_no_window_bad_is_silent_and_one_of_the_past_is_not_told_again(self):
        one = Watched((QUICK,))
        for n in (1, 2, 3):
            sees(one, NOON + minutes(n), event("40", name=f"e{n}", at=NOON + minutes(n)))
        sees(one, NOON + minutes(30))

        sees(one, NOON + minutes(60), late("90", 40, "other"))

        assert told(one) == [(3, "Quick", "firing"), (30, "Quick", "resolved")]

    def test_case_37_an_event_alone_says_how_long_ago_it_occurred(self):
        one = Watched((OUT,))
        sees(one, NOON)
        sees(one, NOON + minutes(43.5), late("60", 0, "a"))

        assert one.told[0][2].annotations["summary"] == "hot-usdt USDT 60 went out, above 50, occurred 43m ago"

    def test_case_37_what_is_later_than_a_week_counts_in_no_window_and_is_told_by_itself(self):
        one = Watched((QUICK, OUT))
        sees(one, NOON)

        sees(one, NOON + minutes(10_100), late("500", 10, "old"))

        assert told(one) == [(10_100, "Out", "event")]
        assert [each.id for each in one.stored] == ["old"]

    def test_case_37_net_of_what_came_in_within_the_same_window(self):
        one = Watched((rule("large_outflow", above=100, within="15m", net=True, alert="Net"),))
        sees(one, NOON)

        sees(one, NOON + minutes(60), late("110", 1, "a"), late("20", 2, "b", direction="in"), late("5", 3, "c"))

        assert told(one)[0] == (60, "Net", "firing")
        assert one.told[0][2].value == 110

    def test_one_loading_of_the_ledger_answers_every_rule(self):
        """Whatever asked first: the events that late windows need are among those loaded."""
        long = rule("large_outflow", above=1000, within="30m", alert="Long")
        one = Watched((QUICK,))
        sees(one, NOON, event("60", name="a"))
        one.rules = (long, QUICK)

        sees(one, NOON + minutes(53), late("50", 10, "b"))

        assert [need.since for need in one.needs] == [NOON + minutes(10 - 30)]
        assert told(one) == [(53, "Quick", "firing")]


class TestCase38And39:
    def test_case_38_the_same_row_twice_is_one_event(self):
        """Page overlaps, retries and two endpoints: a row that is known is no news, equal rows are told apart."""
        rows = [LedgerRow("a", 10), LedgerRow("a", 10), LedgerRow("b", 11)]
        first = walk(None, rows[:1], overlap=100, keep=50, now=20)

        second = walk(first.ledger, rows, overlap=100, keep=50, now=20)
        third = walk(second.ledger, rows, overlap=100, keep=50, now=20)

        assert (second.fresh, third.fresh) == ((1, 2), ())

    @virtual_time
    async def test_case_39_cursor_events_states_and_rows_are_one_commit(self):
        """Whatever of it fails, nothing is written, and the next poll tells all of it."""

        async def moved(_):
            ledger = Ledger(micros(NOON), {"k": micros(NOON)})
            return answer({"USDT": "40"}, events=(event("60", name="a"),), ledgers={"": ledger})

        async with scene(answer({"USDT": "100"}, events=()), moved, moved, rules=(OUT,)) as it:
            await it.poll()
            await asyncio.sleep(60)
            commits, real = [], it.polling.store.commit

            async def lost(_provider, commit, *_):
                commits.append(commit)
                return "lost"

            it.polling.store.commit = lost
            await it.poll()
            before = await it.record()
            it.polling.store.commit = real
            await asyncio.sleep(60)
            polled = await it.poll()
            after = await it.record()

        assert (before.ledgers, len(commits[0].rows)) == ({}, 1)
        assert [row.entry.event.id for row in polled.commit.rows] == ["a"]
        assert after.ledgers[""].checkpoint == micros(NOON)


STORY = st.lists(
    st.tuples(
        st.integers(0, 50),  # occurred
        st.integers(0, 40),  # found so much later
        st.integers(1, 60),
        st.booleans(),  # an outage at that minute
        st.booleans(),  # a restart after it
    ),
    max_size=10,
)


@given(STORY)
def test_windows_never_count_an_event_twice(story):
    """Late rows, outages, restarts, rings rebuilt from the ledger, anywhere: the ring is what really moved."""
    within = rule("large_outflow", above=10**6, within="1h", alert="Within")
    one, plan = Watched((within,)), {minute: [] for minute in range(100)}
    for number, (occurred, after, amount, *_) in enumerate(story):
        at = NOON + minutes(occurred)
        plan[occurred + after].append(event(str(amount), name=f"e{number}", at=at, late=after > 1))
    outages = {occurred for occurred, _, _, fails, _ in story if fails}
    restarts = {occurred for occurred, *_, again in story if again}
    waiting = []
    for minute, events in plan.items():
        now = NOON + minutes(minute)
        waiting += events
        if minute in outages:
            one.see(outage(now), now)
        else:
            sees(one, now, *waiting)
            waiting = []
        if minute in restarts:
            one.record = restarted(one.record)
            one.record = replace(one.record, flows={}, coverage={})

    start = NOON + minutes(99 - 60)
    moved = sum(amount for occurred, _, amount, *_ in story if NOON + minutes(occurred) > start)
    counted = sum(went for ring in one.record.flows.values() for bucket, (_, went) in ring.sums.items()
                  if bucket > micros(start) // ring.width)  # fmt: skip
    assert counted == moved
