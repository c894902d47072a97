"""The daemon as people run it: real processes, real signals, real sockets."""

import asyncio
import json
import os
import signal
import socket
import time
from dataclasses import replace

import aiohttp
import pytest
import redis

from tests.ports import free_port


def no_secrets(canaries, *texts):
    return [canary for canary in canaries for text in texts if canary in text]


async def test_a_breach_and_its_end_arrive_signed_and_everything_can_be_asked(place, bank, chat, until, canaries):
    daemon = await place.write().start()
    await until(lambda: len(bank.asked) > 1, "the account is polled")

    bank.held["hot"] = 40
    await until(lambda: len(chat.heard) == 1, "the breach is told")
    bank.held["hot"] = 120.5
    await until(lambda: len(chat.heard) == 2, "its end is told")

    assert chat.heard == [("alert.firing", "hot", 1), ("alert.resolved", "hot", 2)]
    [firing, resolved] = [json.loads(body)["data"]["alerts"][0] for _, body in chat.posts]
    assert (firing["value"], firing["threshold"], firing["id"]) == ("40", "50", resolved["id"])

    await the_api_answers(daemon, bank)
    await the_commands_answer_beside_it(place, chat)
    assert await daemon.stop() == 0
    assert [line["event"] for line in daemon.said()][-2:] == ["daemon.stopping", "daemon.stopped"]
    assert no_secrets(canaries, daemon.log.read_text()) == []
    await the_commands_answer_without_it(place, chat)


async def the_api_answers(daemon, bank):
    assert await daemon.get("/healthz") == (200, {"status": "ok"})
    status, metrics = await daemon.get("/metrics")
    assert status == 200
    assert "balance_monitor" in metrics
    # Whatever is measured of every life has been measured in this one, but that nobody bets.
    unmeasured = [line for line in metrics.splitlines() if "_seconds_count" in line and line.endswith(" 0.0")]
    assert [line for line in unmeasured if "_guard_" not in line] == []

    _, listed = await daemon.get("/v1/accounts")
    assert [one["id"] for one in listed["items"]] == ["hot"]
    status, shown = await daemon.get("/v1/accounts/hot")
    assert (status, shown["amounts"]["USDT@ETH"]["total"]) == (200, "120.5")
    assert (await daemon.get("/v1/accounts/nobody"))[0] == 404

    _, history = await daemon.get("/v1/accounts/hot/history?asset=USDT&measure=total")
    assert [point["value"] for point in history["items"]] == ["100", "40", "120.5"]
    _, events = await daemon.get("/v1/accounts/hot/events")
    assert [(e["direction"], e["amount"]) for e in events["items"]] == [("in", "80.5"), ("out", "60")]
    _, alerts = await daemon.get("/v1/alerts")
    assert alerts["items"] == []

    bank.held["hot"] = 130
    status, polled = await daemon.get("/v1/accounts/hot/poll?wait=2s", "POST")
    assert (status, polled["amounts"]["USDT@ETH"]["total"]) == (200, "130")


async def the_commands_answer_beside_it(place, chat):
    code, out, err = await place.command("status", "--json")
    assert (code, err) == (0, "")
    [shown] = json.loads(out)["accounts"]
    # A machine that stands still for a moment makes a reading stale, where the next is due in 200 ms.
    assert (shown["id"], shown["status"]) in (("hot", "ok"), ("hot", "stale"))

    code, out, err = await place.command("poll", "hot", "--json")
    assert (code, json.loads(out)["amounts"]["USDT@ETH"]["total"], err) == (0, "130", "")

    code, out, _ = await place.command("send-test", "ops")
    assert code == 0
    assert json.loads(chat.posts[-1][1])["type"] == "test"


async def the_commands_answer_without_it(place, chat):
    code, out, _ = await place.command("status", "--json")
    assert (code, json.loads(out)["accounts"][0]["amounts"]["USDT@ETH"]["total"]) == (0, "130")

    code, out, _ = await place.command("send-test", "ops")
    assert (code, json.loads(chat.posts[-1][1])["type"]) == (0, "test")


