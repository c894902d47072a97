"""Accounts made at run time, in the real daemon."""

import json
import signal
from datetime import UTC, datetime

import aiohttp
from standardwebhooks import Webhook

from tests.e2e.conftest import SECRET
from tests.e2e.test_guard import patient
from tests.ports import free_port

CALLBACK = f"    callback_secret: {SECRET}\n"


BET = {"account": "player-7", "asset": "USDT", "amount": "12.50"}


async def ask(daemon, method, path, body=None, headers=None):
    url = f"http://127.0.0.1:{daemon.port}{path}"
    options = {"data": body, "headers": headers} if isinstance(body, str) else {"json": body}
    async with aiohttp.request(method, url, **options) as answer:
        return answer.status, json.loads(await answer.text())


def watching(wallet, **more):
    return {"provider": "bank", "wallet_id": wallet, "interval": "200ms", **more}


async def test_a_session_is_polled_judged_and_over_when_its_time_is(place, bank, chat, until):
    daemon = await patient(place).start()
    bank.held["w-7"] = 40

    status, shown = await ask(
        daemon, "PUT", "/v1/accounts/player-7", watching("w-7", expires_in="1m", labels={"tier": "vip"})
    )
    assert (status, shown["configured"], shown["labels"]) == (201, False, {"tier": "vip"})
    assert shown["expires_at"] is not None
    await until(lambda: "w-7" in bank.asked, "it is polled")
    await until(lambda: ("alert.firing", "player-7", 1) in chat.heard, "it is judged by the rules there are")
    assert (await ask(daemon, "POST", "/v1/checks", BET))[1]["reason"] == "OK"
    code, said, _ = await place.command("status", "--json")
    assert code == 0
    status = {one["id"]: one["configured"] for one in json.loads(said)["accounts"]}
    assert status == {"hot": True, "player-7": False}
    assert (await ask(daemon, "PUT", "/v1/accounts/player-7", watching("w-7", expires_in="2s")))[0] == 200

    await until(lambda: ("alert.resolved", "player-7", 2) in chat.heard, "its end is told")
    [closed] = [a for _, body in chat.posts for a in json.loads(body)["data"]["alerts"] if a["status"] == "resolved"]
    assert closed["reason"] == "watch_expired"
    assert (await daemon.get("/v1/accounts/player-7"))[0] == 404
    assert (await ask(daemon, "POST", "/v1/checks", BET))[1]["reason"] == "SESSION_EXPIRED"
    asked = bank.asked.count("w-7")
    await until(lambda: bank.asked.count("hot") > 10, "others are polled on")
    assert bank.asked.count("w-7") <= asked + 1


async def test_a_watch_outlives_the_daemon_and_one_that_ran_out_meanwhile_ends_at_the_start(place, bank, chat, until):
    daemon = await place.write().start()
    bank.held |= {"w-7": 40, "w-8": 40}
    await ask(daemon, "PUT", "/v1/accounts/player-7", watching("w-7"))
    await ask(daemon, "PUT", "/v1/accounts/player-8", watching("w-8"))
    await until(lambda: len(chat.heard) == 2, "both fire")
    await ask(daemon, "PUT", "/v1/accounts/player-8", watching("w-8", expires_in="4s"))
    await daemon.kill()
    ends = datetime.now(UTC)

    await until(lambda: (datetime.now(UTC) - ends).total_seconds() > 4, "its time is over")
    bank.asked.clear()
    daemon = await place.start()

    await until(lambda: "w-7" in bank.asked, "it is polled on")
    await until(lambda: ("alert.resolved", "player-8", 2) in chat.heard, "the other one's end is told")
    assert (await daemon.get("/v1/accounts/player-7"))[1]["status"] == "ok"
    assert (await daemon.get("/v1/accounts/player-8"))[0] == 404
    assert "w-8" not in bank.asked

    status, _ = await ask(daemon, "DELETE", "/v1/accounts/player-7")
    assert status == 200
    await until(lambda: ("alert.resolved", "player-7", 2) in chat.heard, "its end is told")
    assert [line["reason"] for line in daemon.said("watch.ended")] == ["watch_expired", "account_removed"]


