"""What is suppressed is not told, and what people hear once it no longer is."""

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.flush import flush
from monitor.engine.suppress import Suppressor, attended
from monitor.errors import StoreUnavailable
from monitor.model.group import NEWS_READ_MAX, Hush, Message, Told
from tests.builders import NOON, entry, event_entry, group, item, minutes, row, seconds
from tests.fakes import FakeClock, FakeDeliveryStore, RecordingChannel, news_of

HOURS4 = timedelta(hours=4)
END = NOON + minutes(60)
SILENCED = Hush("silenced", NOON - minutes(5), END, "maria", "key rotation")
OVER = replace(SILENCED, over=True)
CAVEAT = "silenced since 2026-11-20T11:55:00Z by maria: key rotation"


def later(one, at, **changes):
    return replace(one, resolved_at=at, **changes)


OPEN = {"fp-a": Told(entry(), 1, NOON)}
FIRING = item("firing", entry())
UPDATED = item("updated", entry(value=None))
RESOLVED = item("resolved", later(entry(status="resolved"), NOON + minutes(30)))
ENDED_AFTER = item("resolved", later(entry(status="resolved"), END + seconds(5)))
AGAIN = item("firing", entry(episode=2))
AGAIN_OVER = item("resolved", later(entry(status="resolved", episode=2), NOON + minutes(40)))


def looked(one, now):
    answer = flush(one, now)
    if isinstance(answer, Message):
        return answer.type if answer.alerts else "struck", news_of([answer]), set(answer.keys)
    return answer


@pytest.mark.parametrize(
    ("known", "news", "struck"),
    [
        pytest.param({}, [FIRING], set(), id="it waits"),
        pytest.param({}, [FIRING, UPDATED], {FIRING.key}, id="only where it has got to is kept"),
        pytest.param({}, [FIRING, RESOLVED], {FIRING.key, RESOLVED.key}, id="begun and over: nobody hears of it"),
        pytest.param(OPEN, [UPDATED, RESOLVED], {UPDATED.key}, id="told before: its end waits"),
        pytest.param(
            OPEN, [RESOLVED, AGAIN, AGAIN_OVER], {AGAIN.key, AGAIN_OVER.key}, id="only the told one's end waits"
        ),
    ],
)
def test_suppressed_news_stay_news_but_for_what_nobody_will_hear(known, news, struck):
    held = group(*news, open=known, hushed={"fp-a": SILENCED})

    answer = looked(held, NOON + minutes(45))

    assert answer == (("struck", [], struck) if struck else END)


@pytest.mark.parametrize(
    ("known", "news", "kind", "heard"),
    [
        pytest.param({}, [FIRING], "firing", [("alr_a1", "firing", 1)], id="it still fires"),
        pytest.param(OPEN, [UPDATED], "updated", [("alr_a1", "firing", 2)], id="it got worse meanwhile"),
        pytest.param(OPEN, [RESOLVED], "resolved", [("alr_a1", "resolved", 2)], id="told before, over meanwhile"),
        pytest.param(
            {}, [FIRING, ENDED_AFTER], "resolved", [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2)],
            id="it ended after the silence did",
        ),
        pytest.param({}, [FIRING, RESOLVED, AGAIN], "firing", [("alr_a2", "firing", 1)], id="only the open one"),
    ],
)  # fmt: skip
def test_case_09_what_was_suppressed_is_told_once_when_that_ends(known, news, kind, heard):
    answer = flush(group(*news, open=known, hushed={"fp-a": OVER}), END)

    assert (answer.type, news_of([answer])) == (f"alert.{kind}", heard)
    assert set(answer.keys) == {one.key for one in news}
    said = {numbered.entry.annotations.get("caveat") for numbered in answer.alerts if numbered.entry.status == "firing"}
    assert said <= {CAVEAT}


def test_case_09_an_episode_that_began_and_ended_in_a_silence_is_not_told_by_the_look_after_it_either():
    assert looked(group(FIRING, RESOLVED, hushed={"fp-a": OVER}), END) == ("struck", [], {FIRING.key, RESOLVED.key})


def test_what_began_after_the_silence_says_nothing_of_it():
    began = item("firing", replace(entry(), started_at=END + seconds(1)))

    assert "caveat" not in flush(group(began, hushed={"fp-a": OVER}), END + minutes(1)).alerts[0].entry.annotations


def test_a_reminder_that_was_suppressed_is_sent_at_once_when_that_ends():
    told = {"fp-a": Told(entry(), 1, NOON - HOURS4)}

    assert flush(group(open=told, hushed={"fp-a": SILENCED}), NOON) == END
    message = flush(group(open=told, hushed={"fp-a": OVER}), END)
    assert (message.type, message.alerts[0].entry.annotations["caveat"]) == ("alert.reminder", CAVEAT)


def test_events_wait_and_are_all_told_afterwards():
    events = [item("event", event_entry(name)) for name in "xy"]
    hushed = {one.entry.id: SILENCED for one in events}

    assert flush(group(*events, hushed=hushed), NOON) == END
    message = flush(group(*events, hushed=dict.fromkeys(hushed, replace(OVER, until=END))), END)
    assert len(message.alerts) == 2
    assert {told.entry.annotations["caveat"] for told in message.alerts} == {CAVEAT}