async def test_case_06_a_daemon_killed_between_the_receipt_and_its_record_repeats_itself_byte_for_byte(
    place, bank, chat, until, pass_leases
):
    chat.hang = True
    daemon = await place.write().start()
    await until(lambda: bank.asked, "the account is polled")
    bank.held["hot"] = 40
    await until(lambda: len(chat.posts) == 1, "the receiver has the message")

    await daemon.kill()
    chat.hang = False
    with place.server() as orphan:
        pass_leases(orphan)
    second = await place.start()
    await until(lambda: len(chat.posts) == 2, "the message is repeated")
    bank.held["hot"] = 100
    await until(lambda: len(chat.posts) == 3, "the end is told")

    assert chat.posts[0] == chat.posts[1]
    assert chat.heard[1:] == [("alert.firing", "hot", 1), ("alert.resolved", "hot", 2)]
    assert await second.stop() == 0


async def test_what_became_owed_while_the_chat_was_down_is_told_when_it_is_back(place, bank, chat, until, canaries):
    chat.status = 503
    daemon = await place.write().start()
    bank.held["hot"] = 40
    await until(lambda: chat.posts, "an attempt")
    bank.status = 500
    await until(lambda: daemon.said("account.failing"), "the outage is logged")
    bank.status = 200
    bank.held["hot"] = 100
    chat.status = 204
    await until(lambda: ("alert.resolved", "hot", 2) in chat.heard, "the whole episode is told")

    assert len(daemon.said("delivery.failing")) == 1
    assert await daemon.stop() == 0
    _, status, _ = await place.command("status", "--json")
    assert no_secrets(canaries, daemon.log.read_text(), status) == []


async def test_a_reload_applies_a_valid_file_and_ignores_an_invalid_one(place, bank, chat, until):
    daemon = await place.write(below=50).start()
    bank.held["hot"] = 60
    await until(lambda: len(bank.asked) > 3, "polls")

    place.write(below="oops", wallets=("hot", "cold"))
    daemon.process.send_signal(signal.SIGHUP)
    [failed] = await until(lambda: daemon.said("config.reload_failed"), "the refusal is logged")
    assert "rules.yaml:2" in failed["mistakes"][0]
    polls = len(bank.asked)
    await until(lambda: len(bank.asked) > polls + 3, "the old configuration runs on")
    assert (set(bank.asked), chat.heard) == ({"hot"}, [])

    place.write(below=70, wallets=("hot", "cold"))
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: chat.heard == [("alert.firing", "hot", 1)], "the new threshold fires")
    await until(lambda: "cold" in bank.asked, "the new account is polled")

    (place.path / "rules.yaml").write_text("rules: []\n")
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: chat.heard[1:] == [("alert.resolved", "hot", 2)], "its alert is closed")
    assert json.loads(chat.posts[-1][1])["data"]["alerts"][0]["reason"] == "rule_removed"
    assert len(daemon.said("config.reloaded")) == 2
    assert await daemon.stop() == 0


async def test_a_reload_that_is_asked_for_while_it_starts_does_not_end_it(place, until):
    file = place.write().path / "config.yaml"
    file.unlink()
    os.mkfifo(file)
    daemon = await place.start(ready=False)

    def opened():
        try:
            return os.open(file, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            return None

    writing = await until(opened, "it is about to read its configuration")
    daemon.process.send_signal(signal.SIGHUP)
    os.write(writing, b"version: 2\n")
    os.close(writing)

    assert await daemon.process.wait() == 2, "the file is wrong, and that is all"


async def test_a_reload_takes_other_tokens_but_opens_no_api_that_asked_for_them(place, bank, until):
    daemon = await place.write().start()
    file = place.path / "config.yaml"
    plain = file.read_text()

    async def follows(count, *tokens):
        listed = "".join(f", tokens: [{{name: ops, token: {one}, scopes: [admin]}}]" for one in tokens)
        file.write_text(plain.replace(f':{place.port}"', f':{place.port}"{listed}'))
        daemon.process.send_signal(signal.SIGHUP)
        await until(lambda: len(daemon.said("config.reloaded")) == count, "the file is followed")

    async def asks(token):
        headers = {"Authorization": f"Bearer {token}"}
        async with aiohttp.request("GET", f"http://127.0.0.1:{place.port}/v1/alerts", headers=headers) as answer:
            return answer.status

    assert await asks("none") == 200
    await follows(1, "the-first-of-the-tokens")
    assert [await asks("none"), await asks("the-first-of-the-tokens")] == [401, 200]
    await follows(2, "the-second-of-the-tokens")
    assert [await asks("the-first-of-the-tokens"), await asks("the-second-of-the-tokens")] == [401, 200]
    await follows(3)
    assert [await asks("none"), await asks("the-second-of-the-tokens")] == [401, 200]
    assert [line["key"] for line in daemon.said("config.needs_restart")] == ["http.tokens"]
    assert await daemon.stop() == 0


async def test_case_53_a_file_that_changes_is_read_without_anybody_asking_and_a_bad_one_is_said_once(
    place, bank, chat, until
):
    """Case 53 for the files themselves; what says the same is not read as another configuration."""
    daemon = await place.write(below=50).start()
    bank.held["hot"] = 60

    rules = place.path / "rules.yaml"
    good = rules.read_text()
    rules.write_text(good.replace("50", "oops"))
    await until(lambda: daemon.said("config.reload_failed"), "the refusal is logged")
    await asyncio.sleep(5)
    [failed] = daemon.said("config.reload_failed")
    assert "rules.yaml:2" in failed["mistakes"][0]
    rules.write_text(good)
    await until(lambda: len(daemon.said("config.changed")) == 2, "the mended file is read")
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: daemon.said("config.unchanged"), "it is the one there was")
    assert daemon.said("config.reloaded") == []

    rules.write_text(good.replace("50", "70"))
    await until(lambda: chat.heard == [("alert.firing", "hot", 1)], "the new threshold fires")
    assert await daemon.stop() == 0


