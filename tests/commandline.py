"""A command line run in this process, and a store that has a past."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta

import pytest

from monitor import cli
from monitor.engine.decide import decide
from monitor.engine.policy import Policy
from monitor.engine.route import compile_route
from monitor.model.record import Account, Record
from monitor.store.redis import RedisStore
from monitor.store.session import Keep
from tests.builders import minutes, seconds
from tests.facts import answer
from tests.fakes import FakeClock

NOTHING_ROUTED = Policy(compile_route(None, ()), minutes(60))


def run(monkeypatch, capfd, *words):
    """(exit code, stdout, stderr) of a command line."""
    monkeypatch.setattr(sys, "argv", ["balance-monitor", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    out, err = capfd.readouterr()
    return ended.value.code or 0, out, err


async def live(store: RedisStore, clock, readings, *, account="hot", rules=(), policy=NOTHING_ROUTED):
    """Commit polls as a daemon would: (minutes since the clock's time, reading) each; returns the last record."""
    start, who = clock(), Account(account, "bank", minutes(1), minutes(3))
    for minute, reading in readings:
        clock.now = start + minutes(minute)
        given = reading if not isinstance(reading, dict) else answer(reading, at=clock())
        await store.poll_now("bank", account)
        [claim] = (await store.claim("bank", 1, seconds(30))).claims
        decision = decide(await store.load(account), given, who, rules, policy, clock(), ())
        assert await store.commit("bank", decision, claim, clock() + timedelta(days=400)) == "written"
    clock.now = start
    return await store.load(account)


def past(url, lives, *, ago=timedelta(days=30), keep=None, **settings) -> Record | None:
    """Fill the store at `url` with what these accounts (name → readings) read since some time ago."""

    async def fill():
        clock = FakeClock(datetime.now(UTC) - ago)
        store = await RedisStore.connect(url, keep=keep or Keep(), clock_override=clock)
        try:
            for name, readings in lives.items():
                last = await live(store, clock, readings, account=name, **settings)
        finally:
            await store.close()
        return last

    return asyncio.run(fill())
