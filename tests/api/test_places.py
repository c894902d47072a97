"""Connections to a real server: so many, and the strangers go first."""

import asyncio
import contextlib
import re
import resource

import pytest

from monitor.api.auth import Token
from monitor.api.places import PLACES_MAX, room
from monitor.api.server import App, serve

TOKEN = "c4s1no-s3cret-token"
ASK = f"GET /v1/accounts HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Line:
    """A connection that stays open."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ask(self, request=ASK):
        """The status, or None where we were hung up on."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.writer.write(request)
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await self.reader.readexactly(int(length[1]))
            return int(head.split()[1])

    async def is_open(self):
        """Whoever is hung up on hears it at once."""
        with contextlib.suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(0.05):
                return await self.reader.read(1) != b""
            return False
        return not self.reader.at_eof() and self.reader.exception() is None


@pytest.fixture
async def door(context):
    """`(app, come)`: a server with room for five, and how to connect."""
    app, lines = App(context(tokens=(Token.of("casino", TOKEN, ["admin"]),))), []
    app.places.most = 5
    serving = await serve(app, "127.0.0.1:0")

    async def come(count=1):
        lines.extend([Line(*await asyncio.open_connection("127.0.0.1", serving.port)) for _ in range(count)])
        await asyncio.sleep(0.05)
        return lines[-count:]

    yield app, come
    for line in lines:
        line.writer.close()
    await serving.close()


async def still(lines):
    """Which of them are open."""
    return [await line.is_open() for line in lines]


async def test_strangers_make_room_for_whoever_comes_the_oldest_first_and_callers_stay(door):
    app, come = door
    [casino], strangers = await come(), await come(4)
    assert await casino.ask() == 200
    assert await strangers[0].ask(PROBE) == 200, "who has shown no token is a stranger, whatever it asks"

    newcomers = await come(2)

    assert await still(strangers) == [False, False, True, True]
    assert [await line.ask() for line in newcomers] == [200, 200]
    assert await casino.ask() == 200
    await come(50)
    assert [await line.ask() for line in (casino, *newcomers)] == [200, 200, 200]
    page = app.api.metrics.expose()[0].decode()
    assert 'balance_monitor_http_hung_up_total{who="stranger"} 52.0' in page


async def test_where_all_are_callers_a_newcomer_goes_until_one_of_them_has_left(door):
    app, come = door
    casinos = await come(5)
    assert [await line.ask() for line in casinos] == [200] * 5

    [late] = await come()
    assert await late.ask() is None
    assert [await line.ask() for line in casinos] == [200] * 5
    assert 'balance_monitor_http_hung_up_total{who="newcomer"} 1.0' in app.api.metrics.expose()[0].decode()

    casinos[0].writer.close()
    await asyncio.sleep(0.05)
    [next_one] = await come()
    assert await next_one.ask() == 200


async def test_who_shows_a_wrong_token_or_sends_no_request_stays_a_stranger(door):
    _, come = door
    wrong, slow, _, _, _ = await come(5)
    assert await wrong.ask(ASK.replace(b"c4s1no", b"c4s1n0")) == 401
    slow.writer.write(ASK[:40])

    await come(2)

    assert await still([wrong, slow]) == [False, False]


async def test_everything_comes_and_goes_and_nothing_is_kept(door):
    app, come = door
    lines = await come(5)
    assert await lines[0].ask() == 200
    for line in lines:
        line.writer.close()
    await asyncio.sleep(0.1)

    assert (len(app.places._strangers), len(app.places._known)) == (0, 0)


@pytest.mark.parametrize(
    ("files", "places"),
    [(1_024, 512), (65_536, PLACES_MAX), (resource.RLIM_INFINITY, PLACES_MAX), (1, 1)],
)
def test_half_of_the_files_that_a_process_may_have_open_are_its_own(monkeypatch, files, places):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    assert room() == places
