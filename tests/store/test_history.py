"""History: only changes, bounded by count and age, hourly beyond."""

from datetime import timedelta
from decimal import Decimal

from monitor.model.event import Event
from monitor.model.record import Commit, Point
from monitor.store.session import Keep
from tests.builders import NOON, commit, minutes, seconds

LEASE = seconds(30)
DAYS = timedelta(days=1)


async def poll(store, clock, points=(), events=()):
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    plain = commit(await store.load("hot"))
    owed = Commit(plain.before, plain.record, tuple(events), tuple(points))
    assert await store.commit("casino", owed, claim, clock() + minutes(600)) == "written"


def point(clock, value, measure="total", asset="USDT"):
    return Point(asset, measure, Decimal(value), clock())


def event(clock, name):
    return Event(name, "USDT", "withdraw", "out", Decimal("0.10"), clock())


async def read(store, clock, measure="total", since=NOON, until=None, limit=10_000, asset="USDT"):
    found = await store.history("hot", asset, measure, since, until or clock(), limit)
    return [(str(one.value), (one.at - NOON) // seconds(1)) for one in found]


async def test_points_of_one_measure_are_read_in_order_and_digit_for_digit(store, clock):
    await poll(store, clock, [point(clock, "1.50"), point(clock, "7", "held"), point(clock, "3", asset="BTC")])
    clock.pass_(minutes(1))
    await poll(store, clock, [point(clock, "-1E-18")])

    assert await read(store, clock) == [("1.50", 0), ("-1E-18", 60)]
    assert await read(store, clock, "held") == [("7", 0)]
    assert await read(store, clock, asset="BTC") == [("3", 0)]
    assert await read(store, clock, "nothing") == []


async def test_a_range_holds_both_its_ends_and_the_newest_when_there_are_too_many(store, clock):
    for minute in range(6):
        await poll(store, clock, [point(clock, minute)])
        clock.pass_(minutes(1))

    assert await read(store, clock, since=NOON + minutes(1), until=NOON + minutes(3)) == [
        ("1", 60), ("2", 120), ("3", 180),
    ]  # fmt: skip
    assert await read(store, clock, limit=2) == [("4", 240), ("5", 300)]


async def test_beyond_the_newest_points_the_last_of_every_hour_is_kept(store, clock):
    store.keep = Keep(points=100)
    for minute in range(0, 60 * 24, 5):
        await poll(store, clock, [point(clock, minute)])
        clock.pass_(minutes(5))

    found = await read(store, clock)

    recent = await store._calls.command("XLEN", store.partition("hot").points("hot", "USDT"))
    assert recent <= 100 + 100  # trimmed by whole nodes of a hundred
    hourly = [(str(hour * 60 + 55), (hour * 60 + 55) * 60) for hour in range(24)]
    assert [one for one in hourly if one in found] == hourly
    assert found[-1] == ("1435", 1435 * 60)
    assert found == sorted(found, key=lambda one: one[1])


async def test_a_measure_that_rests_keeps_its_last_value_although_another_is_busy(store, clock):
    store.keep = Keep(points=10)
    await poll(store, clock, [point(clock, "7", "held")])
    for _ in range(300):
        clock.pass_(seconds(1))
        await poll(store, clock, [point(clock, clock().timestamp())])

    assert await read(store, clock, "held") == [("7", 0)]


async def test_points_and_events_older_than_the_limit_go(store, clock):
    store.keep = Keep(age=30 * DAYS, points=100_000)
    for _ in range(450):
        await poll(store, clock, [point(clock, clock().timestamp())], [event(clock, "e")])
        clock.pass_(DAYS)

    where = store.partition("hot")
    for stream in (
        where.points("hot", "USDT"), where.hourly("hot", "USDT"), where.events("hot"),
    ):  # fmt: skip
        assert await store._calls.command("XLEN", stream) <= 30 + 100


async def test_events_are_bounded_by_count(store, clock):
    store.keep = Keep(events=50)
    for batch in range(10):
        await poll(store, clock, events=[event(clock, f"{batch}-{number}") for number in range(40)])

    found = await store.recent_events("hot", None, 1_000)

    assert len(found) <= 50 + 100
    assert found[0][1].id == "9-39"


async def test_events_are_paged_newest_first_without_gap_or_repeat(store, clock):
    for batch in range(3):
        await poll(store, clock, events=[event(clock, f"{batch}{number}") for number in range(12)])
    cursor, seen = None, []
    while page := await store.recent_events("hot", cursor, 5):
        seen += [one.id for _, one in page]
        cursor = page[-1][0]

    assert seen == [f"{batch}{number}" for batch in (2, 1, 0) for number in range(11, -1, -1)]


async def test_events_recorded_since_a_time_come_oldest_first(store, clock):
    await poll(store, clock, events=[event(clock, "old")])
    clock.pass_(minutes(1))
    await poll(store, clock, events=[event(clock, "a"), event(clock, "b")])

    assert [one.id for one in await store.events("hot", NOON + seconds(1))] == ["a", "b"]
    assert [one.id for one in await store.events("hot", NOON - 400 * DAYS)] == ["old", "a", "b"]


async def test_history_goes_on_after_the_clock_is_set_back(store, clock):
    await poll(store, clock, [point(clock, "1")], [event(clock, "a")])
    clock.pass_(-minutes(90))
    await poll(store, clock, [point(clock, "2")], [event(clock, "b")])

    assert [one.id for _, one in await store.recent_events("hot", None, 9)] == ["b", "a"]
    assert await read(store, clock, since=NOON - minutes(100), until=NOON) == [("2", -5400), ("1", 0)]
