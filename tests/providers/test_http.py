"""One door to the network: whatever answers, it is a reply or a typed error, bounded, and nothing leaks."""

import asyncio
import gzip
import socket
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.egress import Egress
from monitor.errors import (
    ProviderError,
    ProviderGarbled,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from monitor.providers.answers import MAX_EXCERPT, MAX_WAIT, Reply, accept, envelope, excerpt, retry_after
from monitor.providers.http import Http, decode, new_session

CANARY = "c4n4ry/secret+key=="
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


class Row(msgspec.Struct):
    amount: int


def reply(status=200, body=b"{}", **headers):
    return Reply(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


# --- asking


async def test_a_reply_arrives_with_its_status_and_headers(http, server, purse):
    server.say({"ok": 1}, status=201, X_Left="7")

    answer = await http.get("/v1/x", budget=purse, params={"a": "1"})

    assert (answer.status, answer.body, answer.headers["x-left"]) == (201, b'{"ok": 1}', "7")
    [asked] = server.asked
    assert (asked.method, asked.path, asked.query) == ("GET", "/v1/x", {"a": "1"})
    assert purse.spent == [1]


async def test_a_request_sent_at_every_poll_asks_what_any_other_asks(http, server, purse):
    server.say({})

    for params in ({"id": "a b/ü&=?#%41"}, {"id": "2", "x": ""}, {"id": "a b/ü&=?#%41"}):
        for steady in (False, True):
            await http.get("/v1/x", budget=purse, params=params, steady=steady)

    plain, kept = server.asked[::2], server.asked[1::2]
    assert [asked.query for asked in kept] == [asked.query for asked in plain]
    assert kept[0].query == kept[2].query == {"id": "a b/ü&=?#%41"}


async def test_an_answer_that_is_not_read_to_its_end_frees_its_connection(session, raw, purse):
    url = await raw(JSON + b"Content-Length: 1000\r\n\r\n", b"x", end="hang")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Http(session, url).get("/", budget=purse)

    assert not session.connector._acquired


async def test_a_get_carries_no_body(http, server, purse):
    await http.get("/", budget=purse) if server.say({}) else None

    [asked] = server.asked
    assert asked.body == b""
    assert not {"content-length", "content-type", "transfer-encoding"} & asked.headers.keys()


async def test_a_post_is_exact_json_or_a_form(http, server, purse):
    server.say({})

    await http.post("/j", budget=purse, json={"assets": ["USDT"]}, headers={"X-Key": "k"}, cost=3)
    await http.post("/f", budget=purse, form={"grant": "a b"})

    json, form = server.asked
    assert (json.body, json.headers["content-type"], json.headers["x-key"]) == (
        b'{"assets":["USDT"]}', "application/json", "k",
    )  # fmt: skip
    assert (form.body, form.headers["content-type"]) == (b"grant=a+b", "application/x-www-form-urlencoded")
    assert purse.spent == [3, 1]


async def test_a_spent_budget_sends_nothing(http, server, purse):
    purse.left = 2

    with pytest.raises(ProviderThrottled):
        await http.get("/", budget=purse, cost=3)

    assert server.asked == []


async def test_connections_are_reused(http, server, purse):
    server.say({"a": 1})
    ports = set()
    server.route = None

    for _ in range(20):
        await http.get("/", budget=purse)
        ports |= {id(c) for conns in http._session.connector._conns.values() for c, _ in conns}

    assert len(ports) == 1


@pytest.mark.parametrize(
    "foreign",
    [
        "{stranger}/next",
        "http://user:pw@{host}/next",
        "https://{host}/next",
        "ftp://{host}/x",
        "@{strange_host}/",
        "next",
        ".{strange_host}/",
        "http://{host}@{strange_host}/",
        "http:///x",
        "http://[::1",
        "",
        "javascript:x",
        "file:///etc/passwd",
    ],
)
async def test_a_foreign_address_is_garbled_and_never_contacted(http, server, stranger, purse, foreign):
    host, strange_host = server.url.removeprefix("http://"), stranger.url.removeprefix("http://")
    address = foreign.format(stranger=stranger.url, host=host, strange_host=strange_host)

    with pytest.raises(ProviderGarbled):
        await http.get(address, budget=purse, headers={"X-Api-Key": CANARY})

    assert (server.asked, stranger.asked, purse.spent) == ([], [], [])


async def test_an_absolute_address_of_the_same_origin_is_followed(http, server, purse):
    server.say({})

    await http.get(f"{server.url}/next?token=a%2Fb", budget=purse)

    assert server.asked[0].query == {"token": "a/b"}


async def test_a_second_host_must_be_allowed_by_name(http, server, stranger, purse):
    reply = await http.get(f"{stranger.url}/x", budget=purse, allow=lambda url: str(url) == f"{stranger.url}/x")

    assert (reply.status, server.asked) == (200, [])
    with pytest.raises(ProviderGarbled):
        await http.get(f"{stranger.url}/y", budget=purse, allow=lambda url: str(url) == f"{stranger.url}/x")


async def test_a_double_slash_stays_at_home(http, server, stranger, purse):
    server.say({})

    await http.get(f"//{stranger.url.removeprefix('http://')}/x", budget=purse)

    assert (len(server.asked), stranger.asked) == (1, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_redirect_is_garbled_and_its_host_never_visited(
    http, server, stranger, purse, now, status, method, leaks_nothing
):
    server.say(b"", status=status, Location=f"{stranger.url}/?k={CANARY}")

    answer = await getattr(http, method)("/", budget=purse, headers={"X-Api-Key": CANARY})
    with pytest.raises(ProviderGarbled, match="redirect") as garbled:
        accept(answer, now)

    assert (len(server.asked), stranger.asked) == (1, [])
    leaks_nothing(garbled.value, CANARY, stranger.url)


async def test_no_cookie_is_kept(http, server, purse):
    server.say({}, Set_Cookie="session=1")

    await http.get("/", budget=purse)
    await http.get("/", budget=purse)

    assert all("cookie" not in asked.headers for asked in server.asked)


async def test_a_proxy_of_the_environment_is_ignored(http, server, purse, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server.say({})

    assert (await http.get("/", budget=purse)).status == 200


# --- what comes back


@pytest.mark.parametrize(
    ("pieces", "end", "error"),
    [
        pytest.param([b"\x00\xff garbage \r\n\r\n"], "close", ProviderGarbled, id="garbage"),
        pytest.param([b"HTTP/1.1 OK OK\r\n\r\n"], "close", ProviderGarbled, id="a status that is no number"),
        pytest.param(
            [JSON + b"X: " + b"a" * 100_000 + b"\r\n\r\n{}"], "close", ProviderGarbled, id="an endless header"
        ),
        pytest.param([], "close", ProviderUnreachable, id="closed without a word"),
        pytest.param([], "reset", ProviderUnreachable, id="reset without a word"),
        pytest.param([JSON], "close", ProviderUnreachable, id="closed within the headers"),
        pytest.param(
            [JSON + b'Content-Length: 50\r\n\r\n{"a":1'],
            "close",
            ProviderUnreachable,
            id="closed within the body",
        ),
        pytest.param(
            [JSON + b'Content-Length: 50\r\n\r\n{"a":1'],
            "reset",
            ProviderUnreachable,
            id="reset within the body",
        ),
        pytest.param(
            [JSON + b'Transfer-Encoding: chunked\r\n\r\n6\r\n{"a":1\r\n'],
            "close",
            ProviderUnreachable,
            id="chunks cut off",
        ),
        pytest.param([JSON + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"], "hang", ProviderError, id="nonsense chunks"),
        pytest.param(
            [JSON + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"],
            "close",
            ProviderError,
            id="gzip that is none",
        ),
    ],
)
async def test_a_broken_answer_is_a_typed_error(session, purse, raw, pieces, end, error, leaks_nothing):
    url = await raw(*pieces, end=end)

    with pytest.raises(error) as raised:
        async with asyncio.timeout(5):
            await Http(session, url).get(f"/?key={CANARY}", budget=purse, headers={"X-Api-Key": CANARY})

    leaks_nothing(raised.value, CANARY, url)


async def test_an_endless_body_ends_at_the_cap(session, purse, raw):
    url = await raw(
        JSON + b"Transfer-Encoding: chunked\r\n\r\n",
        *[b"4000\r\n" + b"x" * 0x4000 + b"\r\n"] * 500,
        end="hang",
    )

    with pytest.raises(ProviderGarbled, match="longer than 100000 bytes"):
        await Http(session, url, max_body=100_000).get("/", budget=purse)


@pytest.mark.parametrize("size", [0, 1, 99_999, 100_000])
async def test_a_body_up_to_the_cap_arrives_whole(session, server, purse, size):
    server.say(b"x" * size)

    answer = await Http(session, server.url, max_body=100_000).get("/", budget=purse)

    assert answer.body == b"x" * size


async def test_one_byte_more_does_not(session, server, purse):
    server.say(b"x" * 100_001)

    with pytest.raises(ProviderGarbled, match="longer"):
        await Http(session, server.url, max_body=100_000).get("/", budget=purse)


async def test_a_gzip_bomb_counts_unpacked(session, server, purse):
    server.say(gzip.compress(b" " * 50_000_000), Content_Encoding="gzip")

    with pytest.raises(ProviderGarbled, match="longer than 1000000 bytes"):
        await Http(session, server.url, max_body=1_000_000).get("/", budget=purse)


async def test_an_honest_gzip_is_unpacked(http, server, purse):
    server.say(gzip.compress(b'{"a": 1}'), Content_Encoding="gzip")

    assert (await http.get("/", budget=purse)).body == b'{"a": 1}'


async def test_a_slow_drip_is_bounded_by_the_caller(session, purse, raw):
    url = await raw(JSON + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 500, pause=0.01)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await Http(session, url).get("/", budget=purse)


async def test_silence_can_be_bounded_by_the_socket(purse, raw):
    url = await raw(end="hang")
    async with new_session(read_timeout=0.05) as session:
        with pytest.raises(ProviderUnreachable, match="no answer in time"):
            await Http(session, url).get("/", budget=purse)


async def test_nobody_there_is_unreachable(session, purse, leaks_nothing):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    with pytest.raises(ProviderUnreachable, match="no connection") as refused:
        await Http(session, f"http://127.0.0.1:{port}").get(f"/{CANARY}", budget=purse)
    assert str(refused.value) == "no connection (Connection refused)", "the address is of the URL"
    leaks_nothing(refused.value, CANARY)


async def test_an_unknown_name_is_unreachable(session, purse, leaks_nothing):
    with pytest.raises(ProviderUnreachable, match="does not resolve") as unknown:
        await Http(session, "http://provider.invalid").get(f"/{CANARY}", budget=purse)
    leaks_nothing(unknown.value, CANARY)


async def test_broken_tls_is_unreachable(session, server, purse, leaks_nothing):
    with pytest.raises(ProviderUnreachable, match="TLS") as broken:
        await Http(session, server.url.replace("http", "https")).get(f"/{CANARY}", budget=purse)
    leaks_nothing(broken.value, CANARY)


async def test_a_line_break_in_a_credential_is_a_refusal_that_does_not_quote_it(http, server, purse, leaks_nothing):
    with pytest.raises(ProviderRefused) as refused:
        await http.get("/", budget=purse, headers={"X-Api-Key": f"{CANARY}\r\nX: y"})

    assert (refused.value.scope, server.asked) == ("credentials", [])
    leaks_nothing(refused.value, CANARY)


async def test_the_policy_forbids_an_address_before_it_is_dialled(server, purse):
    server.say({})
    async with new_session(Egress(deny_private=True)) as session:
        with pytest.raises(ProviderUnreachable, match="egress policy"):
            await Http(session, server.url).get("/", budget=purse)
        with pytest.raises(ProviderUnreachable, match="egress policy"):
            await Http(session, server.url.replace("127.0.0.1", "localhost")).get("/", budget=purse)
    async with new_session(Egress(deny_private=True, allow=("127.0.0.0/8",))) as session:
        assert (await Http(session, server.url).get("/", budget=purse)).status == 200
    assert len(server.asked) == 1


async def test_metadata_services_are_refused_even_when_all_is_allowed(purse):
    async with new_session(Egress(deny_private=False, allow=("0.0.0.0/0",))) as session:
        with pytest.raises(ProviderUnreachable, match="egress policy"):
            await Http(session, "http://169.254.169.254").get("/latest/meta-data", budget=purse)


# --- judging, in the order of the table


@pytest.mark.parametrize(
    ("status", "body", "error", "scope"),
    [
        (429, b"", ProviderThrottled, None),
        (429, b"<html>", ProviderThrottled, None),
        (500, b"{}", ProviderUnreachable, None),
        (502, b"<html>bad gateway</html>", ProviderUnreachable, None),
        (503, b"", ProviderUnreachable, None),
        (504, b"{}", ProviderUnreachable, None),
        (599, b"", ProviderUnreachable, None),
        (408, b"", ProviderUnreachable, None),
        (401, b"", ProviderRefused, "credentials"),
        (401, b"<html>", ProviderRefused, "credentials"),
        (401, b'{"detail":"x"}', ProviderRefused, "credentials"),
        (403, b'{"error":"x"}', ProviderRefused, "credentials"),
        (403, b"<html>The request could not be satisfied</html>", ProviderGarbled, None),
        (403, b"", ProviderGarbled, None),
        (403, b'{"half":', ProviderGarbled, None),
        (403, b"[" * 100_000, ProviderGarbled, None),
        (400, b"", ProviderRefused, "account"),
        (404, b"<html>", ProviderRefused, "account"),
        (404, b"{}", ProviderRefused, "account"),
        (405, b"", ProviderRefused, "account"),
        (406, b"", ProviderRefused, "account"),
        (409, b"{}", ProviderRefused, "account"),
        (422, b"{}", ProviderRefused, "account"),
        (200, b"", ProviderGarbled, None),
        (200, b"   ", ProviderGarbled, None),
        (204, b"", ProviderGarbled, None),
        (200, b"<!doctype html><html>", ProviderGarbled, None),
        (200, b"OK", ProviderGarbled, None),
        (304, b"", ProviderGarbled, None),
    ],
)
def test_an_answer_is_judged_in_order(status, body, error, scope):
    with pytest.raises(error) as raised:
        accept(reply(status, body), NOON)

    assert type(raised.value) is error
    assert getattr(raised.value, "scope", None) == scope
    assert str(status) in str(raised.value)


@pytest.mark.parametrize("body", [b"{}", b"[]", b' \r\n\t{"a":1}'])
@pytest.mark.parametrize("status", [200, 201, 206])
def test_a_json_success_is_accepted_as_it_is(status, body):
    given = reply(status, body)

    assert accept(given, NOON) is given


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("42", 42),
        ("0", 0),
        ("1.5", 1.5),
        (" 7 ", 7),
        ("-3", 0),
        ("1000000000", MAX_WAIT.total_seconds()),
        ("inf", MAX_WAIT.total_seconds()),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("1" * 1000, None),
        ("1h", None),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("Fri, 20 Nov 2026 12:00:30 -0000", 30),
        ("Fri, 20 Nov 2026 14:00:30 +0200", 30),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_WAIT.total_seconds()),
        ("Fri, 99 Nov 2026 12:00:30 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", MAX_WAIT.total_seconds()),
    ],
)
def test_every_form_of_retry_after(given, seconds):
    wait = retry_after({"Retry-After": given}, NOON)

    assert wait == (None if seconds is None else timedelta(seconds=seconds))


def test_a_429_carries_the_wait_and_without_one_none():
    for headers, wait in (({"Retry_After": "42"}, timedelta(seconds=42)), ({}, None)):
        with pytest.raises(ProviderThrottled) as throttled:
            accept(reply(429, b"{}", **headers), NOON)
        assert throttled.value.wait == wait


def test_a_provider_may_read_its_own_quota_headers():
    with pytest.raises(ProviderThrottled) as throttled:
        accept(reply(429, b"", t="17"), NOON, wait=lambda headers, now: timedelta(seconds=int(headers["t"])))

    assert throttled.value.wait == timedelta(seconds=17)


async def test_retry_after_is_read_whatever_its_case(http, server, purse, now):
    server.say({}, status=429, reTRY_aFTer="5")

    with pytest.raises(ProviderThrottled) as throttled:
        accept(await http.get("/", budget=purse), now)

    assert throttled.value.wait == timedelta(seconds=5)


# --- what is quoted


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error":"wallet_not_found"}', ": wallet_not_found"),
        (b'{"error":{"code":7,"message":"no"}}', ": 7; no"),
        (b'{"error":null,"detail":"Not authenticated"}', ": Not authenticated"),
        (b'{"error":"e","error_code":"c","detail":["d"]}', ": e; c; d"),
        (b'{"success":false}', ""),
        (b'{"error":true}', ""),
        (b"{}", ""),
        (b"", ""),
        (b"[1,2]", ": 1"),
        (b"\xff\xfe", ": ��"),
        (b"<html><style>b{}</style><h1>403\r\n\x1b[31mERROR</h1>\xe2\x80\xae</html>", ": 403 [31mERROR"),
        (b'{"error":' * 30 + b'"deep"' + b"}" * 30, ""),
        (b"[" * 60_000, None),
        (b'{"error":"' + b"x" * 70_000 + b'"}', ""),
    ],
)
def test_an_error_is_quoted_from_wherever_it_stands(body, says):
    found = excerpt(body)

    assert found.isprintable()
    assert len(found) <= MAX_EXCERPT + 2
    assert says is None or found == says


@pytest.mark.parametrize(
    "echo",
    [
        CANARY,
        f"bad key {CANARY}!",
        "c4n4ry%2Fsecret%2Bkey%3D%3D",
        "YzRuNHJ5L3NlY3JldCtrZXk9PQ==",
        CANARY.upper().lower(),
        "x" * 190 + CANARY,
        CANARY * 50,
    ],
)
@pytest.mark.parametrize("wrap", ["{}", '{{"error":"{}"}}', "<p>{}</p>"])
def test_an_echoed_secret_is_not_quoted(echo, wrap):
    found = excerpt(wrap.format(echo).encode(), (CANARY,))

    assert not [form for form in (CANARY, CANARY[:9], "c4n4ry%2F", "YzRuNHJ5L3Nl") if form in found]


def test_a_reply_does_not_show_its_content():
    assert CANARY not in repr(reply(200, CANARY.encode(), Token=CANARY))


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b'{"success":false}', True),
        (b'{"result":"error","message":"x"}', True),
        (b'{"error":"x"}', True),
        (b'{"error":{"code":1}}', True),
        (b'{"errors":["x"]}', True),
        (b'{"statusCode":500}', True),
        (b'{"error":null,"success":true}', False),
        (b'{"error":"","result":{}}', False),
        (b"{}", False),
        (b"[]", False),
        (b"<html>", False),
        (b'{"statusCode":200}', False),
        (b"[" * 99_999, False),
    ],
)
def test_an_envelope_that_says_error_is_recognised(body, refused):
    assert (envelope(body) is not None) == refused


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"amount":', b"<html>", b'{"amount":"x"}', b"[]", b"[" * 100_000, b"\xff"]
)
def test_what_cannot_be_decoded_is_garbled_without_a_cause(body, leaks_nothing):
    with pytest.raises(ProviderGarbled) as garbled:
        decode(body, Row)

    leaks_nothing(garbled.value)


def test_a_reason_names_the_place_and_not_the_value(leaks_nothing):
    with pytest.raises(ProviderGarbled, match=r"\$\[0\]\.amount") as garbled:
        decode(f'[{{"amount":"{CANARY}"}}]'.encode(), list[Row])

    leaks_nothing(garbled.value, CANARY)


@given(st.binary(max_size=200), st.integers(200, 599))
def test_any_answer_is_accepted_or_a_short_typed_error(body, status):
    try:
        error = accept(reply(status, body, Retry_After="x"), NOON) and ""
    except ProviderError as raised:
        error = str(raised)

    assert error.isprintable()
    assert len(error) < 300


async def test_every_session_has_bounds_and_no_environment():
    async with new_session() as session:
        assert session.trust_env is False
        assert session.timeout.sock_connect
        assert isinstance(session.cookie_jar, aiohttp.DummyCookieJar)
