import asyncio
import json
from dataclasses import replace

import pytest
from yarl import URL

from monitor.api import guard_models
from monitor.api.auth import Token
from monitor.api.guard_routes import ROUTES
from monitor.guard.hold import Lock
from tests.builders import minutes, seconds
from tests.guard.asks import fed
from tests.guard.bets import account

BET = {"account": "player-7", "asset": "USDT", "amount": "12.50"}
FIGURES = {
    "asset": "USDT", "last_seen": "500.00", "held": "0.00", "unsettled": "0.00", "locked": "0.00",
    "spendable": "500.00", "as_of": "2026-11-20T12:00:00.000Z", "age_ms": 48_000, "freshness": "fresh",
}  # fmt: skip


@pytest.fixture
async def casino(context, start, bets):
    """A client of a guard that knows player-7, who had 500.00 USDT 48 s ago."""
    bets.store.feed("player-7", {"USDT": fed("500.00")}, bets.clock() - seconds(48))
    client, _ = await start(context(account()))
    return client


async def said(answer):
    async with answer as response:
        return response.status, await response.json()


async def put(client, hold="bet-1", **changes):
    return await said(client.put(f"/v1/holds/{hold}", json={**BET, **changes}))


async def call(client, what, hold="bet-1", body=None):
    return await said(
        client.post(f"/v1/holds/{hold}/{what}", json=body) if body else client.post(f"/v1/holds/{hold}/{what}")
    )


async def test_a_check_answers_and_reserves_nothing(casino):
    for _ in range(2):
        status, answer = await said(casino.post("/v1/checks", json={**BET, "amount": "500"}))

        assert status == 200
        assert answer.pop("decision_id").startswith("dec_")
        assert answer == {
            "decision": "allow", "reason": "OK", "hold": None, "balance": FIGURES, "replayed": False, "reserved": False,
        }  # fmt: skip


async def test_a_hold_reserves(casino):
    status, answer = await put(casino)

    assert status == 201
    assert answer["decision"] == "allow"
    assert answer["hold"] == {
        "id": "bet-1", "state": "held", "amount": "12.50", "expires_at": "2026-11-20T12:01:18.000Z"
    }  # fmt: skip
    assert answer["balance"] == {**FIGURES, "held": "12.50", "spendable": "487.50"}
    assert "reserved" not in answer


async def test_the_same_bet_again_is_the_same_answer(casino):
    _, first = await put(casino)
    status, second = await put(casino, ttl="60s", context={"round": 7})

    assert status == 200
    assert second == {**first, "replayed": True}


async def test_another_bet_under_its_id_is_refused_and_nothing_happens(casino):
    await put(casino)
    status, problem = await put(casino, amount="13")

    assert (status, problem["type"], problem["safe_to_retry"]) == (422, "hold-id-reused", False)
    assert problem["hold"] == {"id": "bet-1"}
    assert problem["decision_id"].startswith("dec_")
    assert (await put(casino, "bet-2", amount="487.50"))[0] == 201


async def test_a_refusal_says_what_is_missing_and_sticks(casino, bets):
    status, refused = await put(casino, amount="500.01")

    assert (status, refused["decision"], refused["reason"]) == (200, "deny", "INSUFFICIENT_FUNDS")
    assert (refused["shortfall"], refused["hold"]["state"]) == ("0.01", "denied")
    assert refused["balance"] == FIGURES
    bets.store.feed("player-7", {"USDT": fed("900")}, bets.clock())
    status, again = await put(casino, amount="500.01")
    assert (status, again["reason"], again["replayed"]) == (200, "INSUFFICIENT_FUNDS", True)
    assert again["decision_id"] == refused["decision_id"]


async def test_a_bet_that_stands_returns_the_rest(casino):
    await put(casino)

    status, answer = await call(casino, "commit", body={"amount": "12.00"})

    assert (status, answer) == (
        200,
        {"hold": {"id": "bet-1", "state": "committed", "amount": "12.00", "returned": "0.50",
                  "expires_at": "2026-11-20T12:01:18.000Z"}},
    )  # fmt: skip
    assert (await call(casino, "commit", body={"amount": "12"}))[0] == 200
    status, problem = await call(casino, "commit")
    assert (status, problem["type"], problem["hold"]["state"]) == (409, "hold-already-committed", "committed")
    assert (await call(casino, "release"))[1]["type"] == "hold-already-committed"
    assert (await call(casino, "settled"))[1]["hold"]["state"] == "settled"


