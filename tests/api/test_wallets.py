import pytest

from monitor.api.auth import Token
from monitor.guard import units
from tests.builders import NOON, seconds
from tests.guard.asks import fed
from tests.guard.bets import account

BET = {"account": "player-7", "asset": "USDT", "amount": "12.50"}
WALLET = "/v1/wallets/player-7/USDT"
TOKENS = tuple(Token.of(name, f"token-of-{name}", (scope,)) for name, scope in (
    ("one", "guard"), ("two", "guard"), ("ops", "admin"), ("eyes", "read"),
))  # fmt: skip


async def said(answer):
    async with answer as response:
        return response.status, await response.json()


@pytest.fixture
async def casino(context, start, bets):
    """A client of a guard that knows player-7, who had 500.00 USDT 48 s ago."""
    bets.store.feed("player-7", {"USDT": fed("500.00")}, NOON, token=7)
    client, _ = await start(context(account()))
    return client


async def put(client, hold="bet-1", **changes):
    return await said(client.put(f"/v1/holds/{hold}", json={**BET, **changes}))


async def lock(client, body=None, source="aml", wallet=WALLET):
    return await said(client.put(f"{wallet}/locks/{source}", json=body))


async def test_a_wallet_explains_itself(casino, bets):
    await put(casino)
    await put(casino, "bet-2", amount="20")
    await said(casino.post("/v1/holds/bet-2/commit"))
    await lock(casino, {"until": "2026-11-20T15:00:00+02:00"})

    status, wallet = await said(casino.get(WALLET))

    assert status == 200
    assert wallet.pop("version") > 0
    assert wallet == {
        "account": "player-7", "asset": "USDT",
        "balance": {
            "asset": "USDT", "last_seen": "500.00", "held": "12.50", "unsettled": "20.00", "locked": "0.00",
            "spendable": "467.50", "as_of": "2026-11-20T12:00:00.000Z", "age_ms": 48_000, "freshness": "fresh",
        },
        "snapshot": {"started_at": "2026-11-20T12:00:00.000Z", "epoch": 7},
        "holds": [{"id": "bet-1", "caller": "local", "amount": "12.50", "expires_at": "2026-11-20T12:01:18.000Z"}],
        "debits": [{
            "hold": "bet-2", "caller": "local", "amount": "20.00", "committed_at": "2026-11-20T12:00:48.000Z",
            "posted_at": "2026-11-20T12:00:58.000Z", "covered_after": "2026-11-20T12:01:00.000Z",
        }],
        "locks": [{"source": "aml", "until": "2026-11-20T13:00:00.000Z"}],
        "quarantined_until": None, "more": 0,
    }  # fmt: skip


async def test_a_wallet_that_nobody_has_is_unknown(casino):
    for path in ("/v1/wallets/player-7/BTC", "/v1/wallets/nobody/USDT"):
        status, problem = await said(casino.get(path))
        assert (status, problem["type"]) == (404, "wallet-unknown")


async def test_a_wallet_is_found_without_its_network_when_that_can_be_only_one(casino, bets):
    bets.store.feed("player-7", {"BTC@LN": fed("1"), "USDC@ETH": fed("1"), "USDC@TRX": fed("1")}, NOON + seconds(1))

    assert (await said(casino.get("/v1/wallets/player-7/BTC")))[1]["asset"] == "BTC@LN"
    status, problem = await said(casino.get("/v1/wallets/player-7/USDC"))
    assert (status, problem["type"]) == (400, "invalid-request")
    assert "USDC@ETH, USDC@TRX" in problem["detail"]


async def test_a_caller_sees_only_its_own_ids_and_an_admin_sees_all(context, start, bets):
    bets.store.feed("player-7", {"USDT": fed("500")}, NOON)
    client, _ = await start(context(account(), tokens=TOKENS))

    def ask(who, method, path, **more):
        return said(client.request(method, path, headers={"Authorization": f"Bearer token-of-{who}"}, **more))

    for hold in ("bet-1", "bet-2"):
        await ask("one", "PUT", f"/v1/holds/{hold}", json=BET)
    await ask("one", "POST", "/v1/holds/bet-2/commit")

    seen = {}
    for who in ("one", "two", "ops"):
        _, wallet = await ask(who, "GET", WALLET)
        seen[who] = [(one["id"], one["caller"]) for one in wallet["holds"]], [one["hold"] for one in wallet["debits"]]
    assert seen == {
        "one": ([("bet-1", "one")], ["bet-2"]),
        "two": ([(None, "one")], [None]),
        "ops": ([("bet-1", "one")], ["bet-2"]),
    }
    assert (await ask("eyes", "GET", WALLET))[0] == 403


# Reading it anew.


async def test_a_wallet_is_read_anew_and_shown(casino, bets):
    bets.refreshing.bring = lambda: bets.store.feed("player-7", {"USDT": fed("7")}, bets.clock())

    status, wallet = await said(casino.post(f"{WALLET}/refresh"))

    assert (status, wallet["balance"]["last_seen"], wallet["balance"]["age_ms"]) == (200, "7", 0)


