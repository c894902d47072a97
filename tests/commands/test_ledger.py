"""`why`, `deliveries` and `replay` on a real store in which a daemon has lived."""

import asyncio
import json

import pytest
import structlog

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.redact import register
from monitor.store.redis import RedisStore
from tests.builders import minutes, seconds
from tests.commandline import live
from tests.commandline import run as run_line
from tests.facts import policy, rule
from tests.fakes import FakeClock, RecordingChannel

HOOK = "https://chat.example/canary-hook-22"
CONFIG = """\
version: 1
store: {{url: "{store}"}}
log: {{format: json}}
providers:
  bank:
    type: cryptofuse
    base_url: https://bank.example
    api: A
    auth: {{api_key: canary-key-11}}
    accounts:
      hot: {{wallet_id: hot, assets: [USDT]}}
channels:
  ops: {{type: webhook, url: "{hook}"}}
  chat: {{type: webhook, url: "{hook}2"}}
"""
LOW = rule("low_balance", alert="Low", below=100, resolve_above=120, for_="1m")


@pytest.fixture
def run(tmp_path, valkey_server, capfd, monkeypatch):
    with valkey_server.client() as client:
        client.flushall()
    (tmp_path / "config.yaml").write_text(CONFIG.format(store=valkey_server.url, hook=HOOK))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "240")

    def command(*words):
        capfd.readouterr()  # what the daemon logged
        code, out, err = run_line(monkeypatch, capfd, *words)
        assert "canary" not in out + err
        return code, out, err

    yield command
    structlog.reset_defaults()


def lived(url, *, answers=(), readings=({"USDT": "50"},) * 3, after=0):
    """Readings a minute apart, so many minutes after noon, and what came of them at `ops`; returns the last record and
    all deliveries there."""

    async def main():
        clock = FakeClock()
        clock.pass_(minutes(after))
        store = await RedisStore.connect(url, clock_override=clock)
        try:
            polls = list(enumerate(readings))
            last = await live(store, clock, polls, rules=(LOW,), policy=policy("ops"))
            clock.pass_(minutes(len(polls)))
            await store.move("hot")
            clock.pass_(seconds(30))
            adapter = RecordingChannel(answers)
            for _ in range(max(1, len(answers))):
                for group in await store.claim_groups("ops", 20, LEASE):
                    await tell_safely(store, Destination("ops", adapter), group, clock)
                clock.pass_(minutes(1))
            found, _ = await store.deliveries(["ops"], ["dead", "failing", "waiting", "sent"], None, 9)
            return last, found
        finally:
            await store.close()

    return asyncio.run(main())


def test_the_story_of_an_alert_from_the_reading_to_the_answer(run, valkey_server):
    last, [sent] = lived(valkey_server.url, answers=[DeliveryDeferred("HTTP 503: busy"), None])
    [alert] = last.alerts

    code, out, err = run("why", alert.id)

    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert lines[0] == f"{alert.id} Low hot USDT warning firing"
    assert "available 50 USDT (threshold 100)" in lines[1]
    assert "2026-11-20 12:00:00Z pending warning available 50 USDT (threshold 100)" in lines
    assert "2026-11-20 12:01:00Z firing warning available 50 USDT (threshold 100) → ops" in lines
    assert f"2026-11-20 12:03:30Z sent ops alert.firing number 1 {sent.id}" in lines
    assert "2026-11-20 12:03:30Z failed HTTP 503: busy 0 ms" in lines
    assert "2026-11-20 12:04:30Z sent ok 0 ms" in lines


def test_for_machines_it_is_the_same_in_json(run, valkey_server):
    last, [sent] = lived(valkey_server.url)

    code, out, _ = run("why", last.alerts[0].id, "--json")
    told = json.loads(out)

    assert (code, told["state"], told["alert"]["rule"], told["untold"]) == (0, "firing", "Low", [])
    assert [one["what"] for one in told["history"]] == ["pending", "firing"]
    [notification] = told["notifications"]
    assert (notification["id"], notification["channel"], notification["state"]) == (sent.id, "ops", "sent")
    assert notification["alerts"] == [{"alert": last.alerts[0].id, "status": "firing", "sequence": 1}]
    assert [one["answer"] for one in notification["attempts"]] == ["ok"]


def test_an_alert_that_is_over_is_known_until_its_story_expires(run, valkey_server):
    readings = ({"USDT": "50"}, {"USDT": "50"})
    last, _ = lived(valkey_server.url, readings=readings)
    alert = last.alerts[0].id
    lived(valkey_server.url, readings=({"USDT": "500"},), after=60)

    code, out, _ = run("why", alert)

    assert code == 0
    assert "resolved" in out.splitlines()[0]
    assert "recovered" in out


def test_an_alert_that_still_fires_is_known_though_its_story_has_expired(run, valkey_server):
    last, _ = lived(valkey_server.url)
    alert = last.alerts[0].id
    with valkey_server.client() as client:
        for key in client.keys("*:alert:*"):
            client.delete(key)

    code, out, _ = run("why", alert)

    assert code == 0
    assert out.splitlines()[0] == f"{alert} Low hot USDT warning firing"


