"""`/v1/deliveries`, their replay, and the whole story of an alert, asked of every store."""

from datetime import datetime

import pytest

from monitor.api.auth import Token
from monitor.errors import DeliveryDeferred, DeliveryRejected
from tests.builders import NOON, entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel
from tests.post import deliver, owe


@pytest.fixture
async def real(open_store):
    return await open_store()


@pytest.fixture
async def asking(real, clock, context, account, start):
    """A client of a server on the real store."""
    api = context(account("hot", provider="casino"), store=real, clock=clock, channels=("ops", "chat"))
    return (await start(api))[0]


async def get(client, path, status=200):
    async with client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def post(client, path, status):
    async with client.post(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json()


async def tell(store, clock, alert, *answers, group="g1", channel="ops"):
    """One message to a group of its own; returns its id."""
    to = target(channel, group=group, wait=seconds(0))
    adapter = RecordingChannel(answers)
    await owe(store, clock, [row("firing", entry(alert), to)])
    await deliver(store, adapter, clock, channel)
    clock.pass_(seconds(1))
    return adapter.tried[-1].id


REJECTED = DeliveryRejected("HTTP 410: gone", "message")


async def test_what_has_not_arrived_is_listed_with_its_last_error(asking, real, clock):
    dead = await tell(real, clock, "a", REJECTED)
    failing = await tell(real, clock, "b", DeliveryDeferred("HTTP 503"), channel="chat")
    await tell(real, clock, "c", group="g2")

    found = await get(asking, "/v1/deliveries")

    assert [(one["id"], one["channel"], one["state"], one["last_error"]) for one in found["items"]] == [
        (dead, "ops", "dead", "HTTP 410: gone"), (failing, "chat", "failing", "HTTP 503"),
    ]  # fmt: skip
    first = found["items"][0]
    assert (first["notification_id"], first["attempts"], first["alerts"], first["type"]) == (
        dead, 1, ["alr_a1"], "alert.firing",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "alerts"),
    [
        ("?state=dead", ["alr_a1"]),
        ("?state=failing", ["alr_b1"]),
        ("?state=sent", ["alr_c1"]),
        ("?state=waiting", []),
        ("?channel=ops", ["alr_a1"]),
        ("?state=dead&channel=chat", []),
    ],
)
async def test_filters_all_have_to_hold(asking, real, clock, query, alerts):
    await tell(real, clock, "a", REJECTED)
    await tell(real, clock, "b", DeliveryDeferred("HTTP 503"), channel="chat")
    await tell(real, clock, "c", group="g2")

    found = await get(asking, f"/v1/deliveries{query}")
    assert [one["alerts"][0] for one in found["items"]] == alerts


class TestWhenItIsTriedNext:
    async def shown(self, asking):
        [one] = (await get(asking, "/v1/deliveries"))["items"]
        return one["next_at"]

    async def test_what_failed_alone_is_tried_on_its_ladder(self, asking, real, clock):
        await tell(real, clock, "a", DeliveryDeferred("HTTP 503"))

        assert NOON < datetime.fromisoformat(await self.shown(asking)) < NOON + minutes(1)

    async def test_while_its_channel_is_paused_it_is_when_the_pause_ends(self, asking, real, clock):
        await tell(real, clock, "a", DeliveryDeferred("HTTP 503"))
        await tell(real, clock, "b", DeliveryDeferred("HTTP 429", wait=minutes(30)), group="g2")

        found = (await get(asking, "/v1/deliveries"))["items"]

        paused_until = NOON + seconds(1) + minutes(30)
        assert all(datetime.fromisoformat(one["next_at"]) >= paused_until for one in found)

    async def test_while_its_channel_refuses_us_it_is_when_that_is_tried(self, asking, real, clock):
        await tell(real, clock, "a", DeliveryDeferred("HTTP 503"))
        await tell(real, clock, "b", DeliveryRejected("HTTP 404", "channel"), group="g2")

        found = (await get(asking, "/v1/deliveries?state=failing"))["items"]

        assert min(datetime.fromisoformat(one["next_at"]) for one in found) >= NOON + minutes(10)

    async def test_it_is_never_a_time_that_has_passed(self, asking, real, clock):
        await tell(real, clock, "a", DeliveryDeferred("HTTP 503"))
        clock.pass_(minutes(600))

        assert await self.shown(asking) is None


async def test_pages_go_on(asking, real, clock):
    names = [await tell(real, clock, alert, REJECTED, group=alert) for alert in "abc"]
    seen, query = [], "?limit=2"
    while query:
        page = await get(asking, f"/v1/deliveries{query}")
        seen += [one["id"] for one in page["items"]]
        query = page["next_cursor"] and f"?limit=2&cursor={page['next_cursor']}"

    assert seen == names[::-1]


@pytest.mark.parametrize("query", ["?state=lost", "?limit=0", "?cursor=x", "?stat=dead"])
async def test_a_mistake_in_the_query_is_refused(asking, query):
    assert (await get(asking, f"/v1/deliveries{query}", 400))["type"] == "invalid-request"


async def test_an_unknown_channel_has_no_deliveries(asking):
    assert (await get(asking, "/v1/deliveries?channel=opps", 404))["type"] == "channel-unknown"


async def test_a_dead_one_is_sent_again_once(asking, real, clock):
    dead = await tell(real, clock, "a", REJECTED)

    again = await post(asking, f"/v1/deliveries/{dead}/replay", 202)
    twice = await post(asking, f"/v1/deliveries/{dead}/replay", 409)
    unknown = await post(asking, "/v1/deliveries/ntf_x/replay", 404)

    assert again == {"id": dead, "channel": "ops", "state": "waiting"}
    assert (twice["type"], unknown["type"]) == ("delivery-not-dead", "delivery-unknown")
    assert [one["id"] for one in (await get(asking, "/v1/deliveries?state=waiting"))["items"]] == [dead]


async def test_sending_again_needs_an_admin(real, clock, context, account, start):
    reader = Token.of("dashboard", "reader-token", ("read",))
    api = context(account("hot"), store=real, clock=clock, channels=("ops",), tokens=(reader,))
    client, _ = await start(api, token="reader-token")

    await get(client, "/v1/deliveries")
    await post(client, "/v1/deliveries/ntf_x/replay", 403)


async def test_the_story_of_an_alert_is_told_from_reading_to_answer(asking, real, clock):
    name = await tell(real, clock, "a", DeliveryDeferred("HTTP 503"))
    clock.pass_(minutes(1))
    await deliver(real, RecordingChannel(), clock)
    await owe(real, clock, [row("resolved", entry(status="resolved", reason="recovered"), target(group="g1"))])

    told = await get(asking, "/v1/alerts/alr_a1")

    assert (told["id"], told["state"], told["alert"]) == ("alr_a1", "resolved", None)
    assert [(one["what"], one["channels"]) for one in told["history"]] == [("firing", ["ops"]), ("resolved", ["ops"])]
    [notification] = told["notifications"]
    assert (notification["id"], notification["state"], notification["tried"]) == (name, "sent", 2)
    assert [(one["outcome"], one["answer"]) for one in notification["attempts"]] == [
        ("failed", "HTTP 503"), ("sent", "ok"),
    ]  # fmt: skip
    assert told["untold"] == [{"channel": "ops", "suppressed": None}]


async def test_an_alert_nobody_knows_is_not_found(asking):
    assert (await get(asking, "/v1/alerts/alr_x", 404))["type"] == "alert-unknown"
