"""Stores of alerts hear again and again of what fires: in virtual time, on real stores."""

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.beat import BEAT_MAX, Beat, beats, next_beat
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.flush import flush
from monitor.engine.suppress import Suppressor
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.model.group import Hush, Told
from tests.builders import NOON, commit, entry, event_entry, group, item, minutes, row, seconds, target
from tests.fakes import RecordingChannel, news_of

BEAT = Beat(minutes(1), minutes(5))
NOW = target(wait=seconds(0))
SECOND = seconds(1)


class Stage:
    """One channel with a beat over a store, which may be opened anew."""

    def __init__(self, store, clock, channel=None, **settings):
        self.store, self.clock = store, clock
        self.channel = channel or RecordingChannel()
        self.observed = []
        self.there = Destination(
            "ops", self.channel, beat=BEAT, observe=lambda *what: self.observed.append(what), **settings
        )

    async def owe(self, news, told, where=NOW):
        account = told.account or "a"
        record = await self.store.load(account)
        if not record.version:
            await self.store.enrol("casino", {account: self.clock()})
        claims = await self.store.claim("casino", 100, seconds(30))
        [mine] = [claim for claim in claims.claims if claim.account == account]
        await self.store.commit("casino", commit(record, row(news, told, where)), mine, self.clock())
        await self.store.move(account)

    async def go(self, time, step=SECOND):
        """Let time pass, and tell what is due on the way; returns the alerts told, each with when that was."""
        until, told = self.clock() + time, []
        while True:
            for one in await self.store.claim_groups("ops", 20, LEASE):
                before = len(self.channel.arrived)
                await tell_safely(self.store, self.there, one, self.clock)
                told += [(self.clock(), message) for message in self.channel.arrived[before:]]
            if self.clock() >= until:
                return told
            self.clock.pass_(step)


def told_of(told, alert):
    return [at for at, message in told if alert in {one.entry.id for one in message.alerts}]


def gaps(times):
    return {after - before for before, after in itertools.pairwise(times)}


async def test_what_fires_is_told_again_every_beat_and_is_counted_as_told_once(store, clock):
    stage = Stage(store, clock)
    await stage.owe("firing", entry())
    told = await stage.go(minutes(10))

    times = told_of(told, "alr_a1")
    assert len(times) >= 10
    assert gaps(times[1:]) == {minutes(1)}
    assert times[1] - times[0] <= minutes(1)
    assert {one.sequence for _, message in told for one in message.alerts} == {1}
    assert len(stage.observed) == 1, "a beat is no notification"


async def test_a_beat_is_on_no_record_and_the_reminder_comes_when_it_would(store, clock):
    stage = Stage(store, clock)
    await stage.owe("firing", entry())
    await stage.go(minutes(3))
    known = await store.claim_groups("ops", 1, LEASE)

    assert known == ()
    told = await stage.go(timedelta(hours=4), minutes(1))
    reminders = [message for _, message in told if message.alerts[0].sequence == 2]
    assert reminders[0].at == NOON + timedelta(hours=4)
    assert len(stage.observed) == 2


async def test_after_a_restart_the_beat_goes_on_as_if_nothing_had_been(open_store, clock):
    first = Stage(await open_store(), clock)
    await first.owe("firing", entry())
    before = told_of(await first.go(minutes(3)), "alr_a1")

    second = Stage(await open_store(), clock)
    after = told_of(await second.go(minutes(3)), "alr_a1")
    clock.pass_(minutes(10))
    late = told_of(await second.go(minutes(2)), "alr_a1")

    assert gaps([before[-1], *after]) == {minutes(1)}
    assert late[0] - after[-1] >= minutes(10), "nobody was there"
    assert gaps(late[1:]) <= {minutes(1)}
    assert (late[1] - before[1]) % minutes(1) == timedelta(0), "at the same times as ever"


async def test_what_is_over_is_told_again_for_five_minutes_and_then_forgotten(store, clock):
    stage = Stage(store, clock)
    await stage.owe("firing", entry())
    await stage.go(minutes(2))
    await stage.owe("resolved", entry(status="resolved"))
    told = await stage.go(minutes(10))

    times = told_of(told, "alr_a1")
    assert all(one.entry.status == "resolved" for _, message in told for one in message.alerts)
    assert minutes(4) <= times[-1] - times[0] < minutes(5)
    assert await stage.go(timedelta(hours=5), minutes(10)) == []


async def test_a_movement_is_told_again_for_five_minutes(store, clock):
    stage = Stage(store, clock)
    await stage.owe("event", event_entry("e1", account="a"))
    await stage.owe("event", event_entry("e2", account="a"))
    told = await stage.go(minutes(10))

    for alert in ("alr_e1", "alr_e2"):
        times = told_of(told, alert)
        assert minutes(4) <= times[-1] - times[0] < minutes(5)


async def test_what_fires_again_while_its_end_lingers_is_told_as_new(store, clock):
    stage = Stage(store, clock)
    await stage.owe("firing", entry())
    await stage.go(minutes(1))
    await stage.owe("resolved", entry(status="resolved"))
    await stage.go(minutes(1))
    await stage.owe("firing", entry(episode=2))
    told = await stage.go(minutes(10))

    assert news_of([told[0][1]]) in ([("alr_a1", "resolved", 2)], [("alr_a2", "firing", 1)])
    assert {one[0] for one in news_of([message for _, message in told[2:]])} == {"alr_a2"}
    assert gaps(told_of(told, "alr_a2")[1:]) == {minutes(1)}


