"""CryptoFuse: four shapes of an answer through the pure parser; the search for a request on real sockets."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from monitor.errors import ProviderError, ProviderGarbled, ProviderRefused, ProviderThrottled
from monitor.model.money import text
from monitor.model.record import Account, Record
from monitor.model.snapshot import Snapshot, diff
from monitor.providers.cryptofuse import Cryptofuse
from monitor.providers.cryptofuse_names import asset, currencies
from monitor.providers.cryptofuse_shapes import MAX_ASSETS, parse, snapshot, unbalanced
from monitor.providers.http import Http
from monitor.providers.tokens import Token

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = "fuse-canary-key"
SECRET = "fuse-canary-secret"
OAUTH = {"client_id": "fuse-canary-id", "client_secret": SECRET}
C = {
    "account": {"id": "u"},
    "balances": [{"currency": "BTC", "amount": "3", "pending_amount": "1", "available_balance": "2"}],
}
A = {"wallet_id": "w-1", "balances": {"btc": {"available": 2, "pending": 1, "total": 3, "blockchain": "BTC"}}}
B = {"result": {"id": "u", "name": "n", "balances": [{"currency": "btc", "amount": "2", "pendingAmount": "1"}]}}
D = {"balances": [{"currency": "BTC", "total_balance": "3", "available_balance": "2", "pending_balance": "1"}]}
SHAPES = {"A": A, "B": B, "C": C, "D": D}
#: (method, path) → shape, as documented.
DOORS = {
    ("POST", "/wallets/balance"): "A",
    ("GET", "/wallets/balances"): "B",
    ("POST", "/wallets/balances/"): "C",
    ("GET", "/user/balances/"): "D",
}


def settings(**over):
    plain = {"type": "cryptofuse", "auth": {"api_key": KEY}, "base_url": "https://fuse.example"}
    return TypeAdapter(Cryptofuse).validate_python(plain | over)


def account(spec, assets=(), **ids):
    """An account as the configuration would make it; its provider's own model reads the ids."""
    model = type(spec).model_fields["accounts"].annotation.__args__[1]
    return Account(
        name="hot",
        provider="casino",
        interval=timedelta(minutes=1),
        stale_after=timedelta(minutes=3),
        assets=assets,
        target=model(**ids).target(),
    )


def connected(spec, session):
    return spec.connect(Http(session, spec.origin()))


def known(**amounts):
    """A snapshot of what was seen before: total per asset, `__` for `@`."""
    held = {name.replace("__", "@"): _three(value) for name, value in amounts.items()}
    return Snapshot(NOON, held, absent_is_zero=True)


def _three(total):
    return {"available": Decimal(total), "pending": Decimal(0), "total": Decimal(total)}


def totals(reading):
    return {name: str(measures["total"]) for name, measures in reading.amounts.items()}


def read_totals(body, before=None, declared=()):
    return totals(snapshot(parse(body), before, declared, NOON))


# --- shapes


@pytest.mark.parametrize(
    ("sample", "shape", "expected"),
    [
        pytest.param("C1", "A", {"BTC": ("0.035", "0.025", "0.01")}, id="A"),
        pytest.param(
            "C2",
            "C",
            {
                "USDT@TRX": ("500.00", "400.00", "100.00"),
                "ETH": ("5.123456789000000000", "5.123456789000000000", "0.000000000000000000"),
            },
            id="C: amount is the total",
        ),
        pytest.param("C3", "C", {"BTC": ("0.025", "0.025", "0")}, id="C with numbers"),
        pytest.param("C4a", "A", {}, id="A, empty wallet"),
        pytest.param("C4c", None, {}, id="a list without rows"),
        pytest.param("CB", "B", {"USDT@TRX": ("1000.50", "1000.50", "0.00")}, id="B: amount is available"),
        pytest.param("CD", "D", {"USDT@TRX": ("5000.000000", "4500.000000", "500.000000")}, id="D"),
    ],
)
def test_every_documented_shape_is_recognised_and_read(recorded, sample, shape, expected):
    read = parse(recorded(sample))

    assert read.shape == shape
    assert {
        line.asset: tuple(text(line.measures[m]) for m in ("total", "available", "pending")) for line in read.lines
    } == expected
    assert unbalanced(read) == ()


def test_in_b_the_total_is_the_sum(recorded):
    [line] = parse(b'{"result":{"balances":[{"currency":"BTC","amount":"2","pendingAmount":"0.5"}]}}').lines

    assert {m: str(v) for m, v in line.measures.items()} == {
        "available": "2",
        "pending": "0.5",
        "total": "2.5",
    }


