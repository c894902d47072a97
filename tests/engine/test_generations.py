"""Two configurations on one store: the newer one has the last word."""

import asyncio
from dataclasses import replace

import pytest

from monitor.engine.poll import poll
from monitor.engine.watch import Watch
from monitor.errors import Outdated
from monitor.model.standing import Standing
from tests.builders import seconds
from tests.facts import answer, policy, rule
from tests.fakes import virtual_time
from tests.scenes import HOT, Free, scene


@virtual_time
async def test_two_configurations_on_one_store_do_not_make_an_alert_flap_between_them():
    """The older one asks no provider for what the newer one has judged, and decides nothing of it."""
    async with scene("40", rules=[rule("low_balance", below=50)]) as older:
        lower = Watch(policy(), [rule("low_balance", below=30)], older.polling.watching.due)
        newer = replace(older.polling, watching=lower, standing=Standing(2))
        older.polling.standing.generation = 1
        first = await older.poll()
        await asyncio.sleep(60)
        second = await poll(newer, HOT, await older.claim(), Free())
        asked = len(older.bank.asked)

        for _ in range(3):
            await asyncio.sleep(60)
            with pytest.raises(Outdated) as refused:
                await older.poll()
            assert refused.value.generation == 2

        assert [row.news for row in (*first.commit.rows, *second.commit.rows)] == ["firing", "resolved"]
        assert len(older.bank.asked) == asked


@virtual_time
async def test_a_newer_configuration_that_judges_while_the_older_one_reads_has_the_last_word():
    async with scene("40", rules=[rule("low_balance", below=50)]) as older:
        newer = replace(older.polling, watching=Watch(policy(), [], older.polling.watching.due), standing=Standing(2))
        claim = await older.claim()

        async def overtaken(_):
            await asyncio.sleep(60)
            await poll(newer, HOT, await older.claim(), Free())
            return answer({"USDT": "40"})

        older.bank.script = [overtaken, "40"]
        older.polling = replace(older.polling, timeout=seconds(3600))
        polled = await older.poll(claim)

        assert polled.result == "lost"
        assert (await older.record()).generation == 2
        assert await older.told() == []
