"""Every key of the store has a page in `keys.py`, and nothing stays for ever that grows."""

import inspect
import re
from dataclasses import replace

from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.model.group import Hush
from monitor.store import guardkeys, keys
from tests.builders import entry, event_entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel
from tests.post import deliver, owe

#: What a channel has for ever: of a fixed size each, or bounded by what `keys.py` says.
FIXED = {"clock", "health", "rate", "sent"}


def described():
    """Every key that `keys.py` names: how it begins, → what is said of it."""
    partition = keys.Partition(0, "{bm:0}")
    for home in (partition, keys.ChannelKeys("ops"), guardkeys.WalletKeys(partition, "?")):
        for name, member in inspect.getmembers(type(home)):
            if isinstance(member, property):
                yield getattr(home, name), member.__doc__
            elif inspect.isfunction(member) and not name.startswith("_") and name != "all":
                yield member(home, *["?"] * (len(inspect.signature(member).parameters) - 1)), member.__doc__
    for made in (keys.quota, keys.health, keys.prices):
        yield made("?"), made.__doc__
    for made in (keys.window, keys.lane):
        yield made("?", 1, 1), made.__doc__
    yield guardkeys.index("?", "?"), guardkeys.index.__doc__


def test_every_key_has_a_page_of_its_own():
    found = dict(described())

    assert len(found) > 40
    assert [key for key, said in found.items() if not said] == []


async def lived(store, clock):
    """Alerts that begin, fail to be told, are refused, sent again, silenced and over."""
    channel = RecordingChannel([None, DeliveryDeferred("down"), DeliveryRejected("invalid_payload", "message")])
    for number in range(3):
        to = target(group=f"ops-g{number}", wait=seconds(0))
        await owe(store, clock, [row("firing", entry(f"a{number}"), to), row("event", event_entry(f"e{number}"), to)])
        await deliver(store, channel, clock)
        clock.pass_(minutes(5))
        await deliver(store, channel, clock)
        await owe(store, clock, [row("updated", entry(f"a{number}"), to)])
        clock.pass_(minutes(1))
        for group in await store.claim_groups("ops", 20, minutes(1)):
            hush = Hush("silenced", clock(), clock() + minutes(1), "maria", "moving")
            await store.keep_hushed(replace(group, hushed={f"fp-a{number}": hush}))
            await store.defer(group, clock() + minutes(1))
        await owe(store, clock, [row("resolved", entry(f"a{number}", "resolved"), to)])
        clock.pass_(minutes(20))
        await deliver(store, channel, clock)
    [dead], _ = await store.deliveries(["ops"], ["dead"], None, 9)
    await store.replay("ops", dead.id)
    for _ in range(4):
        clock.pass_(minutes(10))
        await deliver(store, channel, clock)


async def names(store):
    return [key.decode() for key in await store._calls.command("KEYS", "*")]


async def test_no_key_is_written_that_has_no_page(store, clock):
    await lived(store, clock)

    pages = [re.escape(key).replace(re.escape("?"), ".+").replace(r"\{bm:0\}", r"\{bm:\d+\}") for key, _ in described()]
    pages += [re.escape(key) for key in vars(keys).values() if isinstance(key, str) and key.startswith("{bm:")]
    assert [key for key in await names(store) if not any(re.fullmatch(page, key) for page in pages)] == []


async def test_a_channel_whose_alerts_are_over_keeps_nothing_that_would_grow(store, clock):
    await lived(store, clock)
    clock.pass_(minutes(90))
    await store.tidy("ops")

    kept = [key for key in await names(store) if key.startswith("{bm:c:ops}")]
    lasting = [key for key in kept if await store._calls.command("TTL", key) == -1]
    assert {key.removeprefix("{bm:c:ops}:") for key in lasting} <= FIXED