@pytest.mark.parametrize("number", ["0.1234567890123456789", "1e-8", "123456789012345678901234567890.123456789"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_no_digit_is_lost_in_any_spelling(number, quote):
    amount = f"{quote}{number}{quote}"
    body = f'{{"balances":{{"btc":{{"available":{amount},"pending":0,"total":{amount}}}}}}}'

    [line] = parse(body.encode()).lines

    assert line.measures["total"] == Decimal(number)


def test_a_missing_pending_is_unknown_and_not_zero():
    [line] = parse(b'{"balances":[{"currency":"BTC","amount":"2","available_balance":"2"}]}').lines

    assert "pending" not in line.measures


def test_a_total_that_does_not_add_up_is_noticed(recorded):
    body = b'{"balances":[{"currency":"BTC","amount":"5","pending_amount":"1","available_balance":"2"}]}'

    assert unbalanced(parse(body)) == ("BTC",)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"<html>",
        b'{"balances":null}',
        b'{"balances":"none"}',
        b'{"balances":7}',
        b'{"result":{}}',
        b'{"result":{"balances":null}}',
        b'{"result":null}',
        b'{"balances":[{}]}',
        b'{"balances":[{"currency":"BTC"}]}',
        b'{"balances":[{"currency":"BTC","amount":"1"}]}',
        b'{"balances":[{"currency":"BTC","amount":"1","pendingAmount":"0"}]}',
        b'{"balances":[{"currency":"","amount":"1","available_balance":"1"}]}',
        b'{"balances":[{"currency":null,"amount":"1","available_balance":"1"}]}',
        b'{"balances":[{"amount":"1","available_balance":"1"}]}',
        b'{"balances":[{"currency":"BTC","amount":"1","available_balance":"1"},{"currency":"btc","amount":"1","available_balance":"1"}]}',
        b'{"balances":[{"currency":"BTC","total_balance":"1","available_balance":"1"},{"currency":"X","amount":"1"}]}',
        b'{"balances":{"btc":{}}}',
        b'{"balances":{"btc":null}}',
        b'{"balances":{"btc":5}}',
        b'{"balances":{"btc":{"total":1}}}',
        b'{"balances":{"btc":{"available":1}}}',
        b'{"balances":{"":{"available":1,"total":1}}}',
        b'{"result":{"balances":[{"currency":"BTC","amount":"1"}]}}',
        b'{"balances":[{"currency":"BTC","amount":"1","ava',
        b"[" * 100_000,
    ],
)
def test_whatever_is_no_documented_shape_is_garbled(body):
    with pytest.raises(ProviderGarbled):
        parse(body)


@pytest.mark.parametrize(
    "amount",
    [
        "null",
        '"lots"',
        '"NaN"',
        '"Infinity"',
        "true",
        "[]",
        "{}",
        '""',
        '"1e99"',
        "1e999999999",
        '"' + "1" * 61 + '"',
    ],
)
@pytest.mark.parametrize(
    "body",
    [
        '{{"balances":{{"btc":{{"available":{0},"total":1}}}}}}',
        '{{"balances":{{"btc":{{"available":1,"total":{0}}}}}}}',
        '{{"balances":[{{"currency":"BTC","amount":{0},"available_balance":"1"}}]}}',
        '{{"balances":[{{"currency":"BTC","amount":"1","available_balance":{0}}}]}}',
        '{{"balances":[{{"currency":"BTC","total_balance":"1","available_balance":{0}}}]}}',
        '{{"result":{{"balances":[{{"currency":"BTC","amount":{0},"pendingAmount":"0"}}]}}}}',
        '{{"result":{{"balances":[{{"currency":"BTC","amount":"1","pendingAmount":{0}}}]}}}}',
    ],
)
def test_an_amount_that_is_none_is_garbled(body, amount):
    with pytest.raises(ProviderGarbled):
        snapshot(parse(body.format(amount).encode()), None, (), NOON)


@pytest.mark.parametrize(
    "body",
    [
        b'{"success":false,"balances":[]}',
        b'{"success":false,"balances":{}}',
        b'{"error":"maintenance","balances":[]}',
        b'{"result":"error","message":"x"}',
        b'{"error":{"code":1},"balances":{}}',
        b'{"error_code":"x"}',
        b'{"error":"wallet_not_found"}',
    ],
)
def test_an_error_in_a_success_is_a_refusal_and_never_an_empty_wallet(body):
    with pytest.raises(ProviderRefused):
        parse(body)


