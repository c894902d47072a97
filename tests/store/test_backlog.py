"""What a channel that stays down collects: what it will be told, and not the way there without end."""

import random
from collections import defaultdict

import pytest

from monitor.engine.fold import fold
from monitor.model.group import Told
from tests.builders import NOON, commit, entry, event_entry, item, minutes, row, seconds, target

LEASE = seconds(30)
TO = target(wait=seconds(0))


async def owe(store, clock, rows):
    for start in range(0, len(rows), 500):
        await store.poll_now("casino", "hot")
        [claim] = (await store.claim("casino", 1, LEASE)).claims
        record = await store.load("hot")
        changed = commit(record, *rows[start : start + 500])
        assert await store.commit("casino", changed, claim, clock() + minutes(600_000)) == "written"
        await store.move("hot")
        while await store.sweep(10):
            pass
        clock.pass_(minutes(1))


def came_and_went(chance, alerts, steps):
    """What alerts went through, in any order that can be."""
    episodes, found = dict.fromkeys(alerts, 0), []
    firing = set()
    for _ in range(steps):
        name = chance.choice(alerts)
        kind = chance.choice(["updated", "updated", "reminder", "acked", "resolved"]) if name in firing else "firing"
        episodes[name] += kind == "firing"
        (firing.discard if kind == "resolved" else firing.add)(name)
        status = "resolved" if kind == "resolved" else "firing"
        found.append((kind, entry(name, status, episodes[name], value=chance.randrange(1000))))
    return found


async def news(store):
    keys = await store._calls.command("LRANGE", "{bm:c:ops}:news:ops-g1", 0, -1)
    items = await store._calls.command("HLEN", "{bm:c:ops}:items:ops-g1")
    assert len(keys) == items, "no item without its news"
    return keys


@pytest.mark.parametrize("seed", range(4))
async def test_case_40_what_is_dropped_of_a_long_backlog_changes_nothing_that_is_told(store, clock, seed):
    chance = random.Random(seed)
    story = came_and_went(chance, ["a", "b", "c"], 2_000)
    await owe(store, clock, [row(kind, told, TO) for kind, told in story])

    [group] = await store.claim_groups("ops", 1, LEASE)

    assert group.waiting == len(group.news) < 100
    whole, left = defaultdict(list), defaultdict(list)
    for kind, told in story:
        whole[told.fingerprint].append(item(kind, told))
    for one in group.news:
        left[one.entry.fingerprint].append(one)
    for fingerprint, items in whole.items():
        known = Told(items[0].entry, 1, NOON)
        for told in (None, known):
            for resolved in (True, False):
                assert fold(told, left[fingerprint], send_resolved=resolved) == fold(
                    told, items, send_resolved=resolved
                )


async def test_a_channel_that_is_down_for_a_week_keeps_little_of_each_alert_and_every_event(store, clock):
    names = [f"n{number}" for number in range(50)]
    for episode in range(1, 61):
        rows = [row("firing", entry(name, episode=episode), TO) for name in names]
        rows += [row("resolved", entry(name, "resolved", episode), TO) for name in names]
        await owe(store, clock, [*rows, row("event", event_entry(f"e{episode}"), TO)])

    left = await news(store)

    assert len(left) < 1_000 + 60
    assert sum(b"@" in key for key in left) == len(left)
    [group] = await store.claim_groups("ops", 1, LEASE)
    events = [one.entry.id for one in group.news if one.news == "event"]
    assert events == [f"alr_e{number}" for number in range(1, len(events) + 1)], "in their order, none is left out"


async def test_nothing_is_dropped_under_the_hands_of_whoever_tells_it(store, clock):
    await owe(store, clock, [row(kind, told, TO) for kind, told in came_and_went(random.Random(1), ["a"], 900)])
    [group] = await store.claim_groups("ops", 1, LEASE)
    await owe(store, clock, [row(kind, told, TO) for kind, told in came_and_went(random.Random(2), ["b"], 200)])
    assert len(await news(store)) == 1_100

    await store.defer(group, clock())
    await owe(store, clock, [row("firing", entry("c"), TO)])

    assert len(await news(store)) < 100


async def test_a_group_is_as_urgent_as_what_is_left_of_it(store, clock):
    begins = [row("firing", entry("a", episode=number, severity="critical"), TO) for number in range(2, 500)]
    ends = [row("resolved", entry("a", "resolved", number), TO) for number in range(2, 500)]
    rows = [one for both in zip(begins, ends, strict=True) for one in both]
    calm = [row("firing", entry("a", episode=number, severity="info"), TO) for number in (1, 501, 502)]
    await owe(store, clock, [calm[0], *rows, *calm[1:], row("firing", entry("b", severity="info"), TO)])

    assert await store._calls.command("ZCARD", "{bm:c:ops}:due:critical") == 0
