from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from monitor.model.silence import KEPT_FOR, SILENCES_MAX, Silence, Unless
from monitor.store.keys import SILENCES
from tests.builders import NOON, minutes

ONE = Silence(
    "sil_1",
    {"account": "hedge", "rule": ("Liq*", "Low")},
    NOON + minutes(60),
    "maria",
    "key rotation",
    starts_at=NOON,
    created_at=NOON,
    unless=Unless("equity", below=Decimal("50000.10")),
)


async def test_a_silence_comes_back_as_it_was(open_store):
    await (await open_store()).add_silence(ONE)

    assert await (await open_store()).silences(NOON) == (ONE,)


async def test_the_oldest_come_first(store):
    later = replace(ONE, id="sil_0", created_at=NOON + minutes(1))
    await store.add_silence(later)
    await store.add_silence(ONE)

    assert await store.silences(NOON) == (ONE, later)


async def test_one_that_is_ended_ends_now_and_only_once(store):
    await store.add_silence(ONE)
    ended = replace(ONE, ends_at=NOON + minutes(5))

    assert await store.end_silence("sil_1", NOON + minutes(5)) == ended
    assert await store.end_silence("sil_1", NOON + minutes(9)) == ended
    assert await store.silences(NOON + minutes(9)) == (ended,)
    assert await store.end_silence("sil_9", NOON) is None


async def test_what_ended_long_ago_is_forgotten(store):
    await store.add_silence(ONE)

    assert await store.silences(ONE.ends_at + KEPT_FOR - timedelta(seconds=1)) == (ONE,)
    assert await store.silences(ONE.ends_at + KEPT_FOR) == ()
    assert await store.silences(NOON) == ()


async def test_one_that_cannot_be_read_silences_nothing(store):
    await store.add_silence(ONE)
    await store._calls.command("HSET", SILENCES, "sil_2", b'{"id": 7}')

    assert await store.silences(NOON) == (ONE,)


async def test_there_are_so_many_and_no_more(store):
    fields = [part for number in range(SILENCES_MAX) for part in (f"sil_x{number}", b"{}")]
    await store._calls.command("HSET", SILENCES, *fields)

    assert not await store.add_silence(ONE)
