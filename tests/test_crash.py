"""The power cut: polls and deliveries of two workers on one store, dying once at every step there is.

The run without a crash says what is owed. Then the same script runs once for each possible crash point;
whatever dies, nothing owed is lost, nothing is told that is not so, and a repeat is a repeat byte for byte.
"""

import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from decimal import Decimal

import fakeredis
import pytest

from monitor.channels.webhook import render
from monitor.engine import deliver, doubt
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.flush import after_settle, flush
from monitor.engine.poll import Polling, poll
from monitor.engine.route import Route
from monitor.engine.watch import Watch
from monitor.errors import DeliveryDeferred
from monitor.model.group import Message
from monitor.store import codec
from monitor.store.pipe import Pipe
from monitor.store.redis import RedisStore
from monitor.store.url import address
from tests.builders import NOON, minutes, seconds
from tests.facts import account, answer, policy, rule
from tests.fakes import FakeClock, FakeLine, RecordingChannel

#: What the accounts hold, half a minute each. `b` stays low long enough to be told again; `c` is drained at once,
#: so its polls read twice.
BALANCES = {
    "a": ("100", "100", "40", "40", "100", "100", "45", "45", "100", "100", "100"),
    "b": ("10", "10", "10", "10", "10", "10", "10", "10", "10", "90", "90"),
    "c": ("90", "90", "0", "0", "0", "90"),
}
HALF = seconds(30)
RULES = (
    rule("low_balance", alert="Low", below=50),
    rule("event", alert="Moved", match={"account": "a"}),
    rule("large_outflow", alert="Outflow", above=100, within="1h"),
)
ROUTE = Route(group_by=["rule", "account"], group_wait="0s", group_interval="1s", repeat_interval="80s")
CHANNELS = ("ops", "chat")
#: Every channel hears these of every rule and account, whatever happens.
OWED = {
    ("Low", "a"): ["firing", "resolved", "firing", "resolved"],
    ("Low", "b"): ["firing", "resolved"],
    ("Low", "c"): ["firing", "resolved"],
    ("Outflow", "a"): ["firing"],
}
MOVED = {("out", Decimal(60)): 1, ("in", Decimal(60)): 1, ("out", Decimal(55)): 1, ("in", Decimal(55)): 1}


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """The second reading of a sudden zero comes at once: there are hundreds of them here."""
    monkeypatch.setattr(doubt, "PAUSE", seconds(0))


class PowerCut(BaseException):
    """Not an Exception, so no bulkhead can mistake it for a bug and carry on."""


class Fuse:
    """Lets the power fail at the `blow`-th chance: before every call. After one is before the next: no process
    leaves anything outside but by a call."""

    def __init__(self, blow):
        self.blow, self.chances, self.died = blow, itertools.count(), ""

    def spark(self, where):
        if next(self.chances) == self.blow:
            self.died = where
            raise PowerCut


class Fused:
    """Something whose every call may be the last thing a process does."""

    def __init__(self, thing, fuse):
        self._thing, self._fuse = thing, fuse

    def __getattr__(self, name):
        async def call(*args, **kwargs):
            self._fuse.spark(f"before {name}")
            return await getattr(self._thing, name)(*args, **kwargs)

        return call


class Free:
    async def spend(self, cost):
        pass

    async def correct(self, remaining):
        pass


@dataclass
class Bank:
    """Balances that depend on the time alone, whoever asks."""

    clock: FakeClock

    async def poll(self, account, record, budget, now):
        held = BALANCES[account.name]
        passed = (self.clock() - NOON) // HALF
        return answer({"USDT": held[min(passed, len(held) - 1)]}, at=now)


