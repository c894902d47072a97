"""What a process reports of itself, through a store, to the account that stands for the monitor."""

from monitor.concerns import COUNTS_FOR, SAME_MAX, Concerns, first_of
from monitor.engine.poll import Polling, poll
from monitor.engine.watch import MONITOR, STORE_PROVIDER, StoreReader, Watch, account_of_monitor
from tests.builders import minutes, seconds
from tests.facts import policy
from tests.fakes import FakeClock

MONITOR_ACCOUNT = account_of_monitor()


def concerns(clock=None, process="web-1:7"):
    return Concerns(clock or FakeClock(), process)


async def whys(store):
    return {one.why for one in await store.reports(store.clock_override())}


async def judged(store, clock):
    """What is told when whoever polls looks at the reports, if it has been told to."""
    watch = Watch(policy("ops"), (), lambda one, now: now + one.interval)
    polling = Polling(STORE_PROVIDER, StoreReader(store), seconds(5), store, watch, clock)
    claimed = await store.claim(STORE_PROVIDER, 10, polling.lease)
    polled = [await poll(polling, MONITOR_ACCOUNT, claim, None) for claim in claimed.claims]
    return [(row.news, row.entry.rule) for one in polled for row in one.commit.rows]


async def test_a_report_is_judged_at_once_by_whoever_polls(store, clock):
    mine = concerns(clock)
    mine.report("ConfigReloadFailed", "rules.yaml:2: oops")

    assert mine.bell.is_set()
    await mine.tell(store)

    assert await judged(store, clock) == [("firing", "ConfigReloadFailed")]


async def test_nothing_to_say_asks_nothing_of_the_store(store, clock):
    await concerns(clock).tell(store)

    assert await judged(store, clock) == []


async def test_what_is_settled_resolves(store, clock):
    mine, told = concerns(clock), []
    mine.report("ConfigReloadFailed", "rules.yaml:2: oops")
    await mine.tell(store)
    told += await judged(store, clock)
    mine.settle("ConfigReloadFailed")
    for _ in range(4):
        await mine.tell(store)
        told += await judged(store, clock)
        clock.pass_(MONITOR_ACCOUNT.interval)

    assert told == [("firing", "ConfigReloadFailed"), ("resolved", "ConfigReloadFailed")]


async def test_what_a_dead_process_reported_ends_and_what_lives_is_renewed(store, clock):
    dead, alive = concerns(clock, "a:1"), concerns(clock, "b:2")
    dead.report("ConfigReloadFailed", "of the dead")
    alive.report("ConfigReloadFailed", "of the living")
    await dead.tell(store)
    for _ in range(3):
        await alive.tell(store)
        clock.pass_(COUNTS_FOR / 2)

    assert await whys(store) == {"of the living"}


async def test_what_lasts_for_a_time_ends_after_it_was_last_said(store, clock):
    mine = concerns(clock)
    mine.report("StateLost", "64 partitions", lasts=minutes(60))
    clock.pass_(minutes(40))
    mine.report("StateLost", "64 partitions", lasts=minutes(60))
    clock.pass_(minutes(40))
    await mine.tell(store)
    lasting = await whys(store)
    clock.pass_(minutes(21))
    await mine.tell(store)

    assert (lasting, await whys(store)) == ({"64 partitions"}, set())


async def test_a_store_that_is_away_forgets_nothing_of_what_is_to_be_said(store, clock):
    class Away:
        async def withdraw(self, _reports):
            raise ConnectionError

    mine = concerns(clock)
    mine.report("ConfigReloadFailed", "oops")
    await mine.tell(store)
    mine.settle("ConfigReloadFailed")
    try:
        await mine.tell(Away())
    except ConnectionError:
        await mine.tell(store)

    assert await whys(store) == set()


def test_saying_the_same_again_rings_no_bell():
    mine = concerns()
    mine.report("TemplateError", "Low.summary: oops", about="Low summary")
    mine.bell.clear()
    mine.report("TemplateError", "Low.summary: oops", about="Low summary")

    assert not mine.bell.is_set()


async def test_reports_are_bounded_and_one_sort_leaves_room_for_the_others(store, clock):
    mine = concerns(clock)
    for number in range(2 * SAME_MAX):
        mine.report("TemplateError", f"{number}" + "x" * 10_000, about=f"{number}")
    mine.report("ConfigReloadFailed", "oops")
    await mine.tell(store)

    found = await store.reports(clock())
    assert len(found) == SAME_MAX + 1
    assert max(len(one.why) for one in found) == 500


async def test_a_report_of_a_newer_release_is_left_to_it(store, clock):
    await store._calls.command("HSET", "{bm:x}:reports", "x", '{"name": 5}')

    assert await store.reports(clock()) == ()
    assert await store._calls.command("HLEN", "{bm:x}:reports") == 1


async def test_the_account_of_the_monitor_is_due_at_once_when_something_is_reported(store, clock):
    mine = concerns(clock)
    mine.report("StateLost", "1 of 64")
    await mine.tell(store)

    assert await store.enrolled(STORE_PROVIDER) == [MONITOR]


def test_a_long_list_of_mistakes_is_told_by_its_beginning():
    assert first_of(["a:1: x"]) == "a:1: x"
    assert first_of([f"a:{n}: x" for n in range(5)]) == "a:0: x; a:1: x; a:2: x; and 2 more"