@pytest.mark.parametrize(
    ("hush", "interval", "again"),
    [
        pytest.param(SILENCED, minutes(1), END, id="at its end"),
        pytest.param(replace(SILENCED, watched=True), seconds(30), NOON + seconds(30), id="one that may lift: sooner"),
        pytest.param(replace(SILENCED, until=None), seconds(30), NOON + seconds(30), id="no known end: each interval"),
        pytest.param(replace(SILENCED, until=None), seconds(0), NOON + seconds(1), id="not without a pause"),
        pytest.param(replace(SILENCED, until=None), HOURS4, NOON + minutes(1), id="nor once in hours"),
    ],
)
def test_it_is_looked_again_when_it_may_have_ended(hush, interval, again):
    assert flush(replace(group(FIRING, hushed={"fp-a": hush}), interval=interval), NOON) == again


def test_the_suppressed_hold_up_nobody_else():
    other = item("firing", entry("b"))

    assert looked(group(FIRING, other, hushed={"fp-a": SILENCED}), NOON) == (
        "alert.firing", [("alr_b1", "firing", 1)], {other.key},
    )  # fmt: skip


def test_what_is_no_longer_suppressed_is_remembered_until_it_is_told():
    held = attended(group(FIRING), {"alr_a1": SILENCED}, NOON)
    later = attended(held, {}, NOON + minutes(20))

    assert held.hushed == {"fp-a": SILENCED}
    assert later.hushed == {"fp-a": replace(SILENCED, until=NOON + minutes(20), over=True)}
    assert attended(later, {}, END).hushed == later.hushed
    assert attended(replace(later, news=()), {}, END).hushed == {}


def test_a_suppression_goes_on_since_when_it_was_first_noticed():
    held = attended(group(FIRING), {"alr_a1": replace(SILENCED, since=NOON)}, NOON)
    again = attended(held, {"alr_a1": replace(SILENCED, since=NOON + minutes(1))}, NOON + minutes(1))

    assert again.hushed["fp-a"].since == NOON


class Silencing:
    """Suppresses some alerts until told otherwise; or fails."""

    def __init__(self, *ids, until=END, error=None):
        self.ids, self.until, self.error = set(ids), until, error

    async def __call__(self, _group, entries, _now):
        if self.error:
            raise self.error
        return {one.id: replace(SILENCED, until=self.until) for one in entries if one.id in self.ids}


async def deliver(store, channel, clock, source):
    for one in await store.claim_groups("ops", 20, LEASE):
        await tell_safely(store, Destination("ops", channel, suppress=Suppressor((source,))), one, clock)


@pytest.mark.parametrize("error", [StoreUnavailable("gone"), ValueError("bug")], ids=["unreadable", "bug"])
async def test_in_doubt_we_send(error):
    clock, channel = FakeClock(), RecordingChannel()
    store = FakeDeliveryStore(clock)
    store.owe(row("firing", entry()))
    clock.pass_(seconds(10))

    await deliver(store, channel, clock, Silencing("alr_a1", error=error))

    assert news_of(channel.arrived) == [("alr_a1", "firing", 1)]


async def test_case_09_one_message_when_the_silence_ends_and_it_says_so_once():
    clock, channel = FakeClock(), RecordingChannel()
    store, silence = FakeDeliveryStore(clock), Silencing("alr_a1")
    store.owe(row("firing", entry()))
    for _ in range(70):
        clock.pass_(minutes(1))
        await deliver(store, channel, clock, silence)
    store.owe(row("updated", entry(severity="critical")))
    clock.pass_(minutes(1))
    await deliver(store, channel, clock, Silencing())

    first, second = channel.arrived
    assert (first.at, first.alerts[0].entry.annotations["caveat"]) == (END, CAVEAT)
    assert "caveat" not in second.alerts[0].entry.annotations


async def test_what_was_told_before_is_not_reminded_of_while_it_is_silenced_and_is_at_once_when_that_ends():
    clock, channel = FakeClock(END - 5 * HOURS4), RecordingChannel()
    store, silence = FakeDeliveryStore(clock), Silencing("alr_a1")
    store.owe(row("firing", entry()))
    clock.pass_(minutes(1))
    await deliver(store, channel, clock, Silencing())
    while clock() < END:
        await deliver(store, channel, clock, silence)
        clock.pass_(minutes(1))
    assert len(channel.arrived) == 1
    await deliver(store, channel, clock, Silencing())

    assert [(one.type, one.at) for one in channel.arrived[1:]] == [("alert.reminder", clock())]
    assert channel.arrived[1].alerts[0].entry.annotations["caveat"].startswith("silenced since")


async def test_suppressed_news_in_front_do_not_starve_those_behind_them():
    clock, channel = FakeClock(), RecordingChannel()
    store = FakeDeliveryStore(clock)
    names = [f"n{number}" for number in range(3 * NEWS_READ_MAX)]
    store.owe(*(row("firing", entry(name)) for name in names), row("firing", entry("z")))
    clock.pass_(minutes(1))

    await deliver(store, channel, clock, Silencing(*(f"alr_{name}1" for name in names)))

    assert news_of(channel.arrived) == [("alr_z1", "firing", 1)]