async def test_what_is_wrong_with_a_watch_is_told_as_of_the_configuration(place):
    daemon = await place.write().start()

    async def detail(body, name="player-7"):
        status, problem = await ask(daemon, "PUT", f"/v1/accounts/{name}", body)
        return status, problem["type"], problem.get("detail", "")

    assert (await detail(watching("w"), "hot"))[:2] == (409, "account-configured")
    status, kind, said = await detail({"provider": "banc", "wallet_id": "w"})
    assert (status, kind) == (400, "invalid-request")
    assert "there is no provider 'banc', did you mean 'bank'?" in said
    assert "did you mean 'wallet_id'" in (await detail({"provider": "bank", "walet_id": "w"}))[2]
    assert "interval: " in (await detail(watching("w") | {"interval": "soon"}))[2]
    assert "give a wallet_id" in (await detail({"provider": "bank"}))[2]
    assert (await detail(watching("w"), "a%20b"))[0] == 400
    assert (await ask(daemon, "DELETE", "/v1/accounts/hot"))[0] == 409
    assert (await ask(daemon, "DELETE", "/v1/accounts/nobody"))[0] == 404


async def test_a_callback_is_polled_at_once(place, bank, until):
    place.write()
    config = place.path / "config.yaml"
    slow = config.read_text().replace("interval: 200ms", "interval: 1h")
    config.write_text(slow.replace("    api: A\n", f"    api: A\n{CALLBACK}"))
    daemon = await place.start()
    before = len(bank.asked)

    body = json.dumps({"account": "hot"})
    now = datetime.now(UTC)
    signed = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_1", now, body),
    }
    assert (await ask(daemon, "POST", "/v1/callbacks/bank", body, signed))[0] == 202
    await until(lambda: len(bank.asked) > before, "it is polled")
    status, problem = await ask(daemon, "POST", "/v1/callbacks/bank", body.replace("hot", "hat"), signed)
    assert (status, problem["type"]) == (401, "signature-invalid")


async def test_two_daemons_on_one_store_know_the_same_watches(place, bank, chat, until, redis_server):
    place.write(store=redis_server.url)
    first = await place.start()
    place.port, bank.held["w-7"] = free_port(), 40
    place.write(store=redis_server.url)
    second = await place.start()

    await ask(first, "PUT", "/v1/accounts/player-7", watching("w-7"))
    assert (await second.get("/v1/accounts/player-7"))[0] == 200, "at once"
    await until(lambda: len(chat.heard) == 1, "it is judged")
    assert await first.stop() == 0
    bank.asked.clear()
    await until(lambda: "w-7" in bank.asked, "the other one goes on")

    assert (await ask(second, "DELETE", "/v1/accounts/player-7"))[0] == 200
    await until(lambda: ("alert.resolved", "player-7", 2) in chat.heard, "its end is told")


async def test_a_reload_keeps_watches_and_gives_way_to_a_configured_account(place, bank, until):
    daemon = await place.write().start()
    await ask(daemon, "PUT", "/v1/accounts/cold", watching("w-7"))
    await ask(daemon, "PUT", "/v1/accounts/player-7", watching("w-8"))

    place.write(wallets=("hot", "cold"))
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: daemon.said("watch.configured"), "the configuration wins")

    bank.asked.clear()
    await until(lambda: {"cold", "w-8", "hot"} <= set(bank.asked), "all are polled, cold as the file says")
    _, listed = await daemon.get("/v1/accounts")
    shown = {one["id"]: one["configured"] for one in listed["items"]}
    assert shown == {"cold": True, "hot": True, "player-7": False}
    assert "w-7" not in set(bank.asked[5:])
