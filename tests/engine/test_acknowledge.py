"""Somebody looks after an alert: what that changes, in the record, in the groups, and for those who poll meanwhile."""

import asyncio
import itertools

import pytest

from monitor.engine.acknowledge import TRIES, acknowledge
from monitor.engine.suppress import Suppressor
from monitor.errors import NotAcknowledged, StoreUnavailable
from monitor.model.acked import Acked
from monitor.model.group import Hush
from tests.builders import NOON, minutes
from tests.desk import Desk, low
from tests.facts import Watched, policy
from tests.fused import Fused, PowerCut

MARIA = Acked("maria", NOON, "on it")


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


async def test_without_an_acknowledgement_it_is_reminded_of(store, clock):
    desk = await Desk(store, clock).begin()
    await desk.tell()
    await desk.passes(minutes(25))

    assert desk.heard() == ["firing", "reminder", "reminder"]


async def test_an_acknowledged_alert_is_not_reminded_of_and_its_end_is_told(store, clock):
    desk = await Desk(store, clock).begin()
    await desk.tell()
    found = await desk.acks()
    await desk.passes(minutes(60))
    quiet = desk.heard()
    await desk.polls("90")
    await desk.passes(minutes(1))

    assert found.alert.acked == Acked("maria", NOON, "on it")
    assert quiet == ["firing"]
    assert desk.heard() == ["firing", "resolved"]
    assert [one.sequence for message in desk.chats["ops"].arrived for one in message.alerts] == [1, 2]


async def test_who_has_not_heard_of_it_yet_still_does_and_is_not_reminded(store, clock):
    desk = await Desk(store, clock).begin()
    await desk.acks()
    await desk.passes(minutes(60))

    assert desk.heard() == ["firing"]
    assert desk.chats["ops"].arrived[0].alerts[0].entry.acked.by == "maria"


async def test_a_higher_level_is_told_and_reminders_begin_anew(store, clock):
    desk = await Desk(store, clock).begin()
    await desk.tell()
    await desk.acks()
    await desk.passes(minutes(30))
    await desk.polls("10")
    await desk.passes(minutes(12))

    assert desk.heard() == ["firing", "updated", "reminder"]


async def test_that_it_gets_worse_within_its_level_is_told_and_no_more(store, clock):
    desk = await Desk(store, clock, (low(levels={"warning": {"below": 50}}, renotify_every="25%"),)).begin()
    await desk.tell()
    await desk.acks()
    await desk.polls("20")
    await desk.passes(minutes(30))

    assert desk.heard() == ["firing", "updated"]


async def test_two_at_once_are_one_and_both_are_told_who_it_was(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    desk = await Desk(ours, clock).begin()
    both = await asyncio.gather(desk.acks(), desk.acks(by="joe", store=theirs))
    await desk.passes(minutes(2))

    assert both[0].alert.acked == both[1].alert.acked == (await desk.alert()).acked
    assert await ours._calls.command("HLEN", ours.partition("hot").outbox("hot")) == 0


async def test_a_poll_that_runs_meanwhile_keeps_it(store, clock):
    desk = await Desk(store, clock).begin()

    async def while_it_is_asked():
        await desk.acks()
        return "45"

    polled = await desk.polls(while_it_is_asked)

    assert polled.result == "written"
    assert (await desk.alert()).acked.by == "maria"
    assert (await desk.alert()).value == 45


async def test_an_alert_that_ends_between_finding_and_amending_is_over(store, clock):
    desk = await Desk(store, clock).begin()
    amend = store.amend

    async def late(provider, commit):
        await desk.polls("90")
        return await amend(provider, commit)

    store.amend = late
    with pytest.raises(NotAcknowledged) as refused:
        await desk.acks()
    assert refused.value.reason == "resolved"


async def test_who_comes_too_late_is_told_so_and_who_asks_for_nothing_that_too(store, clock):
    desk = await Desk(store, clock).begin()
    over = (await desk.alert()).id
    await desk.polls("90")

    for wanted, reason in ((over, "resolved"), ("alr_77", "unknown")):
        with pytest.raises(NotAcknowledged) as refused:
            await desk.acks(wanted)
        assert refused.value.reason == reason


async def test_an_account_that_is_written_to_all_the_time_is_given_up(store, clock):
    desk = await Desk(store, clock).begin()
    tries = []

    async def moved(provider, commit):
        tries.append(commit)
        return "moved"

    store.amend = moved
    with pytest.raises(StoreUnavailable):
        await desk.acks()
    assert len(tries) == TRIES


async def test_no_crash_leaves_it_half_done(open_store, clock):
    """Died before it is written it is as if nobody had asked; after that everybody hears of it all the same."""
    seen = set()
    for blow in itertools.count():
        store = await open_store()
        await store._calls.command("FLUSHALL")
        await store.open(4)
        clock.now = NOON
        desk, died = await Desk(store, clock).begin(), False
        await desk.tell()
        try:
            await desk.acks(store=Fused(store, itertools.count(), blow))
        except PowerCut:
            died = True
        acked = (await desk.alert()).acked is not None
        await desk.passes(minutes(25))
        assert desk.heard() == (["firing"] if acked else ["firing", "reminder", "reminder"]), f"died at {blow}"
        assert await store._calls.command("HLEN", store.partition("hot").outbox("hot")) == 0
        seen.add((died, acked))
        if not died:
            break
    assert seen == {(True, False), (True, True), (False, True)}


async def test_what_was_acknowledged_while_silenced_is_told_when_that_ends_and_not_reminded_of(store, clock):
    async def silenced(group, entries, now):
        hush = Hush("silenced", NOON, NOON + minutes(5), "joe", "maintenance")
        return {entry.id: hush for entry in entries} if now < NOON + minutes(5) else {}

    desk = await Desk(store, clock).begin()
    desk.suppress = Suppressor((silenced,))
    await desk.tell()
    await desk.acks()
    await desk.passes(minutes(40))

    assert desk.heard() == ["firing"]