def test_more_currencies_than_any_wallet_has_are_garbled():
    rows = ",".join(f'"x{n}":{{"available":1,"total":1}}' for n in range(MAX_ASSETS + 1))

    with pytest.raises(ProviderGarbled):
        parse(f'{{"balances":{{{rows}}}}}'.encode())


def outcome(body):
    """The error that a body raises, or nothing; whatever is no ProviderError fails the test."""
    try:
        snapshot(parse(body), known(BTC="1"), ("USDT",), NOON)
    except ProviderError as error:
        return error
    return ""


@given(st.binary(max_size=300))
def test_any_bytes_are_an_answer_or_a_typed_error(body):
    assert len(str(outcome(body))) < 400


@given(st.sampled_from(sorted(SHAPES)), st.data())
def test_a_damaged_answer_is_an_answer_or_a_typed_error(shape, data):
    good = web.json_response(SHAPES[shape]).body
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = good[:at] + data.draw(st.binary(max_size=3)) + good[at + data.draw(st.integers(0, 5)) :]

    assert len(str(outcome(damaged))) < 400


# --- names


@pytest.mark.parametrize(
    ("code", "blockchain", "expected"),
    [
        ("usdt", "ETH", "USDT@ETH"),
        ("usdttrc20", None, "USDT@TRX"),
        ("USDTTRC20", None, "USDT@TRX"),
        ("USDTERC20", None, "USDT@ETH"),
        ("usdtbep20", None, "USDT@BSC"),
        ("btc", "BTC", "BTC"),
        ("btc", None, "BTC"),
        ("ETH", None, "ETH"),
        ("eth", "ERC20", "ETH"),
        ("eth", "Arbitrum", "ETH@ARB"),
        ("usdt", "trc20", "USDT@TRX"),
        ("usdttrc20", "TRX", "USDT@TRX"),
        ("USDCSOL", None, "USDC@SOL"),
        ("CONSOL", None, "CONSOL"),
        ("SOL", None, "SOL"),
        ("trc20", None, "TRC20"),
        (" usdt ", "", "USDT"),
        ("usdt", None, "USDT"),
    ],
)
def test_currency_and_network_are_told_apart(code, blockchain, expected):
    assert asset(code, blockchain) == expected


def test_the_configured_names_come_before_the_table():
    assert asset("usdttrc20", None, {"USDTTRC20": "USDT@TRON"}) == "USDT@TRON"


@pytest.mark.parametrize("outer", ["{}", '{{"currencies":{}}}', '{{"results":{}}}', '{{"result":{}}}'])
def test_the_list_of_currencies_is_read_under_any_key(outer):
    foo = '{"currency":"usdtfoo","token":"USDT","blockchain":"FOO"}'
    btc = '{"currency":"btc","token":"BTC","blockchain":"BTC"}'
    rows = f'[{foo},{btc},{{"currency":"usdttrc20"}}]'

    assert currencies(outer.format(rows).encode()) == {
        "USDTFOO": "USDT@FOO",
        "BTC": "BTC",
        "USDTTRC20": "USDT@TRX",
    }


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"currencies":[]}', b'{"currencies":{"a":1}}', b'[{"token":"BTC"}]'])
def test_an_unreadable_list_of_currencies_is_garbled(body):
    with pytest.raises(ProviderGarbled):
        currencies(body)


# --- what is absent


@pytest.mark.parametrize("empty", ["C4a", "C4c"])
def test_a_drained_currency_that_vanished_is_zero(recorded, empty):
    before = known(USDT__TRX="600", BTC="1")

    after = snapshot(parse(recorded(empty)), before, (), NOON)

    assert totals(after) == {"USDT@TRX": "0", "BTC": "0"}
    assert after.of("BTC", "available") == after.of("BTC", "pending") == 0
    assert {change.asset: change.delta for change in diff(before, after) if change.measure == "total"} == {
        "USDT@TRX": -600,
        "BTC": -1,
    }


def test_a_drain_beside_another_currency_is_seen_in_shape_a(recorded):
    assert read_totals(recorded("C1"), known(USDT="600", BTC="0.035")) == {"BTC": "0.035", "USDT": "0"}


def test_a_declared_asset_that_was_never_seen_is_zero(recorded):
    assert read_totals(recorded("C1"), None, ("BTC", "USDT")) == {"BTC": "0.035", "USDT": "0"}


