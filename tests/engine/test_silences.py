"""Silences: whom they match, when they are lifted, and how soon a change holds."""

from dataclasses import replace
from decimal import Decimal

import pytest
from pydantic import ValidationError

from monitor.engine.silence_words import FiledSilence, NewSilence, filed, silence_view
from monitor.engine.silences import Board, Silenced
from monitor.errors import StoreUnavailable
from monitor.model.group import Hush, Told
from monitor.model.record import Record
from monitor.model.silence import Silence, Unless
from monitor.model.snapshot import Snapshot
from tests.builders import NOON, entry, group, minutes, seconds
from tests.fakes import FakeClock

END = NOON + minutes(60)
ROTATION = Silence("sil_1", {"account": "hot-a"}, END, "maria", "key rotation", starts_at=NOON - minutes(5))
HUSHED = Hush("silenced", NOON - minutes(5), END, "maria", "key rotation")
GUARDED = replace(ROTATION, unless=Unless("equity", below=Decimal(50_000)))


class Shelf:
    """Silences and records in memory; counts how often it is asked."""

    def __init__(self, *silences, **equities):
        self.kept, self.asked, self.roused, self.down = list(silences), 0, [], False
        self.amounts = {"hot-a": equities}

    async def silences(self, now):
        self.asked += 1
        if self.down:
            raise StoreUnavailable("gone")
        return tuple(self.kept)

    async def rouse(self, channel):
        self.roused.append(channel)

    async def load_many(self, accounts):
        return [self._record(name) for name in accounts]

    def _record(self, name):
        amounts = {asset: {"equity": Decimal(value)} for asset, value in self.amounts.get(name, {}).items()}
        return Record(name, snapshot=Snapshot(NOON - minutes(300), amounts) if amounts else None)


async def hushed(*silences, one=None, now=NOON, **equities):
    one = one or entry()
    source = Silenced(Board(Shelf(*silences, **equities), lambda: now))
    return (await source(group(), [one], now)).get(one.id)


@pytest.mark.parametrize(
    ("silence", "held"),
    [
        pytest.param(ROTATION, True, id="its account"),
        pytest.param(replace(ROTATION, match={"account": "hot-b"}), False, id="another account"),
        pytest.param(replace(ROTATION, match={"rule": "Hot*", "severity": ("warning", "critical")}), True, id="globs"),
        pytest.param(replace(ROTATION, match={"role": "hot"}), True, id="a label of the account"),
        pytest.param(replace(ROTATION, starts_at=NOON + seconds(1)), False, id="not yet"),
        pytest.param(replace(ROTATION, ends_at=NOON), False, id="no longer"),
    ],
)
async def test_a_silence_holds_for_what_it_matches_while_it_lasts(silence, held):
    assert (await hushed(silence) is not None) == held


async def test_the_silence_that_lasts_longest_is_said():
    longer = replace(ROTATION, id="sil_2", ends_at=END + minutes(5), author="joe")

    assert await hushed(ROTATION, longer) == replace(HUSHED, until=END + minutes(5), by="joe")


@pytest.mark.parametrize(
    ("equities", "one", "held"),
    [
        pytest.param({"USDT": 60_000}, None, True, id="not worse than stated"),
        pytest.param({"USDT": 49_999}, None, False, id="worse than stated"),
        pytest.param({"USDT": 60_000, "BTC": 1}, None, True, id="the alert's own asset counts"),
        pytest.param({"USDC": 60_000, "BTC": 1}, None, False, id="else any asset of the account"),
        pytest.param({}, None, False, id="nothing is known of it: it could not be lifted, so it hides nothing"),
        pytest.param(
            {}, entry(account="", measure="equity", value=Decimal(60_000)), True, id="a sum: by its own value"
        ),
        pytest.param({}, entry(account="", measure="equity", value=Decimal(4)), False, id="a sum that is worse"),
        pytest.param({}, entry(account="", measure="total", value=Decimal(60_000)), False, id="of another measure"),
        pytest.param({}, entry(account="", measure="equity", value=None), False, id="a sum that nobody knows"),
        pytest.param({"BTC": 60_000}, None, True, id="which is well"),
        pytest.param({"BTC": 60_000, "ETH": 1}, None, False, id="of several assets the worst counts"),
    ],
)
async def test_case_09_a_silence_is_lifted_when_things_get_worse_than_stated(equities, one, held):
    one = one and replace(one, labels={"account": ""})
    silence = replace(GUARDED, match={"rule": "Hot*"})

    found = await hushed(silence, one=one, **equities)

    assert (found is not None) == held
    assert found is None or found.watched