def test_what_has_yet_to_be_told_waits(run, valkey_server):
    async def owed_only():
        clock = FakeClock()
        store = await RedisStore.connect(valkey_server.url, clock_override=clock)
        record = await live(
            store, clock, [(0, {"USDT": "50"}), (1, {"USDT": "50"})], rules=(LOW,), policy=policy("ops")
        )
        await store.move("hot")
        await store.close()
        return record.alerts[0].id

    code, out, _ = run("why", asyncio.run(owed_only()))

    assert code == 0
    assert "waits" in out
    assert "not tried yet" in out


def test_an_id_that_nobody_knows_is_one_line_and_exit_1(run, valkey_server):
    for wanted in ("alr_nobody", "ntf_nobody"):
        code, out, err = run("why", wanted)
        assert (code, out, len(err.splitlines())) == (1, "", 1)
        assert wanted in err


def test_a_notification_leads_to_the_alerts_that_it_told(run, valkey_server):
    last, [sent] = lived(valkey_server.url)

    code, out, _ = run("why", sent.id)

    assert code == 0
    assert last.alerts[0].id in out
    assert "ops" in out


def test_what_a_receiver_says_does_not_drive_the_terminal(run, valkey_server):
    last, _ = lived(valkey_server.url, answers=[DeliveryDeferred("\x1b[2J[bold]gone[/bold]\nHTTP 500")])

    _, out, _ = run("why", last.alerts[0].id)

    assert "\x1b[2J" not in out
    assert "[bold]gone[/bold] HTTP 500" in out


class TestDeliveries:
    def test_nothing_wrong_is_said_in_a_line(self, run, valkey_server):
        lived(valkey_server.url)

        assert run("deliveries") == (0, "everything has arrived\n", "")

    def test_dead_ones_are_listed_with_what_to_do(self, run, valkey_server):
        _, [dead] = lived(valkey_server.url, answers=[DeliveryRejected("HTTP 410: gone", "message")])

        code, out, _ = run("deliveries")

        assert code == 0
        assert all(part in out for part in ("dead", "ops", dead.id, "HTTP 410: gone", "replay --dead"))

    def test_what_is_overdue_names_no_time_that_has_passed(self, run, valkey_server):
        lived(valkey_server.url, answers=[DeliveryDeferred("HTTP 503: busy")])

        out = " ".join(run("deliveries")[1].split())

        assert "its next try is due" in out
        assert "next try 12:" not in out

    def test_for_machines_items_are_those_of_the_api(self, run, valkey_server):
        _, [dead] = lived(valkey_server.url, answers=[DeliveryRejected("HTTP 410: gone", "message")])

        code, out, _ = run("deliveries", "--dead", "--channel", "ops", "--json")
        [item] = json.loads(out)["items"]

        assert (code, item["id"], item["state"], item["attempts"]) == (0, dead.id, "dead", 1)
        assert run("deliveries", "--dead", "--channel", "chat", "--json")[1] == '{"items": []}\n'

    def test_an_unknown_channel_is_a_mistake_of_the_caller(self, run):
        assert run("deliveries", "--channel", "opps")[0] == 2

    def test_an_echoed_secret_is_in_no_list(self, run, valkey_server):
        register(HOOK)
        lived(valkey_server.url, answers=[DeliveryRejected(f"HTTP 404: {HOOK}", "message")])

        assert "[redacted]" in run("deliveries")[1]


class TestReplay:
    @pytest.fixture
    def dead(self, valkey_server, run):
        last, [dead] = lived(valkey_server.url, answers=[DeliveryRejected("HTTP 410: gone", "message")])
        return last.alerts[0].id, dead.id

    def test_one_goes_out_again(self, run, dead):
        code, out, err = run("replay", dead[1])

        assert (code, out, err) == (0, f"{dead[1]} goes out again to ops\n", "")
        assert run("deliveries", "--dead")[1] == "nothing is dead\n"
        assert run("replay", dead[1])[0] == 1

    def test_all_of_them_do(self, run, dead):
        code, out, _ = run("replay", "--dead")

        assert code == 0
        assert out.splitlines() == [
            f"{dead[1]} goes out again to ops",
            "1 message to be sent again, by whoever delivers",
        ]
        assert run("replay", "--dead")[1] == "no messages to be sent again\n"

    def test_for_machines_it_is_a_list(self, run, dead):
        again = {"id": dead[1], "channel": "ops", "state": "waiting", "resolved_since": []}

        assert [json.loads(run("replay", name, "--json")[1]) for name in (dead[1], "--dead")] == [
            {"items": [again]}, {"items": []},
        ]  # fmt: skip
        code, out, err = run("replay", dead[1], "--json")
        assert (code, out, err.startswith(dead[1])) == (1, "", True)

    def test_only_those_of_a_channel_do(self, run, dead):
        assert run("replay", "--dead", "--channel", "chat")[1] == "no messages to be sent again\n"
        assert dead[1] in run("deliveries", "--dead")[1]

    def test_that_an_alert_is_over_by_now_is_said(self, run, dead, valkey_server):
        lived(valkey_server.url, readings=({"USDT": "500"},), after=60)

        assert f"as it was: {dead[0]} resolved since" in run("replay", dead[1])[1]

    def test_what_is_not_dead_says_what_it_is(self, run, valkey_server):
        _, [sent] = lived(valkey_server.url)

        assert run("replay", sent.id) == (1, "", f"{sent.id} is not dead: it has arrived\n")
        assert run("replay", "ntf_x")[0] == 1

    def test_either_one_is_named_or_all_are_meant(self, run):
        assert run("replay")[0] == 2
        assert run("replay", "ntf_1", "--dead")[0] == 2
