"""A reminder tells what is known now, under the id and number it would have had."""

from dataclasses import replace
from decimal import Decimal

from monitor.engine.afresh import Afresh
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.suppress import Suppressor
from monitor.engine.watch import account_of_checkup
from monitor.errors import DeliveryDeferred
from monitor.model.group import Hush
from monitor.model.record import Record
from tests.builders import NOON, entry, minutes, row, seconds
from tests.facts import Watched, account, answer, checkup, outage, rule
from tests.fakes import FakeClock, FakeDeliveryStore, RecordingChannel

LOW = rule("low_balance", alert="Low", below=50)
HOT = account("hot-usdt", labels={"role": "hot"})


class Shelf:
    """Records by account."""

    def __init__(self, *records):
        self.records = {record.account: record for record in records}

    async def load_many(self, names):
        return [self.records.get(name, Record(name)) for name in names]


def afresh(*records, rules=(LOW,), accounts=(HOT,), now=NOON):
    return Afresh(Shelf(*records), {one.name: one for one in accounts}, {one.alert: one for one in rules}, lambda: now)


def fired(then, *later):
    """What was told when it fired, and the record after these readings, a minute apart."""
    watched = Watched((LOW,), account=HOT)
    watched.see(answer({"USDT": then}), NOON)
    for place, reading in enumerate(later, start=1):
        now = NOON + minutes(place)
        watched.see(outage(now) if reading == "error" else answer({"USDT": reading}, at=now), now)
    return watched.told[0][2], watched.record


async def test_case_11_it_tells_the_value_and_the_time_of_the_last_good_reading():
    told, record = fired("40", "10")

    [anew] = await afresh(record)([told])

    assert (anew.id, anew.value, anew.observed_at) == (told.id, 10, NOON + minutes(1))
    assert anew.annotations == {"summary": "hot-usdt USDT available 10 is below 50"}
    assert anew.labels == {"role": "hot"}


async def test_case_11_while_nothing_can_be_read_it_says_as_of_when_that_is():
    told, record = fired("40", "30", "error")

    [anew] = await afresh(record)([told])

    assert anew.value == 30
    assert anew.annotations["caveat"] == "as last read at 2026-11-20T12:01:00Z"


async def test_an_alert_that_ended_or_belongs_to_nobody_here_is_told_as_it_was():
    told, record = fired("40", "60")
    strange = replace(told, account="gone"), replace(told, rule="Gone")

    assert await afresh(record)([told, *strange]) == (told, *strange)


async def test_of_a_provider_it_looks_where_that_is_judged():
    down = rule("provider_down", alert="Down", after="1m")
    pseudo = account_of_checkup("casino", minutes(1))
    watched = Watched((down,), account=pseudo, record=Record(pseudo.name))
    for minute in (2, 9):
        now = NOON + minutes(minute)
        watched.see(checkup(now=now, failing_since=NOON, good_at=NOON - minutes(1)).health, now)
    told = watched.told[0][2]

    [anew] = await afresh(watched.record, rules=(down,), accounts=(pseudo,), now=NOON + minutes(9))([told])

    assert (told.value, anew.value) == (Decimal(120), Decimal(540))


async def test_a_reminder_is_told_afresh_and_repeated_byte_for_byte_when_it_fails():
    clock, values = FakeClock(), iter((30, 20, 10))
    store = FakeDeliveryStore(clock)

    async def now(entries):
        return [replace(one, value=Decimal(next(values))) for one in entries]

    channel = RecordingChannel([None, DeliveryDeferred("HTTP 503"), DeliveryDeferred("HTTP 503")])
    store.owe(row("firing", entry()))
    for wait in (seconds(10), minutes(240), seconds(2), seconds(7), minutes(240)):
        clock.pass_(wait)
        for group in await store.claim_groups("ops", 20, LEASE):
            await tell_safely(store, Destination("ops", channel, afresh=now), group, clock)

    told = [(one.type, one.alerts[0].sequence, one.alerts[0].entry.value) for one in channel.tried]
    assert [(kind, number) for kind, number, _ in told] == [
        ("alert.firing", 1), ("alert.reminder", 2), ("alert.reminder", 2), ("alert.reminder", 2), ("alert.reminder", 3),
    ]  # fmt: skip
    assert len({one.id for one in channel.tried[1:4]}) == 1
    assert [value for _, _, value in told[1:4]] == [30, 30, 30]


async def test_what_was_held_back_is_told_as_it_is_when_it_may_be_told():
    clock, channel = FakeClock(), RecordingChannel([DeliveryDeferred("HTTP 503")])
    store = FakeDeliveryStore(clock)
    ends = NOON + minutes(30)
    values = iter((20, 10))

    async def silence(group, entries, now):
        return {one.id: Hush("silenced", NOON, until=ends, by="maria", why="move") for one in entries if now < ends}

    async def now(entries):
        return [replace(one, value=Decimal(next(values))) for one in entries]

    chat = Destination("ops", channel, afresh=now, suppress=Suppressor((silence,)))
    store.owe(row("firing", entry()))
    for wait in (seconds(10), minutes(29), minutes(1), seconds(2), seconds(7)):
        clock.pass_(wait)
        for group in await store.claim_groups("ops", 20, LEASE):
            await tell_safely(store, chat, group, clock)

    first, again = channel.tried
    assert first == again, "a second try says the same"
    [told] = first.alerts
    assert (first.type, told.sequence, told.entry.value) == ("alert.firing", 1, 20)
    assert told.entry.annotations["caveat"].count("silenced since") == 1
