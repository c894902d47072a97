"""Somebody looks after an alert: what that changes, in the record, in the groups, and for those who poll meanwhile."""

import asyncio
import itertools

import pytest

from monitor.engine.acknowledge import TRIES, acknowledge, acknowledge_alert
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.poll import Polling, poll
from monitor.engine.route import Route
from monitor.engine.watch import Watch
from monitor.errors import NotAcknowledged, StoreUnavailable
from monitor.model.acked import Acked
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, policy, rule
from tests.fakes import RecordingChannel

MARIA = Acked("maria", NOON, "on it")
LEVELS = {"warning": {"below": 50}, "critical": {"below": 20}}
ROUTE = Route(group_wait="0s", group_interval="1s", repeat_interval="10m")


def low(**settings):
    return rule("low_balance", alert="Low", **{"levels": LEVELS, **settings})


LOW = low()


def firing(series="40", **settings):
    return Watched((low(**settings),), policy=policy("ops", "pager")).reads(series)


class TestRecord:
    def test_the_alert_says_who_and_everybody_who_was_told_is_owed_it(self):
        life = firing()
        [alert] = life.record.alerts

        commit = acknowledge(life.record, life.account, alert.id, MARIA)

        [answered], [row] = commit.record.alerts, commit.rows
        assert answered.acked == MARIA
        assert (row.news, row.entry.acked, row.targets) == ("acked", MARIA, alert.targets)
        assert {target.channel for target in row.targets} == {"ops", "pager"}

    def test_twice_is_once(self):
        life = firing()
        [alert] = life.record.alerts
        once = acknowledge(life.record, life.account, alert.id, MARIA)

        assert acknowledge(once.record, life.account, alert.id, Acked("joe", NOON, "me too")) is None

    @pytest.mark.parametrize(("series", "for_", "reason"), [("40", "5m", "pending"), ("40 90", "0s", "resolved")])
    def test_what_does_not_fire_cannot_be(self, series, for_, reason):
        life = firing(series, for_=for_)
        name = life.record.alerts[0].id if life.record.alerts else "alr_gone"

        with pytest.raises(NotAcknowledged) as refused:
            acknowledge(life.record, life.account, name, MARIA)
        assert refused.value.reason == reason

    @pytest.mark.parametrize(
        ("series", "kept"),
        [
            pytest.param("45", True, id="the next poll keeps it"),
            pytest.param("error _ 45", True, id="an outage keeps it"),
            pytest.param("10", False, id="a higher level ends it"),
            pytest.param("10 45", False, id="and it does not come back when the level falls"),
        ],
    )
    def test_how_long_it_lasts(self, series, kept):
        life = firing()
        life.record = acknowledge(life.record, life.account, life.record.alerts[0].id, MARIA).record

        life.reads(series, start=NOON + minutes(1))

        assert (life.record.alerts[0].acked == MARIA) is kept

    def test_a_lower_level_keeps_it(self):
        life = firing("10")
        life.record = acknowledge(life.record, life.account, life.record.alerts[0].id, MARIA).record

        life.reads("45", start=NOON + minutes(1))

        assert life.told[-1][1:2] == ("updated",)
        assert life.record.alerts[0].acked == MARIA

    def test_the_next_episode_is_nobodys(self):
        life = firing()
        life.record = acknowledge(life.record, life.account, life.record.alerts[0].id, MARIA).record

        life.reads("90 40", start=NOON + minutes(1))

        assert life.record.alerts[0].acked is None