async def test_case_51_a_rule_that_is_removed_while_it_fires_is_closed_without_anybody_asking_or_polling(
    place, bank, chat, until
):
    """Case 51, of an account whose next poll is far away."""
    bank.held["hot"] = 40
    place.write(below=50)
    config = place.path / "config.yaml"
    config.write_text(config.read_text().replace("interval: 200ms", "interval: 1h"))
    daemon = await place.start()
    await daemon.get("/v1/accounts/hot/poll?wait=2s", "POST")
    await until(lambda: chat.heard == [("alert.firing", "hot", 1)], "it fires")
    asked = len(bank.asked)

    (place.path / "rules.yaml").write_text("rules: []\n")

    await until(lambda: len(chat.heard) == 2, "its end is told")
    alert = json.loads(chat.posts[-1][1])["data"]["alerts"][0]
    assert (alert["status"], alert["reason"]) == ("resolved", "rule_removed")
    assert len(bank.asked) == asked
    assert await daemon.stop() == 0


async def test_two_daemons_with_different_configurations_do_not_make_an_alert_flap(
    place, bank, chat, until, redis_server
):
    bank.held["hot"] = 40
    old = await place.write(store=redis_server.url, below=50).start()
    await until(lambda: chat.heard == [("alert.firing", "hot", 1)], "it fires for the old one")
    old_config = {name: (place.path / name).read_text() for name in ("config.yaml", "rules.yaml")}

    (place.path / "new").mkdir()
    new_place = replace(place, path=place.path / "new", port=free_port(), daemons=place.daemons)
    new = await new_place.write(store=redis_server.url, below=30).start()
    await until(lambda: len(chat.heard) == 2, "the new one has the last word")
    await until(lambda: old.said("config.outdated"), "the old one knows")
    await asyncio.sleep(3)
    assert [kind for kind, _, _ in chat.heard] == ["alert.firing", "alert.resolved"]
    assert len(old.said("config.outdated")) == 1
    assert old_config == {name: (place.path / name).read_text() for name in old_config}

    assert await new.stop() == 0
    await until(lambda: len(chat.heard) == 3, "alone again it judges as it is configured", patience=30)
    assert await old.stop() == 0


async def test_a_daemon_leaves_at_once_while_a_configuration_that_cannot_be_read_to_its_end_is_read(place, bank, until):
    daemon = await place.write(shutdown="50s").start()
    config = place.path / "config.yaml"
    config.unlink()
    os.mkfifo(config)
    daemon.process.send_signal(signal.SIGHUP)
    polls = len(bank.asked)
    await until(lambda: len(bank.asked) > polls + 3, "the old configuration runs on")

    began = time.monotonic()
    assert await daemon.stop() == 0
    assert time.monotonic() - began < 30


