"""A sum over accounts in real daemons: told within a second or two, once, whoever of two processes judges it."""

import asyncio
import json
import signal

import redis

from tests.ports import free_port

SUM = """\
rules:
  - alert: FloatLow
    type: low_balance
    match: {role: hot}
    assets: [USDT]
    below: 100
    resolve_above: 150
    aggregate: {by: [asset]}
    annotations:
      summary: >-
        {{ value | amount }} {{ asset }} in all:
        {% for one in contributors %}{{ one.account }} {{ one.value | amount }} {% endfor %}
"""


async def test_a_sum_that_falls_is_told_once_by_two_daemons_and_resolved_by_the_one_that_is_left(
    place, bank, chat, until, redis_server, pass_leases
):
    wallets = ["w0", "w1", "w2"]
    bank.held = dict.fromkeys(wallets, 60)
    place.write(store=redis_server.url, wallets=wallets)
    (place.path / "rules.yaml").write_text(SUM)
    one = await place.start()
    place.port = free_port()
    place.write(store=redis_server.url, wallets=wallets)
    (place.path / "rules.yaml").write_text(SUM)
    two = await place.start()
    await asyncio.sleep(2.5)
    assert chat.heard == []

    bank.held |= {"w0": 20, "w1": 20, "w2": 30}
    await until(lambda: chat.heard, "the sum is told")
    await asyncio.sleep(2.5)
    assert [(kind, account) for kind, account, _ in chat.heard] == [("alert.firing", "")]
    assert "70 USDT@ETH in all: w2 30 w0 20 w1 20" in chat.posts[0][1]

    await one.kill()
    bank.held["w1"] = 500
    with redis.Redis(port=redis_server.port) as client:
        pass_leases(client)
    await until(lambda: len(chat.heard) == 2, "the other one resolves it")
    assert [kind for kind, _, _ in chat.heard] == ["alert.firing", "alert.resolved"]
    assert await two.stop() == 0


async def test_a_sum_through_reloads_and_an_emptied_store_is_never_told_wrong(place, bank, chat, until, redis_server):
    wallets = ["w0", "w1", "w2"]
    bank.held = {"w0": 20, "w1": 20, "w2": 30}
    place.write(store=redis_server.url, wallets=wallets)
    (place.path / "rules.yaml").write_text(SUM.partition("    annotations")[0])
    daemon = await place.start()
    await until(lambda: chat.heard, "the sum is told")

    # An account is removed: said once.
    config = (place.path / "config.yaml").read_text()
    (place.path / "config.yaml").write_text("".join(x for x in config.splitlines(True) if "wallet_id: w2" not in x))
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: len(chat.heard) == 2, "the account that left is told")
    assert chat.heard[1][0] == "alert.updated"
    assert "no longer counted: w2 30 USDT" in chat.posts[1][1]

    # Everything is lost: the sum is told again as it is, never as what is not read yet.
    with redis.Redis(port=redis_server.port) as client:
        client.flushall()
    await until(lambda: any(rule == "StateLost" for rule, _, _ in chat.self_told), "the loss is told")
    await until(lambda: len(chat.heard) == 3, "the sum is told anew")
    assert (chat.heard[2][0], _values(chat)[-1]) == ("alert.firing", "40")

    # The rule judges each account by itself from now on.
    (place.path / "rules.yaml").write_text(SUM.partition("    aggregate")[0])
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: {"w0", "w1", ""} <= {account for _, account, _ in chat.heard[3:]}, "old and new are told")
    told = [json.loads(body)["data"]["alerts"] for _, body in chat.posts]
    assert {(one["account"], one["status"], one["reason"]) for alerts in told[3:] for one in alerts} == {
        ("", "resolved", "superseded"),
        ("w0", "firing", None),
        ("w1", "firing", None),
    }
    assert await daemon.stop() == 0


def _values(chat):
    return [one["value"] for _, body in chat.posts for one in json.loads(body)["data"]["alerts"]]