async def test_all_of_it_is_committed_when_nothing_else_is_said(casino):
    await put(casino)

    assert (await call(casino, "commit", body={}))[1]["hold"]["amount"] == "12.50"


async def test_no_more_than_is_held_can_be_committed(casino):
    await put(casino)

    status, problem = await call(casino, "commit", body={"amount": "12.51"})

    assert (status, problem["type"]) == (422, "commit-exceeds-hold")
    assert (await call(casino, "commit"))[0] == 200


async def test_a_rollback_may_come_twice_and_before_its_bet(casino):
    await put(casino)
    for _ in range(2):
        status, answer = await call(casino, "release")
        assert (status, answer["hold"]["state"]) == (200, "released")
    assert (await put(casino))[1]["reason"] == "HOLD_TOMBSTONED"

    status, answer = await call(casino, "release", "bet-2")
    assert (status, answer) == (
        200,
        {"hold": {"id": "bet-2", "state": "tombstone", "amount": None, "expires_at": None}},
    )
    status, refused = await put(casino, "bet-2")
    assert (status, refused["decision"], refused["reason"]) == (200, "deny", "HOLD_TOMBSTONED")


async def test_expired_is_final(casino, bets):
    await put(casino, ttl="1s")
    bets.pass_(seconds(1))

    status, problem = await call(casino, "commit")

    assert (status, problem["type"], problem["hold"]["state"]) == (410, "hold-expired", "expired")
    assert (await call(casino, "settled"))[0] == 410
    assert bets.late == [("commit", "bet-1"), ("settled", "bet-1")]
    assert (await call(casino, "release"))[0] == 200


@pytest.mark.parametrize("what", ["commit", "settled"])
async def test_nothing_is_known_of_a_bet_that_never_came(casino, what):
    status, problem = await call(casino, what, "bet-9")

    assert (status, problem["type"], problem["hold"]) == (404, "hold-unknown", {"id": "bet-9"})


async def test_whoever_got_no_answer_can_ask(casino):
    assert (await said(casino.get("/v1/holds/bet-1")))[1]["type"] == "hold-unknown"
    _, answer = await put(casino)

    status, found = await said(casino.get("/v1/holds/bet-1"))

    assert (status, found["hold"]) == (200, {
        **answer["hold"], "account": "player-7", "asset": "USDT", "posted_at": None,
        "decision_id": answer["decision_id"],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "detail"),
    [
        ({"amount": 12.5}, 'amount is text, so that it stays exact: write it in quotes, like "12.50"'),
        ({"amount": 12}, "write it in quotes"),
        ({"exposure": 12}, "exposure is text"),
        ({"amount": "1e3"}, "an amount is text"),
        ({"amount": "-1"}, "an amount is text"),
        ({"amount": " 1"}, "an amount is text"),
        ({"amount": "１２"}, "an amount is text"),
        ({"amount": "0.00"}, "amount is more than zero"),
        ({"amount": None}, "amount is text"),
        ({"amonut": "1"}, "unknown key 'amonut', did you mean 'amount'?"),
        ({"account": "player 7"}, "'player 7' cannot be an account"),
        ({"account": "player-7\n"}, "cannot be an account"),
        ({"asset": "{bm:1}"}, "'{bm:1}' cannot be an asset"),
        ({"asset": ""}, "'' cannot be an asset"),
        ({"ttl": "16m"}, "ttl is at most 15m"),
        ({"ttl": "0s"}, "ttl is longer than zero"),
        ({"ttl": 30}, "ttl: expected `str | null`"),
        ({"ttl": "30"}, "ttl: '30' is not a duration, write 30s"),
        ({"max_age": "soon"}, "max_age: 'soon' is not a duration"),
        ({"on_stale": "allow"}, "on_stale: write deny or refresh"),
        ({"context": []}, "context: expected `object | null`"),
        ({"context": {"x": "x" * 17_000}}, "the body has 16 kB at most"),
    ],
)
async def test_what_is_not_sound_is_refused(casino, changes, detail):
    status, problem = await put(casino, **changes)

    assert (status, problem["type"], problem["safe_to_retry"]) == (400, "invalid-request", False)
    assert detail in problem["detail"]
    assert (await said(casino.get("/v1/holds/bet-1")))[0] == 404