async def test_case_54_an_account_that_is_removed_while_its_alert_fires_is_closed_and_forgotten(
    place, bank, chat, until
):
    """Case 54, by a reload and by a restart."""
    daemon = await place.write(wallets=("hot", "cold", "player")).start()
    bank.held["hot"] = bank.held["cold"] = 40
    await until(lambda: len(chat.heard) == 2, "both fire")

    place.write(wallets=("cold", "player"))
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: ("alert.resolved", "hot", 2) in chat.heard, "it is closed at the reload")
    assert json.loads(chat.posts[-1][1])["data"]["alerts"][0]["reason"] == "account_removed"
    asked = bank.asked.count("hot")
    assert await daemon.stop() == 0

    daemon = await place.write(wallets=("player",)).start()
    await until(lambda: ("alert.resolved", "cold", 2) in chat.heard, "and at a start")
    assert await daemon.stop() == 0
    assert bank.asked.count("hot") == asked
    assert [line["account"] for line in daemon.said("account.removed")] == ["cold"]


async def test_refused_credentials_are_told_at_once_and_recovery_after_one_good_poll(place, bank, chat, until):
    place.write()
    (place.path / "rules.yaml").write_text("rules: [{alert: Down, type: provider_down, after: 1h}]\n")
    bank.status = 403
    daemon = await place.start()
    await until(lambda: chat.posts, "it is told")
    alert = json.loads(chat.posts[0][1])["data"]["alerts"][0]
    assert (alert["rule"], alert["provider"], alert["account"]) == ("Down", "bank", "")

    asked = len(bank.asked)
    await asyncio.sleep(1)
    assert len(bank.asked) == asked, "a key that is refused is not tried five times a second"
    bank.status = 200
    status, shown = await daemon.get("/v1/accounts/hot/poll?wait=2s", "POST")
    assert (status, shown["status"]) == (200, "ok")
    await until(lambda: len(chat.posts) == 2, "its end is told")

    assert [kind for kind, _, _ in chat.heard] == ["alert.firing", "alert.resolved"]
    assert await daemon.stop() == 0


async def test_a_reload_waits_for_nobody_who_hangs(place, bank, until):
    bank.hang.add("slow")
    daemon = await place.write(wallets=("hot", "slow"), timeout="50s").start()
    await until(lambda: "slow" in bank.asked, "somebody hangs")

    place.write(wallets=("hot", "slow", "cold"), timeout="50s", shutdown="1s")
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: "cold" in bank.asked, "the new account is polled")
    polls = bank.asked.count("hot")
    await until(lambda: bank.asked.count("hot") > polls + 3, "and the old ones too")

    assert await daemon.stop() == 0
    assert daemon.said("account.failing") == []


async def test_a_store_that_is_away_and_comes_back_empty_is_worked_on_again(place, bank, chat, until, redis_server):
    """Case 10: nothing is due in an empty store, so whoever runs has to notice."""
    daemon = await place.write(store=redis_server.url).start()
    bank.held["hot"] = 40
    await until(lambda: len(chat.posts) == 1, "the breach is told")

    await redis_server.stop()
    await until(lambda: daemon.said("store.unavailable"), "it is noticed")
    assert (await daemon.get("/readyz"))[0] == 503
    assert (await daemon.get("/v1/accounts/hot"))[0] == 503
    place.write(store=redis_server.url, below=60)
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: daemon.said("config.reloaded"), "a reload without a store")

    await redis_server.start()
    await until(lambda: daemon.said("state.lost"), "the loss is said")
    await until(lambda: len(chat.posts) == 2, "what is wrong is told again")
    assert (len(daemon.said("store.unavailable")), len(daemon.said("store.recovered"))) == (1, 1), "news twice"
    assert (await daemon.get("/readyz"))[0] == 200

    await redis_server.stop()
    assert await daemon.stop() == 0


async def test_a_provider_that_hangs_does_not_keep_a_daemon_from_leaving(place, bank, until):
    bank.hang.add("hot")
    daemon = await place.write(timeout="50s", shutdown="1s").start()
    await until(lambda: bank.asked, "it is asked")

    assert await daemon.stop() == 0
    assert [line["event"] for line in daemon.said() if line["level"] != "info"] == ["daemon.unfinished"]
    # Being told to leave is not the provider's outage.
    _, out, _ = await place.command("status", "--json")
    assert json.loads(out)["accounts"][0]["failure"] is None