def test_what_was_neither_seen_nor_declared_does_not_exist(recorded):
    assert read_totals(recorded("C1")) == {"BTC": "0.035"}


def test_a_new_currency_grew_from_zero(recorded):
    after = snapshot(parse(recorded("C1")), known(USDT="1"), (), NOON)

    assert Decimal("0.035") in {change.delta for change in diff(known(USDT="1"), after)}


@pytest.mark.parametrize(
    ("answer", "before", "declared", "expected"),
    [
        pytest.param(
            {"USDTTRC20": 5, "USDTERC20": 7},
            None,
            ["USDT"],
            {"USDT@TRX": "5", "USDT@ETH": "7"},
            id="bare selects all networks",
        ),
        pytest.param(
            {"USDTTRC20": 5},
            known(USDT__TRX="5", USDT__ETH="7"),
            ["USDT"],
            {"USDT@TRX": "5", "USDT@ETH": "0"},
            id="one network drained",
        ),
        pytest.param(
            {},
            known(USDT__TRX="5"),
            ["USDT"],
            {"USDT@TRX": "0"},
            id="the only network drained: no second, bare zero",
        ),
        pytest.param({"USDTTRC20": 5}, known(USDT="0"), ["USDT"], {"USDT@TRX": "5"}, id="the placeholder gives way"),
        pytest.param({}, None, ["USDT@ETH"], {"USDT@ETH": "0"}, id="declared with its network"),
        pytest.param(
            {"USDTTRC20": 5},
            None,
            ["USDT@ETH"],
            {"USDT@TRX": "5", "USDT@ETH": "0"},
            id="another network than declared",
        ),
    ],
)
def test_declared_seen_and_present_assets_are_united(answer, before, declared, expected):
    rows = [{"currency": c, "amount": v, "pending_amount": 0, "available_balance": v} for c, v in answer.items()]

    assert read_totals(web.json_response({"balances": rows}).body, before, declared) == expected


@pytest.mark.parametrize("blockchain", ["null", '""'])
def test_in_shape_a_a_row_without_network_means_the_one_that_is_known(blockchain):
    row = f'{{"available":0,"pending":0,"total":0,"blockchain":{blockchain}}}'
    body = f'{{"balances":{{"usdt":{row}}}}}'.encode()

    assert read_totals(body, known(USDT__ETH="600")) == {"USDT@ETH": "0"}
    assert read_totals(body, known(USDT__ETH="600", USDT__TRX="1")) == {
        "USDT": "0",
        "USDT@ETH": "0",
        "USDT@TRX": "0",
    }


def test_remembered_zeros_are_bounded():
    before = Snapshot(NOON, {f"X{n}": _three("0") for n in range(MAX_ASSETS)}, absent_is_zero=True)

    after = snapshot(parse(b'{"balances":{"new":{"available":1,"total":1}}}'), before, ("USDT",), NOON)

    assert len(after.amounts) == MAX_ASSETS
    assert {"NEW", "USDT"} <= set(after.amounts)


# --- usd and time


def test_the_providers_own_usd_value_is_kept_beside_the_amounts(recorded):
    reading = snapshot(parse(recorded("C1")), None, (), NOON)

    assert reading.usd == {"BTC": Decimal("1421.75")}
    assert "usd_value" not in reading.amounts["BTC"]


@pytest.mark.parametrize("usd", ["null", '"NaN"', '"1e99"'])
def test_a_useless_usd_value_costs_no_balance(usd):
    body = f'{{"balances":{{"btc":{{"available":1,"total":1,"usd_value":{usd}}}}}}}'.encode()

    reading = snapshot(parse(body), None, (), NOON)

    assert (totals(reading), reading.usd) == ({"BTC": "1"}, {})


@pytest.mark.parametrize(
    ("last_updated", "trusted", "as_of"),
    [
        ("2026-11-20T11:00:00.000Z", False, None),
        ("2026-11-20T11:00:00.000Z", True, datetime(2026, 11, 20, 11, tzinfo=UTC)),
        ("2026-11-20T13:00:00+02:00", True, datetime(2026, 11, 20, 11, tzinfo=UTC)),
        ("2030-01-01T00:00:00Z", True, datetime(2030, 1, 1, tzinfo=UTC)),
        ("2026-11-20T11:00:00", True, None),
        ("yesterday", True, None),
        ("", True, None),
        ("0001-01-01T00:00:00+14:00", True, None),
        ("9999-12-31T23:59:59-14:00", True, None),
    ],
)
def test_last_updated_is_believed_only_on_demand(last_updated, trusted, as_of):
    read = parse(f'{{"balances":{{}},"last_updated":"{last_updated}"}}'.encode())

    assert snapshot(read, None, (), NOON, trust_as_of=trusted).as_of == as_of