async def test_an_amount_is_never_rounded(casino):
    status, problem = await put(casino, amount="0.0100000000000000001")

    assert (status, problem["type"]) == (400, "amount-precision")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"{",
        b"\xff",
        b'{"asset":"\xff"}',
        b'{"\xff":1}',
        b'{"context":' + b"[" * 5_000,
        b'{"asset":"\\ud800"}',
    ],
)
async def test_what_is_no_json_object_is_refused(casino, body):
    status, problem = await said(casino.put("/v1/holds/bet-1", data=body))

    assert (status, problem["type"]) == (400, "invalid-request")


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ('{"account":"player-7","asset":"USDT","amount":"1","amount":"400"}', "amount"),
        ('{"account":"player-7","asset":"USDT","amount":"1","am\\u006funt":"400"}', "amount"),
        ('{"account":"other","asset":"USDT","amount":"1", "account" :"player-7"}', "account"),
        ('{"account":"player-7","asset":"USDT","amount":"1","ttl":"9s","ttl":null}', "ttl"),
        ('{"account":"player-7","asset":"USDT","amount":"1","ttl":null,"ttl":null}', "ttl"),
        ('{"account":"player-7","asset":"USDT","amount":"1","context":{},"context":{}}', "context"),
        ('{"account":"player-7","asset":"USDT","amount":"1","max_age":null,"max_age":"5s"}', "max_age"),
    ],
)
async def test_a_key_that_is_there_twice_is_no_bet(casino, body, key):
    status, problem = await said(casino.put("/v1/holds/bet-1", data=body))

    assert (status, problem["type"]) == (400, "invalid-request")
    assert problem["detail"] == f"the key {key!r} is there twice"
    assert (await said(casino.get("/v1/holds/bet-1")))[0] == 404


@pytest.mark.parametrize("model", [*guard_models._Request.__subclasses__(), guard_models.HoldRequest])
def test_what_is_left_out_is_null_so_that_keys_can_be_counted(model):
    assert set(model.__struct_defaults__) <= {None}


async def test_what_only_looks_like_a_key_twice_is_a_bet(casino):
    context = {"amount": [{"amount": "amount"}], "note": '"amount" é'}

    assert (await put(casino, context=context))[0] == 201


@pytest.mark.parametrize("hold", ["a b", "x" * 129, "a%2Fb", "bet%0A", "bet!", "b%C3%A9t", ".", "..", "%2e%2E"])
async def test_an_id_that_cannot_be_one_is_refused(casino, hold):
    url = URL(f"{casino._base_url}/v1/holds/{hold.replace(' ', '%20')}", encoded=True)
    async with casino.put(url, json=BET) as answer:
        assert (answer.status, (await answer.json())["type"]) == (400, "invalid-request")


async def test_a_ttl_means_nothing_to_a_check(casino):
    status, problem = await said(casino.post("/v1/checks", json={**BET, "ttl": "30s"}))

    assert (status, problem["detail"]) == (400, "unknown key 'ttl'")


async def test_an_asset_on_several_networks_must_be_named_in_full(casino, bets):
    bets.store.feed("player-7", {"USDC@ETH": fed("5"), "USDC@TRX": fed("5")}, bets.clock())

    status, problem = await put(casino, asset="USDC")

    assert (status, problem["type"]) == (400, "invalid-request")
    assert "USDC@ETH, USDC@TRX" in problem["detail"]
    assert (await put(casino, asset="USDC@TRX", amount="5"))[0] == 201


