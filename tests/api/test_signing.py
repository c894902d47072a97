"""Signed requests, against what hashlib makes of the same bytes: nothing of ours computes what is expected."""

import asyncio
import hashlib
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from monitor.api.auth import Rate, Token
from monitor.api.replies import answer as reply
from monitor.api.route import Route
from monitor.api.signing import Signers

SECRET, NEWER = b"test-secret-do-not-use", b"another-secret-do-not-use"
AT = 1795177200
BET = b'{"account":"player-7","asset":"USDT","amount":"12.50","ttl":"30s"}'
WINDOW = timedelta(seconds=30)
#: Method, path and query, body, and the signature that is published of them.
VECTORS = [
    ("PUT", "/v1/holds/bet-42", BET, "40edde571ddb2b8599faee87f7459e60a24475da3c785bb3803bf55e4434c7bb"),
    ("POST", "/v1/holds/bet-42/release", b"", "54a76062078627204fa75fccfeded7aa77e6d21fa440c6ddb465738f0302932e"),
]


def hmac_by_hand(secret, message):
    """RFC 2104 in its own words."""
    key = secret.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
    return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).hexdigest()


def signed(method, target, body=b"", at=AT, secret=SECRET, key="op-7"):
    message = f"{at}\n{method}\n{target}\n".encode() + body
    return {
        "X-Guard-Key": key,
        "X-Guard-Timestamp": str(at),
        "X-Guard-Signature": f"v1={hmac_by_hand(secret, message)}",
    }


async def echo(_api, request):
    """What arrived, and that the body is still there to be read."""
    return reply({"method": request.method, "body": (await request.read()).decode()})


PATHS = [
    ("PUT", "/v1/holds/{id}"),
    ("POST", "/v1/holds/{id}"),
    ("GET", "/v1/holds/{id}"),
    ("POST", "/v1/holds/{id}/release"),
]
ROUTES = [Route(method, path, echo, ("guard",), signed=True) for method, path in PATHS]


@pytest.fixture
async def guard(context, start):
    """Send raw bytes, as they stand: `(status, type of the problem, body)`."""

    async def starting(at=AT, **changes):
        signers = Signers({"op-7": (SECRET,), "op-8": (NEWER, SECRET)}, WINDOW)
        api = context(clock=lambda: datetime.fromtimestamp(at, UTC), **{"signers": signers, **changes})
        _, serving = await start(api, ROUTES)

        async def send(method, target, body=b"", headers=()):
            pairs = headers.items() if isinstance(headers, dict) else headers
            head = [f"{method} {target} HTTP/1.1", "Host: localhost", "Connection: close"]
            head += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in pairs), "", ""]
            reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
            writer.write("\r\n".join(head).encode("latin-1") + body)
            whole = await reader.read()
            writer.close()
            return int(whole[9:12]), whole.partition(b"\r\n\r\n")[2].decode()

        return send

    return starting


@pytest.mark.parametrize(("method", "target", "body", "published"), VECTORS)
def test_the_published_vectors_are_what_an_independent_implementation_makes_of_them(method, target, body, published):
    message = f"{AT}\n{method}\n{target}\n".encode() + body

    assert hmac_by_hand(SECRET, message) == published
    if openssl := shutil.which("openssl"):
        command = [openssl, "dgst", "-sha256", "-hmac", SECRET.decode()]
        assert published.encode() in subprocess.run(command, input=message, capture_output=True, check=True).stdout


@pytest.mark.parametrize(("method", "target", "body", "published"), VECTORS)
async def test_the_published_vectors_are_let_in(guard, method, target, body, published):
    send = await guard()
    headers = {"X-Guard-Key": "op-7", "X-Guard-Timestamp": str(AT), "X-Guard-Signature": f"v1={published}"}

    status, said = await send(method, target, body, headers)

    assert status == 200
    assert body.decode().replace('"', '\\"') in said


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        pytest.param("PUT", "/v1/holds/bet-42", BET.replace(b"12.50", b"12.51"), id="one byte of the body"),
        pytest.param("PUT", "/v1/holds/bet-42", BET + b" ", id="a blank behind the body"),
        pytest.param("PUT", "/v1/holds/Bet-42", BET, id="the case of the path"),
        pytest.param("PUT", "/v1/holds/bet%2D42", BET, id="a percent-encoding"),
        pytest.param("PUT", "/v1/holds/bet-42?", BET, id="an empty query"),
        pytest.param("PUT", "/v1/holds/bet-42?x=1", BET, id="a query"),
        pytest.param("POST", "/v1/holds/bet-42", BET, id="the method"),
    ],
)
async def test_what_is_not_byte_for_byte_what_was_signed_is_refused(guard, method, target, body):
    send = await guard()

    status, said = await send(method, target, body, signed("PUT", "/v1/holds/bet-42", BET))

    assert (status, '"signature-invalid"' in said) == (401, True)


@pytest.mark.parametrize(
    ("sent", "normal"),
    [
        ("/v1/holds/bet%2d42", "/v1/holds/bet-42"),
        ("/v1/holds/x?b=2&a=1", "/v1/holds/x?a=1&b=2"),
        ("/v1/holds/a%20b?q=%7e", "/v1/holds/a%20b?q=~"),
    ],
)
async def test_the_path_and_query_count_as_they_were_sent_and_nothing_is_normalised(guard, sent, normal):
    send = await guard()

    assert (await send("PUT", sent, BET, signed("PUT", sent, BET)))[0] == 200
    assert (await send("PUT", sent, BET, signed("PUT", normal, BET)))[0] == 401