# --- which request


class Fuse:
    """A CryptoFuse that knows some of the documented requests; the others are answered by `otherwise`."""

    def __init__(self, server, *shapes, otherwise=(404, {"error": "not_found"})):
        self.shapes, self.otherwise, self.asked = shapes, otherwise, []
        server.route = self.answer

    def answer(self, asked):
        shape = DOORS[asked.method, asked.path]
        self.asked.append((shape, asked))
        if shape in self.shapes:
            return web.json_response(SHAPES[shape])
        return web.json_response(self.otherwise[1], status=self.otherwise[0])

    @property
    def order(self):
        return "".join(shape for shape, _ in self.asked)


async def test_auto_sends_the_documented_request_with_the_key(server, session, purse, now):
    fuse = Fuse(server, "A")
    spec = settings(base_url=server.url)

    answer = await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    [(_, asked)] = fuse.asked
    assert asked.json == {"wallet_id": "w-1", "include_zero_balances": True}
    assert asked.headers["x-api-key"] == KEY
    assert (totals(answer.snapshot), answer.events, answer.snapshot.absent_is_zero) == (
        {"BTC": "3"},
        None,
        True,
    )
    assert purse.spent == [1]


@pytest.mark.parametrize("status", [404, 405])
@pytest.mark.parametrize(("shape", "order"), [("A", "A"), ("C", "AC"), ("B", "ACB")])
async def test_auto_steps_to_the_request_that_exists_and_keeps_it(server, session, purse, now, status, shape, order):
    fuse = Fuse(server, shape, otherwise=(status, {"error": "not_found"}))
    spec = settings(base_url=server.url)
    provider = connected(spec, session)

    for _ in range(3):
        answer = await provider.poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert fuse.order == order + shape * 2
    assert totals(answer.snapshot) == {"BTC": "3"}
    assert purse.spent == [1] * len(fuse.order), "every request is paid for"


async def test_each_request_is_as_documented(server, session, purse, now):
    for api in ("A", "B", "C", "D"):
        fuse = Fuse(server, api)
        auth = {"client_id": "i", "client_secret": "s"} if api == "D" else {"api_key": KEY}
        spec = settings(base_url=server.url, api=api, auth=auth)
        provider = connected(spec, session)
        if api == "D":
            provider.auth._token = Token("t")
        ids = {} if api == "D" else {"wallet_id": "w-1"}

        await provider.poll(account(spec, **ids), Record("hot"), purse, now)

        [(shape, asked)] = fuse.asked
        assert shape == api
        assert (asked.query, asked.body and asked.json) == {
            "A": ({}, {"wallet_id": "w-1", "include_zero_balances": True}),
            "B": ({"wallet_id": "w-1"}, b""),
            "C": ({}, {"wallet_id": "w-1"}),
            "D": ({}, b""),
        }[api]


async def test_an_unknown_wallet_is_refused_without_looking_elsewhere(server, session, purse, now, recorded):
    server.say(recorded("C5"), status=404)
    spec = settings(base_url=server.url)

    with pytest.raises(ProviderRefused, match="wallet_not_found") as refused:
        await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert (refused.value.scope, len(server.asked)) == ("account", 1)


async def test_when_no_request_exists_the_account_is_refused(server, session, purse, now):
    fuse = Fuse(server)
    spec = settings(base_url=server.url)

    with pytest.raises(ProviderRefused) as refused:
        await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert (fuse.order, refused.value.scope) == ("ACB", "account")


@pytest.mark.parametrize(
    "failure",
    [(500, {}), (401, {}), (403, {"error": "forbidden"}), (429, {}), (400, {"error": "bad_request"})],
)
async def test_a_failure_is_no_reason_to_look_elsewhere(server, session, purse, now, failure):
    fuse = Fuse(server, otherwise=failure)
    spec = settings(base_url=server.url)

    with pytest.raises(ProviderError):
        await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert fuse.order == "A"