@pytest.mark.parametrize(
    ("outcome", "status", "told"),
    [
        ("late", 202, {"status": "scheduled"}),
        ("spent", 429, {"type": "refresh-budget-exhausted", "safe_to_retry": True}),
        ("failing", 503, {"type": "provider-unavailable", "safe_to_retry": True}),
    ],
)
async def test_a_reading_that_is_not_there_says_why(casino, bets, outcome, status, told):
    bets.refreshing.outcome = outcome
    async with casino.post(f"{WALLET}/refresh") as answer:
        body = await answer.json()

        assert answer.status == status
        assert {name: body[name] for name in told} == told
        assert ("Retry-After" in answer.headers) == (status != 202)


async def test_only_an_account_that_is_watched_can_be_read_anew(casino):
    status, problem = await said(casino.post("/v1/wallets/nobody/USDT/refresh"))

    assert (status, problem["type"]) == (404, "account-unknown")


# Locks.


async def test_a_lock_stops_new_holds_and_nothing_else(casino):
    for hold in ("bet-1", "bet-2"):
        await put(casino, hold)

    assert await lock(casino) == (
        200, {"account": "player-7", "asset": "USDT", "source": "aml", "locked": True, "until": None}
    )  # fmt: skip

    status, answer = await put(casino, "bet-3")
    assert (status, answer["reason"]) == (200, "ACCOUNT_LOCKED")
    assert "aml" not in str(answer)
    assert (await said(casino.post("/v1/holds/bet-1/commit")))[0] == 200
    assert (await said(casino.post("/v1/holds/bet-1/settled")))[0] == 200
    assert (await said(casino.post("/v1/holds/bet-2/release")))[0] == 200


async def test_a_lock_ends_when_its_source_says_so_or_its_time_is_over(casino, bets):
    await lock(casino)
    await lock(casino, {"until": "2026-11-20T12:00:49Z"}, "cool-off")
    for _ in range(2):
        status, answer = await said(casino.delete(f"{WALLET}/locks/aml"))
        assert (status, answer["locked"]) == (200, False)

    assert (await put(casino))[1]["reason"] == "ACCOUNT_LOCKED"
    bets.pass_(seconds(1))
    assert (await put(casino, "bet-2"))[0] == 201


async def test_the_last_word_of_a_source_counts(casino, bets):
    await lock(casino)
    await lock(casino, {"until": "2026-11-20T12:00:49Z"})
    bets.pass_(seconds(1))

    assert (await put(casino))[0] == 201


async def test_a_player_can_be_locked_out_before_anything_is_known_of_them(casino, bets):
    wallet = "/v1/wallets/player-8/USDC"
    assert (await lock(casino, wallet=wallet))[0] == 200
    bets.accounts.here["player-8"] = account("player-8")
    bets.store.feed("player-8", {"USDC@TRX": fed("5")}, NOON)

    for hold, asset in (("bet-1", "USDC"), ("bet-2", "USDC@TRX")):
        assert (await put(casino, hold, account="player-8", asset=asset))[1]["reason"] == "ACCOUNT_LOCKED"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"until": "2026-11-20T12:00:48Z"}, "until is in the past"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until is in the past"),
        ({"until": "9999-12-31T23:59:59-12:00"}, "until is no time that can be counted"),
        ({"until": "2026-11-20T15:00:00"}, "until: "),
        ({"until": "tomorrow"}, "until: "),
        ({"until": 1}, "until: "),
        ({"untill": "2026-11-20T15:00:00Z"}, "unknown key 'untill', did you mean 'until'?"),
    ],
)
async def test_a_lock_that_would_lock_nothing_is_refused(casino, body, detail):
    status, problem = await lock(casino, body)

    assert (status, problem["type"]) == (400, "invalid-request")
    assert detail in problem["detail"]
    assert (await put(casino))[0] == 201


@pytest.mark.parametrize(
    "path", ["player%207/USDT/locks/aml", "player-7/US%7BDT/locks/aml", "player-7/USDT/locks/a%20b"]
)
async def test_a_name_that_cannot_be_one_is_refused(casino, path):
    status, problem = await said(casino.put(f"/v1/wallets/{path}"))

    assert (status, problem["type"]) == (400, "invalid-request")


async def test_no_more_locks_are_kept_than_can_be_looked_at(casino, bets, monkeypatch):
    async def full(*_):
        return False

    monkeypatch.setattr(bets.store, "lock", full)

    assert (await lock(casino))[1]["type"] == "locks-full"


async def test_all_amounts_are_exact(casino, bets):
    most = "9" * 27 + "." + "9" * 17
    bets.store.feed("player-7", {"BIG": fed(most)}, NOON + seconds(1))

    _, wallet = await said(casino.get("/v1/wallets/player-7/BIG"))

    assert wallet["balance"]["last_seen"] == most
    assert units.parse(wallet["balance"]["spendable"])[0] == units.parse(most)[0]