class Office:
    """An account with one rule on a real store: polled, told, acknowledged."""

    def __init__(self, store, clock, rules=(LOW,), chats=("ops",), route=ROUTE):
        self.store, self.clock, self.reads = store, clock, "40"
        self.account = account("hot", interval=minutes(1))
        watch = Watch(policy(*chats, route=route), rules, lambda one, now: now + one.interval)
        self.polling = Polling("casino", self, seconds(5), store, watch, clock)
        self.chats = {name: RecordingChannel() for name in chats}

    async def _no_rest(self, _time):
        pass

    async def begin(self, word="40"):
        await self.store.enrol("casino", {"hot": self.clock()})
        await self.polls(word)
        return self

    async def polls(self, word):
        self.reads = word
        await self.store.poll_now("casino", "hot")
        [claim] = (await self.store.claim("casino", 1, self.polling.lease)).claims
        return await self._polled(claim)

    async def _polled(self, claim):
        # Ourselves as the provider: `poll` is below.
        return await poll(self.polling, self.account, claim, None, self._no_rest)

    async def poll(self, one, record, budget, now):
        word = self.reads
        if callable(word):
            word = await word()
        return answer({"USDT": word}, at=now)

    async def tell(self):
        await self.store.sweep(10)
        for name, chat in self.chats.items():
            for group in await self.store.claim_groups(name, 20, LEASE):
                await tell_safely(self.store, Destination(name, chat), group, self.clock)

    async def passes(self, time):
        """Time goes by minute by minute, and what is due is told."""
        for _ in range(time // minutes(1)):
            self.clock.pass_(minutes(1))
            await self.tell()

    async def alert(self):
        record = await self.store.load("hot")
        return record.alerts[0] if record.alerts else None

    async def acks(self, by="maria", store=None):
        alert = await self.alert()
        known = {"hot": self.account}.get
        return await acknowledge_alert(store or self.store, known, alert.id, by, "on it", self.clock)

    def heard(self, name="ops"):
        return [message.type.removeprefix("alert.") for message in self.chats[name].arrived]


async def test_without_an_acknowledgement_it_is_reminded_of(store, clock):
    office = await Office(store, clock).begin()
    await office.tell()
    await office.passes(minutes(25))

    assert office.heard() == ["firing", "reminder", "reminder"]


async def test_an_acknowledged_alert_is_not_reminded_of_and_its_end_is_told(store, clock):
    office = await Office(store, clock).begin()
    await office.tell()
    found = await office.acks()
    await office.passes(minutes(60))
    quiet = office.heard()
    await office.polls("90")
    await office.passes(minutes(1))

    assert found.alert.acked == Acked("maria", NOON, "on it")
    assert quiet == ["firing"]
    assert office.heard() == ["firing", "resolved"]
    assert [one.sequence for message in office.chats["ops"].arrived for one in message.alerts] == [1, 2]


async def test_who_has_not_heard_of_it_yet_still_does_and_is_not_reminded(store, clock):
    office = await Office(store, clock).begin()
    await office.acks()
    await office.passes(minutes(60))

    assert office.heard() == ["firing"]
    assert office.chats["ops"].arrived[0].alerts[0].entry.acked.by == "maria"


async def test_a_higher_level_is_told_and_reminders_begin_anew(store, clock):
    office = await Office(store, clock).begin()
    await office.tell()
    await office.acks()
    await office.passes(minutes(30))
    await office.polls("10")
    await office.passes(minutes(12))

    assert office.heard() == ["firing", "updated", "reminder"]


async def test_that_it_gets_worse_within_its_level_is_told_and_no_more(store, clock):
    office = await Office(store, clock, (low(levels={"warning": {"below": 50}}, renotify_every="25%"),)).begin()
    await office.tell()
    await office.acks()
    await office.polls("20")
    await office.passes(minutes(30))

    assert office.heard() == ["firing", "updated"]


async def test_two_at_once_are_one_and_both_are_told_who_it_was(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    office = await Office(ours, clock).begin()
    both = await asyncio.gather(office.acks("maria"), office.acks("joe", theirs))
    await office.passes(minutes(2))

    assert both[0].alert.acked == both[1].alert.acked == (await office.alert()).acked
    assert await ours._batch.command("HLEN", ours.partition("hot").outbox("hot")) == 0


async def test_a_poll_that_runs_meanwhile_keeps_it(store, clock):
    office = await Office(store, clock).begin()

    async def while_it_is_asked():
        await office.acks()
        return "45"

    polled = await office.polls(while_it_is_asked)

    assert polled.result == "written"
    assert (await office.alert()).acked.by == "maria"
    assert (await office.alert()).value == 45


async def test_an_alert_that_ends_between_finding_and_amending_is_over(store, clock):
    office = await Office(store, clock).begin()
    amend = store.amend

    async def late(provider, commit):
        await office.polls("90")
        return await amend(provider, commit)

    store.amend = late
    with pytest.raises(NotAcknowledged) as refused:
        await office.acks()
    assert refused.value.reason == "resolved"


async def test_an_account_that_is_written_to_all_the_time_is_given_up(store, clock):
    office = await Office(store, clock).begin()
    tries = []

    async def moved(provider, commit):
        tries.append(commit)
        return "moved"

    store.amend = moved
    with pytest.raises(StoreUnavailable):
        await office.acks()
    assert len(tries) == TRIES


class PowerCut(BaseException):
    """Not an Exception, so no bulkhead can mistake it for a bug and carry on."""


class Fused:
    """Lets the power fail at the `blow`-th chance, of which every call has two: before and after."""

    def __init__(self, thing, chances, blow):
        self._thing, self._chances, self._blow = thing, chances, blow

    def __getattr__(self, name):
        async def call(*args, **kwargs):
            self._spark()
            result = await getattr(self._thing, name)(*args, **kwargs)
            self._spark()
            return result

        return call

    def _spark(self):
        if next(self._chances) == self._blow:
            raise PowerCut


async def test_no_crash_leaves_it_half_done(open_store, clock):
    """Died before it is written it is as if nobody had asked; after that everybody hears of it all the same."""
    seen = set()
    for blow in itertools.count():
        store = await open_store()
        await store._batch.command("FLUSHALL")
        await store.open(4)
        clock.now = NOON
        office, died = await Office(store, clock).begin(), False
        await office.tell()
        try:
            await office.acks(store=Fused(store, itertools.count(), blow))
        except PowerCut:
            died = True
        acked = (await office.alert()).acked is not None
        await office.passes(minutes(25))
        assert office.heard() == (["firing"] if acked else ["firing", "reminder", "reminder"]), f"died at {blow}"
        assert await store._batch.command("HLEN", store.partition("hot").outbox("hot")) == 0
        seen.add((died, acked))
        if not died:
            break
    assert seen == {(True, False), (True, True), (False, True)}