@dataclass
class World:
    """The outside: time, a bank, two chats of which one is down for a while, and a server."""

    open: object
    clock: FakeClock = field(default_factory=FakeClock)
    chats: dict = field(
        default_factory=lambda: {
            "ops": RecordingChannel(),
            "chat": RecordingChannel([None, DeliveryDeferred("503"), DeliveryDeferred("503")]),
        }
    )
    fuse: Fuse = field(default_factory=lambda: Fuse(None))
    read_twice: int = 0

    async def process(self, wrap):
        """A new process: its own connection, nothing in memory."""
        store = await self.open()
        store.clock_override = self.clock
        return Process(self, store, wrap)


class Process:
    def __init__(self, world, store, wrap):
        self.world, self.real, self.clock = world, store, world.clock
        self.store = wrap(Fused(store, world.fuse))
        bank = Fused(Bank(world.clock), world.fuse)
        watch = Watch(policy(*CHANNELS, route=ROUTE), RULES, lambda one, now: now + one.interval)
        self.polling = Polling("casino", bank, seconds(5), self.store, watch, world.clock)
        self.chats = [Destination(name, Fused(chat, world.fuse)) for name, chat in world.chats.items()]

    async def work(self):
        """Whatever is due now, as the loops of the daemon do it."""
        accounts = {name: account(name, interval=HALF) for name in BALANCES}
        for claim in (await self.store.claim("casino", 10, self.polling.lease)).claims:
            polled = await poll(self.polling, accounts[claim.account], claim, Free())
            self.world.read_twice += polled.doubt == "confirmed"
        await self.store.sweep(10)
        for chat in self.chats:
            for group in await self.store.claim_groups(chat.name, 20, LEASE):
                await tell_safely(self.store, chat, group, self.clock)


async def live(open_one, blow, wrap=lambda store: store):
    """The whole script once, two processes taking turns. Returns the world as it was left."""
    world = World(open_one, fuse=Fuse(blow))
    crew = [await world.process(wrap), await world.process(wrap)]
    await crew[0].real.enrol("casino", dict.fromkeys(BALANCES, NOON))
    for turn in range(len(BALANCES["a"]) + 5):
        try:
            await crew[turn % 2].work()
        except PowerCut:
            await crew[turn % 2].real.close()
            crew[turn % 2] = await world.process(wrap)
        world.clock.pass_(HALF)
    world.stored = [event for name in BALANCES for event in await crew[0].real.events(name, NOON - minutes(60))]
    world.owed = [await crew[0].real._calls.command("HLEN", crew[0].real.partition(n).outbox(n)) for n in BALANCES]
    for process in crew:
        await process.real.close()
    return world


def heard(messages):
    """(rule, account) → what was said of it, repeats of a message left out; and the events."""
    said, events, sequences = defaultdict(list), [], defaultdict(list)
    for message in {message.id: message for message in messages}.values():
        for one in message.alerts:
            if one.entry.status == "event":
                events.append(one.entry)
                continue
            sequences[one.entry.id].append(one.sequence)
            said[one.entry.rule, one.entry.account].append((message.type, one.entry.status))
    return said, events, sequences


def assert_told_truly(world):
    """Everything that was owed arrived, in order, under one id and with one content."""
    when = f"when it died {world.fuse.died}" if world.fuse.died else "without a crash"
    for name, chat in world.chats.items():
        bodies = {}
        for message in chat.tried:
            assert bodies.setdefault(message.id, render(message)) == render(message), f"one id, two contents {when}"
        said, events, sequences = heard(chat.arrived)
        for alert, owed in OWED.items():
            states = [status for status, _ in itertools.groupby(status for _, status in said[alert])]
            assert states == owed, f"{name} heard {states} of {alert} {when}"
        assert any(kind == "alert.reminder" for kind, _ in said["Low", "b"]), f"{name} was not reminded {when}"
        for alert, numbers in sequences.items():
            assert numbers == sorted(set(numbers)), f"{name} heard {alert} as {numbers} {when}"
        moved = Counter((entry.event.direction, entry.event.amount) for entry in events)
        assert moved == MOVED, f"{name} heard of {moved} {when}"
        assert len({entry.id for entry in events}) == len(events)
    recorded = Counter((event.direction, event.amount) for event in world.stored if event.amount < 80)
    assert recorded == MOVED, f"recorded {recorded} {when}"
    assert world.owed == [0, 0, 0], f"outboxes of {world.owed} rows are left {when}"


