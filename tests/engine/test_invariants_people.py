"""Whatever people silence, mute, inhibit and acknowledge: every channel hears a story that makes sense, all of it."""

import asyncio
import os
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.engine.acknowledge import acknowledge_alert
from monitor.engine.calendar import TimeInterval
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.escalate import Step
from monitor.engine.inhibit import Inhibit, compile_inhibit, is_source
from monitor.engine.inhibitions import Inhibited
from monitor.engine.mutes import Mutes
from monitor.engine.poll import Polling, poll
from monitor.engine.route import Route, compile_route, tree
from monitor.engine.silences import Board, Silenced
from monitor.engine.suppress import Suppressor
from monitor.engine.watch import Watch
from monitor.errors import DeliveryDeferred, NotAcknowledged, ProviderUnreachable
from monitor.model.alert import State
from monitor.model.labels import compile_match
from monitor.model.silence import Silence, Unless
from monitor.rules.templates import labels_of
from monitor.store.redis import RedisStore
from tests.builders import NOON, minutes, seconds
from tests.facts import account, answer, policy, rule
from tests.fakes import FakeClock, RecordingChannel

LOW = rule("low_balance", alert="Low", levels={"warning": {"below": 50}, "critical": {"below": 20}})
DEEP = rule("low_balance", alert="Deep", below=12, severity="critical")
ACCOUNTS = {name: account(name, interval=minutes(1), labels={"tier": name[0]}) for name in ("hot", "cold")}
CHANNELS = ("ops", "chat", "deep", "pager")
ROUTE = Route.model_validate(
    {
        "channels": ["deep"],
        "group_by": ["rule"],
        "group_wait": "0s",
        "group_interval": "1m",
        "repeat_interval": "10m",
        "routes": [
            {"match": {"rule": "Low"}, "channels": ["ops"], "escalate": "later", "continue": True},
            {"match": {"rule": "Low"}, "channels": ["chat"], "group_wait": "20s", "mute": ["lunch"]},
        ],
    }
)
AFTER = minutes(3)
LATER = {"later": (Step(after="3m", channels=("pager",)),)}
LUNCH = {"lunch": (TimeInterval(times=("12:04-12:20", "12:45-13:00")),)}
INHIBIT = compile_inhibit([Inhibit(source={"rule": "Deep"}, target={"rule": "Low"}, equal=("account",))])
TREE = tree(ROUTE, CHANNELS)


@dataclass(frozen=True)
class Does:
    """Something that happens, `wait` after what happened before, while one of two processes delivers."""

    wait: float
    what: str
    which: str = "hot"
    word: str = "90"
    lasts: float = 0
    process: int = 0


class Witness(RecordingChannel):
    """A channel that knows what must not be told now."""

    def __init__(self, name, office):
        super().__init__()
        self.name, self.office, self.failed = name, office, False

    async def send(self, message, now):
        for one in message.alerts:
            if self.office.hushed(self.name, one.entry, now):
                # Raised here it would be a failure of the channel.
                self.office.wrongs.append((self.name, message.type, one.entry, now))
        return await super().send(message, now)


class Process:
    """Delivers every channel."""

    def __init__(self, office, store):
        self.store, self.office = store, office
        self.board = Board(store, office.clock, channels=CHANNELS)
        quiet = Suppressor(
            (Silenced(self.board), Mutes.of(TREE, LUNCH, LATER), Inhibited(store, office.clock, INHIBIT))
        )
        self.destinations = [Destination(name, chat, suppress=quiet) for name, chat in office.chats.items()]

    async def delivers(self):
        await self.board.refresh()
        for destination in self.destinations:
            for _ in range(50):
                groups = await self.store.claim_groups(destination.name, 20, LEASE)
                if not groups:
                    break
                for group in groups:
                    await tell_safely(self.store, destination, group, self.office.clock)
            else:
                raise AssertionError(f"{destination.name} never comes to rest")


@dataclass
class Episode:
    """One time that an alert fired; `worse`: when it rose and was acknowledged no longer."""

    rule: str
    account: str
    begun: datetime
    over: datetime | None = None
    worse: list = field(default_factory=list)