async def test_two_daemons_on_one_store_share_the_accounts_and_one_takes_over_from_the_other(
    place, tmp_path, bank, chat, until, redis_server, pass_leases
):
    wallets = [f"w{number}" for number in range(12)]
    one = await place.write(store=redis_server.url, wallets=wallets).start()
    other = place.port = free_port()
    two = await place.write(store=redis_server.url, wallets=wallets).start()
    assert one.port != other == two.port

    await until(lambda: _polls(one), "the first one polls")
    before = await _polls(one), await _polls(two)

    async def share():
        return await _polls(one) > before[0] + 5 and await _polls(two) > before[1] + 5

    await until(share, "both poll")

    bank.hang.add("w3")
    bank.asked.clear()
    await until(lambda: "w3" in bank.asked, "somebody is stuck with w3")
    await one.kill()
    bank.hang.clear()
    with redis.Redis(port=redis_server.port) as client:
        pass_leases(client)
    bank.asked.clear()
    await until(lambda: set(bank.asked) == set(wallets), "the other one polls them all")
    bank.held["w3"] = 40
    await until(lambda: chat.heard == [("alert.firing", "w3", 1)], "and tells what is wrong")
    assert await two.stop() == 0


async def _polls(daemon):
    _, page = await daemon.get("/metrics")
    lines = [line for line in page.splitlines() if line.startswith("balance_monitor_polls_total{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


async def test_a_store_that_dies_under_a_daemon_is_started_again_with_all_it_knew(
    place, bank, chat, until, pass_leases
):
    daemon = await place.write().start()
    bank.held["hot"] = 40
    await until(lambda: len(chat.posts) == 1, "the breach is told")
    with place.server() as server:
        pid = int(server.info("server")["process_id"])

    os.kill(pid, signal.SIGKILL)
    await until(lambda: daemon.said("store.restarted"), "the server is started again")
    # A poll that was under way when the server died is repeated when its lease ends.
    with place.server() as server:
        pass_leases(server)
    bank.held["hot"] = 100
    await until(lambda: len(chat.posts) == 2, "and it goes on where it was")

    assert chat.heard == [("alert.firing", "hot", 1), ("alert.resolved", "hot", 2)]
    assert await daemon.stop() == 0


class TestStartingUp:
    async def test_every_mistake_of_a_bad_configuration_is_told_and_nothing_starts(self, place):
        place.write(below="oops")
        text = (place.path / "config.yaml").read_text().replace("api: A", "api: Z").replace("OPS_SECRET", "NONE")
        (place.path / "config.yaml").write_text(text)

        code, out, err = await place.command("run")

        assert (code, out) == (2, "")
        places = ["rules.yaml:2", "api: ", "secret"]
        assert [part for part in places if part not in err] == []
        assert not (place.path / "data").exists()

    async def test_a_port_in_use_is_said_and_ends_the_daemon(self, place):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            place.port = taken.getsockname()[1]
            code, _, err = await place.write().command("run")

        assert code == 2
        assert f"cannot listen on 127.0.0.1:{place.port}" in err
        assert "Traceback" not in err

    async def test_a_second_daemon_on_the_same_data_names_the_first(self, place):
        daemon = await place.write().start()
        place.port = free_port()

        code, _, err = await place.write().command("run")

        assert code == 1
        assert f"pid {daemon.process.pid}" in err
        assert "Traceback" not in err
        assert await daemon.stop() == 0

    @pytest.mark.parametrize("command", [["run"], ["status"]])
    async def test_a_store_that_is_not_there_is_said_plainly(self, place, command):
        code, _, err = await place.write(store=f"redis://:canary-pw@127.0.0.1:{free_port()}").command(*command)

        assert code == 1
        assert "Traceback" not in err
        assert "canary-pw" not in err
        assert "did not answer" in err.splitlines()[-1]


class TestKilled:
    async def test_a_killed_daemons_successor_heals_the_store_and_stops_in_order(self, place, bank, until):
        first = await place.write().start()
        # The second request means that the first answer was committed: that is what must survive.
        await until(lambda: len(bank.asked) > 1, "a committed poll")
        assert await first.kill() == -signal.SIGKILL

        second = await place.start()
        status, shown = await second.get("/v1/accounts/hot")

        assert (status, shown["amounts"]["USDT@ETH"]["total"]) == (200, "100")
        assert await second.stop() == 0
        assert not (place.path / "data" / "server.json").exists()