@pytest.fixture
def on_valkey(valkey_server):
    async def begin():
        with valkey_server.client() as client:
            client.flushall()

    async def open_one():
        # Hundreds of processes: what every one of them would check and load is there since the first.
        store = RedisStore(Pipe(address(valkey_server.url)))
        await (store._read_layout(2) if loaded else store.open(2))
        loaded.append(store)
        return store

    loaded = []

    return begin, open_one


@pytest.fixture
def on_fakeredis():
    servers = []

    async def begin():
        servers[:] = [fakeredis.FakeServer()]

    async def open_one():
        store = RedisStore(FakeLine(servers[0]))
        await store.open(2)
        return store

    return begin, open_one


async def every_crash(server, *, step=1, wrap=lambda store: store):
    """Live through every `step`-th crash; AssertionError tells what was lost. Returns how many there were."""
    begin, open_one = server
    for blow in itertools.count(0, step):
        await begin()
        world = await live(open_one, blow, wrap)
        assert_told_truly(world)
        if not world.fuse.died:
            return blow
    raise AssertionError("there is always a last chance")


async def test_without_a_crash_everything_is_told_once(on_valkey):
    begin, open_one = on_valkey
    await begin()
    world = await live(open_one, None)

    assert_told_truly(world)
    assert all(len({m.id for m in chat.arrived}) == len(chat.arrived) for chat in world.chats.values())
    assert world.read_twice == 1, "the drain was told without a second look"


async def test_case_39_no_crash_loses_or_invents_anything_on_a_real_server(on_valkey):
    assert await every_crash(on_valkey) > 150, "the fuse never reached the interesting places"


async def test_case_39_no_crash_loses_or_invents_anything_on_fakeredis(on_fakeredis):
    assert await every_crash(on_fakeredis, step=13) > 150


class TestTeeth:
    """Mistakes that this test exists for. It must find each of them."""

    async def test_settling_before_sending_is_found(self, on_valkey, monkeypatch):
        async def settle_first(store, destination, group, clock):
            message = flush(group, clock())
            if not isinstance(message, Message):
                await store.defer(group, message)
                return
            frozen = await store.freeze(group, message)
            await store.settle(frozen, *after_settle(frozen, message, clock()))
            await destination.adapter.send(message, clock())

        monkeypatch.setattr(deliver, "tell", settle_first)
        with pytest.raises(AssertionError, match=r"heard|reminded"):
            await every_crash(on_valkey)

    async def test_an_outbox_in_a_second_call_is_found(self, on_valkey):
        with pytest.raises(AssertionError, match=r"heard|reminded"):
            await every_crash(on_valkey, wrap=OwedLater)

    async def test_composing_anew_instead_of_repeating_is_found(self, on_valkey, monkeypatch):
        monkeypatch.setattr(
            deliver, "flush", lambda group, now, **more: flush(replace(group, telling=None), now, **more)
        )
        with pytest.raises(AssertionError):
            await every_crash(on_valkey)


class OwedLater:
    """Writes the rows of a commit in a call of their own."""

    def __init__(self, fused):
        self._fused = fused

    def __getattr__(self, name):
        return getattr(self._fused, name)

    async def commit(self, provider, commit, claim, next_at, summing, generation):
        answer = await self._fused.commit(provider, commit._replace(rows=()), claim, next_at, summing, generation)
        self._fused._fuse.spark("between two calls")
        store = self._fused._thing
        where, name = store.partition(commit.record.account), commit.record.account
        version = (await store.load(name)).version
        for index, row in enumerate(commit.rows):
            await store._calls.command("HSET", where.outbox(name), f"{version}-{index}", codec.dump(row))
        if commit.rows:
            await store._calls.command("ZADD", where.outdue, 0, name)
        return answer
