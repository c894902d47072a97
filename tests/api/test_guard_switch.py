import pytest

from monitor.api.auth import Token
from tests.builders import seconds
from tests.guard.asks import fed
from tests.guard.bets import account

TOKENS = tuple(Token.of(name, f"token-of-{name}", (name,)) for name in ("read", "guard", "admin"))
BET = {"account": "player-7", "asset": "USDT", "amount": "12.50"}


@pytest.fixture
async def ask(context, start, bets):
    bets.store.feed("player-7", {"USDT": fed("500")}, bets.clock() - seconds(1))
    client, _ = await start(context(account(), tokens=TOKENS))

    async def asking(who, method, path="/v1/guard/closed", body=None):
        headers = {"Authorization": f"Bearer token-of-{who}"}
        async with client.request(method, path, headers=headers, json=body) as answer:
            return answer.status, await answer.json()

    return asking


async def test_an_operator_closes_and_opens_the_guard(ask):
    opened = {"closed": False, "why": None, "since": None, "comment": None, "author": None}
    assert await ask("read", "GET") == (200, opened)

    status, closed = await ask("admin", "PUT", body={"comment": "  odd \n losses "})

    assert (status, closed) == (200, {
        "closed": True, "why": "odd losses", "since": "2026-11-20T12:00:48.000Z", "comment": "odd losses",
        "author": "admin",
    })  # fmt: skip
    assert await ask("guard", "GET") == (200, closed)
    status, answer = await ask("guard", "PUT", "/v1/holds/bet-1", BET)
    assert (status, answer["decision"], answer["reason"]) == (200, "deny", "GUARD_CLOSED")
    assert await ask("admin", "DELETE") == (200, opened)
    assert (await ask("guard", "PUT", "/v1/holds/bet-2", BET))[0] == 201


async def test_a_closed_guard_ends_what_was_begun(ask):
    for name in ("bet-1", "bet-2"):
        await ask("guard", "PUT", f"/v1/holds/{name}", BET)
    await ask("admin", "PUT", body={"comment": "drill"})

    assert (await ask("guard", "POST", "/v1/holds/bet-1/commit"))[0] == 200
    assert (await ask("guard", "POST", "/v1/holds/bet-1/settled"))[0] == 200
    assert (await ask("guard", "POST", "/v1/holds/bet-2/release"))[0] == 200


@pytest.mark.parametrize("body", [None, {}, {"comment": ""}, {"comment": " \n"}, {"comment": 7}, {"coment": "x"}])
async def test_whoever_closes_it_says_why(ask, body):
    status, problem = await ask("admin", "PUT", body=body)

    assert (status, problem["type"]) == (400, "invalid-request")
    assert (await ask("read", "GET"))[1]["closed"] is False


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("who", ["read", "guard"])
async def test_only_an_admin_throws_the_switch(ask, method, who):
    assert (await ask(who, method, body={"comment": "x"}))[0] == 403
