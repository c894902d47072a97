"""What the daemon says of itself, as it arrives at a real receiver."""

import json
import signal

import redis

from tests.e2e.conftest import Place
from tests.ports import free_port

#: Renewing, judging and a moment's patience take some seconds.
PATIENCE = 30


async def metric(daemon, name):
    _, page = await daemon.get("/metrics")
    return [line for line in page.splitlines() if line.startswith(f"balance_monitor_{name}")]


def of(chat, rule):
    return [(kind, summary) for name, kind, summary in chat.self_told if name == rule]


async def test_case_53_a_refused_file_is_told_with_its_line_and_the_mended_one_resolves_it(place, bank, chat, until):
    daemon = await place.write(below=50).start()
    await until(lambda: len(bank.asked) > 1, "polls")
    live = await metric(daemon, "config_info")
    place.write(below="oops", wallets=("hot", "cold"))
    daemon.process.send_signal(signal.SIGHUP)

    [(kind, summary)] = await until(lambda: of(chat, "ConfigReloadFailed"), "the refusal is told")
    assert kind == "alert.firing"
    assert "the old one stays in force" in summary
    assert "rules.yaml:2: Low.below" in summary
    assert await metric(daemon, "config_last_reload_successful") == [
        "balance_monitor_config_last_reload_successful 0.0"
    ]
    assert await metric(daemon, "config_info") == live
    await it_is_shown(daemon, place)
    polls = len(bank.asked)
    await until(lambda: len(bank.asked) > polls + 3, "the old configuration runs on")
    assert (set(bank.asked), chat.posts) == ({"hot"}, [])

    place.write(below=70, wallets=("hot", "cold"))
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: "cold" in bank.asked, "the new one runs")
    assert await metric(daemon, "config_last_reload_successful") == [
        "balance_monitor_config_last_reload_successful 1.0"
    ]
    assert await metric(daemon, "config_info") != live
    await until(lambda: len(of(chat, "ConfigReloadFailed")) == 2, "its end is told", patience=PATIENCE)
    assert of(chat, "ConfigReloadFailed")[1][0] == "alert.resolved"
    assert len(chat.self_told) == 2
    assert await daemon.stop() == 0


async def it_is_shown(daemon, place):
    _, listed = await daemon.get("/v1/alerts")
    shown = [(one["rule"], one["state"], one["account"]) for one in listed["items"]]
    assert shown == [("ConfigReloadFailed", "firing", "")]
    # A file that `status` can read; the daemon's own is broken.
    readable = place.path / "readable"
    readable.mkdir()
    text = (place.path / "config.yaml").read_text().replace("./data", str(place.path / "data"))
    (readable / "config.yaml").write_text(text.replace("[rules.yaml]", "[]"))
    code, out, _ = await place.command("--config", str(readable / "config.yaml"), "status", "--json")
    _, said, _ = await place.command("--config", str(readable / "config.yaml"), "status")
    assert "firing warning: ConfigReloadFailed: " in said
    assert "rules.yaml:2: Low.below" in said
    report = json.loads(out)
    assert (code, [one["rule"] for one in report["alerts"]]) == (0, ["ConfigReloadFailed"])
    assert [one["id"] for one in report["accounts"]] == ["hot", "cold"]


async def test_case_10_an_emptied_store_is_told_and_everything_begins_anew(place, bank, chat, until, redis_server):
    daemon = await place.write(store=redis_server.url, wallets=("hot", "cold")).start()
    bank.held["hot"] = 40
    await until(lambda: chat.heard == [("alert.firing", "hot", 1)], "the breach is told")
    with redis.Redis(port=redis_server.port) as client:
        bank.held["cold"] = 900
        client.flushall()
        bank.held["cold"] = 500
        both = {"StateLost", "GuardQuarantined"}
        await until(lambda: {rule for rule, _, _ in chat.self_told} == both, "it is told, and what follows of it")
        await until(lambda: len(chat.heard) == 2, "what is low is low, and told again")
        # Nobody has to look for it a second time.
        assert client.get("{bm:0}:epoch")

    [(kind, summary)] = [(kind, summary) for rule, kind, summary in chat.self_told if rule == "StateLost"]
    assert kind == "alert.firing"
    assert "64 of its 64 partitions were found empty" in summary
    assert chat.heard[1] == ("alert.firing", "hot", 1)
    _, moved = await daemon.get("/v1/accounts/cold/events")
    assert moved["items"] == [], "the first reading after the loss is a baseline, not a movement"
    bank.held["cold"] = 450
    await until(lambda: _out(daemon, "cold"), "what moves from then on is seen")
    assert await _out(daemon, "cold") == ["50"]
    assert await daemon.stop() == 0


