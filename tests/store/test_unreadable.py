"""What is damaged, or written by a newer release, holds up nothing but itself."""

import pytest
from structlog.testing import capture_logs

from monitor.errors import RecordUnreadable
from monitor.model.window import micros
from tests.builders import commit, entry, minutes, row, seconds, target

LEASE = seconds(30)


async def owe(store, clock, account, *rows):
    await store.poll_now("casino", account)
    [claim] = (await store.claim("casino", 40, LEASE)).claims
    record = await store.load(account)
    assert await store.commit("casino", commit(record, *rows), claim, clock() + minutes(600)) == "written"


async def told(store, clock):
    """The alerts that the channel's groups hold by now."""
    clock.pass_(minutes(1))
    groups = await store.claim_groups("ops", 10, LEASE)
    return sorted(item.entry.id for group in groups for item in group.news)


@pytest.fixture
async def damaged(store, clock):
    """`hot` owes a row that can be read, one that cannot, and one more; `cold` owes one."""
    where = store.partition("hot")
    await owe(store, clock, "hot", row("firing", entry("a")))
    clock.pass_(seconds(1))
    await store._calls.command("HSET", where.outbox("hot"), f"{micros(clock())}-0", '{"news": "sung"}')
    clock.pass_(seconds(1))
    await owe(store, clock, "hot", row("firing", entry("b")))
    await owe(store, clock, "cold", row("firing", entry("c")))
    clock.pass_(seconds(10))
    return store


async def test_a_row_that_cannot_be_read_holds_up_only_what_the_same_account_owes_after_it(damaged, clock):
    with capture_logs() as logs:
        assert await damaged.sweep(10) == 2

    assert await told(damaged, clock) == ["alr_a1", "alr_c1"]
    assert [(line["event"], line["account"]) for line in logs] == [("row.unreadable", "hot")]


async def test_after_an_hour_it_is_given_up_and_what_came_after_it_is_told(damaged, clock):
    await damaged.sweep(10)
    clock.pass_(minutes(61))

    await damaged.sweep(10)

    assert await told(damaged, clock) == ["alr_a1", "alr_b1", "alr_c1"]
    assert await damaged._calls.command("EXISTS", damaged.partition("hot").outbox("hot")) == 0


async def test_a_group_that_cannot_be_read_holds_up_no_other(store, clock):
    await owe(store, clock, "hot", row("firing", entry("a")), row("firing", entry("b"), target(group="g2")))
    await store.move("hot")
    [key] = await store._calls.command("HKEYS", "{bm:c:ops}:items:ops-g1")
    await store._calls.command("HSET", "{bm:c:ops}:items:ops-g1", key, "{}")

    with capture_logs() as logs:
        assert await told(store, clock) == ["alr_b1"]

    assert [(line["event"], line["group"]) for line in logs] == [("group.unreadable", "ops-g1")]


@pytest.mark.parametrize("field", ["s", "d", "w", "k"])
async def test_a_record_that_cannot_be_read_is_left_as_it_is_and_the_others_are_shown(open_store, clock, field):
    store = await open_store()
    for account in ("hot", "cold"):
        await store.enrol("casino", {account: clock()})
        await owe(store, clock, account)
    where = store.partition("hot").record("hot")
    await store._calls.command("HSET", where, field, '{"snapshot": 7, "alerts": 7')
    reader = await open_store()

    with pytest.raises(RecordUnreadable, match="hot"):
        await reader.load("hot")
    broken, sound = await reader.load_many(["hot", "cold"])

    assert (broken.snapshot, broken.outage.kind, sound.outage) == (None, "garbled", None)
    assert "cannot be read" in broken.outage.why
    assert await store._calls.command("HGET", where, field) == b'{"snapshot": 7, "alerts": 7'


async def test_what_cannot_be_read_of_deliveries_and_stories_hides_nothing_else(store, clock):
    await owe(store, clock, "hot", row("firing", entry("a")), row("firing", entry("b")))
    await store.move("hot")
    first, _ = await store._calls.command("LRANGE", "{bm:c:ops}:news:ops-g1", 0, -1)
    await store._calls.command("HSET", "{bm:c:ops}:items:ops-g1", first, '{"news": "sung"}')
    await store._calls.command("HSET", "{bm:c:ops}:hushed", "ops-g1", '{"reasons": 7')
    await store._calls.command("RPUSH", store.partition("hot").story("alr_b1"), '9 9 {"what": 7')

    [waiting], _ = await store.deliveries(["ops"], ["waiting"], None, 10)

    assert waiting.alerts == ("alr_b1",)
    assert [told.chapter.what for told in await store.story("alr_b1")] == ["firing"]
    assert await store.hushed("ops", "ops-g1") == {}
