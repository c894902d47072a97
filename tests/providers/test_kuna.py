"""KUNA Core: recorded and invented answers through the pure parser, and the login on real sockets."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from monitor.errors import ProviderError, ProviderGarbled, ProviderRefused, ProviderThrottled
from monitor.model.record import Account, Record
from monitor.providers.http import Http
from monitor.providers.kuna import Kuna
from monitor.providers.kuna_rows import TOTAL, parse

KEY = "kuna-canary-key"
PASSWORD = "kuna-canary-password"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ACCOUNT = Account(
    name="treasury", provider="custody", interval=timedelta(minutes=1), stale_after=timedelta(minutes=3),
    assets=("USDT",), target="w-1",
)  # fmt: skip


def settings(**over):
    given = {
        "type": "kuna",
        "base_url": "https://kuna.example",
        "auth": {"api_key": KEY},
        "accounts": {"treasury": {"wallet_id": "w-1", "assets": ["USDT"]}},
    }
    return TypeAdapter(Kuna).validate_python(given | over)


def by_login(server, **over):
    return settings(base_url=server.url, auth={"merchant_id": "m-canary", "login": "ops", "password": PASSWORD} | over)


def connected(spec, session):
    return spec.connect(Http(session, spec.origin()))


def numbers(seen):
    return {asset: {m: str(v) for m, v in ms.items()} for asset, ms in seen.snapshot.amounts.items()}


def jwt(exp):
    part = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode().rstrip("=")
    return f"e30.{part}.sig"


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        pytest.param("N1", {"BTC": ("0", "0", "0", "0"), "USDT": ("0.64", "0", "0", "0.64")}, id="normal"),
        pytest.param("N2", {"USDT": ("60", "40", "0", "100")}, id="withdrawal in processing: total stands"),
        pytest.param("N3", {"USDT": ("0", "0", "100", "100")}, id="AML lock: nothing available, total stands"),
        pytest.param("N4", {"BTC": ("0.1", "0", "0", "0.15")}, id="an unknown bucket counts in total"),
        pytest.param("N5", {}, id="nothing"),
    ],
)
def test_samples_are_read_as_documented(recorded, now, sample, expected):
    seen = parse(recorded(sample), (), now)

    found = {a: tuple(m[n] for n in ("available", "held", "locked", "total")) for a, m in numbers(seen).items()}
    assert found == expected


def test_referral_money_is_a_measure_of_its_own_and_not_in_total(now):
    body = b'{"data":[{"asset":"USDT","balance":"1","holdBalance":"2","lockBalance":"3","referralBalance":"9"}]}'

    assert numbers(parse(body, (), now))["USDT"] == {
        "available": "1", "held": "2", "locked": "3", "referral": "9", "total": "6",
    }  # fmt: skip


def test_a_requested_asset_that_is_missing_is_unknown_and_never_zero(recorded, now):
    snapshot = parse(recorded("N2"), ("USDT", "BTC"), now).snapshot

    assert snapshot.missing == ("BTC",)
    assert "BTC" in snapshot.why
    assert set(snapshot.amounts) == {"USDT"}
    assert not snapshot.absent_is_zero


def test_nothing_at_all_is_everything_missing(recorded, now):
    snapshot = parse(recorded("N5"), ("USDT", "BTC"), now).snapshot

    assert (snapshot.missing, snapshot.amounts) == (("USDT", "BTC"), {})


def test_an_asset_is_found_whatever_its_case(now):
    snapshot = parse(b'{"data":[{"asset":"usdt","balance":"1"}]}', ("USDT",), now).snapshot

    assert (tuple(snapshot.amounts), snapshot.missing) == (("USDT",), ())


@pytest.mark.parametrize("absent", ['"holdBalance":null,', ""])
def test_without_a_bucket_of_its_sum_total_is_unknown(now, absent):
    body = f'{{"data":[{{"asset":"USDT","balance":"1",{absent}"lockBalance":"0"}}]}}'

    assert numbers(parse(body.encode(), (), now))["USDT"] == {"available": "1", "locked": "0"}


def test_the_formula_of_total_is_configurable(recorded, now):
    assert numbers(parse(recorded("N4"), (), now, ("balance", "holdBalance")))["BTC"]["total"] == "0.1"
    assert numbers(parse(recorded("N4"), (), now, ("balance", "settlementBalance")))["BTC"]["total"] == "0.15"


def test_amounts_keep_every_digit_as_text_or_number(now):
    a = b'{"asset":"A","balance":"0.1234567890123456789"}'
    body = b'{"data":[%b,{"asset":"B","balance":1e-8},{"asset":"C","balance":5}]}' % a

    found = parse(body, (), now).snapshot.amounts

    assert found["A"]["available"] == Decimal("0.1234567890123456789")
    assert (found["B"]["available"], found["C"]["available"]) == (Decimal("1e-8"), Decimal(5))


@pytest.mark.parametrize(
    "balance",
    [b"null", b'"lots"', b'"NaN"', b'"-Infinity"', b"true", b"[]", b"{}", b'""', b'"1e99"', b"1e999999999"],
)
@pytest.mark.parametrize("field", [b"balance", b"holdBalance", b"settlementBalance"])
def test_a_balance_that_is_no_amount_is_garbled(now, field, balance):
    if balance == b"null" and field != b"balance":
        return  # null is "not told" where a field is not mandatory
    with pytest.raises(ProviderGarbled):
        parse(
            b'{"data":[{"asset":"USDT","balance":"1",%b:%b}]}' % (json.dumps(field.decode()).encode(), balance),
            (),
            now,
        )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"data":null}',
        b'{"data":{}}',
        b'{"data":"none"}',
        b'{"data":[1]}',
        b'{"data":[[]]}',
        b'{"data":[{"balance":"1"}]}',
        b'{"data":[{"asset":"USDT"}]}',
        b'{"data":[{"asset":"","balance":"1"}]}',
        b'{"data":[{"asset":null,"balance":"1"}]}',
        b'{"data":[{"asset":7,"balance":"1"}]}',
        b'{"data":[{"asset":"USDT","balance":"1"},{"asset":"usdt","balance":"2"}]}',
        b'{"data":[{"asset":"USDT","bal',
        b'{"data":[' + b'{"asset":"USDT","balance":"1"},' * 5001 + b'{"asset":"BTC","balance":"1"}]}',
        b"[" * 100_000,
        b'{"data":[{"asset":"' + b"X" * 65 + b'","balance":"1"}]}',
        b'{"data":[{"asset":"A\\u0000B","balance":"1"}]}',
    ],
)
def test_anything_else_is_garbled(now, body):
    with pytest.raises(ProviderGarbled):
        parse(body, ("USDT",), now)


@pytest.mark.parametrize(
    ("body", "scope"),
    [
        (b'{"statusCode":401,"message":"Unauthorized"}', "credentials"),
        (b'{"statusCode":400,"message":"walletId"}', "account"),
        (b'{"success":false,"data":[]}', "account"),
        (b'{"error":"maintenance","data":[{"asset":"USDT","balance":"0"}]}', "account"),
    ],
)
def test_an_error_envelope_in_a_success_is_a_refusal_not_data(now, body, scope):
    with pytest.raises(ProviderRefused) as refused:
        parse(body, ("USDT",), now)

    assert refused.value.scope == scope


@pytest.mark.parametrize(
    "deposit", [b"null", b"{}", b"[]", b'"x"', b'{"TRX":null}', b'{"TRX":{"address":null}}', b'{"TRX":{}}']
)
def test_a_deposit_address_that_is_not_there_costs_nothing(now, deposit):
    seen = parse(b'{"data":[{"asset":"USDT","balance":"1","depositAddress":%b}]}' % deposit, ("USDT",), now)

    assert (seen.addresses, seen.snapshot.missing) == ({}, ())


def test_addresses_are_kept_by_asset_and_network_as_they_are(recorded, now):
    assert parse(recorded("N1"), (), now).addresses == {"BTC on BTC": "bc1q4cu", "USDT on TRX": "TW6fBs"}


def outcome(body):
    """The error that a body raises, or nothing; whatever is no ProviderError fails the test."""
    try:
        parse(body, ("USDT",), NOON)
    except ProviderError as error:
        return error
    return ""


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_a_typed_error(body):
    assert len(str(outcome(body))) < 400


@given(st.data())
def test_a_damaged_answer_is_an_answer_or_a_typed_error(data):
    good = b'{"data":[{"asset":"USDT","balance":"60","holdBalance":"40","lockBalance":"0","depositAddress":{}}]}'
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 5)) :]

    assert len(str(outcome(damaged))) < 400


# --- on the wire


async def test_the_wallet_and_its_assets_are_always_sent_with_the_key(server, session, purse, now, recorded):
    server.say(recorded("N2"))

    answer = await connected(settings(base_url=server.url), session).poll(ACCOUNT, Record("treasury"), purse, now)

    [asked] = server.asked
    assert (asked.method, asked.path, asked.json) == (
        "POST",
        "/v2/balance",
        {"walletId": "w-1", "assets": ["USDT"]},
    )
    assert asked.headers["api-key"] == KEY
    assert asked.headers["accept"] == asked.headers["content-type"] == "application/json"
    assert (answer.events, answer.notes, answer.snapshot.observed_at) == (None, (), now)
    assert purse.spent == [1]


async def test_a_new_field_is_told_once(server, session, purse, now, recorded):
    server.say(recorded("N4"))
    kuna = connected(settings(base_url=server.url), session)

    notes = [(await kuna.poll(ACCOUNT, Record("treasury"), purse, now)).notes for _ in range(2)]

    assert [len(n) for n in notes] == [1, 0]
    assert "settlementBalance" in notes[0][0]


async def test_a_changed_deposit_address_is_told_and_a_vanished_one_is_not(server, session, purse, now):
    row = {"asset": "USDT", "balance": "1"}
    for where in (
        {"TRX": {"address": "T1"}},
        None,
        {"TRX": {"address": "T1"}},
        {"TRX": {"address": "T2"}},
        {"TRX": {"address": "T2"}},
    ):
        server.say({"data": [row | {"depositAddress": where}]})
    kuna = connected(settings(base_url=server.url), session)

    notes = [(await kuna.poll(ACCOUNT, Record("treasury"), purse, now)).notes for _ in range(5)]

    assert [len(n) for n in notes] == [0, 0, 0, 1, 0]
    assert notes[3] == ("the deposit address of USDT on TRX changed from T1 to T2",)


class Gate:
    """A KUNA that hands out numbered tokens and honours only the newest."""

    def __init__(self, server, token=lambda n: f"token-{n}"):
        self.logins, self.balances, self.revoked, self.token = [], [], False, token
        server.route = self.answer

    def answer(self, asked):
        if asked.path == "/v2/auth/login":
            self.logins.append(asked)
            self.revoked = False
            return web.json_response({"data": {"accessToken": self.token(len(self.logins))}})
        self.balances.append(asked)
        if self.revoked or asked.headers.get("authorization") != f"Bearer {self.token(len(self.logins))}":
            return web.json_response({"statusCode": 401, "message": "Unauthorized"}, status=401)
        return web.json_response({"data": [{"asset": "USDT", "balance": "1"}]})


async def test_a_login_names_the_merchant_once_and_the_token_serves_every_poll(server, session, purse, now):
    gate = Gate(server)
    kuna = connected(by_login(server), session)

    await asyncio.gather(*(kuna.poll(ACCOUNT, Record("treasury"), purse, now) for _ in range(20)))

    [login] = gate.logins
    assert login.headers["merchant_id"] == "m-canary"
    assert login.json == {"login": "ops", "password": PASSWORD}
    assert len(gate.balances) == 20
    assert all("merchant_id" not in asked.headers for asked in gate.balances)
    assert purse.spent == [1] * 21


async def test_a_401_logs_in_once_for_all_polls_in_flight(server, session, purse, now):
    gate = Gate(server)
    kuna = connected(by_login(server), session)
    await kuna.poll(ACCOUNT, Record("treasury"), purse, now)
    gate.revoked = True

    await asyncio.gather(*(kuna.poll(ACCOUNT, Record("treasury"), purse, now) for _ in range(10)))

    assert len(gate.logins) == 2


async def test_a_second_401_is_a_refusal_of_the_credentials(server, session, purse, now, leaks_nothing):
    server.route = lambda asked: _login_or(asked, 401)
    kuna = connected(by_login(server), session)

    with pytest.raises(ProviderRefused) as refused:
        await kuna.poll(ACCOUNT, Record("treasury"), purse, now)

    assert refused.value.scope == "credentials"
    assert [asked.path for asked in server.asked] == ["/v2/auth/login", "/v2/balance"] * 2
    leaks_nothing(refused.value, PASSWORD, "m-canary", "token-x")


def _login_or(asked, status):
    if asked.path.endswith("login"):
        return web.json_response({"data": {"accessToken": "token-x"}})
    return web.json_response({"message": f"no {asked.headers['authorization']}"}, status=status)


@pytest.mark.parametrize("status", [400, 401, 404, 422])
async def test_a_refused_login_is_asked_once_by_all_polls_together(server, session, purse, now, leaks_nothing, status):
    server.say({"message": f"bad password {PASSWORD} of m-canary"}, status=status)
    kuna = connected(by_login(server), session)

    outcomes = await asyncio.gather(
        *(kuna.poll(ACCOUNT, Record("treasury"), purse, now) for _ in range(10)), return_exceptions=True
    )

    assert len(server.asked) == 1, "a vendor may ban who hammers its login"
    assert {(type(o), o.scope) for o in outcomes} == {(ProviderRefused, "credentials")}
    for outcome in outcomes:
        leaks_nothing(outcome, PASSWORD, "m-canary")


async def test_a_failed_login_is_tried_again_by_the_next_poll(server, session, purse, now):
    server.say({}, status=500).say({"data": {"accessToken": "t"}}).say({"data": [{"asset": "USDT", "balance": "1"}]})
    kuna = connected(by_login(server), session)
    with pytest.raises(ProviderError):
        await kuna.poll(ACCOUNT, Record("treasury"), purse, now)

    assert (await kuna.poll(ACCOUNT, Record("treasury"), purse, now)).snapshot.amounts


async def test_the_end_in_a_jwt_is_used_before_it_comes(server, session, purse, now):
    gate = Gate(server, lambda n: jwt(int((now + timedelta(hours=n)).timestamp())))
    kuna = connected(by_login(server), session)

    for passed in (0, 30, 54, 56, 57):
        await kuna.poll(ACCOUNT, Record("treasury"), purse, now + timedelta(minutes=passed))

    assert len(gate.logins) == 2
    assert len(gate.balances) == 5, "renewed before it was refused"


@pytest.mark.parametrize(
    "token", ["opaque", "a.b.c", "e30.e30.x", "e30.bnVsbA.x", "..", jwt("soon"), jwt(-5), jwt(1e300)]
)
async def test_a_token_without_a_readable_end_is_used_until_it_is_refused(server, session, purse, now, token):
    gate = Gate(server, lambda n: token)
    kuna = connected(by_login(server), session)

    await kuna.poll(ACCOUNT, Record("treasury"), purse, now)
    await kuna.poll(ACCOUNT, Record("treasury"), purse, now + timedelta(days=400))

    assert len(gate.logins) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"data": None},
        {"data": {"accessToken": ""}},
        {"data": {"accessToken": 7}},
        {"data": {"accessToken": "a\nb"}},
    ],
)
async def test_a_login_without_a_token_is_garbled(server, session, purse, now, answer):
    server.say(answer)

    with pytest.raises(ProviderGarbled, match=r"data\.accessToken"):
        await connected(by_login(server), session).poll(ACCOUNT, Record("treasury"), purse, now)


async def test_login_path_body_and_token_path_can_be_overridden(server, session, purse, now):
    server.say({"token": "t"}).say({"data": []})
    spec = by_login(server, login_path="/auth", login_body={"email": "a@b.c", "otp": "1"}, token_path="token")

    await connected(spec, session).poll(ACCOUNT, Record("treasury"), purse, now)

    assert (server.asked[0].path, server.asked[0].json) == ("/auth", {"email": "a@b.c", "otp": "1"})
    assert server.asked[1].headers["authorization"] == "Bearer t"


async def test_a_key_that_is_refused_is_not_tried_twice(server, session, purse, now, recorded, leaks_nothing):
    server.say(recorded("N6"), status=401)

    with pytest.raises(ProviderRefused, match="Unauthorized") as refused:
        await connected(settings(base_url=server.url), session).poll(ACCOUNT, Record("treasury"), purse, now)

    assert (refused.value.scope, len(server.asked)) == ("credentials", 1)
    leaks_nothing(refused.value, KEY)


async def test_a_spent_budget_asks_nobody(server, session, purse, now):
    purse.left = 0

    with pytest.raises(ProviderThrottled):
        await connected(by_login(server), session).poll(ACCOUNT, Record("treasury"), purse, now)

    assert server.asked == []


# --- settings


def test_the_default_rate_is_one_request_a_second():
    assert settings().quota() == ((1, timedelta(seconds=1)),)


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"base_url": None}, "base_url"),
        ({"accounts": {"t": {"wallet_id": "w"}}}, "assets"),
        ({"accounts": {"t": {"wallet_id": "", "assets": ["A"]}}}, "wallet_id"),
        ({"auth": {"merchant_id": "m"}}, "login_body"),
        ({"auth": {}}, "api_key"),
        ({"intervall": "1s"}, "intervall"),
    ],
)
def test_a_configuration_mistake_names_its_key(over, says):
    with pytest.raises(ValidationError) as mistake:
        settings(**over)

    assert says in str(mistake.value)


def test_no_repr_shows_a_secret(session_free_http):
    spec = settings(auth={"merchant_id": "m-canary", "login": "ops-canary", "password": PASSWORD})
    shown = f"{spec!r} {spec.connect(session_free_http)!r} {settings().connect(session_free_http)!r}"

    assert not [secret for secret in (KEY, PASSWORD, "m-canary", "ops-canary") if secret in shown]


def test_a_mistake_in_the_configuration_does_not_print_its_secrets():
    with pytest.raises(ValidationError) as mistake:
        settings(auth={"merchant_id": "m-canary", "password": PASSWORD}, accounts={})

    assert PASSWORD not in str(mistake.value)


def test_total_is_documented_in_the_schema():
    assert TypeAdapter(Kuna).json_schema()["properties"]["total"]["default"] == list(TOTAL)
