"""A drill as people run it: beside a daemon, and without one."""

import asyncio
import json
import re
import time


def drills(chat):
    """(type, summary, drill label) of every drill that was told."""
    found = []
    for _, body in chat.posts:
        said = json.loads(body)
        found += [
            (said["type"], alert["annotations"]["summary"], alert["labels"].get("drill"))
            for alert in said["data"]["alerts"]
        ]
    return found


async def test_a_drill_beside_a_daemon_goes_out_until_it_is_acknowledged(place, bank, chat, until):
    daemon = await place.write().start()
    await until(lambda: bank.asked, "polls")
    running = asyncio.create_task(place.command("drill", "Low", "--wait", "50s"))
    await until(lambda: chat.posts, "the drill is told")
    [alert] = json.loads(chat.posts[0][1])["data"]["alerts"]
    _, listed = await daemon.get("/v1/alerts")
    code, out, err = await place.command("ack", alert["id"], "--author", "maria", "--comment", "seen")
    assert (code, err) == (0, ""), out
    code, out, err = await running

    assert (code, err) == (0, ""), out
    assert (alert["rule"], alert["account"], alert["severity"]) == ("Low", "hot", "critical")
    assert [(one["rule"], one["details"]["drill"]) for one in listed["items"]] == [("Low", "true")]
    assert re.search(r"ops taken: HTTP 204", out)
    assert "acknowledged by maria: seen" in out
    await until(lambda: len(drills(chat)) == 2, "its end is told")
    firing, resolved = drills(chat)
    assert firing[::2] == ("alert.firing", "true")
    assert firing[1].startswith("DRILL: hot USDT")
    assert (resolved[0], resolved[1].endswith("acknowledged by maria")) == ("alert.resolved", True)
    _, listed = await daemon.get("/v1/alerts")
    assert listed["items"] == []
    assert await daemon.stop() == 0


async def test_a_drill_without_a_daemon_delivers_by_itself(place, chat):
    place.write()

    code, out, err = await place.command("drill", "Low", "--severity", "info", "--json")

    assert code == 0, err
    report = json.loads(out)
    assert (report["ok"], report["severity"], report["acknowledged"]) == (True, "info", None)
    [channel] = report["channels"]
    assert (channel["channel"], channel["state"], channel["resolved"]) == ("ops", "sent", True)
    assert [kind for kind, _, _ in drills(chat)] == ["alert.firing", "alert.resolved"]


async def test_a_drill_that_nobody_acknowledges_or_a_channel_does_not_take_exits_1(place, chat):
    place.write()
    code, out, _ = await place.command("drill", "Low", "--wait", "1s")
    assert (code, "nobody acknowledged it in time" in out) == (1, True)

    chat.status = 410
    code, out, _ = await place.command("drill", "Low", "--json")
    assert (code, json.loads(out)["channels"][0]["state"]) == (1, "failed")

    code, _, err = await place.command("drill", "Lwo")
    assert (code, "there is no rule 'Lwo'" in err) == (2, True)


async def test_a_drill_goes_on_through_a_restart_of_the_daemon_and_past_its_command(
    place, bank, chat, until, redis_server
):
    daemon = await place.write(store=redis_server.url).start()
    await until(lambda: bank.asked, "polls")
    running = asyncio.create_task(place.command("drill", "Low", "--wait", "1m"))
    await until(lambda: chat.posts, "the drill is told")
    assert await daemon.stop() == 0
    daemon = await place.start()
    asked = len(bank.asked)
    await until(lambda: len(bank.asked) > asked + 5, "polls")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    [(kind, _, _)] = drills(chat)
    _, listed = await daemon.get("/v1/alerts")
    assert (kind, [one["state"] for one in listed["items"]]) == ("alert.firing", ["firing"])
    _, out, _ = await place.command("status")
    assert "drill of Low" in out
    code, _, err = await place.command("drill", "Low")
    assert (code, "a drill of it is running" in err) == (1, True)
    assert await daemon.stop() == 0


async def test_a_drill_that_is_silenced_says_by_whom_and_waits_for_nobody(place, chat, until):
    place.write()
    said = ("--for", "2h", "--comment", "moving", "--author", "maria")
    code, _, err = await place.command("silence", "add", "rule=Low", *said)
    assert code == 0, err
    started = time.monotonic()
    code, out, _ = await place.command("drill", "Low")

    assert (code, chat.posts) == (1, [])
    assert re.search(r"ops is not told: silenced since .* by maria: moving \(until ", out)
    assert "no daemon" not in out
    assert "not told in time" not in out
    assert time.monotonic() - started < 50
