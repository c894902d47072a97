"""What people are told of the guard, as it arrives at a real receiver: each alert begins, and ends."""

import json
import time

import aiohttp
import redis

#: Renewing, judging and a moment's patience take some seconds.
PATIENCE = 40
GUARD = """\
guard:
  {delay}
  read_lag: 100ms
  deadline: 10s
  hold_ttl: {{default: 1s, max: 5s}}
  unsettled_limit: 1s
  bankroll: {{account: house, asset: USDT, close_below: 50, open_above: 80}}
"""


async def ask(daemon, method, path, body=None):
    url = f"http://127.0.0.1:{daemon.port}{path}"
    async with aiohttp.request(method, url, json=body) as answer:
        return answer.status, json.loads(await answer.text())


async def hold(daemon, name, ttl="1s"):
    body = {"account": "hot", "asset": "USDT", "amount": "10", "ttl": ttl}
    return (await ask(daemon, "PUT", f"/v1/holds/{name}", body))[1].get("reason")


def configured(place, delay="posting_delay: 500ms", **store):
    place.write(wallets=("hot", "house"), below=1, **store)
    config = place.path / "config.yaml"
    config.write_text(config.read_text() + GUARD.format(delay=delay))
    return place


def of(chat, rule):
    return [(kind, summary) for name, kind, summary in chat.self_told if name == rule]


async def test_case_58_a_low_bankroll_and_an_operator_are_told_and_that_they_are_over(place, bank, chat, until):
    bank.held["house"] = 100
    daemon = await configured(place).start()

    async def says(wanted):
        return await hold(daemon, f"bet-{len(bank.asked)}") == wanted

    await until(lambda: says("OK"), "the bankroll was read")
    bank.held["house"] = 49
    await until(lambda: says("GUARD_CLOSED"), "the bankroll is low")
    await until(lambda: any("fell below 50" in text for _, text in of(chat, "GuardClosed")), "that is told")
    assert "guard closed, every bet is refused: the bankroll" in (await place.command("status"))[1]
    bank.held["house"] = 79
    await ask(daemon, "PUT", "/v1/guard/closed", {"comment": "drill"})
    await until(lambda: any("drill" in text for _, text in of(chat, "GuardClosed")), "the operator is told of")
    bank.held["house"] = 80
    await ask(daemon, "DELETE", "/v1/guard/closed")

    await until(lambda: says("OK"), "it is open again")
    await until(lambda: ends(chat, "GuardClosed") >= {"bankroll", "operator"}, "both ends are told", PATIENCE)


def ends(chat, rule):
    return {text.split()[0] for kind, text in of(chat, rule) if kind == "alert.resolved"}


async def test_a_bankroll_that_becomes_another_wallet_is_not_known_until_that_is_read(place, bank, until):
    bank.held |= {"house": 100, "elsewhere": 100}
    daemon = await configured(place).start()

    async def says(wanted):
        return await hold(daemon, f"bet-{time.monotonic_ns()}") == wanted

    await until(lambda: says("OK"), "the bankroll was read")
    bank.hang.add("elsewhere")
    config = place.path / "config.yaml"
    config.write_text(config.read_text().replace("house: {wallet_id: house", "house: {wallet_id: elsewhere"))
    await until(lambda: says("GUARD_CLOSED"), "the configuration was read anew")
    bank.hang.clear()
    await until(lambda: says("OK"), "the other wallet was read")


async def test_debits_that_come_too_late_or_that_nobody_sees_are_told(place, bank, chat, until):
    bank.held["house"] = 100
    daemon = await configured(place, "posting_delay: never").start()
    names = iter(range(1_000))
    bet, ttl = "", "5s"

    async def held():
        nonlocal bet
        bet = f"bet-{next(names)}"
        return await hold(daemon, bet, ttl) == "OK"

    await until(held, "the guard is open")
    assert (await ask(daemon, "POST", f"/v1/holds/{bet}/commit"))[0] == 200
    await until(lambda: of(chat, "GuardUnsettled"), "nobody has settled it")
    assert "hot USDT@ETH has debits that no reading shows: 10 in 1" in of(chat, "GuardUnsettled")[0][1]
    settled, ttl = bet, "1s"
    await until(held, "another bet")
    late = bet
    await until(lambda: expired(daemon, late), "it has expired")

    assert (await ask(daemon, "POST", f"/v1/holds/{late}/commit"))[0] == 410
    assert (await ask(daemon, "POST", f"/v1/holds/{settled}/settled"))[0] == 200
    await until(lambda: of(chat, "GuardLateCommit"), "it came too late")
    assert f"commit of 10 USDT@ETH of hot, hold {late} of local" in of(chat, "GuardLateCommit")[0][1]
    await until(lambda: ends(chat, "GuardUnsettled") == {"hot"}, "a reading shows it", PATIENCE)


async def expired(daemon, name):
    return (await ask(daemon, "GET", f"/v1/holds/{name}"))[1]["hold"]["state"] == "expired"


async def test_a_store_that_may_have_lost_holds_is_told_and_that_it_cannot_have_any_more(
    place, bank, chat, until, redis_server
):
    bank.held["house"] = 100
    with redis.Redis(port=redis_server.port) as client:
        client.config_set("appendonly", "yes")
    daemon = await configured(place, store=redis_server.url).start()
    await until(lambda: open_again(daemon), "the bankroll was read")

    await redis_server.stop()
    await redis_server.start()

    told = await until(lambda: of(chat, "GuardQuarantined"), "that is told", PATIENCE)
    assert told[0][0] == "alert.firing"
    await until(lambda: len(of(chat, "GuardQuarantined")) > 1, "and its end", PATIENCE)
    assert of(chat, "GuardQuarantined")[-1][0] == "alert.resolved"


async def open_again(daemon):
    return not (await ask(daemon, "GET", "/v1/guard/closed"))[1]["closed"]
