"""Whoever watches the monitor: heartbeats over real sockets, our own lost network, and a planned stop."""

import asyncio
import contextlib

from aiohttp import web

from tests.ports import free_port

#: The end of a self alert takes a moment's patience.
PATIENCE = 40
PING = "canary-ping-7d2e9b41"


@contextlib.asynccontextmanager
async def switch():
    """A dead man's switch: what it was told, in order."""
    told = []

    async def take(request):
        told.append((request.method, await request.text()))
        return web.Response(text="OK")

    app = web.Application()
    app.router.add_route("*", f"/{PING}", take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}/{PING}", told
    finally:
        await runner.cleanup()


def configure(place, url, more="", rules=""):
    place.write()
    file = place.path / "config.yaml"
    file.write_text(file.read_text() + f'heartbeats: [{{url: "{url}", every: 1s}}]\n{more}')
    if rules:
        (place.path / "rules.yaml").write_text(rules)
    return place


async def test_case_49_on_sigterm_what_is_in_flight_is_finished_the_heartbeat_says_stopping_and_it_exits_0(
    place, bank, chat, until
):
    async with switch() as (url, told):
        daemon = await configure(place, url).start()
        await until(lambda: told, "a ping")
        chat.hang = 1.0
        bank.held["hot"] = 40
        await until(lambda: chat.posts, "a message is in flight")
        assert await daemon.stop() == 0
        pings, polls = len(told), len(bank.asked)
        await asyncio.sleep(0.5)

    assert told[-1] == ("POST", "stopping")
    assert {said for _, said in told[:-1]} == {"ok"}
    assert (len(told), len(bank.asked)) == (pings, polls), "nothing after the end"
    assert [line["event"] for line in daemon.said()][-2:] == ["daemon.stopping", "daemon.stopped"]
    assert PING not in daemon.log.read_text()
    second = await place.start()
    bank.held["hot"] = 100
    await until(lambda: len(chat.heard) > 1, "the end is told")
    assert chat.heard == [("alert.firing", "hot", 1), ("alert.resolved", "hot", 2)], "and nothing twice"
    assert await second.stop() == 0


async def test_case_49_what_cannot_be_finished_in_time_is_told_by_whoever_comes_next(
    place, bank, chat, until, pass_leases
):
    chat.hang = True
    daemon = await place.write(shutdown="1s").start()
    bank.held["hot"] = 40
    await until(lambda: chat.posts, "a message is in flight")
    assert await daemon.stop() == 0
    assert daemon.said("daemon.unfinished")
    chat.hang = False
    bank.held["hot"] = 100
    second = await place.start()
    with place.server() as server:
        pass_leases(server)
    await until(lambda: ("alert.resolved", "hot", 2) in chat.heard, "all of it is told")

    assert chat.posts[0] == chat.posts[1], "as it was, under the same id"
    assert await second.stop() == 0


async def test_a_heartbeat_stops_while_nobody_delivers_and_says_why(place, bank, until, redis_server, chat):
    """With one role only, and nobody who polls."""
    async with switch() as (url, told):
        configure(place, url)
        file = place.path / "config.yaml"
        file.write_text(file.read_text().replace("embedded:./data", redis_server.url))
        daemon = await place.start()
        await until(lambda: told, "a ping")
        await redis_server.stop()
        [line] = await until(lambda: daemon.said("heartbeat.withheld"), "it is withheld")
        count = len(told)
        await asyncio.sleep(2.5)
        silent = len(told) - count
        await redis_server.start()
        await until(lambda: daemon.said("heartbeat.resumed"), "it goes on", patience=PATIENCE)

    assert "store" in line["why"]
    assert silent <= 1


async def test_case_50_our_own_lost_network_is_told_once_and_no_provider_is_blamed(place, bank, chat, until):
    rules = (
        "rules:\n"
        "  - {alert: Down, type: provider_down, after: 300ms, severity: critical}\n"
        "  - {alert: Low, type: low_balance, assets: [USDT], below: 50}\n"
    )
    # Nobody listens at the one, nor at the other while the way to the provider is lost.
    target, away = free_port(), free_port()
    async with switch() as (url, told):
        configure(place, url, f'connectivity: {{targets: ["127.0.0.1:{target}"]}}\n', rules)
        file, online = place.path / "config.yaml", bank.url
        relay = Relay(away, online)
        file.write_text(file.read_text().replace(online, f"http://127.0.0.1:{away}"))
        await relay.open()
        daemon = await place.start()
        await until(lambda: told and len(bank.asked) > 2, "all is well")
        await relay.close()
        await until(lambda: daemon.said("network.lost"), "it is noticed")
        [(rule, kind, _)] = await until(lambda: chat.self_told, "it is told")
        pings = len(told)
        await asyncio.sleep(3)
        silent = len(told) - pings
        await relay.open()
        await until(lambda: daemon.said("network.recovered"), "it is over")
        await until(lambda: len(chat.self_told) == 2, "its end is told", patience=PATIENCE)
        await until(lambda: len(told) > pings + 1, "heartbeats go on")
        assert await daemon.stop() == 0
        await relay.close()

    assert (rule, kind) == ("SelfOffline", "alert.firing")
    assert [kind for _, kind, _ in chat.self_told] == ["alert.firing", "alert.resolved"]
    assert silent <= 1
    assert chat.heard == [], "neither while it lasted nor when it was over"


class Relay:
    """A way to the provider that can be cut."""

    def __init__(self, port, online):
        self.port, self.goal = port, ("127.0.0.1", int(online.rpartition(":")[2]))
        self.lines = set()

    async def open(self):
        self.server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def close(self):
        self.server.close()
        for writer in self.lines:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _pass(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection(*self.goal)
        self.lines |= {writer, far_writer}

        async def pump(source, sink):
            with contextlib.suppress(ConnectionError, OSError):
                while chunk := await source.read(65536):
                    sink.write(chunk)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer), return_exceptions=True)