async def test_news_of_others_never_put_a_beat_off(store, clock):
    stage = Stage(store, clock)
    where = replace(NOW, interval=seconds(1))
    await stage.owe("firing", entry("a"), where)
    told = await stage.go(seconds(5))
    for number in range(30):
        await stage.owe("firing", entry(f"b{number}"), where)
        told += await stage.go(seconds(20))

    assert max(gaps(told_of(told, "alr_a1"))) <= minutes(1)


async def test_no_silence_keeps_a_store_from_hearing_that_what_it_knows_still_fires(store, clock):
    async def all_of_it(group, entries, now):
        return {one.id: Hush("silenced", NOON, by="maria") for one in entries}

    stage = Stage(store, clock)
    await stage.owe("firing", entry())
    await stage.go(seconds(1))
    stage.there = replace(stage.there, suppress=Suppressor((all_of_it,)))
    await stage.owe("firing", entry("b"))
    told = await stage.go(minutes(5))

    assert len(told_of(told, "alr_a1")) >= 4
    assert told_of(told, "alr_b1") == []


async def test_what_is_over_but_may_not_be_told_yet_is_not_said_to_fire(store, clock):
    async def all_of_it(group, entries, now):
        return {one.id: Hush("silenced", NOON, by="maria") for one in entries}

    stage = Stage(store, clock)
    await stage.owe("firing", entry())
    await stage.go(seconds(1))
    stage.there = replace(stage.there, suppress=Suppressor((all_of_it,)))
    await stage.owe("resolved", entry(status="resolved"))

    assert told_of(await stage.go(minutes(5)), "alr_a1") == []


async def test_a_beat_that_fails_is_tried_again_soon_and_then_goes_on(store, clock):
    channel = RecordingChannel()
    stage = Stage(store, clock, channel)
    await stage.owe("firing", entry())
    await stage.go(seconds(1))
    channel.answers = [DeliveryDeferred("HTTP 503")] * 2
    told = await stage.go(minutes(5))

    times = told_of(told, "alr_a1")
    assert times[0] <= NOON + minutes(1) + seconds(10)
    assert gaps(times[1:]) == {minutes(1)}
    assert len(stage.observed) == 1


async def test_one_that_is_refused_in_a_beat_stops_nothing(store, clock):
    channel = RecordingChannel()
    stage = Stage(store, clock, channel)
    await stage.owe("firing", entry())
    await stage.go(seconds(1))
    channel.answers = [DeliveryRejected("HTTP 400", "message")]
    told = await stage.go(minutes(5))

    assert len(told_of(told, "alr_a1")) >= 4
    assert len(channel.tried) - len(channel.arrived) == 1


async def test_a_message_that_was_given_up_does_not_stop_the_beat(store, clock):
    channel = RecordingChannel()
    stage = Stage(store, clock, channel)
    await stage.owe("firing", entry("a"))
    await stage.go(seconds(1))
    channel.answers = [DeliveryRejected("HTTP 400", "message")]
    await stage.owe("firing", entry("b"))
    told = await stage.go(minutes(5))

    assert len(told_of(told, "alr_a1")) >= 4
    assert told_of(told, "alr_b1") == [], "it was refused, so it is tried with the next reminder"


async def test_a_channel_that_is_no_store_of_alerts_any_more_forgets_what_lingers(store, clock):
    stage = Stage(store, clock)
    await stage.owe("firing", entry())
    await stage.go(minutes(1))
    await stage.owe("resolved", entry(status="resolved"))
    await stage.go(seconds(1))
    stage.there = replace(stage.there, beat=None)

    assert await stage.go(minutes(2)) == []
    await stage.owe("firing", entry(episode=2))
    [group_now] = await store.claim_groups("ops", 1, LEASE)
    assert group_now.open == {}


def test_very_many_are_told_in_several_parts():
    known = {f"fp-{n}": Told(entry(str(n)), 1, NOON) for n in range(BEAT_MAX + 1)}

    parts = list(beats(group(open=known), BEAT, NOON))

    assert [len(part.alerts) for part in parts] == [BEAT_MAX, 1]
    assert len({part.id for part in parts}) == 2


def test_who_never_heard_of_an_alert_hears_no_beat_of_it():
    unheard = {"fp-a": Told(entry(), 1, NOON, heard=False)}

    assert list(beats(group(open=unheard), BEAT, NOON)) == []
    assert list(beats(group(item("resolved", entry(status="resolved")), open={}), BEAT, NOON)) == []


@given(st.timedeltas(timedelta(0), timedelta(days=3000)), st.sampled_from(["g1", "g2", "g3"]))
def test_beats_keep_to_the_clock(after, name):
    one, since = replace(group(), id=name), NOON + after
    at = next_beat(one, BEAT, since)

    assert since <= at < since + BEAT.every
    assert next_beat(one, BEAT, at) == at
    assert next_beat(one, BEAT, at + timedelta(microseconds=1)) == at + BEAT.every


@pytest.mark.parametrize("changed", [{"severity": "warning"}, {"labels": {"role": "cold"}}])
def test_an_alert_that_goes_by_other_labels_says_what_it_was_told_as(changed):
    known = {"fp-a": Told(entry(), 1, NOON)}
    same = flush(group(item("updated", entry(value=None)), open=known), NOON)
    other = flush(group(item("updated", entry(**changed)), open=known), NOON)

    assert same.alerts[0].before is None
    assert other.alerts[0].before == entry()
