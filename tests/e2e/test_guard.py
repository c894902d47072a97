"""The guard of a real daemon, over HTTP, fed by its own polls."""

import asyncio
import json
import signal
from collections import Counter

import aiohttp
import pytest
import redis

from tests.e2e.conftest import Bank, listening
from tests.ports import free_port

BET = {"account": "hot", "asset": "USDT", "amount": "100"}


async def ask(daemon, method, path, body=None):
    url = f"http://127.0.0.1:{daemon.port}{path}"
    async with aiohttp.request(method, url, json=body) as answer:
        return answer.status, json.loads(await answer.text())


async def hold(daemon, name, **changes):
    return await ask(daemon, "PUT", f"/v1/holds/{name}", {**BET, **changes})


def patient(place, **said):
    """On a busy machine a decision may take longer than a casino would wait."""
    config = place.write(**said).path / "config.yaml"
    config.write_text(config.read_text() + "guard: {deadline: 10s}\n")
    return place


@pytest.fixture
def seen(until):
    """Waits until a daemon's guard has seen so much."""

    async def seen(daemon, amount):
        async def known():
            _, answer = await ask(daemon, "POST", "/v1/checks", {**BET, "amount": "0.01"})
            return answer["balance"] and answer["balance"]["last_seen"] == amount

        await until(known, f"the guard has seen {amount}")

    return seen


async def test_case_57_of_fifty_bets_at_once_on_the_money_of_one_exactly_one_wins(place, bank, seen):
    bank.held["hot"] = 150
    daemon = await patient(place).start()
    await seen(daemon, "150")

    answers = await asyncio.gather(*(hold(daemon, f"bet-{number}") for number in range(50)))

    assert Counter((status, answer["reason"]) for status, answer in answers) == {
        (201, "OK"): 1, (200, "INSUFFICIENT_FUNDS"): 49,
    }  # fmt: skip
    _, page = await daemon.get("/metrics")
    assert 'balance_monitor_guard_decisions_total{decision="deny",reason="INSUFFICIENT_FUNDS"} 49.0' in page
    assert await daemon.stop() == 0
    logged = Counter(line["reason"] for line in daemon.said("guard.decided"))
    assert logged["INSUFFICIENT_FUNDS"] == 49
    assert not any("hot" in json.dumps(line) for line in daemon.said("guard.decided"))


