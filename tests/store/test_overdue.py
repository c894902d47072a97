"""What should have been done by now."""

from monitor.model.vital import Waiting
from monitor.store.keys import ChannelKeys
from tests.builders import NOON, commit, entry, minutes, row, seconds, target
from tests.fakes import paused
from tests.store.test_claims import LEASE, claimed


async def test_late_polls_are_those_not_begun_and_those_whose_lease_ended(store, clock):
    await store.enrol("casino", {"early": NOON, "late": NOON + minutes(5), "begun": NOON})
    await store.take_one("casino", "begun", LEASE)
    clock.pass_(minutes(3))

    assert await store.late_polls("casino", clock() - minutes(1)) == {"early": NOON, "begun": NOON + LEASE}
    assert await store.late_polls("casino", NOON - seconds(1)) == {}
    assert await store.late_polls("custody", clock()) == {}


async def test_a_poll_in_flight_is_not_late(store, clock):
    await store.enrol("casino", {"hot": NOON})
    clock.pass_(minutes(3))
    await claimed(store)

    assert await store.late_polls("casino", clock()) == {}


async def test_rows_that_nobody_moved_are_seen(store, clock):
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    record = await store.load("hot")
    assert await store.unmoved() is None
    owing = commit(record, row("firing", entry(), target()))
    assert await store.commit("casino", owing, claim, clock() + minutes(600)) == "written"
    since = await store.unmoved()
    clock.pass_(minutes(1))
    await store.sweep(10)

    assert since is not None
    assert NOON <= since <= NOON + seconds(5)
    assert await store.unmoved() is None


async def test_how_a_channel_s_messages_wait(store, clock):
    none = await store.waiting("ops")
    await store._calls.command("ZADD", ChannelKeys("ops").due, int(NOON.timestamp() * 1e6), "g1")
    due = await store.waiting("ops")
    await paused(store, NOON + minutes(1))
    resting = await store.waiting("ops")

    assert (none, due) == (Waiting(), Waiting(NOON))
    assert resting == Waiting(NOON, None, NOON + minutes(1))


async def test_a_claim_shows_that_somebody_sends(store, clock):
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    owing = commit(await store.load("hot"), row("firing", entry(), target(wait=seconds(0))))
    await store.commit("casino", owing, claim, clock() + minutes(600))
    await store.move("hot")
    assert await store.claim_groups("ops", 1, LEASE)

    assert (await store.waiting("ops")).leased_until == NOON + LEASE
