"""Of what is due the most urgent goes first, then what has been due for longest, whatever there is of it."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.model.window import micros
from tests.builders import commit, entry, failed, message, minutes, row, seconds, target

LEASE = seconds(30)
NOW = seconds(0)
ORDER = {"critical": 0, "warning": 1, "info": 2}


async def owe(store, clock, *rows):
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    record = await store.load("hot")
    assert await store.commit("casino", commit(record, *rows), claim, clock() + minutes(6_000)) == "written"
    await store.move("hot")


def news(name, severity, kind="firing", wait=NOW):
    status = "resolved" if kind == "resolved" else "firing"
    return row(kind, entry(name, status, severity=severity), target(group=f"g-{name}", wait=wait))


async def claimed(store, limit=20):
    return [group.id.removeprefix("g-") for group in await store.claim_groups("ops", limit, LEASE)]


async def test_critical_news_go_before_warnings_and_these_before_the_rest(store, clock):
    for name, severity in (("i", "info"), ("w", "warning"), ("c", "critical"), ("w2", "warning"), ("c2", "critical")):
        await owe(store, clock, news(name, severity))
        clock.pass_(seconds(1))

    order = [await claimed(store, 2), await claimed(store, 2), await claimed(store, 2)]

    assert [sorted(two) for two in order] == [["c", "c2"], ["w", "w2"], ["i"]]


async def test_among_equals_the_longest_due_goes_first(store, clock):
    for name in "dbca":
        await owe(store, clock, news(name, "critical"))
        clock.pass_(seconds(1))

    assert [(await claimed(store, 1))[0] for _ in range(4)] == ["d", "b", "c", "a"]


@pytest.mark.parametrize("kind", ["resolved", "reminder"])
async def test_what_is_over_or_was_said_before_is_not_urgent(store, clock, kind):
    await owe(store, clock, news("a", "critical", kind))
    clock.pass_(seconds(1))
    await owe(store, clock, news("b", "warning"))

    assert await claimed(store, 1) == ["b"]


async def test_a_group_is_as_urgent_as_the_most_urgent_of_its_untold_news(store, clock):
    await owe(store, clock, news("a", "info"))
    clock.pass_(seconds(1))
    await owe(store, clock, news("b", "warning"))
    clock.pass_(seconds(1))
    await owe(store, clock, row("firing", entry("x", severity="critical"), target(group="g-a", wait=NOW)))
    [group] = await store.claim_groups("ops", 1, LEASE)
    assert group.id == "g-a"

    told = next(item for item in group.news if item.entry.severity == "critical")
    frozen = await store.freeze(group, message(told.entry, id="ntf_1", keys=(told.key,)))
    await store.settle(frozen, {}, clock())
    clock.pass_(minutes(2))

    assert await claimed(store, 1) == ["b"], "what is left of the other is not urgent"


async def test_a_failed_critical_message_is_urgent_when_it_is_tried_again(store, clock):
    await owe(store, clock, news("a", "critical"))
    [group] = await store.claim_groups("ops", 1, LEASE)
    frozen = await store.freeze(group, message(group.news[0].entry, id="ntf_1", keys=(group.news[0].key,)))
    await store.postpone(frozen, clock() + seconds(5), failed("HTTP 503"))
    await owe(store, clock, news("b", "warning"))
    clock.pass_(seconds(5))

    assert await claimed(store, 1) == ["a"]


async def test_what_is_tried_before_its_time_since_its_channel_was_mended_goes_in_this_order_too(store, clock):
    await owe(store, clock, news("a", "info"), news("b", "critical"), news("c", "warning"))
    for wait, group in enumerate(await store.claim_groups("ops", 3, LEASE), 1):
        frozen = await store.freeze(group, message(group.news[0].entry, id="ntf_1", keys=(group.news[0].key,)))
        await store.postpone(frozen, clock() + minutes(5 - wait), failed("HTTP 503"))

    await store.try_now("ops")

    assert [(await claimed(store, 1))[0] for _ in range(3)] == ["b", "c", "a"]


async def test_a_group_whose_urgent_news_were_told_waits_its_turn_with_the_others(store, clock):
    await owe(store, clock, news("a", "critical"))
    [group] = await store.claim_groups("ops", 1, LEASE)
    await owe(store, clock, row("firing", entry("x", severity="info"), target(group="g-a", wait=NOW)))
    frozen = await store.freeze(group, message(group.news[0].entry, id="ntf_1", keys=(group.news[0].key,)))
    await store.settle(frozen, {}, clock())
    await owe(store, clock, news("b", "warning"))
    await owe(store, clock, row("updated", entry("x", severity="info"), target(group="g-a", wait=NOW)))
    clock.pass_(minutes(2))

    assert [await claimed(store, 1) for _ in range(2)] == [["b"], ["a"]]
    for kind in ("critical", "warning"):
        assert await store._calls.command("ZRANGE", f"{{bm:c:ops}}:due:{kind}", 0, -1) == []


async def test_what_is_not_due_yet_is_not_claimed_however_urgent(store, clock):
    await owe(store, clock, news("a", "critical", wait=seconds(10)), news("b", "info"))

    assert await claimed(store) == ["b"]
    clock.pass_(seconds(10))
    assert await claimed(store) == ["a"]


async def test_a_clock_set_back_changes_no_order(store, clock):
    for name, severity in (("i", "info"), ("w", "warning"), ("c", "critical")):
        await owe(store, clock, news(name, severity, wait=seconds(10)))
    assert await claimed(store) == []
    clock.pass_(-minutes(60))
    assert await claimed(store) == []
    clock.pass_(seconds(10))

    assert [(await claimed(store, 1))[0] for _ in range(3)] == ["c", "w", "i"]


MANY = st.lists(st.tuples(st.sampled_from(list(ORDER)), st.integers(0, 5)), min_size=1, max_size=12)


@pytest.mark.parametrize("open_store", ["fakeredis", "valkey"], indirect=True)
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(owed=MANY, limit=st.integers(1, 4))
async def test_whatever_is_due_goes_once_in_this_order(store, clock, owed, limit):
    began = clock()
    for number, (severity, wait) in enumerate(owed):
        await owe(store, clock, news(f"{number}-{micros(began)}", severity, wait=seconds(wait)))
    clock.pass_(seconds(5))

    found = []
    while some := await claimed(store, limit):
        found += [int(name.partition("-")[0]) for name in some]
        clock.pass_(seconds(0.001))

    assert sorted(found) == list(range(len(owed)))
    ranks = [(ORDER[owed[number][0]], owed[number][1]) for number in found]
    batches = [ranks[at : at + limit] for at in range(0, len(ranks), limit)]
    assert [sorted(batch) for batch in batches] == [
        sorted(ranks)[at : at + limit] for at in range(0, len(ranks), limit)
    ]  # fmt: skip
    clock.pass_(minutes(5))
    await drained(store)


async def drained(store):
    for group in await store.claim_groups("ops", 1000, LEASE):
        await store.defer(group, None)


@pytest.mark.parametrize("open_store", ["valkey"], indirect=True)
async def test_one_claim_does_not_look_at_all_that_is_due(store, clock):
    for start in range(0, 10_000, 1_000):
        scored = [part for number in range(start, start + 1_000) for part in (micros(clock()), f"g{number}")]
        for kind in ("due", "due:critical"):
            await store._calls.command("ZADD", f"{{bm:c:ops}}:{kind}", *scored)
    before = await calls(store)

    await store.claim_groups("ops", 20, LEASE)

    assert await calls(store) - before < 500


async def calls(store):
    """Commands that the server has run, those within functions too."""
    stats = (await store._calls.command("INFO", "commandstats")).decode()
    return sum(int(line.split("calls=")[1].split(",")[0]) for line in stats.splitlines() if "calls=" in line)
