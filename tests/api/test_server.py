import asyncio
import contextlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import structlog
from structlog.testing import capture_logs

from monitor.api import server
from monitor.api.auth import Rate, Token
from monitor.api.context import Check
from monitor.api.guard_models import Nothing
from monitor.api.replies import answer as reply
from monitor.api.server import App, Route, serve
from monitor.errors import ConfigError
from monitor.model.snapshot import Outage

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
READ, GUARD, ADMIN = "r34d-s3cret-token", "gu4rd-s3cret-token", "4dm1n-s3cret-token"
TOKENS = (
    Token.of("grafana", READ, ["read"]),
    Token.of("casino", GUARD, ["guard"]),
    Token.of("ops", ADMIN, ["admin"]),
)
OPEN = ["/healthz", "/readyz"]
READABLE = ["/metrics", "/v1/accounts", "/v1/accounts/hot-usdt", "/v1/accounts/hot-usdt/events", "/v1/alerts"]


async def status(client, path, method="GET", **options):
    async with client.request(method, path, **options) as answer:
        return answer.status


async def problem(client, path, method="GET", **options):
    async with client.request(method, path, **options) as answer:
        assert answer.content_type == "application/problem+json"
        found = await answer.json(content_type=None)
        assert found["status"] == answer.status
        return found, answer.headers