async def _out(daemon, account):
    _, moved = await daemon.get(f"/v1/accounts/{account}/events")
    return [event["amount"] for event in moved["items"]]


async def test_case_43_a_template_that_fails_at_send_time_is_told_once_and_its_alert_goes_out(place, bank, chat, until):
    place.write()
    (place.path / "rules.yaml").write_text(
        "rules: [{alert: Low, type: low_balance, assets: [USDT], below: 50,"
        " annotations: {summary: '{{ 100 / value }} %'}}]\n"
    )
    daemon = await place.start()
    for held, count in ((0, 1), (100, 2), (0, 3)):
        bank.held["hot"] = held
        await until(lambda count=count: len(chat.heard) == count, "the alert goes out")
    annotations = json.loads(chat.posts[0][1])["data"]["alerts"][0]["annotations"]
    assert annotations["summary"] == "hot USDT@ETH available 0 is below 50"
    assert "DivisionByZero" in annotations["template_error"]

    [(kind, summary)] = await until(lambda: of(chat, "TemplateError"), "the failure is told")
    assert (kind, "Low.summary: DivisionByZero" in summary) == ("alert.firing", True)
    assert await metric(daemon, "template_errors_total") == ['balance_monitor_template_errors_total{rule="Low"} 2.0']
    (place.path / "rules.yaml").write_text("rules: [{alert: Low, type: low_balance, assets: [USDT], below: 50}]\n")
    daemon.process.send_signal(signal.SIGHUP)
    await until(lambda: len(of(chat, "TemplateError")) == 2, "mending it resolves it", patience=PATIENCE)
    assert len(chat.self_told) == 2
    assert await daemon.stop() == 0


async def test_a_process_that_does_not_poll_reports_to_one_that_does(place, bank, chat, until, redis_server, tmp_path):
    (tmp_path / "front").mkdir()
    front = Place(tmp_path / "front", bank, chat, free_port())
    worker = await place.write(store=redis_server.url).start(ready=False, roles="poll,deliver")
    api = await front.write(store=redis_server.url).start(roles="api")
    place.daemons += front.daemons
    await until(lambda: bank.asked, "polls")

    front.write(store=redis_server.url, below="oops")
    api.process.send_signal(signal.SIGHUP)

    [(kind, summary)] = await until(lambda: of(chat, "ConfigReloadFailed"), "it is told")
    assert (kind, f":{api.process.pid})" in summary) == ("alert.firing", True)
    assert await api.kill() == -signal.SIGKILL
    assert await worker.stop() == 0


async def test_case_05_what_became_bad_while_nobody_looked_is_told_at_the_start(place, bank, chat, until):
    daemon = await place.write(wallets=("hot", "cold")).start()
    bank.held["cold"] = 40
    await until(lambda: chat.heard == [("alert.firing", "cold", 1)], "one is low")
    assert await daemon.stop() == 0
    bank.held["hot"] = 40
    asked = len(bank.asked)

    daemon = await place.start()
    await until(lambda: len(chat.heard) > 1, "the other is told")
    await until(lambda: len(bank.asked) > asked + 10, "polls")

    # What is as it was is not told again.
    assert chat.heard[1:] == [("alert.firing", "hot", 1)]
    assert chat.self_told == []
    assert await daemon.stop() == 0
