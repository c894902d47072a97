"""Silences from end to end: what one process is told of holds in all of them, within a second."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from monitor.concerns import Concerns
from monitor.duties import Duties
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.silences import Board, Silenced
from monitor.engine.suppress import Suppressor
from monitor.gauges import Gauges
from monitor.metrics import Metrics
from monitor.model.alert import Alert, State
from monitor.model.record import Record
from monitor.model.silence import Silence, Unless
from monitor.silencing import ending_silences
from tests import facts
from tests.builders import NOON, commit, entry, minutes, row, seconds, target
from tests.facts import account
from tests.fakes import RecordingChannel, news_of
from tests.store.test_groups import owe

FIRES = {"state": State.FIRING, "severity": "critical", "pending_since": NOON, "observed_at": NOON}
TARGET = target(wait=seconds(0), interval=minutes(1), repeat=minutes(240))


def silence(clock, **changes):
    says = {"starts_at": clock(), "created_at": clock(), **changes}
    return Silence("sil_1", {"rule": "Hot*"}, clock() + minutes(60), "maria", "key rotation", **says)


class Process:
    """Delivers one channel, and looks at the silences twice a second."""

    def __init__(self, store, clock, channel):
        self.store, self.clock, self.channel = store, clock, channel
        self.board = Board(store, clock, channels=("ops",))

    async def step(self):
        await self.board.refresh()
        destination = Destination("ops", self.channel, suppress=Suppressor((Silenced(self.board),)))
        for group in await self.store.claim_groups("ops", 20, LEASE):
            await tell_safely(self.store, destination, group, self.clock)


@pytest.fixture
async def office(open_store, clock):
    channel = RecordingChannel()
    here, there = Process(await open_store(), clock, channel), Process(await open_store(), clock, channel)

    async def wait(time, *, alone=None):
        until = clock() + time
        while clock() < until:
            for process in [alone] if alone else [here, there]:
                await process.step()
            clock.pass_(seconds(0.5))

    return SimpleNamespace(here=here, there=there, wait=wait, heard=channel.arrived)


async def test_case_09_a_silence_that_is_ended_by_one_process_is_over_in_all_within_a_second(office, clock):
    store = office.here.store
    await store.add_silence(silence(clock))
    await office.wait(seconds(2))
    await owe(store, clock, row("firing", entry(), TARGET))
    await office.wait(minutes(5))
    assert office.heard == []

    await store.end_silence("sil_1", clock())
    ended = clock()
    await office.wait(seconds(10), alone=office.there)

    assert news_of(office.heard) == [("alr_a1", "firing", 1)]
    assert office.heard[0].at - ended <= seconds(1)
    assert "silenced since 2026-11-20T12:00:00Z by maria: key rotation" in str(
        office.heard[0].alerts[0].entry.annotations
    )


async def test_case_09_a_silence_that_ends_by_itself_is_told_at_once_by_who_never_saw_it(office, clock):
    store = office.here.store
    await store.add_silence(silence(clock))
    await owe(store, clock, row("firing", entry(), TARGET))
    await office.wait(minutes(59), alone=office.here)
    await office.wait(minutes(2), alone=office.there)

    assert news_of(office.heard) == [("alr_a1", "firing", 1)]
    assert office.heard[0].at == NOON + minutes(60)
    assert "silenced since" in office.heard[0].alerts[0].entry.annotations["caveat"]


async def test_case_09_a_silence_is_lifted_within_a_minute_of_things_getting_worse(office, clock):
    store = office.here.store
    await store.add_silence(silence(clock, unless=Unless("total", below=50)))
    one = replace(entry(), account="hot")
    await owe(store, clock, row("firing", one, TARGET))
    await office.wait(minutes(10))
    assert office.heard == []

    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    await store.commit("casino", commit(await store.load("hot"), total="49"), claim, clock() + minutes(600))
    await office.wait(seconds(61))

    assert news_of(office.heard) == [("alr_a1", "firing", 1)]


def holding(kept, clock):
    """A crew of one account, whose float is low, with this silence."""
    alert = Alert(fingerprint="fp", id="alr_1", rule="LowFloat", subject="USDT", **FIRES)
    record = Record(account().name, 1, facts.snapshot(), alerts=(alert,))

    class Store:
        async def silences(self, _now):
            return (kept,)

        async def open_accounts(self):
            return [record.account, "gone"]

        async def load_many(self, names):
            return [record for _ in names]

    config = SimpleNamespace(
        accounts={record.account: account()}, rules=(facts.rule("low_balance", alert="LowFloat", below=50),)
    )
    board = Board(Store(), clock)
    known = {"accounts": config.accounts, "stand_ins": {}}
    return SimpleNamespace(config=config, **known, store=Store(), board=board, roles=frozenset({"poll"}))


async def test_case_55_what_a_silence_holds_back_is_said_before_its_end(clock):
    crew = holding(replace(silence(clock), match={"rule": "Low*"}), clock)

    assert await ending_silences(crew, clock()) == []
    clock.pass_(minutes(55))
    [(about, why)] = await ending_silences(crew, clock())
    assert about == "sil_1"
    assert "maria (key rotation) ends at 2026-11-20T13:00:00Z, then LowFloat " in why


async def test_case_55_a_silence_that_holds_nothing_back_may_end_unsaid(clock):
    crew = holding(replace(silence(clock), match={"rule": "High*"}), clock)
    clock.pass_(minutes(55))

    assert await ending_silences(crew, clock()) == []


async def test_case_55_it_is_reported_for_as_long_as_it_is_so(store, clock):
    metrics, concerns = Metrics("1.0"), Concerns(clock, "web-1:7")
    crew = holding(replace(silence(clock), match={"rule": "Low*"}), clock)
    duties = Duties(crew, store, Gauges(metrics, clock, concerns), metrics, clock, concerns)
    told = []
    for minute in (0, 55, 59, 61):
        clock.now = NOON + minutes(minute)
        await duties._remind()
        await concerns.tell(store)
        told.append([(one.name, one.about) for one in await store.reports(clock())])

    assert told == [[], [("SilenceEnding", "sil_1")], [("SilenceEnding", "sil_1")], []]