@pytest.mark.parametrize(("off", "status"), [(-31, 401), (-30, 200), (0, 200), (30, 200), (31, 401)])
async def test_the_window_is_open_both_ways_and_no_further(guard, off, status):
    send = await guard(at=AT + off)

    found, said = await send("PUT", "/v1/holds/bet-42", BET, signed("PUT", "/v1/holds/bet-42", BET))

    assert found == status
    assert ('"timestamp-outside-window"' in said) == (status == 401)


@pytest.mark.parametrize("secret", [SECRET, NEWER])
async def test_both_live_secrets_of_a_key_sign(guard, secret):
    send = await guard()

    assert (await send("GET", "/v1/holds/1", b"", signed("GET", "/v1/holds/1", secret=secret, key="op-8")))[0] == 200


async def test_another_keys_secret_does_not_sign(guard):
    send = await guard()

    assert (await send("GET", "/v1/holds/1", b"", signed("GET", "/v1/holds/1", secret=NEWER)))[0] == 401


async def test_during_rotation_a_caller_may_send_the_signatures_of_both_secrets(guard):
    send, target = await guard(), "/v1/holds/1"
    old, unknown = (signed("GET", target, secret=secret) for secret in (SECRET, b"not yet known here"))
    first, second = unknown["X-Guard-Signature"], old["X-Guard-Signature"]

    listed = {**old, "X-Guard-Signature": f"v2=beyond, {first},{second}"}
    lines = [*old.items(), ("X-Guard-Signature", first)]

    assert (await send("GET", target, b"", listed))[0] == 200
    assert (await send("GET", target, b"", lines))[0] == 200
    assert (await send("GET", target, b"", {**old, "X-Guard-Signature": first}))[0] == 401


@pytest.mark.parametrize(
    "change",
    [
        {"X-Guard-Key": None},
        {"X-Guard-Timestamp": None},
        {"X-Guard-Signature": None},
        {"X-Guard-Timestamp": ""},
        {"X-Guard-Timestamp": f"{AT}.0"},
        {"X-Guard-Timestamp": f"+{AT}"},
        {"X-Guard-Timestamp": "9" * 400},
        {"X-Guard-Timestamp": "99999999999"},
        {"X-Guard-Signature": ""},
        {"X-Guard-Signature": "v1="},
        {"X-Guard-Signature": "v1=\xe9\xff"},
        {"X-Guard-Signature": VECTORS[0][3]},
        {"X-Guard-Signature": f"v2={VECTORS[0][3]}"},
        {"X-Guard-Signature": f"v1={VECTORS[0][3][:-1]}"},
    ],
)
async def test_what_is_missing_or_no_signature_is_a_refusal_and_no_fault_of_ours(guard, change):
    send = await guard()
    headers = {**signed("PUT", "/v1/holds/bet-42", BET), **change}

    status, said = await send("PUT", "/v1/holds/bet-42", BET, {k: v for k, v in headers.items() if v is not None})

    assert status == 401
    assert '"signature-invalid"' in said or '"timestamp-outside-window"' in said


async def test_a_header_that_stands_there_twice_is_refused(guard):
    send, good = await guard(), signed("PUT", "/v1/holds/bet-42", BET)

    for name in ("X-Guard-Key", "X-Guard-Timestamp"):
        assert (await send("PUT", "/v1/holds/bet-42", BET, [*good.items(), (name, good[name])]))[0] == 401


async def test_a_key_that_is_not_configured_may_not_sign(guard):
    send = await guard()

    status, said = await send("GET", "/v1/holds/1", b"", signed("GET", "/v1/holds/1", key="op-9"))

    assert (status, '"key-not-allowed"' in said) == (403, True)


async def test_without_signing_nothing_has_to_be_signed(guard):
    send = await guard(signers=None)

    assert (await send("GET", "/v1/holds/1"))[0] == 200


async def test_a_signature_does_not_stand_in_for_a_token(guard):
    send = await guard(tokens=(Token.of("casino", "t0ken", ["guard"]), Token.of("grafana", "r34d", ["read"])))
    good = signed("GET", "/v1/holds/1")

    assert (await send("GET", "/v1/holds/1", b"", good))[0] == 401
    assert (await send("GET", "/v1/holds/1", b"", {**good, "Authorization": "Bearer r34d"}))[0] == 403
    assert (await send("GET", "/v1/holds/1", b"", {"Authorization": "Bearer t0ken"}))[0] == 401
    assert (await send("GET", "/v1/holds/1", b"", {**good, "Authorization": "Bearer t0ken"}))[0] == 200


async def test_who_has_the_token_but_cannot_sign_does_not_spend_its_rate(guard):
    send = await guard(tokens=(Token.of("casino", "t0ken", ["guard"], Rate(1, timedelta(hours=1))),))
    token, good = {"Authorization": "Bearer t0ken"}, signed("GET", "/v1/holds/1")

    assert [(await send("GET", "/v1/holds/1", b"", token))[0] for _ in range(3)] == [401, 401, 401]
    assert [(await send("GET", "/v1/holds/1", b"", {**token, **good}))[0] for _ in range(2)] == [200, 429]


async def test_a_compressed_body_is_refused_before_anybody_asks_which_bytes_were_signed(guard):
    send = await guard()
    headers = {**signed("PUT", "/v1/holds/bet-42", BET), "Content-Encoding": "gzip"}

    status, said = await send("PUT", "/v1/holds/bet-42", BET, headers)

    assert (status, "Content-Encoding" in said) == (400, True)


def test_who_may_sign_does_not_show_the_secrets():
    assert "do-not-use" not in repr(Signers({"op-7": (SECRET,)}, WINDOW))
