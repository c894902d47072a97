"""How answers look on the wire, and when a connection stays for the next request."""

import asyncio
import re

import pytest

GET, HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", b"HEAD /healthz HTTP/1.1\r\nHost: localhost\r\n"
END, CLOSE = b"\r\n", b"Connection: close\r\n\r\n"
BODY = b'{"status":"ok"}'


@pytest.fixture
async def talk(context, start):
    """Send something; all that came back until the connection was closed, and whether it was."""
    _, serving = await start(context())

    async def talking(request, wait=5.0):
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
        writer.write(request)
        said = bytearray()
        try:
            async with asyncio.timeout(wait):
                while chunk := await reader.read(1_000):
                    said += chunk
        except TimeoutError:
            return bytes(said), False
        finally:
            writer.close()
        return bytes(said), True

    return talking


def parts(answer):
    """First line, headers without the date, which is looked at, and body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines)
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", headers.pop("Date"))
    return first, headers, body


async def test_an_answer_is_what_it_says_and_nothing_else(talk):
    said, _ = await talk(GET + CLOSE)

    first, headers, body = parts(said)
    assert (first, body) == ("HTTP/1.1 200 OK", BODY)
    assert headers == {
        "Content-Type": "application/json",
        "Server": "balance-monitor",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Content-Length": str(len(BODY)),
        "Connection": "close",
    }


async def test_a_problem_has_headers_of_its_own(talk):
    said, _ = await talk(b"DELETE /healthz HTTP/1.1\r\nHost: localhost\r\n" + CLOSE)

    first, headers, body = parts(said)
    assert first == "HTTP/1.1 405 Method Not Allowed"
    assert (headers["Content-Type"], headers["Allow"]) == ("application/problem+json", "GET, HEAD")
    assert headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("request_", [HEAD + CLOSE, HEAD.replace(b"healthz", b"nothing") + CLOSE])
async def test_the_answer_to_head_is_that_to_get_without_its_body(talk, request_):
    head, _ = await talk(request_)
    get, _ = await talk(request_.replace(b"HEAD", b"GET"))

    first, headers, body = parts(get)
    assert int(headers["Content-Length"]) == len(body) > 0
    assert parts(head) == (first, headers, b"")


@pytest.mark.parametrize(
    ("request_", "first", "connection", "closed"),
    [
        pytest.param(GET + END, "HTTP/1.1 200 OK", None, False, id="it stays"),
        pytest.param(GET + CLOSE, "HTTP/1.1 200 OK", "close", True, id="unless the caller says otherwise"),
        pytest.param(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n", "HTTP/1.0 200 OK", None, True, id="1.0"),
        pytest.param(
            b"GET /healthz HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n",
            "HTTP/1.0 200 OK", "keep-alive", False, id="1.0, asked to stay",
        ),
    ],
)  # fmt: skip
async def test_a_connection_stays_or_goes_and_the_answer_says_which(talk, request_, first, connection, closed):
    said, ended = await talk(request_, wait=5.0 if closed else 0.3)

    found, headers, body = parts(said)
    assert (found, headers.get("Connection"), body) == (first, connection, BODY)
    assert ended is closed


async def test_requests_that_come_together_are_answered_one_after_the_other(talk):
    post = b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"

    said, closed = await talk(GET + END + post + HEAD + END + GET + CLOSE)

    assert closed
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", said)] == [200, 405, 200, 200]
    assert said.endswith(BODY)
