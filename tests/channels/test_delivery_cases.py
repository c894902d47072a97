"""The hard cases of delivery for every channel: a store, the sender, the adapter, and a receiver on a real socket."""

import asyncio
import json
from decimal import Decimal

import fakeredis
import pytest
from aiohttp import web

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.store.redis import RedisStore
from tests.builders import entry, event_entry, minutes, row, seconds, target
from tests.channels.conftest import receiving
from tests.channels.telegram_parser import assert_telegram_takes
from tests.channels.test_faults import SETTINGS, STATUS, TAKEN, channel
from tests.channels.test_google_chat import assert_google_chat_takes
from tests.channels.test_mattermost import assert_mattermost_takes
from tests.channels.test_ntfy import assert_ntfy_takes
from tests.channels.test_slack import assert_slack_takes
from tests.channels.test_teams import assert_teams_takes
from tests.channels.verifiers import assert_alertmanager_takes, assert_discord_takes, assert_pagerduty_takes
from tests.fakes import FakeLine
from tests.hostile import ALL
from tests.post import deliver, owe

NOW, SECOND, MINUTE = seconds(0), seconds(1), minutes(1)
DOWN = (503, "upstream", {})
#: How each is asked to wait; Discord is not believed unless it speaks for itself.
BUSY = {
    "discord": (429, '{"retry_after": 30.0, "global": false}', {"Via": "1.1 google", "Retry-After": "30"}),
    "telegram": (429, '{"ok": false, "parameters": {"retry_after": 30}}', {}),
}
every_kind = pytest.mark.parametrize("kind", SETTINGS)


@pytest.fixture
async def store(clock):
    """One is enough: what differs between stores is tested without sockets."""
    opened = RedisStore(FakeLine(fakeredis.FakeServer()))
    await opened.open(4)
    opened.clock_override = clock
    yield opened
    await opened.close()


def healthy(kind):
    return STATUS.get(kind, 200), TAKEN.get(kind, "ok"), {}


def said(receiver):
    return [body.decode() for _, _, body in receiver.requests]


def to(name="ops", group="g", **changes):
    return target(name, group=f"{name}-{group}", wait=NOW, **changes)


def hot(name, status="firing", **changes):
    """An alert whose account is written alike in every chat."""
    return entry(name, status, account=f"hot{name}", annotations={}, **changes)


