"""Pings to somebody outside, over real sockets."""

import socket

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from monitor.channels.http import Http, new_session
from monitor.clock import wall_clock
from monitor.config.watchdog_settings import Heartbeat
from monitor.egress import Egress
from monitor.errors import StoreUnavailable
from monitor.heartbeat import Heart
from monitor.metrics import PREFIX, Metrics
from tests.builders import minutes, seconds

TOKEN = "CANARY-0a1b2c3d-ping"


class Outside:
    """Whoever is pinged."""

    def __init__(self):
        self.pings, self.status, self.text, self.url = [], 200, "OK", ""

    async def handle(self, request):
        self.pings.append((request.method, request.path, (await request.read()).decode()))
        where = {"Location": self.url} if self.status == 302 else {}
        return web.Response(status=self.status, text=self.text, headers=where)


@pytest.fixture
async def outside():
    it = Outside()
    runner = web.ServerRunner(web.Server(it.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = "http://{}:{}/".format(*runner.addresses[0][:2]) + TOKEN
    yield it
    await runner.cleanup()


class Pulse:
    """A heart with a clock and a world of its own; `troubles` are what does not work."""

    def __init__(self, clock, session, *beats):
        self.metrics, self.troubles, self.clock = Metrics("1.0"), [], clock
        self.heart = Heart(clock, self.metrics.beats, self.examine, Http(session, wall_clock), lambda: self.beats)
        self.beats = beats

    async def examine(self):
        if isinstance(self.troubles, Exception):
            raise self.troubles
        return self.troubles

    async def passes(self, time):
        until = self.clock() + time
        while self.clock() < until:
            self.clock.pass_(seconds(1))
            await self.heart.beat()

    def counted(self, outcome):
        return self.metrics.registry.get_sample_value(f"{PREFIX}heartbeats_total", {"outcome": outcome}) or 0


def beat(url, every="1m"):
    return Heartbeat.model_validate({"url": url, "every": every})


@pytest.fixture
async def pulse(clock, outside):
    async with new_session() as session:
        yield Pulse(clock, session, beat(outside.url))


async def test_it_pings_at_once_and_then_in_its_rhythm(pulse, outside):
    await pulse.heart.beat()
    await pulse.passes(minutes(3))

    assert outside.pings == [("POST", f"/{TOKEN}", "ok")] * 4
    assert pulse.counted("ok") == 4


async def test_after_a_stall_it_pings_once_and_begins_a_rhythm_from_there(pulse, outside):
    await pulse.heart.beat()
    await pulse.passes(seconds(59))
    pulse.clock.pass_(minutes(5))
    await pulse.heart.beat()
    await pulse.passes(seconds(59))
    stalled = len(outside.pings)
    await pulse.passes(seconds(1))

    assert (stalled, len(outside.pings)) == (2, 3)


async def test_a_ping_that_comes_late_puts_off_none_of_those_to_come(pulse, outside):
    await pulse.heart.beat()
    pulse.clock.pass_(seconds(80))
    await pulse.heart.beat()
    pulse.clock.pass_(seconds(40))
    await pulse.heart.beat()

    assert len(outside.pings) == 3


async def test_nothing_is_sent_while_something_does_not_work_and_it_is_said_once(pulse, outside):
    pulse.troubles = ["overdue polls: 3, for example of hot"]
    with capture_logs() as logs:
        await pulse.passes(minutes(3))
        silent = list(outside.pings)
        pulse.troubles = StoreUnavailable("away")
        await pulse.passes(minutes(2))
        pulse.troubles = []
        await pulse.passes(minutes(1))

    assert (silent, len(outside.pings)) == ([], 1)
    assert [line["event"] for line in logs] == ["heartbeat.withheld", "heartbeat.resumed"]
    assert logs[0]["why"] == "overdue polls: 3, for example of hot"
    assert (pulse.counted("withheld"), pulse.counted("ok")) == (5, 1)


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_ping_that_is_not_taken_is_said_once_never_repeated_and_never_followed(pulse, outside, status):
    outside.status, outside.text = status, f"no check at {outside.url}"
    with capture_logs() as logs:
        await pulse.passes(minutes(3))
        tried = len(outside.pings)
        outside.status = 200
        await pulse.passes(minutes(1))

    assert (tried, pulse.counted("failed"), pulse.counted("ok")) == (3, 3, 1)
    assert [line["event"] for line in logs] == ["heartbeat.failing", "heartbeat.recovered"]
    assert TOKEN not in str(logs)


async def test_an_address_that_nobody_listens_on_is_said_without_naming_it(clock):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with new_session() as session:
        pulse = Pulse(clock, session, beat(f"http://127.0.0.1:{port}/{TOKEN}"))
        with capture_logs() as logs:
            await pulse.heart.beat()

    [line] = logs
    assert (line["event"], line["heartbeat"]) == ("heartbeat.failing", 1)
    assert TOKEN not in str(line)
    assert str(port) not in str(line)


async def test_the_egress_policy_holds_for_pings(clock, outside):
    async with new_session(Egress(deny_private=True)) as session:
        pulse = Pulse(clock, session, beat(outside.url))
        with capture_logs() as logs:
            await pulse.heart.beat()

    assert (outside.pings, "egress" in logs[0]["why"]) == ([], True)


async def test_case_49_the_last_ping_says_stopping_but_only_after_one_that_said_ok(pulse, outside):
    await pulse.heart.stopping()
    unknown = list(outside.pings)
    await pulse.heart.beat()
    await pulse.heart.stopping()
    pulse.troubles = ["we are offline"]
    await pulse.passes(minutes(1))
    await pulse.heart.stopping()

    assert unknown == []
    assert [said for _, _, said in outside.pings] == ["ok", "stopping"]


async def test_a_reload_changes_whom_it_pings_and_keeps_the_rhythm_of_the_rest(pulse, outside):
    await pulse.heart.beat()
    pulse.beats = (*pulse.beats, beat(f"{outside.url}/second", every="5m"))
    await pulse.passes(seconds(59))

    assert [path for _, path, _ in outside.pings] == [f"/{TOKEN}", f"/{TOKEN}/second"]
    pulse.beats = ()
    await pulse.passes(minutes(10))
    assert len(outside.pings) == 2


def test_a_heartbeat_prints_no_url():
    assert TOKEN not in repr(beat(f"https://hc.example/{TOKEN}"))
    assert isinstance(beat("https://hc.example/x").url, SecretStr)