async def test_an_account_known_by_external_id_is_asked_for_in_c_only(server, session, purse, now):
    fuse = Fuse(server, "A", "B", "C")
    spec = settings(base_url=server.url)

    await connected(spec, session).poll(account(spec, external_id="player-7"), Record("hot"), purse, now)

    [(shape, asked)] = fuse.asked
    assert (shape, asked.json) == ("C", {"external_id": "player-7"})


async def test_the_wallet_id_wins_over_the_external_id(server, session, purse, now):
    fuse = Fuse(server, "C")
    spec = settings(base_url=server.url, api="C")

    await connected(spec, session).poll(account(spec, wallet_id="w", external_id="e"), Record("hot"), purse, now)

    assert fuse.asked[0][1].json == {"wallet_id": "w"}


async def test_a_user_wide_answer_is_not_one_wallets(server, session, purse, now):
    server.say(D)
    spec = settings(base_url=server.url)

    with pytest.raises(ProviderGarbled):
        await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ({"wallet_id": "w-1"}, A | {"wallet_id": "w-2"}),
        ({"wallet_id": "w-1"}, C | {"account": {"id": "u", "wallet_id": "w-2"}}),
        ({"external_id": "player-7"}, C | {"account": {"id": "player-7", "external_id": "player-8"}}),
    ],
)
async def test_an_answer_about_another_wallet_is_not_ours(server, session, purse, now, asked, answer):
    server.say(answer)
    spec = settings(base_url=server.url)

    with pytest.raises(ProviderGarbled, match="another wallet"):
        await connected(spec, session).poll(account(spec, **asked), Record("hot"), purse, now)


@pytest.mark.parametrize(
    ("asked", "whose"),
    [
        ({"wallet_id": "W-1"}, {"id": "u", "wallet_id": "w-1"}),
        ({"wallet_id": "u"}, {"id": "u", "wallet_id": "w-1", "external_id": "player-7"}),
        ({"wallet_id": "w-1"}, {"id": "u", "wallet_id": None}),
        ({"external_id": "Player-7"}, {"id": "u", "external_id": "player-7"}),
        ({"external_id": "player-7"}, {"id": "u", "external_id": None}),
        ({"external_id": "player-7"}, "player-7"),
    ],
)
async def test_an_answer_names_us_by_any_of_our_ids_or_by_none(server, session, purse, now, asked, whose):
    server.say(C | {"account": whose})
    spec = settings(base_url=server.url, api="C")

    answer = await connected(spec, session).poll(account(spec, **asked), Record("hot"), purse, now)

    assert answer.snapshot.amounts["BTC"]["available"] == 2


async def test_path_and_slash_can_be_overridden(server, session, purse, now):
    server.say(A)
    spec = settings(base_url=f"{server.url}/api/v1/", paths={"A": "/wallets/balance/"})

    await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert server.asked[0].path == "/api/v1/wallets/balance/"


async def test_configured_currencies_name_the_assets(server, session, purse, now):
    server.say(A)
    spec = settings(base_url=server.url, currencies={"btc": "BTC@LIQUID"})

    answer = await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert totals(answer.snapshot) == {"BTC@LIQUID": "3"}


async def test_the_list_of_currencies_is_read_once_and_before_anything_is_named(server, session, purse, now):
    server.say({"error": "x"}, status=500).say([{"currency": "btc", "token": "BTC", "blockchain": "LIQUID"}]).say(A)
    spec = settings(base_url=server.url, currency_list=True)
    provider = connected(spec, session)
    hot = account(spec, wallet_id="w-1")
    with pytest.raises(ProviderError):
        await provider.poll(hot, Record("hot"), purse, now)

    answers = await asyncio.gather(*(provider.poll(hot, Record("hot"), purse, now) for _ in range(5)))

    assert [asked.path for asked in server.asked].count("/currencies/") == 2
    assert server.asked[0].query == {"full": "true", "min_max": "true"}
    assert {str(totals(answer.snapshot)) for answer in answers} == {"{'BTC@LIQUID': '3'}"}


async def test_a_sum_that_does_not_add_up_is_told_when_it_starts(server, session, purse, now):
    wrong = {"balances": {"btc": {"available": 1, "pending": 1, "total": 3}}}
    for body in (wrong, wrong, A, wrong):
        server.say(body)
    spec = settings(base_url=server.url)
    provider, hot = connected(spec, session), account(spec, wallet_id="w-1")

    notes = [(await provider.poll(hot, Record("hot"), purse, now)).notes for _ in range(4)]

    assert [len(told) for told in notes] == [1, 0, 0, 1]