async def passes(store, clock, adapter, time, step=MINUTE, name="ops"):
    """Time goes by, and what is due is told."""
    for _ in range(time // step):
        clock.pass_(step)
        await deliver(store, adapter, clock, name)


@every_kind
async def test_case_40_after_an_hour_without_its_channel_an_alert_is_told_once_as_it_is_now(
    store, clock, http, receiver, kind
):
    adapter, receiver.usual = channel(kind, receiver, http), DOWN
    await owe(store, clock, [row("firing", hot("a"), to(repeat=minutes(1)))])
    await passes(store, clock, adapter, minutes(30))
    await owe(store, clock, [row("updated", hot("a", value=Decimal("271.5")), to(repeat=minutes(1)))])
    await passes(store, clock, adapter, minutes(30))
    receiver.usual, before = healthy(kind), len(receiver.requests)
    await passes(store, clock, adapter, minutes(11))
    await owe(store, clock, [row("resolved", hot("a", "resolved"), to(repeat=minutes(600)))])
    await passes(store, clock, adapter, minutes(20))

    told = said(receiver)[before:]
    assert before < 20
    assert "271.5" in told[0]
    assert "412.5" not in told[0]
    assert len(told) < 14, "what was not repeated for an hour is not made up for"


@every_kind
async def test_case_40_what_began_and_ended_without_its_channel_is_told_once_and_every_movement_is(
    store, clock, http, receiver, kind
):
    adapter, receiver.usual = channel(kind, receiver, http), DOWN
    await owe(store, clock, [row("firing", hot("a"), to())])
    await passes(store, clock, adapter, minutes(30))
    moved = [event_entry(name, account=f"hot{name}", annotations={}) for name in ("e1", "e2", "e3")]
    await owe(store, clock, [row("resolved", hot("a", "resolved"), to())])
    await owe(store, clock, [row("event", one, to(group="events")) for one in moved])
    await passes(store, clock, adapter, minutes(30))
    receiver.usual, before = healthy(kind), len(receiver.requests)
    await passes(store, clock, adapter, minutes(60))

    told = said(receiver)[before:]
    if kind == "pagerduty":
        actions = [(json.loads(body)["event_action"], "hota" in body) for body in told if "hote" not in body]
        assert actions == [("trigger", True), ("resolve", False)]
        assert sum("hote" in body for body in told) == 3
    else:
        [combined, events] = sorted(told, key=lambda body: "hote" in body)
        assert "hota" in combined
        assert all(events.count(one.account) for one in moved)


@every_kind
async def test_case_41_who_is_asked_to_wait_waits_so_long_and_tells_all_of_it_the_worst_first(
    store, clock, http, receiver, other_receiver, kind
):
    adapter, receiver.usual = channel(kind, receiver, http), BUSY.get(kind, (429, "busy", {"Retry-After": "30"}))
    other, other_receiver.usual = channel(kind, other_receiver, http), healthy(kind)
    mild = [row("firing", hot(name, severity="info"), to(group=name), to("chat", name)) for name in "abcd"]
    await owe(store, clock, mild)
    [first] = await store.claim_groups("ops", 1, LEASE)
    await tell_safely(store, Destination("ops", adapter), first, clock)
    await owe(store, clock, [row("firing", hot("z"), to(group="z"))])
    receiver.usual = healthy(kind)

    await passes(store, clock, adapter, seconds(29), SECOND)
    await deliver(store, other, clock, "chat")

    assert len(receiver.requests) == 1, "nobody else of its queue knocks meanwhile"
    assert len(other_receiver.requests) == 4, "no other queue minds"
    # One at first, then one more for each that arrives.
    await passes(store, clock, adapter, seconds(5), SECOND)
    told = said(receiver)[1:]
    assert "hotz" in told[0]
    assert sorted(next(name for name in "abcdz" if f"hot{name}" in body) for body in told) == list("abcdz")


#: Whether a destination would take what arrived: not in our opinion alone.
TAKES = {
    "slack": assert_slack_takes,
    "discord": assert_discord_takes,
    "telegram": assert_telegram_takes,
    "ntfy": assert_ntfy_takes,
    "teams": assert_teams_takes,
    "google_chat": assert_google_chat_takes,
    "mattermost": assert_mattermost_takes,
    "pagerduty": assert_pagerduty_takes,
    "alertmanager": assert_alertmanager_takes,
}


@pytest.mark.parametrize("kind", TAKES)
async def test_case_42_the_longest_messages_arrive_within_the_limits_of_their_destination(http, receiver, clock, kind):
    adapter, receiver.usual = channel(kind, receiver, http), healthy(kind)

    for name, one in ALL.items():
        receiver.requests.clear()
        await adapter.send(one, clock())
        assert receiver.requests, name
        for body in said(receiver):
            TAKES[kind](json.loads(body))


@every_kind
async def test_case_44_of_two_channels_only_the_one_that_failed_is_told_again(
    store, clock, http, receiver, other_receiver, kind
):
    good, receiver.usual = channel(kind, receiver, http), healthy(kind)
    bad, other_receiver.usual = channel(kind, other_receiver, http), DOWN
    await owe(store, clock, [row("firing", hot("a"), to("good"), to("bad"))])
    for _ in range(15):
        await passes(store, clock, good, minutes(1), name="good")
        await deliver(store, bad, clock, "bad")
    other_receiver.usual, tried = healthy(kind), len(other_receiver.requests)
    await passes(store, clock, bad, minutes(40), name="bad")

    assert len(receiver.requests) == 1
    assert (tried > 3, len(other_receiver.requests)) == (True, tried + 1)


@every_kind
async def test_case_45_an_end_that_is_refused_for_hours_arrives_in_the_end(store, clock, http, receiver, kind):
    adapter, receiver.usual = channel(kind, receiver, http), healthy(kind)
    await owe(store, clock, [row("firing", hot("a"), to())])
    await deliver(store, adapter, clock)
    receiver.usual = DOWN
    await owe(store, clock, [row("resolved", hot("a", "resolved"), to())])
    await passes(store, clock, adapter, minutes(200))
    failed = len(receiver.requests)
    receiver.usual = healthy(kind)
    await passes(store, clock, adapter, minutes(70))

    assert failed > 5
    assert len(receiver.requests) == failed + 1
    assert await store.deliveries(["ops"], ["dead", "failing", "waiting"], None, 9) == ([], None)


@pytest.mark.parametrize(("kind", "ids"), [("webhook", ("alr_a1", "alr_a2")), ("slack", ("alr_a2",)), ("teams", ())])
async def test_case_46_fired_ended_and_fired_again_within_the_interval_is_one_message(
    store, clock, http, receiver, kind, ids
):
    adapter, receiver.usual = channel(kind, receiver, http), healthy(kind)
    await owe(store, clock, [row("firing", hot("a"), to()), row("firing", hot("b"), to())])
    await deliver(store, adapter, clock)
    clock.pass_(seconds(10))
    await owe(store, clock, [row("resolved", hot("a", "resolved"), to())])
    await owe(store, clock, [row("firing", hot("a", episode=2), to())])
    await passes(store, clock, adapter, seconds(49), SECOND)
    assert len(receiver.requests) == 1

    await passes(store, clock, adapter, seconds(2), SECOND)

    [_, again] = said(receiver)
    assert all(one in again for one in ids)
    assert kind == "webhook" or "fired again" in again
    assert kind != "webhook" or [one["status"] for one in json.loads(again)["data"]["alerts"]] == ["resolved", "firing"]


@pytest.mark.parametrize("kind", ["webhook", "pagerduty", "slack"])
async def test_case_48_of_two_processes_that_send_at_once_the_second_says_the_same_under_the_same_id(
    open_store, clock, http, kind
):
    """The first one stops for longer than its lease in the middle of a message, and then goes on as if nothing was."""
    one, two = await open_store(), await open_store()
    goes_on = asyncio.Event()

    async def hangs(request):
        await goes_on.wait()
        status, body, headers = healthy(kind)
        return web.Response(status=status, text=body, headers=headers)

    async with receiving() as receiver:
        adapters = [channel(kind, receiver, http) for _ in range(2)]
        receiver.usual = healthy(kind)
        receiver.answers = [hangs]
        await owe(one, clock, [row("firing", hot("a"), to())])
        stuck = asyncio.create_task(deliver(one, adapters[0], clock))
        while not receiver.requests:
            await asyncio.sleep(0.001)
        await deliver(two, adapters[1], clock)
        assert len(receiver.requests) == 1, "it is leased"
        clock.pass_(LEASE + SECOND)
        await deliver(two, adapters[1], clock)
        clock.pass_(SECOND)
        goes_on.set()
        await stuck

        first, second = said(receiver)
        assert first == second
        assert receiver.requests[0][1].get("webhook-id") == receiver.requests[1][1].get("webhook-id")
        for store, adapter in zip((one, two), adapters, strict=True):
            await passes(store, clock, adapter, minutes(10))
        assert len(receiver.requests) == 2, "and nobody says it a third time"
        await owe(two, clock, [row("resolved", hot("a", "resolved"), to())])
        for store, adapter in zip((one, two), adapters, strict=True):
            await deliver(store, adapter, clock)
        assert len(receiver.requests) == 3
        assert kind != "webhook" or json.loads(said(receiver)[2])["data"]["alerts"][0]["sequence"] == 2
