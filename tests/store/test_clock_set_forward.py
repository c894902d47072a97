"""The clock of the store's server is set forward while bets are placed: nothing is allowed by it, and that is told."""

import asyncio

import pytest
from structlog.testing import capture_logs

from monitor.engine.guardports import Quarantine
from monitor.errors import StoreUnavailable
from tests.builders import NOON, minutes, seconds
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.readings import reads

TERMS = terms()
QUARANTINE = TERMS.quarantine


class Times:
    """The store's clock and that of its processes: both go on, and only the store's is ever set."""

    def __init__(self, clock):
        self.clock, self.steady = clock, 10**15

    def pass_(self, time):
        self.clock.pass_(time)
        self.steady += time // seconds(0.000001) * 1_000

    def open(self, store):
        store.steady_override = lambda: self.steady
        return store


@pytest.fixture
def times(clock):
    return Times(clock)


@pytest.fixture
async def guard(store, times):
    """A hundred in the wallet, and the clock is known."""
    times.open(store)
    await reads(store, {"USDT": fed("100")})
    await store.check(ask(), TERMS)
    return store


async def reason(store, text, name):
    return (await store.hold(ask(text, name), TERMS)).reason


async def test_a_hold_that_ended_early_is_not_given_to_somebody_else(guard, times):
    assert await reason(guard, "60", "first") == "OK"
    times.clock.pass_(seconds(60))

    with capture_logs() as logs:
        refused = await guard.hold(ask("60", "second"), TERMS)

    assert (refused.reason, refused.replayed, refused.hold.state) == ("STATE_QUARANTINED", False, "denied")
    assert next((one["event"], one["by_seconds"]) for one in logs) == (
        "guard.clock_set_forward",
        pytest.approx(60, abs=0.2),
    )
    again = await guard.hold(ask("60", "second"), TERMS)
    assert (again.reason, again.replayed) == ("STATE_QUARANTINED", True), "a refusal sticks to its id"
    assert await reason(guard, "1", "third") == "STATE_QUARANTINED"
    assert (await guard.wallet("player-7", "USDT", TERMS)).bound_until == times.clock() + QUARANTINE


async def test_a_check_is_not_allowed_either_and_commit_and_release_go_on(guard, times):
    assert await reason(guard, "20", "a") == await reason(guard, "20", "b") == "OK"
    times.clock.pass_(seconds(20))

    assert (await guard.check(ask("1"), TERMS)).reason == "STATE_QUARANTINED"
    assert (await guard.commit_hold("casino", "a", None, TERMS)).outcome == "done"
    assert (await guard.release_hold("casino", "b", TERMS)).outcome == "done"


async def test_a_hold_from_before_stands_as_long_as_it_lives(guard, times):
    assert await reason(guard, "60", "first") == "OK"
    times.clock.pass_(seconds(10))

    assert await reason(guard, "60", "second") == "STATE_QUARANTINED"
    again = await guard.hold(ask("60", "first"), TERMS)
    assert (again.reason, again.replayed) == ("OK", True)


async def test_the_quarantine_ends_with_a_reading_that_began_after_it_by_the_new_time(guard, times):
    times.clock.pass_(minutes(60))
    await guard.check(ask(), TERMS)
    times.pass_(QUARANTINE)
    await reads(guard, {"USDT": fed("100")})
    assert await reason(guard, "1", "b") == "STATE_QUARANTINED"

    times.pass_(seconds(0.000001))
    await reads(guard, {"USDT": fed("100")})
    assert await reason(guard, "1", "c") == "OK"


@pytest.mark.parametrize("step", [seconds(-3600), seconds(2), seconds(0)], ids=str)
async def test_a_clock_that_is_set_back_or_disciplined_is_none_that_was_set_forward(guard, times, step):
    times.clock.pass_(step)
    await reads(guard, {"USDT": fed("100")})

    assert await reason(guard, "1", "a") == "OK"


async def test_the_janitor_notices_it_though_nobody_bets(guard, times):
    for number in range(len(guard.partitions)):
        await guard.tend(number, NOON, TERMS)
    times.pass_(seconds(5))
    times.clock.pass_(seconds(60))

    found = [(await guard.tend(number, NOON, TERMS)).bound for number in range(len(guard.partitions))]

    assert found == [Quarantine(times.clock() + QUARANTINE, set_forward=True)] * len(found)
    assert await guard.quarantines(times.clock()) == found
    times.pass_(seconds(5))
    assert [(await guard.tend(number, NOON, TERMS)).bound for number in range(len(found))] == found, "once"


async def test_losses_after_it_are_told_as_such(guard, times):
    here = guard.partition("player-7").number
    await guard.quarantine_partitions([here], TERMS, set_forward=True)
    times.pass_(seconds(1))
    await guard.quarantine_partitions([here], TERMS)

    assert (await guard.tend(here, NOON, TERMS)).bound == Quarantine(times.clock() + QUARANTINE)


async def test_every_process_refuses_by_its_own_knowledge(open_store, guard, times):
    other = times.open(await open_store())
    await other.check(ask(), TERMS)
    times.clock.pass_(seconds(60))

    assert await asyncio.gather(reason(guard, "1", "a"), reason(other, "1", "b")) == ["STATE_QUARANTINED"] * 2


def slow(guard, times, monkeypatch, calls):
    """So many calls are three seconds on their way: what they say is older than when the server hears it."""
    left = iter(range(calls))

    def through(send, *commands):
        before = guard._now
        if next(left, None) is not None:
            times.pass_(seconds(3))
        return send(*([guard._now if word == before else word for word in one] for one in commands))

    sent = guard._guard_calls
    command, together = sent.command, sent.together
    monkeypatch.setattr(sent, "command", lambda *words: through(lambda one: command(*one), words))
    monkeypatch.setattr(sent, "together", lambda *commands: through(together, *commands))


async def test_who_is_slow_or_was_stopped_is_asked_again_and_suspects_nobody(guard, times, monkeypatch):
    slow(guard, times, monkeypatch, calls=1)

    assert await reason(guard, "60", "first") == "OK"
    assert (await guard.check(ask(), TERMS)).balance.held == amount("60")
    assert await guard.quarantines(times.clock()) == []


async def test_what_always_comes_too_late_is_neither_decided_nor_held(guard, times, monkeypatch):
    with monkeypatch.context() as network:
        slow(guard, times, network, calls=9)
        for call in (guard.check, guard.hold):
            with pytest.raises(StoreUnavailable, match="too late"):
                await call(ask(), TERMS)

    found = await guard.check(ask(), TERMS)
    assert (found.reason, found.balance.held) == ("OK", 0)
    assert await guard.quarantines(times.clock()) == []


async def test_while_the_quarantine_cannot_be_written_nothing_is_allowed(guard, times, monkeypatch):
    async def away(*_, **__):
        raise StoreUnavailable("away")

    times.clock.pass_(seconds(60))
    with monkeypatch.context() as broken:
        broken.setattr(guard, "quarantine_partitions", away)
        for name in ("a", "b"):
            with pytest.raises(StoreUnavailable, match="away"):
                await guard.hold(ask("1", name), TERMS)

    assert await reason(guard, "1", "a") == "STATE_QUARANTINED"


async def test_many_that_see_it_at_once_write_one_quarantine(guard, times):
    times.clock.pass_(seconds(60))

    with capture_logs() as logs:
        found = await asyncio.gather(*(reason(guard, "1", f"bet-{number}") for number in range(20)))

    assert set(found) == {"STATE_QUARANTINED"}
    assert [one["event"] for one in logs].count("guard.clock_set_forward") == 1