async def test_a_429_says_how_long_to_wait(server, session, purse, now, recorded, leaks_nothing):
    server.say(recorded("C7"), status=429, Retry_After="42")
    spec = settings(base_url=server.url)

    with pytest.raises(ProviderThrottled, match="rate_limit_exceeded") as throttled:
        await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert throttled.value.wait == timedelta(seconds=42)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 418, 429, 500])
async def test_a_key_that_is_echoed_is_never_shown(server, session, purse, now, leaks_nothing, status):
    server.say({"error": f"wallet_not_found for {KEY}"}, status=status)
    spec = settings(base_url=server.url)

    with pytest.raises(ProviderError) as raised:
        await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    leaks_nothing(raised.value, KEY)


# --- OAuth


class Granting:
    """A token endpoint and a balance that honours the newest token only."""

    def __init__(self, server, expires_in=3600, path="/o/token/"):
        self.grants, self.balances, self.revoked = [], [], False
        self.expires_in, self.path = expires_in, path
        server.route = self.answer

    def answer(self, asked):
        if asked.path == self.path:
            self.grants.append(asked)
            self.revoked = False
            return web.json_response(
                {
                    "access_token": f"tok-{len(self.grants)}",
                    "token_type": "Bearer",
                    "expires_in": self.expires_in,
                    "scope": "read",
                }
            )
        self.balances.append(asked)
        if self.revoked or asked.headers.get("authorization") != f"Bearer tok-{len(self.grants)}":
            return web.json_response({"detail": "Not authenticated"}, status=401)
        return web.json_response(D if asked.path.startswith("/user") else A)


async def test_client_credentials_are_exchanged_once_for_all_polls(server, session, purse, now):
    granting = Granting(server)
    spec = settings(base_url=server.url, auth=OAUTH)
    provider = connected(spec, session)

    await asyncio.gather(*(provider.poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now) for _ in range(20)))

    [grant] = granting.grants
    assert grant.headers["authorization"] == "Basic " + base64.b64encode(f"fuse-canary-id:{SECRET}".encode()).decode()
    assert grant.body == b"grant_type=client_credentials&scope=read+write"
    assert len(granting.balances) == 20
    assert purse.spent == [1] * 21


async def test_credentials_may_go_into_the_body_and_to_a_path_without_slash(server, session, purse, now):
    granting = Granting(server, path="/o/token")
    spec = settings(base_url=server.url, auth=OAUTH | {"credentials_in": "body", "token_url": f"{server.url}/o/token"})

    await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert b"client_id=fuse-canary-id&client_secret=fuse-canary-secret" in granting.grants[0].body
    assert "authorization" not in granting.grants[0].headers


async def test_a_token_may_come_from_another_host_when_that_is_configured(server, stranger, session, purse, now):
    stranger.say({})
    granting, elsewhere = Granting(server), Granting(stranger, path="/token")
    spec = settings(base_url=server.url, auth=OAUTH | {"token_url": f"{stranger.url}/token"})
    granting.grants = elsewhere.grants

    await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert [asked.path for asked in stranger.asked] == ["/token"], "the other host sees the exchange only"
    assert all("Basic" not in asked.headers["authorization"] for asked in server.asked)


@pytest.mark.parametrize(
    ("expires_in", "renewed_within_an_hour"),
    [
        (3600, True),
        ("3600", True),
        (36000, False),
        (60, True),
        (None, False),
        (0, False),
        (-5, False),
        (1e300, False),
        ("NaN", False),
    ],
)
async def test_a_token_is_renewed_before_its_end_and_not_earlier(
    server, session, purse, now, expires_in, renewed_within_an_hour
):
    granting = Granting(server, expires_in)
    spec = settings(base_url=server.url, auth=OAUTH)
    provider, hot = connected(spec, session), account(spec, wallet_id="w-1")

    for seconds in (0, 30, 53, 3599):
        await provider.poll(hot, Record("hot"), purse, now + timedelta(seconds=seconds))

    assert len(granting.grants) == (2 if renewed_within_an_hour else 1)
    assert len(granting.balances) == 4, "nothing was refused"


async def test_case_15_a_revoked_token_is_renewed_once_for_all_polls_in_flight(server, session, purse, now):
    granting = Granting(server)
    spec = settings(base_url=server.url, auth=OAUTH)
    provider, hot = connected(spec, session), account(spec, wallet_id="w-1")
    await provider.poll(hot, Record("hot"), purse, now)
    granting.revoked = True

    await asyncio.gather(*(provider.poll(hot, Record("hot"), purse, now) for _ in range(10)))

    assert len(granting.grants) == 2


