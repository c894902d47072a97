"""A webhook that was deleted and made again: what it refused is sent again, over a real socket and every store."""

from pydantic import SecretStr

from monitor.channels.webhook import Webhook
from monitor.store.keys import ChannelKeys
from tests.builders import entry, minutes, row, seconds, target
from tests.post import deliver, owe


async def test_case_47_what_a_deleted_webhook_refused_arrives_after_it_was_mended(store, clock, receiver, http):
    channel = Webhook(type="webhook", url=SecretStr(receiver.url)).connect(http)
    receiver.answers = [(410, f"no hook at {receiver.url}", {})]
    await owe(store, clock, [row("firing", entry(), target(wait=seconds(0)))])
    await deliver(store, channel, clock)
    [dead], _ = await store.deliveries(["ops"], ["dead"], None, 9)
    clock.pass_(minutes(1))

    assert await store.replay("ops", dead.id)
    await deliver(store, channel, clock)

    (_, first, refused), (_, second, arrived) = receiver.requests
    assert (refused, first["webhook-id"]) == (arrived, second["webhook-id"])
    assert first["webhook-id"] == dead.id
    assert await store.deliveries(["ops"], ["dead", "failing"], None, 9) == ([], None)


async def test_a_receiver_that_echoes_its_url_leaves_no_trace_of_it_in_the_store(store, clock, receiver, http):
    channel = Webhook(type="webhook", url=SecretStr(receiver.url)).connect(http)
    receiver.answers = [(status, f"<p>{receiver.url}</p>", {}) for status in (500, 410)]
    await owe(store, clock, [row("firing", entry(), target(wait=seconds(0)))])
    for _ in range(2):
        await deliver(store, channel, clock)
        clock.pass_(minutes(1))

    where = ChannelKeys("ops")
    [dead], _ = await store.deliveries(["ops"], ["dead"], None, 9)
    stored = [
        await store._calls.command("HVALS", key)
        for key in (where.log(dead.id), where.letters, where.group("ops-g1"), where.health)
    ]
    assert all(stored[:2])
    assert "CANARY" not in repr(stored)
    assert "HTTP 410" in dead.last_error
