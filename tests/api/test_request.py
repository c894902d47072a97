"""Bodies: whole or in pieces, never larger than allowed, and asked for where a caller waits for that."""

import asyncio

import pytest
from structlog.testing import capture_logs

from monitor.api.replies import answer as reply
from monitor.api.request import BODY_MAX
from monitor.api.route import Route

HEAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


async def echo(_api, request):
    first = await request.read()
    assert await request.read() is first
    return reply({"size": len(first), "body": first[:40].decode()})


@pytest.fixture
async def talk(context, start):
    """Send pieces, a moment apart; all that came back until the connection was closed."""
    _, serving = await start(context(), [Route("POST", "/echo", echo)])

    async def talking(*pieces):
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        async with asyncio.timeout(5):
            said = await reader.read()
        writer.close()
        return said

    return talking


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([HEAD + b"Content-Length: 5\r\n\r\nhello"], id="with its head"),
        pytest.param([HEAD + b"Content-Length: 5\r\n\r\n", b"hello"], id="after its head"),
        pytest.param([HEAD + b"Content-Length: 5\r\n\r\nhe", b"l", b"lo"], id="in pieces"),
        pytest.param(
            [HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n", b"3\r\nllo\r\n0\r\n\r\n"], id="in chunks"
        ),
    ],
)
async def test_a_body_is_whole_however_it_comes(talk, pieces):
    said = await talk(*pieces)

    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b'{"size":5,"body":"hello"}')


@pytest.mark.parametrize("head", [b"", b"Content-Length: 0\r\n"])
async def test_no_body_is_an_empty_one(talk, head):
    assert b'{"size":0,"body":""}' in await talk(HEAD + head + b"\r\n")


@pytest.mark.parametrize(("size", "status"), [(BODY_MAX, 200), (BODY_MAX + 1, 413), (20 * BODY_MAX, 413)])
@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_body_of_unknown_size_is_read_as_far_as_it_may_be(talk, size, status, pieces):
    whole = HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"
    cut = len(whole) // pieces

    said = await talk(*(part for part in (whole[:cut], whole[cut:]) if part))

    assert said.startswith(b"HTTP/1.1 %d " % status)


async def test_who_waits_to_be_asked_for_the_body_is_asked(talk):
    head = HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"

    said = await talk(head, b"hello")

    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")


async def test_who_sends_the_body_unasked_is_not_asked_for_it(talk):
    said = await talk(HEAD + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\nhello")

    assert said.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("size", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
async def test_a_body_that_breaks_off_is_nobodys_bug(context, start, size):
    _, serving = await start(context(), [Route("POST", "/echo", echo)])
    _, writer = await asyncio.open_connection("127.0.0.1", serving.port)

    with capture_logs() as lines:
        writer.write(HEAD + size + b"\r\n\r\n1")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()
        await asyncio.sleep(0.05)

    assert lines == []
