"""Whether we are offline: real targets on loopback, fake polls."""

import asyncio
import contextlib
import socket

import pytest

from monitor import connectivity
from monitor.concerns import Concerns
from monitor.config.watchdog_settings import Connectivity
from monitor.connectivity import Lookout, any_reached
from monitor.egress import Egress
from monitor.engine.poll import BUG
from tests.builders import NOON, seconds
from tests.facts import account, answer, outage

HERE = Egress()
CASINO, CUSTODY = account("hot", provider="casino"), account("treasury", provider="custody")


def closed():
    """A target that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextlib.asynccontextmanager
async def opened(target=None):
    """A target that takes them."""
    port = int(target.partition(":")[2]) if target else 0
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", port)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@contextlib.contextmanager
def deaf():
    """A target that answers nothing at all: its queue of connections is full."""
    with socket.socket() as listener, contextlib.ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        where = listener.getsockname()
        for _ in range(3):
            line = stack.enter_context(socket.socket())
            line.setblocking(False)
            line.connect_ex(where)
        yield f"127.0.0.1:{where[1]}"


async def test_one_target_that_takes_a_connection_is_enough():
    async with opened() as target:
        assert await any_reached([closed(), target], HERE)


async def test_closed_ports_and_names_that_do_not_resolve_are_not_reached():
    assert not await any_reached([closed(), "no-such-host.invalid:53"], HERE)


async def test_a_target_that_answers_nothing_is_not_waited_for_longer_than_its_time(monkeypatch):
    monkeypatch.setattr(connectivity, "CONNECT_TIMEOUT", 0.1)
    with deaf() as target:
        async with asyncio.timeout(20):
            assert not await any_reached([target], HERE)


async def test_the_egress_policy_holds_for_targets():
    async with opened() as target:
        assert not await any_reached([target], Egress(deny_private=True))
        assert await any_reached([target], Egress(deny_private=True, allow=("127.0.0.0/8",)))


def lookout(clock, *targets):
    it = Lookout(clock, Concerns(clock, "web-1:7"))
    it.expect([CASINO, CUSTODY], Connectivity(targets=targets) if targets else None, HERE)
    return it


def told(it):
    return [(report.name, report.why) for report in it.concerns._held.values()]


async def test_case_50_our_own_lost_network_is_one_report_and_ends_when_everybody_is_read_again(clock):
    target = closed()
    it = lookout(clock, target)
    it.heard(CASINO, outage(NOON))
    assert it.bell.is_set(), "it is looked at at once"
    await it.look()
    assert (it.offline, it.blame("casino")) == (False, "unsure")
    it.heard(CUSTODY, outage(NOON))
    clock.pass_(seconds(1))
    await it.look()

    assert it.offline
    assert told(it) == [("SelfOffline", f"neither casino, custody nor {target} can be reached")]
    async with opened(target):
        clock.pass_(seconds(60))
        await it.look()
        assert it.offline, "nobody has been read yet"
        for one in (CASINO, CUSTODY):
            it.heard(one, answer())
        clock.pass_(seconds(1))
        await it.look()
    assert (it.offline, told(it)) == (False, [])


async def test_providers_that_are_down_while_a_target_answers_are_down(clock):
    async with opened() as target:
        it = lookout(clock, target)
        for one in (CASINO, CUSTODY):
            it.heard(one, outage(NOON))
        await it.look()

    assert (it.offline, it.blame("casino"), told(it)) == (False, "theirs", [])


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(outage(NOON, kind="refused", scope="credentials"), id="a refusal"),
        pytest.param(outage(NOON, kind="garbled"), id="garbage"),
        pytest.param(outage(NOON, why="HTTP 503", answered=True), id="a 5xx"),
        pytest.param(answer(), id="a reading"),
    ],
)
async def test_whoever_answers_anything_says_that_we_are_online(clock, reading):
    it = lookout(clock, closed())
    it.heard(CASINO, outage(NOON))
    it.heard(CUSTODY, outage(NOON))
    it.heard(CUSTODY, reading)
    await it.look()

    assert (it.offline, it.blame("casino")) == (False, "theirs")


@pytest.mark.parametrize(
    "reading",
    [
        pytest.param(outage(NOON, kind="throttled"), id="our own quota"),
        pytest.param(outage(NOON, kind="refused", asked_at=NOON), id="a refusal that is only repeated"),
        pytest.param(outage(NOON, kind="garbled", why=f"{BUG} adapter: KeyError"), id="a bug of ours"),
    ],
)
async def test_what_nobody_answered_says_nothing(clock, reading):
    it = lookout(clock, closed())
    it.heard(CASINO, outage(NOON))
    it.heard(CUSTODY, reading)
    await it.look()

    assert (it.offline, it.blame("casino")) == (False, "unsure")


async def test_without_targets_nothing_is_looked_at(clock):
    it = lookout(clock)
    it.heard(CASINO, outage(NOON))
    it.heard(CUSTODY, outage(NOON))
    await it.look()

    assert (it.offline, it.bell.is_set(), it.blame("casino")) == (False, False, "theirs")


async def test_a_reload_without_targets_settles_what_was_reported(clock):
    it = lookout(clock, closed())
    for one in (CASINO, CUSTODY):
        it.heard(one, outage(NOON))
    await it.look()
    assert told(it)
    it.expect([CASINO, CUSTODY], None, HERE)

    assert (it.offline, told(it)) == (False, [])