@dataclass
class Office:
    """Two processes that poll two accounts, four channels, and people."""

    clock: FakeClock
    stores: tuple
    silences: list = field(default_factory=list)
    episodes: dict = field(default_factory=dict)
    acked: dict = field(default_factory=dict)
    wrongs: list = field(default_factory=list)

    def __post_init__(self):
        self.reads = ""
        self.chats = {name: Witness(name, self) for name in CHANNELS}
        self.processes = [Process(self, store) for store in self.stores]
        settled = replace(
            policy(inhibits=partial(is_source, rules=INHIBIT)), route=compile_route(ROUTE, CHANNELS, LATER)
        )
        watch = Watch(settled, (LOW, DEEP), lambda one, now: now + one.interval)
        self.pollings = [Polling("casino", self, seconds(5), store, watch, self.clock) for store in self.stores]

    def hushed(self, channel, entry, now):
        """What nobody may be told now. Silences that may be lifted are not looked at."""
        labels = labels_of(entry)
        silenced = any(
            one.state(now) == "active" and one.unless is None and compile_match(one.match)(labels)
            for one in self.silences
        )
        lunch = channel == "chat" and Mutes({}, LUNCH).hush(TREE.children[1], now) is not None
        return silenced or lunch

    def was_quiet(self, channel, episode):
        """Whether there was anything that may have kept it back."""
        begun, over = episode.begun, episode.over or self.clock()
        if channel == "chat" or self.chats[channel].failed or over - begun <= minutes(3):
            return True
        deep = [other for other in self.episodes.values() if other.rule == "Deep"] if episode.rule == "Low" else []
        return any(one.starts_at <= over and one.ends_at >= begun for one in self.ever) or any(
            other.begun <= over and (other.over is None or other.over + minutes(1) >= begun) for other in deep
        )

    def looked_after(self, name, at):
        """Whether somebody had acknowledged an episode by then, and it has not got worse since."""
        acked = [moment for moment in self.acked.get(name, ()) if moment < at]
        return bool(acked) and not any(moment >= acked[-1] for moment in self.episodes[name].worse)

    async def poll(self, one, record, budget, now):
        if self.reads == "error":
            raise ProviderUnreachable("timed out")
        return answer({"USDT": self.reads}, at=now)

    async def reads_of(self, name, word, place):
        store, self.reads = self.stores[place], word
        await store.poll_now("casino", name)
        claims = (await store.claim("casino", 10, LEASE)).claims
        [claim] = [each for each in claims if each.account == name]
        await store.release("casino", [each for each in claims if each is not claim])
        # Ourselves as the provider: `poll` is above.
        polled = await poll(self.pollings[place], ACCOUNTS[name], claim, None, _no_rest)
        for row in polled.commit.rows:
            entry = row.entry
            episode = self.episodes.setdefault(entry.id, Episode(entry.rule, entry.account, self.clock()))
            episode.over = self.clock() if row.news == "resolved" else None
            if row.news == "updated" and entry.acked is None:
                episode.worse.append(self.clock())

    async def does(self, one):
        await self.passes(seconds(one.wait), one.process)
        now, store = self.clock(), self.stores[one.process]
        match one.what:
            case "read":
                await self.reads_of(one.which, one.word, one.process)
            case "silence":
                await self.silence(one, now)
            case "expire":
                for kept in [each for each in self.silences if each.state(now) != "expired"][:1]:
                    self.silences[self.silences.index(kept)] = await store.end_silence(kept.id, now)
            case "ack":
                await self.acks(one)
            case "fail":
                chat = self.chats["ops" if one.which == "hot" else "pager"]
                chat.failed, chat.answers = True, [DeliveryDeferred("down")] * min(int(one.lasts), 5)

    async def silence(self, one, now):
        match = {"hot": {"account": "hot"}, "cold": {"severity": "warning"}}.get(one.which, {"tier": "c"})
        unless = Unless("total", below=30) if one.word == "90" else None
        name = f"sil_{len(self.silences)}"
        begins = now if one.word != "40" else now + seconds(90)
        made = Silence(name, match, begins + seconds(one.lasts), "maria", name, begins, now, unless)
        self.silences.append(made)
        await self.stores[one.process].add_silence(made)

    async def acks(self, one):
        [record] = await self.stores[0].load_many([one.which])
        for alert in record.alerts:
            try:
                found = await acknowledge_alert(
                    self.stores[one.process], ACCOUNTS.get, alert.id, "maria", "mine", self.clock
                )
            except NotAcknowledged:
                continue
            self.acked.setdefault(found.alert.id, []).append(self.clock())

    async def passes(self, time, process=0):
        until = self.clock() + time
        while self.clock() < until:
            self.clock.pass_(min(seconds(30), until - self.clock()))
            # Both know of silences as soon as there are any; one of them delivers.
            await self.processes[1 - process].board.refresh()
            await self.processes[process].delivers()
            await self.stores[process].sweep(10)

    async def ends(self):
        """All goes back to normal but for what is low; everything that is still owed is told."""
        for chat in self.chats.values():
            chat.answers = []
        await self.passes(minutes(2))
        for one in self.silences:
            if one.state(self.clock()) != "expired":
                await self.stores[0].end_silence(one.id, self.clock())
        self.ever, self.silences = self.silences, []
        await self.passes(NOON + minutes(70) - self.clock())
        await self.passes(minutes(8))