async def test_two_processes_never_promise_the_same_money(place, bank, seen, redis_server):
    bank.held["hot"] = 405
    with redis.Redis(port=redis_server.port) as client:
        # Else the guard takes a store without a past for one that has lost it.
        client.config_set("appendonly", "yes")
    first = await patient(place, store=redis_server.url).start()
    place.port = free_port()
    second = await patient(place, store=redis_server.url).start()
    await seen(first, "405")

    answers = await asyncio.gather(
        *(hold((first, second)[number % 2], f"bet-{number // 2}", amount="10") for number in range(400))
    )

    # Each bet was sent to both: they were told the same, one of them as a repetition.
    told = Counter((number // 2, answer["reason"]) for number, (_, answer) in enumerate(answers))
    assert set(told.values()) == {2}
    assert Counter(reason for _, reason in told) == {"OK": 40, "INSUFFICIENT_FUNDS": 160}
    assert Counter(status for status, _ in answers) == {201: 40, 200: 360}
    for daemon in (first, second):
        assert await daemon.stop() == 0


async def test_a_bet_is_told_of_until_a_reading_contains_it(place, bank, seen, until):
    daemon = await patient(place).start()
    await seen(daemon, "100")
    assert (await hold(daemon, "bet-1", amount="60"))[0] == 201
    status, answer = await ask(daemon, "POST", "/v1/holds/bet-1/commit", {"amount": "40"})
    assert (status, answer["hold"]["returned"]) == (200, "20")

    _, answer = await hold(daemon, "bet-2", amount="61")
    assert (answer["reason"], answer["balance"]["unsettled"], answer["shortfall"]) == ("INSUFFICIENT_FUNDS", "40", "1")

    bank.held["hot"] = 60
    await seen(daemon, "60")
    # Booked or not, nobody has said: it counts twice rather than not at all.
    assert (await hold(daemon, "bet-3", amount="21"))[1]["reason"] == "INSUFFICIENT_FUNDS"
    assert (await ask(daemon, "POST", "/v1/holds/bet-1/settled"))[1]["hold"]["state"] == "settled"

    async def covered():
        return (await ask(daemon, "GET", "/v1/holds/bet-1"))[1]["hold"]["state"] == "covered"

    await until(covered, "a reading began later than the booking and the provider's lag")
    assert (await hold(daemon, "bet-4", amount="60"))[0] == 201


async def test_holds_survive_the_daemon_that_made_them(place, bank, seen):
    daemon = await patient(place).start()
    await seen(daemon, "100")
    assert (await hold(daemon, "bet-1"))[0] == 201
    await daemon.kill()

    daemon = await place.start()

    await seen(daemon, "100")
    status, answer = await hold(daemon, "bet-1")
    assert (status, answer["decision"], answer["replayed"]) == (200, "allow", True)
    assert (await hold(daemon, "bet-2", amount="0.01"))[1]["reason"] == "INSUFFICIENT_FUNDS"


async def test_case_59_while_the_store_is_away_nobody_may_bet(place, seen, redis_server):
    with redis.Redis(port=redis_server.port) as client:
        client.config_set("appendonly", "yes")
    daemon = await patient(place, store=redis_server.url).start()
    await seen(daemon, "100")
    assert (await hold(daemon, "bet-0", amount="1"))[0] == 201
    await redis_server.stop()

    status, problem = await hold(daemon, "bet-1")

    assert (status, problem["type"], problem["safe_to_retry"]) == (503, "store-unavailable", True)
    assert problem["decision_id"].startswith("dec_")
    assert problem["hold"] == {"id": "bet-1"}
    assert (await hold(daemon, "bet-0", amount="1"))[0] == 503, "what was allowed before is no answer now"


async def test_the_switch_counts_in_every_process(place, seen, until, redis_server):
    with redis.Redis(port=redis_server.port) as client:
        client.config_set("appendonly", "yes")
    first = await patient(place, store=redis_server.url).start()
    place.port = free_port()
    second = await patient(place, store=redis_server.url).start()
    await seen(second, "100")

    assert (await ask(first, "PUT", "/v1/guard/closed", {"comment": "drill"}))[1]["author"] == "local"

    assert (await hold(first, "bet-1"))[1]["reason"] == "GUARD_CLOSED"
    await until(lambda: is_closed(second), "the other process has heard of it")
    assert (await ask(second, "DELETE", "/v1/guard/closed"))[1]["closed"] is False
    assert (await hold(second, "bet-2"))[0] == 201


async def is_closed(daemon):
    return (await ask(daemon, "GET", "/v1/guard/closed"))[1]["closed"]


async def test_a_lock_counts_at_once_and_a_wallet_says_why_nothing_can_be_spent(place, seen):
    daemon = await patient(place).start()
    await seen(daemon, "100")
    wallet = "/v1/wallets/hot/USDT"

    assert (await ask(daemon, "PUT", f"{wallet}/locks/aml"))[1]["locked"] is True

    assert (await hold(daemon, "bet-1"))[1]["reason"] == "ACCOUNT_LOCKED"
    status, shown = await ask(daemon, "GET", wallet)
    assert (status, shown["asset"], shown["locks"]) == (200, "USDT@ETH", [{"source": "aml", "until": None}])
    assert (await ask(daemon, "DELETE", f"{wallet}/locks/aml"))[0] == 200
    assert (await hold(daemon, "bet-2"))[0] == 201
    _, shown = await ask(daemon, "GET", wallet)
    assert [one["id"] for one in shown["holds"]] == ["bet-2"]


async def test_a_bet_can_wait_for_a_reading(place, bank, seen):
    config = place.write().path / "config.yaml"
    config.write_text(config.read_text().replace("interval: 200ms", "interval: 1h"))
    config.write_text(config.read_text() + "guard: {max_age: 2s, deadline: 10s, refresh_wait: 10s}\n")
    daemon = await place.start()
    assert (await daemon.get("/v1/accounts/hot/poll?wait=9s", "POST"))[0] == 200
    await seen(daemon, "100")
    await asyncio.sleep(2.1)
    bank.held["hot"] = 300
    asked = len(bank.asked)

    assert (await hold(daemon, "bet-1", amount="250"))[1]["reason"] == "BALANCE_STALE"
    answers = await asyncio.gather(
        *(hold(daemon, f"bet-{number}", amount="10", on_stale="refresh") for number in range(2, 22))
    )

    assert {(status, answer["reason"]) for status, answer in answers} == {(201, "OK")}
    assert answers[0][1]["balance"]["last_seen"] == "300"
    assert len(bank.asked) <= asked + 2
    status, shown = await ask(daemon, "POST", "/v1/wallets/hot/USDT/refresh")
    assert (status, shown["balance"]["held"]) == (200, "200")


async def test_after_a_reload_no_bet_is_placed_on_what_another_server_had_said(place, bank, seen, until):
    """The last reading is of a sandbox, and the next one would be due in a minute."""
    bank.held["hot"] = 1000
    config = patient(place).path / "config.yaml"
    config.write_text(config.read_text().replace("api: A", "api: A\n    interval: 60s\n    jitter: 0%"))
    daemon = await place.start()
    await seen(daemon, "1000")
    assert (await hold(daemon, "bet-1"))[1]["reason"] == "OK"

    real = Bank(held={"hot": 150})
    async with listening(real.answer, "/wallets/balance") as url:
        config.write_text(config.read_text().replace(bank.url, url))
        daemon.process.send_signal(signal.SIGHUP)
        await until(lambda: daemon.said("config.reloaded"), "the other server is asked from now on")
        assert (await hold(daemon, "bet-2"))[1]["reason"] == "BALANCE_NEVER_SEEN"

        await seen(daemon, "150")
        # What was bet before is still held: maybe it was the same money under another address.
        assert (await hold(daemon, "bet-3"))[1]["reason"] == "INSUFFICIENT_FUNDS"
        assert (await hold(daemon, "bet-4", amount="50"))[1]["reason"] == "OK"
        assert await daemon.stop() == 0
