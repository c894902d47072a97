"""A sum over accounts in real daemons: told within a second or two, once, whoever of two processes judges it."""

import asyncio
import socket

import redis

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
    place.port = _free()
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


def _free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