async def test_one_caller_neither_sees_nor_ends_the_bets_of_another(context, start, bets):
    bets.store.feed("player-7", {"USDT": fed("500")}, bets.clock())
    tokens = tuple(Token.of(name, f"token-of-{name}", ("guard",)) for name in ("one", "two"))
    client, _ = await start(context(account(), tokens=tokens))

    async def ask(who, method, path, **more):
        return await said(client.request(method, path, headers={"Authorization": f"Bearer token-of-{who}"}, **more))

    assert (await ask("one", "PUT", "/v1/holds/bet-1", json=BET))[0] == 201
    assert (await ask("two", "GET", "/v1/holds/bet-1"))[0] == 404
    assert (await ask("two", "POST", "/v1/holds/bet-1/release"))[1]["hold"]["state"] == "tombstone"
    assert (await ask("one", "GET", "/v1/holds/bet-1"))[1]["hold"]["state"] == "held"


async def test_a_reader_may_not_bet(context, start):
    reader = Token.of("r", "reads-only", ("read",))
    client, _ = await start(context(account(), tokens=(reader,)), token="reads-only")

    status, problem = await put(client)

    assert (status, problem["type"], problem["safe_to_retry"]) == (403, "forbidden", False)
    assert problem["decision_id"].startswith("dec_")


async def test_of_fifty_bets_at_once_on_the_money_of_one_exactly_one_wins(casino, bets):
    bets.store.feed("player-7", {"USDT": fed("150")}, bets.clock())

    answers = await asyncio.gather(*(put(casino, f"bet-{n}", amount="100") for n in range(50)))

    assert sorted((status, answer["reason"]) for status, answer in answers) == [
        *[(200, "INSUFFICIENT_FUNDS")] * 49,
        (201, "OK"),
    ]
    assert {answer["shortfall"] for status, answer in answers if status == 200} == {"50"}


async def test_what_is_locked_or_old_is_denied_and_says_so(casino, bets):
    await bets.store.lock("player-7", "USDT", Lock("aml"))
    _, answer = await put(casino)
    assert answer["reason"] == "ACCOUNT_LOCKED"
    assert "aml" not in str(answer), "a game is not told why"
    await bets.store.unlock("player-7", "USDT", "aml")
    bets.pass_(minutes(2))

    status, answer = await put(casino, "bet-2")

    assert (status, answer["reason"], answer["balance"]["freshness"]) == (200, "BALANCE_STALE", "stale")
    assert answer["balance"]["age_ms"] == 168_000


def test_the_document_says_what_is_checked():
    import msgspec

    from monitor.api.guard_models import CheckDecision, HoldRequest

    (_, _), components = msgspec.json.schema_components([HoldRequest, CheckDecision], ref_template="#/{name}")

    assert json.dumps(components)
    assert components["HoldRequest"]["additionalProperties"] is False
    assert components["HoldRequest"]["required"] == ["account", "asset", "amount"]


async def test_two_ids_that_differ_after_a_hash_are_not_taken_for_one(context, start):
    casino, serving = await start(context(account()))
    reader, writer = await asyncio.open_connection("127.0.0.1", serving.port)
    body = json.dumps(BET).encode()
    head = (
        f"PUT /v1/holds/round#7 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"%23" in answer
    assert (await said(casino.get("/v1/holds/round")))[0] == 404


class Hanging:
    """Nothing that is asked of it is ever answered."""

    def __getattr__(self, _name):
        async def hang(*_args, **_options):
            await asyncio.Event().wait()

        return hang


async def test_every_question_to_the_guard_is_answered_in_its_own_time_whatever_hangs(context, start, bets):
    hangs = Hanging()
    guard = replace(bets.guard(), store=hangs, board=hangs, refreshing=hangs)
    client, _ = await start(context(account(), guard=guard))
    bodies = {
        guard_models.CheckRequest: BET,
        guard_models.HoldRequest: BET,
        guard_models.CloseRequest: {"comment": "x"},
    }

    async def ask(route):
        path = route.path.format(hold_id="bet-1", account="player-7", asset="USDT", source="ops")
        status, problem = await said(client.request(route.method, path, json=bodies.get(route.takes)))
        return route.in_time, status, problem["type"]

    async with asyncio.timeout(5):
        answers = await asyncio.gather(*map(ask, ROUTES))

    assert set(answers) == {(True, 503, "deadline-exceeded")}
