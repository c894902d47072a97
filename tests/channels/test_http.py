import asyncio
import ssl
import traceback
from datetime import timedelta

import pytest
from aiohttp import web
from pydantic import SecretStr

from monitor.channels.http import BODY_MAX, Http, new_session, retry_after, sendable
from monitor.clock import wall_clock
from monitor.egress import Egress
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from tests.builders import NOON, seconds
from tests.channels.mailserver import PEM

HOUR = seconds(3600)
CANARY = "CANARY0123456789"


async def post(http, url, within=None):
    return await http.post(SecretStr(url), b"{}", {"Content-Type": "application/json"}, NOON, within)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        pytest.param("", None, id="none"),
        pytest.param("30", seconds(30), id="whole seconds"),
        pytest.param("0", seconds(0), id="now"),
        pytest.param("0.3", seconds(1), id="a fraction rounds up"),
        pytest.param("1000000000", HOUR, id="an absurd number is an hour"),
        pytest.param("9" * 400, None, id="more digits than any number has"),
        pytest.param("-5", None, id="negative"),
        pytest.param("soon", None, id="a word"),
        pytest.param("nan", None, id="not a number"),
        pytest.param("inf", None, id="infinity"),
        pytest.param("1e3", None, id="an exponent"),
        pytest.param("٣", None, id="digits of another script"),
        pytest.param("Fri, 20 Nov 2026 12:00:30 GMT", seconds(30), id="an HTTP date"),
        pytest.param("Fri, 20 Nov 2026 12:00:30", seconds(30), id="a date without a zone is UTC"),
        pytest.param("Fri, 20 Nov 2026 11:00:00 GMT", seconds(0), id="a date in the past"),
        pytest.param("Fri, 20 Nov 2099 12:00:00 GMT", HOUR, id="a date far ahead"),
        pytest.param("Fri, 99 Nov 2026 12:00:00 GMT", None, id="a date that is none"),
    ],
)
def test_a_destination_s_wait_is_read_within_bounds(value, wait):
    assert retry_after(value, NOON) == wait


@pytest.mark.parametrize("url", ["ftp://h/x", "https:///x", "hooks.example/x", "https://h:port/x", "https://h/a b", ""])
def test_what_cannot_be_posted_to_is_refused_without_quoting_it(url):
    with pytest.raises(ValueError, match="must be https") as caught:
        sendable(url)
    assert not url or url not in str(caught.value)


async def test_the_bytes_arrive_as_they_are_and_nothing_is_added(http, receiver):
    reply = await post(http, receiver.url)

    [(_, headers, body)] = receiver.requests
    assert (reply.status, reply.text, body) == (200, "ok", b"{}")
    assert headers["User-Agent"] == "balance-monitor"
    assert headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in headers


async def test_no_proxy_of_the_environment_dials_instead_of_us(receiver, monkeypatch):
    """It would dial whatever it is told, and the address check would be one of the proxy's address."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async with new_session() as session:
        await Http(session, wall_clock).post(SecretStr(receiver.url), b"{}", {}, NOON)

    assert len(receiver.requests) == 1


async def test_a_body_of_any_size_arrives_in_whole(http, receiver):
    body = b"0123456789" * 300_000

    await http.post(SecretStr(receiver.url), body, {"Content-Type": "application/json"}, NOON)

    [(_, headers, arrived)] = receiver.requests
    assert arrived == body
    assert headers["Content-Length"] == str(len(body))


async def test_a_redirect_is_an_answer_and_its_target_is_never_visited(http, receiver):
    receiver.answers = [(308, "", {"Location": receiver.url + "/elsewhere"})]

    assert (await post(http, receiver.url)).status == 308
    assert len(receiver.requests) == 1


async def test_of_a_long_answer_only_the_beginning_is_kept(http, receiver):
    receiver.answers = [(500, "x" * 5_000_000, {})]

    assert len((await post(http, receiver.url)).text) == BODY_MAX


async def test_an_endless_answer_ends_with_us(http, receiver):
    async def endless(request):
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(b"x" * 65536)
        except ConnectionError:
            return answer

    receiver.answers = [endless]

    assert (await post(http, receiver.url)).status == 200


async def test_a_compressed_answer_is_not_blown_up(http, receiver):
    receiver.answers = [(500, b"\x1f\x8b" + b"\0" * 100, {"Content-Encoding": "gzip"})]

    assert (await post(http, receiver.url)).status == 500


async def test_what_breaks_after_the_status_does_not_change_the_status(http, receiver):
    async def torn(request):
        answer = web.StreamResponse(headers={"Content-Length": "100"})
        await answer.prepare(request)
        await answer.write(b"half")
        request.transport.close()
        return answer

    receiver.answers = [torn]

    assert (await post(http, receiver.url)).status == 200


async def test_a_slow_answer_is_no_answer(http, receiver):
    async def slow(request):
        await asyncio.sleep(5)
        return web.Response()

    receiver.answers = [slow]

    with pytest.raises(DeliveryDeferred, match="no answer in time"):
        await post(http, receiver.url, timedelta(milliseconds=50))


async def reset(request):
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{CANARY}",
        f"http://no-such-host.invalid/{CANARY}",
        f"https://127.0.0.1:PORT/{CANARY}",
        f"http://127.0.0.1:PORT/{CANARY}",
        f"http://user:{CANARY}@127.0.0.1:1/",
        f"http://[::1/{CANARY}",
        f"ftp://127.0.0.1/{CANARY}",
        f"http://169.254.169.254/{CANARY}",
        f"http://127.0.0.1:999999/{CANARY}",
    ],
)
async def test_no_failure_names_the_url(http, receiver, url):
    receiver.answers = [reset]
    url = url.replace("PORT", receiver.url.split(":")[2].split("/")[0])

    with pytest.raises(DeliveryError) as caught:
        await post(http, url)

    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert CANARY not in repr(caught.value)
    # Whoever prints more than Python does follows this one too.
    assert caught.value.__context__ is None


@pytest.mark.parametrize("host", ["hooks..example", ".example", "a" * 70 + ".example"])
async def test_a_host_that_nobody_can_be_asked_for_is_the_channel_s_fault(http, host):
    with pytest.raises(DeliveryRejected) as caught:
        await post(http, f"http://{host}/{CANARY}")

    assert caught.value.fault == "channel"


async def test_a_certificate_that_nobody_vouches_for_gets_no_message(http):
    """Whoever is in between would read it, and the URL with it."""
    asked = []

    async def take(request):
        asked.append(await request.read())
        return web.Response(text="ok")

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(PEM)
    runner = web.ServerRunner(web.Server(take), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    with pytest.raises(DeliveryDeferred):
        await post(http, f"https://127.0.0.1:{runner.addresses[0][1]}/{CANARY}")
    await runner.cleanup()

    assert asked == []


async def test_an_answer_that_echoes_the_url_does_not_spread_it(http, receiver):
    receiver.answers = [(404, f"no hook at {receiver.url} ({CANARY})", {})]

    reply = await post(http, receiver.url)

    assert CANARY not in reply.text


async def test_a_line_break_in_a_header_is_a_message_that_can_never_be_sent(http, receiver):
    with pytest.raises(DeliveryRejected):
        await http.post(SecretStr(receiver.url), b"", {"webhook-id": "a\r\nb: c"}, NOON)


async def test_the_egress_policy_is_obeyed(receiver):
    async with new_session(Egress(deny_private=True)) as session:
        with pytest.raises(DeliveryDeferred, match="egress"):
            await post(Http(session, wall_clock), receiver.url)
    assert receiver.requests == []