async def _no_rest(_time):
    pass


async def lived(url, life):
    stores = (await RedisStore.connect(url, partitions=2), await RedisStore.connect(url, partitions=2))
    try:
        await stores[0]._calls.command("FLUSHALL")
        for store in stores:
            await store.open(2)
        clock = FakeClock()
        for store in stores:
            store.clock_override = clock
        await stores[0].enrol("casino", dict.fromkeys(ACCOUNTS, clock()))
        office = Office(clock, stores)
        for one in life:
            await office.does(one)
        await office.ends()
        firing = {}
        for record in await stores[0].load_many(tuple(ACCOUNTS)):
            firing |= {alert.id: alert for alert in record.alerts if alert.state is State.FIRING}
        return office, firing
    finally:
        for store in stores:
            await store.close()


THINGS = st.builds(
    Does,
    wait=st.sampled_from([0, 1, 5, 20, 60, 61, 180, 181, 300, 660]),
    what=st.sampled_from(["read", "read", "read", "read", "silence", "silence", "expire", "ack", "fail"]),
    which=st.sampled_from(["hot", "hot", "cold"]),
    word=st.sampled_from(["90", "40", "40", "15", "10", "5", "error"]),
    lasts=st.sampled_from([1, 2, 5, 60, 180, 600, 1800]),
    process=st.integers(0, 1),
)


@settings(
    max_examples=max(1, int(os.environ.get("LIVES", "60")) // 3),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(life=st.lists(THINGS, min_size=2, max_size=14))
def test_every_channel_hears_a_whole_story_and_nothing_while_it_must_not(valkey_server, life):
    office, firing = asyncio.run(lived(valkey_server.url, life))

    assert not office.wrongs
    for channel, chat in office.chats.items():
        told = [(message, one) for message in chat.arrived for one in message.alerts]
        open_here = whole(told)
        knows(office, channel, open_here, firing)
        if channel == "pager":
            assert all(message.at >= office.episodes[one.entry.id].begun + AFTER for message, one in told), "too early"
        else:
            misses_nothing(office, channel, {one.entry.id for _, one in told})
        for message, one in told:
            if message.type == "alert.reminder":
                assert not office.looked_after(one.entry.id, message.at), "reminded of what somebody looks after"


def whole(told):
    """The alerts that a channel knows to fire, by their fingerprints; what it heard of each makes sense."""
    last = {}
    for _, one in told:
        before = last.get(one.entry.fingerprint)
        fires = before is not None and before.entry.status == "firing"
        assert fires or one.entry.status == "firing", "an end of what never began"
        if fires:
            assert before.entry.id == one.entry.id, "another beginning before an end"
            assert before.sequence + 1 == one.sequence
        last[one.entry.fingerprint] = one
    return {name: one.entry.id for name, one in last.items() if one.entry.status == "firing"}


def knows(office, channel, open_here, firing):
    """At the end a channel knows what fires, but for what another alert keeps quiet, or somebody has answered."""
    meant = {
        alert.fingerprint: name
        for name, alert in firing.items()
        if channel in {target.channel for target in alert.targets}
    }
    deep = {office.episodes[name].account for name, alert in firing.items() if alert.rule == "Deep"}
    inhibited = {
        alert.fingerprint
        for name, alert in firing.items()
        if alert.rule == "Low" and office.episodes[name].account in deep
    }
    assert {one for name, one in open_here.items() if name not in inhibited} <= set(meant.values()), "told, and over"
    for fingerprint, name in meant.items():
        answered = channel == "pager" and firing[name].acked
        assert answered or fingerprint in inhibited or open_here.get(fingerprint) == name, "fires, and nobody knows"


def misses_nothing(office, channel, heard):
    """Whatever fired for long enough was told, if nothing kept it quiet at any time."""
    of = "Deep" if channel == "deep" else "Low"
    for name, episode in office.episodes.items():
        assert episode.rule != of or name in heard or office.was_quiet(channel, episode), "never told nor suppressed"
