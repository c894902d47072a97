"""Silences and two daemons, from the command line to a receiver that checks signatures."""

import asyncio
import json
import re
import signal
from datetime import UTC, datetime, timedelta

import redis

from tests.ports import free_port

#: Self alerts are judged in their own time.
PATIENCE = 40


def caveats(chat):
    return [
        one["annotations"].get("caveat", "") for _, body in chat.posts for one in json.loads(body)["data"]["alerts"]
    ]


async def test_case_09_what_still_fires_when_a_silence_is_ended_is_told_at_once_and_by_whom_it_was_silenced(
    place, bank, chat, until
):
    daemon = await place.write().start()
    code, out, err = await place.command(
        "silence", "add", "account=hot", "rule=Low", "--for", "1h", "--author", "maria", "--comment", "key rotation"
    )
    assert code == 0, out + err
    [silenced] = re.findall(r"sil_\w+", out)
    # A change holds within a second, where the machine has time for it.
    await asyncio.sleep(3)
    bank.held["hot"] = 40

    async def fires():
        return [one for one in (await daemon.get("/v1/alerts"))[1]["items"] if one["state"] == "firing"]

    await until(fires, "it fires")
    await asyncio.sleep(1)
    assert chat.posts == []
    code, out, err = await place.command("silence", "expire", silenced)
    assert code == 0, out + err
    await until(lambda: chat.posts, "it is told")
    await asyncio.sleep(1)

    assert chat.heard == [("alert.firing", "hot", 1)]
    [caveat] = caveats(chat)
    assert caveat.startswith("silenced since ")
    assert "maria" in caveat
    assert await daemon.stop() == 0


async def test_case_55_whoever_silenced_what_still_fires_is_reminded_before_it_is_heard(place, bank, chat, until):
    place.write()
    file, end = place.path / "config.yaml", datetime.now(UTC) + timedelta(minutes=30)
    said = f"{{match: {{account: hot}}, ends_at: {end.isoformat()}, author: maria, comment: key rotation}}"
    file.write_text(file.read_text() + f"silences: [{said}]\n")
    bank.held["hot"] = 40
    daemon = await place.start()

    [(rule, kind, summary)] = await until(lambda: chat.self_told, "she is reminded", patience=PATIENCE)

    assert (rule, kind) == ("SilenceEnding", "alert.firing")
    assert "the silence of maria (key rotation) ends at" in summary
    assert "then Low hot USDT@ETH will be heard" in summary
    assert chat.posts == []
    assert await daemon.stop() == 0


async def test_case_48_of_two_daemons_each_alert_is_told_by_one_and_what_a_frozen_one_was_saying_by_the_other(
    place, bank, chat, until, redis_server, pass_leases
):
    wallets = [f"w{number}" for number in range(12)]
    one = await place.write(store=redis_server.url, wallets=wallets).start()
    place.port = free_port()
    two = await place.write(store=redis_server.url, wallets=wallets).start()
    bank.held.update(dict.fromkeys(wallets, 40))
    await until(lambda: len(chat.heard) >= 12, "all are told")
    await asyncio.sleep(1)
    assert sorted(chat.heard) == sorted(("alert.firing", name, 1) for name in wallets)

    def freed():
        with redis.Redis(port=redis_server.port) as client:
            pass_leases(client)

    two.process.send_signal(signal.SIGSTOP)
    freed()
    chat.hang, before = 3, len(chat.posts)
    bank.held["w7"] = 100
    await until(lambda: len(chat.posts) > before, "the first one says it")
    # It stops where it is, for as long as its lease lasts and longer; and the other one goes on.
    one.process.send_signal(signal.SIGSTOP)
    chat.hang = False
    two.process.send_signal(signal.SIGCONT)
    freed()
    await until(lambda: len(chat.posts) > before + 1, "the other one says it")
    one.process.send_signal(signal.SIGCONT)
    await asyncio.sleep(4)

    assert len(chat.posts) == before + 2
    assert chat.posts[before] == chat.posts[before + 1], "the same, under the same id"
    assert await one.stop() == await two.stop() == 0