async def test_case_15_a_second_401_is_a_refusal(server, session, purse, now, recorded, leaks_nothing):
    def answer(asked):
        if asked.path == "/o/token/":
            return web.json_response({"access_token": "tok-canary", "expires_in": 3600})
        return web.Response(body=recorded("C6"), status=401, content_type="application/json")

    server.route = answer
    spec = settings(base_url=server.url, auth=OAUTH)

    with pytest.raises(ProviderRefused, match="Not authenticated") as refused:
        await connected(spec, session).poll(account(spec, wallet_id="w-1"), Record("hot"), purse, now)

    assert refused.value.scope == "credentials"
    assert len(server.asked) == 4
    leaks_nothing(refused.value, SECRET, "tok-canary")


@pytest.mark.parametrize("status", [400, 401, 403, 404])
async def test_a_refused_exchange_concerns_the_credentials(server, session, purse, now, leaks_nothing, status):
    server.say({"error": "invalid_client", "message": f"{SECRET} fuse-canary-id"}, status=status)
    spec = settings(base_url=server.url, auth=OAUTH)
    provider, hot = connected(spec, session), account(spec, wallet_id="w-1")

    outcomes = await asyncio.gather(
        *(provider.poll(hot, Record("hot"), purse, now) for _ in range(5)), return_exceptions=True
    )

    assert {(type(outcome), outcome.scope) for outcome in outcomes} == {(ProviderRefused, "credentials")}
    assert len(server.asked) == 1
    for error in outcomes:
        leaks_nothing(error, SECRET, "fuse-canary-id", base64.b64encode(f"fuse-canary-id:{SECRET}".encode()).decode())


async def test_an_impatient_poll_does_not_spoil_the_exchange_for_others(server, session, purse, now):
    granting = Granting(server)
    gate, arrived = asyncio.Event(), asyncio.Event()

    async def slow(asked):
        if asked.path == "/o/token/" and not gate.is_set():
            arrived.set()
            await gate.wait()
        return granting.answer(asked)

    server.route = slow
    spec = settings(base_url=server.url, auth=OAUTH)
    provider, hot = connected(spec, session), account(spec, wallet_id="w-1")
    first = asyncio.create_task(provider.poll(hot, Record("hot"), purse, now))
    second = asyncio.create_task(provider.poll(hot, Record("hot"), purse, now))
    await arrived.wait()
    first.cancel()
    gate.set()

    assert totals((await second).snapshot) == {"BTC": "3"}


async def test_the_whole_user_is_read_with_oauth_in_shape_d(server, session, purse, now):
    granting = Granting(server)
    spec = settings(base_url=server.url, auth=OAUTH)

    answer = await connected(spec, session).poll(account(spec), Record("hot"), purse, now)

    assert (granting.balances[0].path, totals(answer.snapshot)) == ("/user/balances/", {"BTC": "3"})


# --- settings


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ({"accounts": {"a": {}}}, "wallet_id or an external_id"),
        ({"accounts": {"a": {"external_id": "e"}}, "api": "A"}, "external_id needs api C"),
        ({"accounts": {"a": {"wallet_id": "w"}}, "api": "D", "auth": OAUTH}, "whole user"),
        ({"accounts": {"a": {}}, "api": "D"}, "OAuth"),
        ({"base_url": "ftp://x"}, "https://"),
        ({"base_url": "https://user:pw@x"}, "user"),
        ({"paths": {"A": "wallets"}}, "slash"),
        ({"paths": {"E": "/x"}}, "paths.E"),
        ({"auth": {"client_id": "i"}}, "client_secret"),
        ({"api": "Z"}, "api"),
    ],
)
def test_a_configuration_mistake_says_what_is_wrong(over, says):
    with pytest.raises(ValidationError) as mistake:
        settings(**over)

    assert says in str(mistake.value)
    assert KEY not in str(mistake.value)
    assert SECRET not in str(mistake.value)


@pytest.mark.parametrize("auth", [{"api_key": KEY}, OAUTH])
def test_no_repr_shows_a_secret(session_free_http, auth):
    spec = settings(auth=auth)

    shown = f"{spec!r} {spec.connect(session_free_http)!r}"

    assert not [secret for secret in (KEY, SECRET, "fuse-canary-id") if secret in shown]
