"""What a backtest reads: all that is stored of an account since a time, and what held then already."""

from decimal import Decimal

from monitor.model.event import Event
from monitor.model.past import Past
from monitor.model.record import Commit, Point
from monitor.store import reading
from monitor.store.session import Keep
from tests.builders import NOON, commit, minutes, seconds

LEASE = seconds(30)
HOUR = minutes(60)


async def poll(store, clock, points=(), events=(), took=0):
    """A poll whose points were read now; its commit comes `took` later."""
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    plain = commit(await store.load("hot"))
    clock.pass_(seconds(took))
    owed = Commit(plain.before, plain.record, tuple(events), tuple(points))
    assert await store.commit("casino", owed, claim, clock() + minutes(600)) == "written"


def point(clock, value, measure="total", asset="USDT"):
    return Point(asset, measure, Decimal(value), clock())


def event(clock, name):
    return Event(name, "USDT", "withdraw", "out", Decimal("0.10"), clock())


def shown(past):
    return [(f"{one.asset} {one.measure}", str(one.value), (one.at - NOON) / minutes(1)) for one in past.points]


async def test_nothing_is_known_of_an_account_that_was_never_polled(store):
    assert await store.past("hot", NOON) == Past()


async def test_every_value_of_every_measure_comes_in_the_order_of_its_reading(store, clock):
    await poll(store, clock, [point(clock, "1.50"), point(clock, "7", "held"), point(clock, "3", asset="BTC@X Y")])
    clock.pass_(minutes(1))
    await poll(store, clock, [point(clock, "-1E-18")])

    past = await store.past("hot", NOON - HOUR)

    assert shown(past) == [
        ("BTC@X Y total", "3", 0),
        ("USDT held", "7", 0),
        ("USDT total", "1.50", 0),
        ("USDT total", "-1E-18", 1),
    ]
    assert past.fine_from is None


async def test_what_held_at_the_beginning_comes_first_however_old_it_is(store, clock):
    store.keep = Keep(age=24 * HOUR)
    await poll(store, clock, [point(clock, "1"), point(clock, "7", "held"), point(clock, "8", "available")])
    clock.pass_(1000 * HOUR)
    for minute in range(300):
        await poll(store, clock, [point(clock, minute)])
        clock.pass_(seconds(1))
    await poll(store, clock, [point(clock, "9", "available")])

    past = await store.past("hot", NOON + 1000 * HOUR - minutes(1))

    assert shown(past)[:4] == [
        ("USDT available", "8", 0), ("USDT held", "7", 0), ("USDT total", "1", 0), ("USDT total", "0", 60_000),
    ]  # fmt: skip
    assert shown(past)[-1] == ("USDT available", "9", 60_005)


async def test_a_value_replaced_within_its_hour_is_known_too(store, clock):
    for _ in range(6):
        await poll(store, clock, [point(clock, (clock() - NOON) // minutes(1))])
        clock.pass_(minutes(10))

    past = await store.past("hot", NOON + minutes(25))

    assert shown(past) == [("USDT total", str(at), at) for at in (20, 30, 40, 50)]


async def test_it_says_from_when_on_every_value_is_known(store, clock):
    store.keep = Keep(points=100)
    for minute in range(0, 60 * 24, 5):
        await poll(store, clock, [point(clock, minute)])
        clock.pass_(minutes(5))

    whole = await store.past("hot", NOON)
    late = await store.past("hot", whole.fine_from)

    fine = [at for _, _, at in shown(whole) if at >= (whole.fine_from - NOON) / minutes(1)]
    assert fine == [5 * place for place in range(24 * 12)][-len(fine) :]
    assert 100 <= len(fine) <= 200
    assert [at for _, _, at in shown(whole)][:3] == [55, 115, 175]
    assert late.fine_from is None


async def test_an_event_has_the_time_of_the_reading_it_came_with(store, clock):
    await poll(store, clock, [point(clock, "1")], [event(clock, "old")])
    clock.pass_(HOUR)
    await poll(store, clock, [point(clock, "2")], [event(clock, "with")], took=2)
    clock.pass_(HOUR)
    await poll(store, clock, [], [event(clock, "alone")])

    past = await store.past("hot", NOON + minutes(1))

    assert [(one.id, (at - NOON) // seconds(1)) for at, one in past.events] == [("with", 3600), ("alone", 7202)]


async def test_streams_are_read_in_pieces_and_whole(store, clock, monkeypatch):
    monkeypatch.setattr(reading, "PAGE", 3)
    for _ in range(10):
        await poll(store, clock, [point(clock, clock().timestamp())], [event(clock, "a"), event(clock, "b")])
        clock.pass_(seconds(1))

    past = await store.past("hot", NOON - HOUR)

    assert (len(past.points), len(past.events)) == (10, 20)