@pytest.mark.parametrize(
    ("silence", "told", "held"),
    [
        pytest.param(GUARDED, Told(entry(), 1, NOON - minutes(5)), False, id="heard of while it was silenced"),
        pytest.param(GUARDED, Told(entry(), 1, NOON - minutes(6)), True, id="heard of before"),
        pytest.param(GUARDED, Told(entry(), 1, NOON, heard=False), True, id="never heard of"),
        pytest.param(GUARDED, Told(entry(episode=0), 1, NOON), True, id="heard of another episode"),
        pytest.param(GUARDED, None, True, id="not known"),
        pytest.param(ROTATION, Told(entry(), 1, NOON), True, id="nothing lifts it"),
        pytest.param(replace(GUARDED, starts_at=None), Told(entry(), 1, NOON), True, id="holds since ever"),
    ],
)
async def test_who_heard_of_an_alert_through_a_lifted_silence_also_hears_how_it_ends(silence, told, held):
    source = Silenced(Board(Shelf(silence, USDT=60_000), lambda: NOON))
    over = entry(status="resolved")

    found = await source(group(open={"fp-a": told} if told else {}), [over], NOON)

    assert (over.id in found) == held


async def test_a_silence_that_nothing_lifts_is_sure_and_is_said_before_one_that_may_be():
    guarded = replace(GUARDED, id="sil_2", ends_at=END + minutes(5))

    assert await hushed(guarded, ROTATION, USDT=60_000) == HUSHED


async def test_what_was_read_last_counts_however_old():
    """Keys that are rotated fail polls: that alone must not wake anybody."""
    assert await hushed(GUARDED, USDT=60_000) is not None


async def test_an_unconditional_silence_holds_beside_a_lifted_one():
    assert await hushed(GUARDED, replace(ROTATION, id="sil_2"), USDT=1) == HUSHED


async def test_silences_are_read_once_a_second_whoever_asks():
    clock, shelf = FakeClock(), Shelf(ROTATION)
    board = Board(shelf, clock)
    for _ in range(5):
        await board.held()
        clock.pass_(seconds(0.25))
    await board.held()

    assert shelf.asked == 2


async def test_a_change_rouses_every_channel_once():
    clock, rung, shelf = FakeClock(), [], Shelf(ROTATION)
    board = Board(shelf, clock, channels=("ops", "chat"), changed=lambda: rung.append(clock()))
    await board.refresh()
    clock.pass_(seconds(1))
    await board.refresh()
    shelf.kept = [replace(ROTATION, ends_at=NOON)]
    # A delivery reads it first.
    clock.pass_(seconds(1))
    await board.held()
    await board.refresh()

    assert shelf.roused == ["ops", "chat"] * 2, "at the start, for what was different before it; and for the change"
    assert len(rung) == 2


async def test_where_the_store_cannot_be_read_those_of_the_configuration_hold():
    clock, shelf = FakeClock(), Shelf()
    shelf.down = True
    source = Silenced(Board(shelf, clock, filed=(ROTATION,)))

    assert await source(group(), [entry()], NOON) == {"alr_a1": HUSHED}


SAID = {"match": {"account": "hedge"}, "ends_at": "2026-12-01T06:00:00Z", "author": "maria", "comment": "key rotation"}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"ends_at": "2026-12-01T06:00:00"}, "not a time with its zone"),
        ({"ends_at": None}, "not a time with its zone"),
        ({"author": " "}, "pattern"),
        ({"comment": None}, "string"),
        ({"match": {}}, "at least 1"),
        ({"match": {"rule": "*"}}, "silence everything"),
        ({"unless": {"measure": "equity"}}, "either `below` or `above`"),
        ({"unless": {"measure": "equty", "below": 5}}, "did you mean 'equity'"),
        ({"starts_at": "2026-12-02T06:00:00Z"}, "end after it starts"),
        ({"matchers": []}, "Extra inputs"),
    ],
)
def test_a_silence_that_is_not_sound_is_refused(changes, what):
    with pytest.raises(ValidationError, match=what):
        FiledSilence.model_validate({**SAID, **changes})


def test_the_id_of_a_filed_silence_comes_from_what_it_says():
    one, same, other = (
        FiledSilence.model_validate({**SAID, **changes}) for changes in ({}, {}, {"comment": "moving house"})
    )

    ids = [silence.id for silence in filed([one, same, other])]
    assert len(set(ids)) == len(ids) == 2
    assert ids[0].startswith("sil_")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({}, "either `ends_at` or `duration`"),
        ({"duration": "0s"}, "end after it starts"),
        ({"ends_at": "2026-11-19T00:00:00Z"}, "end after it starts"),
        ({"duration": "400d"}, "within 366 days"),
    ],
)
def test_a_new_silence_has_an_end_in_sight(changes, what):
    asked = {key: value for key, value in SAID.items() if key != "ends_at"} | changes

    with pytest.raises(ValueError, match=what):
        NewSilence.model_validate(asked).silence(NOON)


def test_a_new_silence_as_it_is_shown():
    asked = {**SAID, "ends_at": None, "duration": "2h", "unless": {"measure": "equity", "below": "50_000"}}
    asked.pop("ends_at")

    view = silence_view(NewSilence.model_validate(asked).silence(NOON), NOON)

    assert view.pop("id").startswith("sil_")
    assert view == {
        "state": "active",
        "match": {"account": "hedge"},
        "starts_at": "2026-11-20T12:00:00.000Z",
        "ends_at": "2026-11-20T14:00:00.000Z",
        "author": "maria",
        "comment": "key rotation",
        "unless": {"measure": "equity", "below": "50000"},
        "created_at": "2026-11-20T12:00:00.000Z",
        "source": "api",
    }