async def raw(serving, request, wait=5.0):
    """Send bytes, and read until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
    try:
        writer.write(request)
        await writer.drain()
        async with asyncio.timeout(wait):
            return await reader.read()
    finally:
        writer.close()


async def test_health_needs_no_token_and_everything_else_does(context, start):
    client, _ = await start(context(tokens=TOKENS))

    assert [await status(client, path) for path in OPEN] == [200, 200]
    for path in READABLE:
        found, headers = await problem(client, path)
        assert (found["status"], found["type"]) == (401, "unauthorized")
        assert headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("token", "reads", "polls"),
    [(READ, 200, 403), (GUARD, 403, 202), (ADMIN, 200, 202), ("r34d", 401, 401)],
)
async def test_a_token_opens_what_its_scopes_name(context, start, token, reads, polls):
    client, _ = await start(context(tokens=TOKENS), token=token)

    assert {await status(client, path) for path in READABLE} == {reads}
    assert await status(client, "/v1/accounts/hot-usdt/poll", "POST") == polls


async def test_a_refusal_says_which_scope_is_missing(context, start):
    client, _ = await start(context(tokens=TOKENS), token=GUARD)

    found, _ = await problem(client, "/v1/alerts")

    assert found == {
        "type": "forbidden",
        "title": "Forbidden",
        "status": 403,
        "detail": "this needs a token with the scope read",
    }


async def test_a_token_that_asks_too_often_is_told_when_to_come_back(context, start):
    slow = replace(TOKENS[0], rate=Rate(2, timedelta(minutes=1)))
    client, _ = await start(context(tokens=(slow, *TOKENS[1:])), token=READ)

    assert [await status(client, "/v1/alerts") for _ in range(3)] == [200, 200, 429]
    found, headers = await problem(client, "/v1/alerts")
    assert (found["type"], headers["Retry-After"]) == ("rate-limited", "30")
    other = {"Authorization": f"Bearer {ADMIN}"}
    assert await status(client, "/v1/alerts", headers=other) == 200


@pytest.mark.parametrize("header", ["Host", "Origin"])
async def test_without_tokens_a_web_page_cannot_reach_us(context, start, store, header):
    client, _ = await start(context())
    tricks = {"Host": "evil.example:8787", "Origin": "https://evil.example"}

    found, _ = await problem(client, "/v1/accounts/hot-usdt/poll", "POST", headers={header: tricks[header]})

    assert found["type"] == "host-refused"
    assert store.asked == []


async def test_with_tokens_any_name_of_ours_will_do(context, start):
    client, _ = await start(context(tokens=TOKENS), token=READ)

    assert await status(client, "/v1/alerts", headers={"Host": "balances.example"}) == 200


async def test_a_request_without_a_host_is_refused_without_tokens(context, start):
    _, serving = await start(context())

    assert b" 403 " in await raw(serving, b"GET /healthz HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize("listen", ["0.0.0.0:0", ":0", "[::]:0", "10.0.0.1:0"])
async def test_without_tokens_it_listens_to_this_machine_only(context, listen):
    with pytest.raises(ConfigError, match=r"http\.tokens are needed"):
        await serve(App(context()), listen)


@pytest.mark.parametrize("listen", ["", "8787", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999"])
async def test_an_address_that_is_none_is_a_configuration_error(context, listen):
    with pytest.raises(ConfigError, match=r"write it like 127\.0\.0\.1:8787|http\.tokens are needed"):
        await serve(App(context()), listen)


async def test_a_port_in_use_is_a_configuration_error(context, start):
    _, serving = await start(context())

    with pytest.raises(ConfigError, match="cannot listen on"):
        await serve(App(context()), f"127.0.0.1:{serving.port}")


async def test_an_unknown_path_and_a_wrong_method_are_problems(context, start):
    client, _ = await start(context())

    missing, _ = await problem(client, "/v1/nothing")
    wrong, headers = await problem(client, "/v1/alerts", "DELETE")

    assert (missing["type"], missing["status"]) == ("not-found", 404)
    assert (wrong["type"], wrong["status"]) == ("method-not-allowed", 405)
    assert headers["Allow"] == "GET, HEAD"


async def test_head_answers_like_get_without_a_body(context, start):
    client, _ = await start(context())

    async with client.head("/v1/accounts/hot-usdt") as head, client.get("/v1/accounts/hot-usdt") as get:
        assert (head.status, await head.read()) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"]


async def test_answers_do_not_name_the_software_nor_may_be_kept(context, start):
    client, _ = await start(context())

    for path in ("/healthz", "/v1/nothing", "/metrics", "/openapi.json"):
        async with client.get(path) as answer:
            assert answer.headers["Server"] == "balance-monitor"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_metrics_are_for_prometheus(context, start):
    client, _ = await start(context())
    await status(client, "/v1/nothing")

    async with client.get("/metrics") as answer:
        text = await answer.text()

    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'balance_monitor_http_requests_total{status="4xx"} 1.0' in text


async def test_ready_only_when_every_check_is(context, start):
    async def readiness():
        return [Check("store", True), Check("lag", False, "1.2 s")]

    client, _ = await start(context(readiness=readiness))

    found, _ = await problem(client, "/readyz")

    assert (found["type"], found["detail"]) == ("not-ready", "not ready: lag")
    assert found["checks"] == [
        {"name": "store", "ok": True, "detail": ""},
        {"name": "lag", "ok": False, "detail": "1.2 s"},
    ]
    assert await status(client, "/healthz") == 200


async def test_what_is_wrong_is_told_to_strangers_without_secrets(context, start, store, record):
    async def readiness():
        return [Check("store", False, "refused by redis://:hunter22@db:6379")]

    outage = Outage(at=NOON, kind="unreachable", why="GET https://u:hunter22@api.example: reset")
    store.records["hot-usdt"] = record(outage=outage, failing_since=NOON)
    client, _ = await start(context(readiness=readiness))

    for path in ("/readyz", "/v1/accounts/hot-usdt"):
        async with client.get(path) as answer:
            shown = await answer.text()
        assert "[redacted]" in shown
        assert "hunter22" not in shown


async def test_a_silent_store_is_503_and_its_error_stays_here(context, start, store):
    client, _ = await start(context())
    store.down = True

    for path in READABLE[1:]:
        found, headers = await problem(client, path)
        assert (found["status"], found["type"], headers["Retry-After"]) == (503, "store-unavailable", "1")
        assert "hunter22" not in str(found)


async def test_a_handler_that_hangs_is_given_up(context, start):
    async def hang(_api, _request):
        await asyncio.Event().wait()

    routes = [Route("GET", "/hang", hang, deadline=timedelta(milliseconds=20))]
    client, _ = await start(context(), routes)

    found, _ = await problem(client, "/hang")

    assert (found["status"], found["type"]) == (503, "deadline-exceeded")


@pytest.mark.parametrize("said", [b"", b"{"])
async def test_a_body_that_does_not_come_is_given_up_also_where_the_endpoint_keeps_to_a_time_of_its_own(
    context, start, said
):
    async def never(_api, _request):
        raise AssertionError("nothing was asked")

    routes = [Route("POST", "/slow", never, deadline=timedelta(milliseconds=20), takes=Nothing, in_time=True)]
    _, serving = await start(context(), routes)

    answer = await raw(serving, b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n" + said)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b'"deadline-exceeded"' in answer


async def test_a_bug_is_logged_and_its_insides_stay_here(context, start):
    async def bug(_api, _request):
        raise ZeroDivisionError("over secret-42")

    client, _ = await start(context(), [Route("GET", "/bug/{id}", bug)])

    with capture_logs() as lines:
        found, _ = await problem(client, "/bug/secret-43?x=secret-44")

    assert (found["status"], found["type"]) == (500, "internal-error")
    assert "secret" not in str(found)
    [line] = lines
    assert (line["event"], line["path"]) == ("request.bug", "/bug/{id}")


async def test_a_body_too_large_is_refused_before_it_is_read(context, start):
    client, _ = await start(context())

    found, _ = await problem(client, "/v1/accounts/hot-usdt/poll", "POST", data=b"x" * (server.BODY_MAX + 1))

    assert (found["status"], found["type"]) == (413, "request-too-large")


async def test_an_endless_body_is_not_read_to_its_end(context, start, monkeypatch):
    monkeypatch.setattr(server, "LINGER", timedelta(milliseconds=50))
    _, serving = await start(context())
    head = b"POST /v1/accounts/hot-usdt/poll HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"

    said = await raw(serving, head + b"1000\r\n" + b"x" * 0x1000 + b"\r\n")

    assert said.startswith(b"HTTP/1.1 202 ")


async def test_headers_that_never_end_are_cut_off(context, start, monkeypatch):
    monkeypatch.setattr(server, "IDLE", timedelta(milliseconds=100))
    _, serving = await start(context())

    assert await raw(serving, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ") == b""


async def test_headers_and_queries_are_bounded_and_fill_no_log(context, start, caplog):
    client, serving = await start(context())
    long = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n"
    many = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 500 + b"\r\n"

    assert (await raw(serving, long)).startswith(b"HTTP/1.0 400 ")
    assert (await raw(serving, many)).startswith(b"HTTP/1.0 400 ")
    assert (await raw(serving, b"\x16\x03\x01 no http\r\n\r\n")).startswith(b"HTTP/1.0 400 ")
    found, _ = await problem(client, "/v1/accounts?label.x=" + "y" * 3_000)

    assert found["detail"] == "a query string may have 2048 characters at most"
    assert caplog.records == []


REQUEST = b"PUT /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize(
    ("sent", "turns", "answers"),
    [*((REQUEST, turns, 1) for turns in range(6)), (REQUEST[:-1], 50, 0), (REQUEST[:20], 0, 0), (b"", 0, 0)],
    ids=lambda one: str(len(one) if isinstance(one, bytes) else one),
)
async def test_who_says_no_more_is_answered_what_was_asked_and_then_hung_up_on(context, sent, turns, answers):
    async def slow(_api, request):
        await request.read()
        await asyncio.sleep(0.02)
        return reply({"held": True})

    serving = await serve(App(context(), [Route("PUT", "/slow", slow)]), "127.0.0.1:0")
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
    try:
        writer.write(sent)
        for _ in range(turns):
            await asyncio.sleep(0)
        writer.write_eof()
        async with asyncio.timeout(1):
            said = await reader.read()
        assert (said.count(b" 200 OK"), said.count(b'{"held":true}'), bool(said)) == (answers, answers, bool(answers))
    finally:
        writer.close()
        await serving.close()


async def test_a_caller_who_does_not_read_is_cut_off(context, start, monkeypatch):
    monkeypatch.setattr(server, "WRITE_DEADLINE", timedelta(milliseconds=100))

    async def flood(_api, _request):
        return reply("x" * 20_000_000)

    api = context()
    app = App(api, [Route("GET", "/flood", flood)])
    serving = await serve(app, "127.0.0.1:0")
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, limit=1_000)

    writer.write(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readline()
    await asyncio.sleep(0.5)

    with contextlib.suppress(ConnectionError):
        assert len(await reader.read()) < 20_000_000
    writer.close()
    await serving.close()


async def test_a_caller_who_asks_on_and_on_and_does_not_read_is_cut_off(context, monkeypatch):
    monkeypatch.setattr(server, "WRITE_DEADLINE", timedelta(milliseconds=100))
    answered = 0

    async def small(_api, _request):
        nonlocal answered
        answered += 1
        return reply("x" * 8_000)

    app = App(context(), [Route("GET", "/small", small)])
    serving = await serve(app, "127.0.0.1:0")
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, limit=1_000)

    writer.write(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5_000)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            await writer.drain()
    before = -1
    while before != answered:
        before = answered
        await asyncio.sleep(0.3)

    assert 0 < answered < 5_000
    with contextlib.suppress(ConnectionError):
        assert len(await reader.read()) < 5_000 * 8_000
    writer.close()
    await serving.close()


@pytest.fixture
async def crowded(context, start, monkeypatch):
    """A server with as many requests as there is room for: whoever asks it, those that wait, and what lets them go."""
    monkeypatch.setattr(server, "IN_FLIGHT_MAX", 3)
    door = asyncio.Event()

    async def wait(_api, _request):
        await door.wait()
        return reply("done")

    client, _ = await start(context(), [Route("GET", "/wait", wait), *server.ROUTES])
    waiting = [asyncio.create_task(status(client, "/wait")) for _ in range(3)]
    await asyncio.sleep(0.1)
    return client, waiting, door


async def test_more_at_once_than_there_is_room_for_are_sent_away(crowded):
    client, waiting, door = crowded

    found, headers = await problem(client, "/wait")
    door.set()

    assert (found["type"], headers["Retry-After"]) == ("overloaded", "1")
    assert await asyncio.gather(*waiting) == [200, 200, 200]


async def test_what_ends_a_bet_has_room_while_bets_take_all_of_it(crowded):
    client, waiting, door = crowded

    told = {}
    for call in ("commit", "settled", "release"):
        async with client.post(f"/v1/holds/bet-1/{call}") as answer:
            told[call] = answer.status
    found, _ = await problem(client, "/v1/holds/bet-1")
    door.set()

    assert told == {"commit": 404, "settled": 404, "release": 200}
    assert found["type"] == "overloaded"
    assert await asyncio.gather(*waiting) == [200, 200, 200]


async def test_the_room_of_what_ends_a_bet_ends_too(context, start, monkeypatch):
    monkeypatch.setattr(server, "IN_FLIGHT_MAX", 0)
    monkeypatch.setattr(server, "ENDING_MAX", 0)
    client, _ = await start(context())

    async with client.post("/v1/holds/bet-1/release") as answer:
        assert (answer.status, (await answer.json())["type"]) == (503, "overloaded")


async def test_a_process_without_room_is_alive(context, start, monkeypatch):
    monkeypatch.setattr(server, "IN_FLIGHT_MAX", 0)
    client, _ = await start(context())

    assert [await status(client, path) for path in ("/healthz", "/v1/accounts")] == [200, 503]


async def test_who_sends_slowly_takes_nobody_elses_place(context, start, monkeypatch):
    monkeypatch.setattr(server, "IN_FLIGHT_MAX", 1)
    client, serving = await start(context())
    head = b"POST /v1/checks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    slow = [await asyncio.open_connection("127.0.0.1", serving.port) for _ in range(3)]
    for _, writer in slow:
        writer.write(head)
    await asyncio.sleep(0.1)

    assert await status(client, "/v1/accounts") == 200
    for _, writer in slow:
        writer.close()


async def test_who_does_not_read_takes_nobody_elses_place(context, start, monkeypatch):
    monkeypatch.setattr(server, "IN_FLIGHT_MAX", 1)

    async def flood(_api, _request):
        return reply("x" * 20_000_000)

    client, serving = await start(context(), [Route("GET", "/flood", flood), server.ROUTES[1]])
    writers = [(await asyncio.open_connection("127.0.0.1", serving.port, limit=1_000))[1] for _ in range(3)]
    for writer in writers:
        writer.write(b"GET /flood HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(0.1)

    assert await status(client, "/readyz") == 200
    for writer in writers:
        writer.transport.abort()


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /v1/checks HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="two sizes"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", id="two, turned"),
        pytest.param(POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x", id="two lengths"),
        pytest.param(POST + b"Content-Length: +2\r\n\r\n{}", id="a length with a sign"),
        pytest.param(POST + b"Content-Length: -2\r\n\r\n{}", id="a negative length"),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="an unknown coding"),
        pytest.param(POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", id="chunks in chunks"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}", id="an endless chunk"),
        pytest.param(POST + b"X-A: a\r\n b\r\n\r\n", id="a folded header"),
        pytest.param(POST + b"X-A : a\r\n\r\n", id="a blank before the colon"),
        pytest.param(POST + b"X-A: a\0b\r\n\r\n", id="a zero byte"),
        pytest.param(POST + b"Host: evil.example\r\n\r\n", id="two hosts"),
        pytest.param(b"GET /healthz HTTP/1.1\nHost: localhost\n\n", id="bare line feeds"),
        pytest.param(b"GET /healthz HTTP/1.2\r\nHost: localhost\r\n\r\n", id="another version"),
        pytest.param(b"GET /v1/wallets/player-7/\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", id="a raw byte in the path"),
        pytest.param(b"GET http://[::1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", id="half an address"),
        pytest.param(b"FROB /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", id="no method"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="http/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", id="tls"),
    ],
)
async def test_what_is_no_http_is_a_problem_and_ends_the_connection_and_fills_no_log(context, start, caplog, request_):
    _, serving = await start(context())

    with capture_logs() as lines:
        said = await raw(serving, request_ + GET)

    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 400 ")
    assert b"Content-Type: application/problem+json" in head
    assert b"Server: balance-monitor" in head
    assert msgspec.json.decode(body)["type"] == "invalid-request"
    assert (lines, caplog.records) == ([], [])


async def test_what_was_announced_and_never_sent_is_not_taken_for_the_next_request(context, start):
    _, serving = await start(context())
    head = b"POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 80\r\n\r\n"

    said = await raw(serving, head + GET)

    assert said.startswith(b"HTTP/1.1 404 ")
    assert b"Connection: close" in said
    assert said.count(b"HTTP/1.1") == 1


async def test_two_tokens_are_none(context, start):
    _, serving = await start(context(tokens=TOKENS))
    both = [f"Authorization: Bearer {token}\r\n".encode() for token in (READ, "r34d")]
    head, end = b"GET /v1/accounts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n", b"\r\n"

    assert (await raw(serving, head + both[0] + end)).startswith(b"HTTP/1.1 200 ")
    for pair in (both, both[::-1], [both[0]] * 2):
        assert (await raw(serving, head + b"".join(pair) + end)).startswith(b"HTTP/1.1 401 ")


async def test_a_reload_answers_from_the_new_context(context, account):
    app = App(context())
    serving = await serve(app, "127.0.0.1:0")
    request = b"GET /v1/accounts/new HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    before = await raw(serving, request)
    app.swap(context(account("new")))
    after = await raw(serving, request)
    await serving.close()

    assert (before[:12], after[:12]) == (b"HTTP/1.1 404", b"HTTP/1.1 200")


async def test_an_ordinary_request_writes_no_log_line(context, start):
    client, _ = await start(context())
    structlog.reset_defaults()

    with capture_logs() as lines:
        await status(client, "/v1/accounts")
        await status(client, "/v1/nothing")

    assert lines == []


async def test_no_answer_shows_a_token(context, start):
    client, _ = await start(context(tokens=TOKENS), token=ADMIN)

    for path in (*OPEN, *READABLE, "/v1/nothing", f"/v1/accounts/{READ}?x={GUARD}"):
        async with client.get(path) as answer:
            shown = f"{answer.headers} {await answer.text()}"
        assert not re.search(rf"{GUARD}|{ADMIN}", shown), path
