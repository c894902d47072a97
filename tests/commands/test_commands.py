"""The commands beside the daemon: what they print, where, and how they end."""

import asyncio
import json
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import structlog

from monitor import cli
from monitor.config import load
from monitor.engine.watch import STORE_PROVIDER
from monitor.feeds import Feeds
from monitor.guard.hold import Switch
from monitor.model.alert import pause
from monitor.model.group import Receipt
from monitor.model.price import Posted, Quote
from monitor.model.record import Commit
from monitor.model.report import Report
from monitor.model.window import micros
from monitor.store.redis import RedisStore
from tests.builders import NOON, commit, minutes, seconds
from tests.facts import Watched, account, answer, outage, policy, rule, snapshot
from tests.fakes import FakeClock
from tests.guard.asks import terms

KEY, HOOK = "canary-key-11", "canary-hook-22"
CONFIG = """\
version: 1
store: {{url: "{store}"}}
log: {{format: json}}
defaults: {{interval: 1m, timeout: 10s}}
providers:
  bank:
    type: cryptofuse
    base_url: {url}
    api: A
    auth: {{api_key: {key}}}
    accounts:
      hot: {{wallet_id: hot, assets: [USDT], labels: {{role: hot}}}}
      cold: {{wallet_id: cold}}
channels:
  ops: {{type: webhook, url: "{url}/{hook}"}}
"""
BALANCES = {"usdt": {"available": 412.50, "pending": 0, "total": 412.50, "blockchain": "ETH"}}


class Outside(ThreadingHTTPServer):
    """A bank and a chat in one; `status` and `delay` are how they fail."""

    daemon_threads = True
    status = 200

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.said, self.delay = [], threading.Event()

    def handle_error(self, request, client_address):
        """Who hangs up before the answer is no news: told at any time, it would stand among a command's words."""


class Answering(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.said.append((self.path, json.loads(body)))
        if self.server.status == 0:
            self.server.delay.wait(5)
        answer = {"wallet_id": "hot", "balances": BALANCES}
        if self.server.status != 200:
            answer = {"error": f"no {KEY} for {self.path}"}
        raw = json.dumps(answer).encode()
        self.send_response(self.server.status or 200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_):
        pass


@pytest.fixture
def outside():
    server = Outside()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.delay.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path, outside, valkey_server, monkeypatch):
    with valkey_server.client() as client:
        client.flushall()
    url = f"http://127.0.0.1:{outside.server_port}"
    (tmp_path / "config.yaml").write_text(CONFIG.format(store=valkey_server.url, url=url, key=KEY, hook=HOOK))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    structlog.reset_defaults()


@pytest.fixture
def run(folder, capfd, monkeypatch):
    """Run a command line: (exit code, stdout, stderr)."""

    def command(*words):
        monkeypatch.setattr(sys, "argv", ["balance-monitor", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capfd.readouterr()
        assert [canary for canary in (KEY, HOOK) if canary in out + err] == []
        return ended.value.code or 0, out, err

    return command


def in_store(url, work):
    """Do something in the store as a daemon would have, at noon."""

    async def main():
        store = await RedisStore.connect(url)
        store.clock_override = FakeClock()
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(main())


class TestPoll:
    def test_it_prints_what_the_provider_says(self, run):
        code, out, err = run("poll", "hot")

        assert (code, err) == (0, "")
        assert "hot at bank" in out
        assert "412.5" in out

    def test_for_machines_amounts_are_decimal_strings(self, run):
        code, out, _ = run("poll", "hot", "--json")

        assert (code, json.loads(out)["amounts"]["USDT@ETH"]["available"]) == (0, "412.5")

    def test_nothing_is_stored(self, run, valkey_server):
        run("poll", "hot")

        record = in_store(valkey_server.url, lambda store: store.load("hot"))
        assert record.version == 0

    @pytest.mark.parametrize(
        ("status", "expected"),
        [(500, "unreachable"), (401, "refused"), (429, "throttled"), (0, "unreachable: no answer within 300ms")],
    )
    def test_a_failure_is_one_line_and_exit_1(self, run, folder, outside, status, expected):
        outside.status = status
        if status == 0:
            # Only who never answers is waited for: a slow machine answers late.
            config = folder / "config.yaml"
            config.write_text(config.read_text().replace("timeout: 10s", "timeout: 300ms"))
        code, out, err = run("poll", "hot")

        assert (code, out) == (1, "")
        assert err.startswith(f"hot: {expected}")
        assert len(err.splitlines()) == 1

    def test_an_unknown_account_is_a_mistake_of_the_caller(self, run):
        assert run("poll", "hott") == (2, "", "there is no account 'hott', did you mean 'hot'?\n")
        assert run("poll", "treasury") == (2, "", "there is no account 'treasury' (hot, cold)\n")


class TestSendTest:
    def test_the_message_takes_the_real_path(self, run, outside):
        code, out, err = run("send-test", "ops")

        [(path, sent)] = outside.said
        assert (code, path, sent["type"], err) == (0, f"/{HOOK}", "test", "")
        assert out.startswith("ops: delivered")

    def test_a_failure_says_why_without_the_url(self, run, outside):
        outside.status = 410
        code, out, err = run("send-test", "ops")

        assert (code, out) == (1, "")
        assert err.startswith("ops: not delivered: HTTP 410")

    def test_it_ends_a_pause_of_the_channel(self, run, valkey_server):
        with valkey_server.client() as client:
            client.hset("{bm:c:ops}:clock", "pause", micros(NOON + seconds(600)))

        run("send-test", "ops")

        with valkey_server.client() as client:
            assert client.hget("{bm:c:ops}:clock", "pause") is None

    def test_it_arrives_though_there_is_no_store(self, run, folder, valkey_server):
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace(valkey_server.url, "redis://127.0.0.1:1"))

        code, out, err = run("send-test", "ops")

        assert (code, out) == (0, "ops: delivered, it answered 'HTTP 200'\n")
        assert err.startswith("ops: if the channel is paused, it stays so: the store at 127.0.0.1:1 did not answer")

    def test_it_has_as_long_as_the_channel_gets(self, run, folder, monkeypatch):
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("type: webhook,", "type: webhook, timeout: 17s,"))
        given = []

        async def attempted(destination, *_):
            given.append(destination.timeout)
            return Receipt("")

        monkeypatch.setattr("monitor.commands.send_test.attempt", attempted)
        run("send-test", "ops")

        assert given == [seconds(17)]

    def test_an_unknown_channel_is_a_mistake_of_the_caller(self, run):
        assert run("send-test", "op")[0] == 2


class TestStatus:
    @staticmethod
    async def lived(store):
        """A firing alert of one account, and an outage of the other."""
        watched = Watched((rule("low_balance", alert="Low", below=500),), policy=policy("ops"))
        watched.account = account("hot", provider="bank")
        watched.record = await store.load("hot")
        long_ago = NOON - timedelta(days=400)
        await store.enrol("bank", {"hot": NOON, "cold": NOON})
        claims = {one.account: one for one in (await store.claim("bank", 9, seconds(30))).claims}
        await store.commit("bank", watched.see(answer(snapshot({"USDT": "40"})), NOON), claims["hot"], long_ago)
        before = await store.load("cold")
        failed = commit(before, outage=outage(why="timed out"), failing_since=NOON)
        await store.commit("bank", failed, claims["cold"], long_ago)

    def test_for_machines_everything_is_there(self, run, valkey_server):
        in_store(valkey_server.url, self.lived)

        code, out, err = run("status", "--json")
        report = json.loads(out)

        assert (code, err) == (0, "")
        assert {one["id"] for one in report["accounts"]} == {"hot", "cold"}
        [alert] = report["alerts"]
        assert (alert["rule"], alert["state"], alert["value"], alert["account"]) == ("Low", "firing", "40", "hot")
        assert report["dead_deliveries"] == {"ops": 0}
        assert report["late"]["accounts"] == 2

    def test_for_people_it_is_a_table_and_a_line(self, run, valkey_server):
        in_store(valkey_server.url, self.lived)

        code, out, _ = run("status")

        assert code == 0
        assert "firing warning: Low hot USDT 40 (data: " in out
        assert "timed out" in out
        assert "2 accounts, 1 firing, 0 pending, 0 dead deliveries" in out

    def test_what_closes_the_guard_and_where_it_may_have_lost_holds_stands_in_it(self, run, valkey_server):
        assert json.loads(run("status", "--json")[1])["guard"] == {"closed": [], "quarantine": None}
        assert "guard" not in run("status")[1]

        async def troubled(store):
            store.clock_override = None
            now = await store.time()
            await store.close_guard(Switch(now, "drill", "maria"))
            low = Report("GuardClosed", "web-1:7", now, now + minutes(1), "the bankroll fell below 80000", "bankroll")
            await store.report([low])
            await store.quarantine_partitions([3, 5], terms())

        in_store(valkey_server.url, troubled)

        guard = json.loads(run("status", "--json")[1])["guard"]
        assert [one["cause"] for one in guard["closed"]] == ["bankroll", "operator"]
        assert (guard["quarantine"]["partitions"], guard["quarantine"]["of"]) == (2, 64)
        said = run("status")[1]
        assert "guard closed, every bet is refused: closed by maria: drill" in said
        assert "guard closed, every bet is refused: the bankroll fell below 80000" in said
        assert "guard in quarantine, holds may have been lost: 2 of 64 partitions, until " in said

    def test_its_lines_fit_a_terminal(self, run, valkey_server, monkeypatch):
        in_store(valkey_server.url, self.lived)
        for name, value in (("TTY_COMPATIBLE", "1"), ("TERM", "dumb"), ("COLUMNS", "80")):
            monkeypatch.setenv(name, value)
        run("silence", "add", "rule=Low", "--for", "1d", "--author", "maria", "--comment", "many words " * 9)

        lines = run("status")[1].splitlines()

        assert max(map(len, lines)) <= 80
        assert sum("many" in line for line in lines) > 1

    def test_who_looks_after_an_alert_stands_in_it(self, run, valkey_server):
        in_store(valkey_server.url, self.lived)
        [alert] = json.loads(run("status", "--json")[1])["alerts"]
        name = alert["id"]

        assert f"({name})" in run("status")[1], "what `ack` needs to know"
        code, out, err = run("ack", name, "--author", "maria", "--comment", "on it")
        assert (code, err) == (0, "")
        assert out.startswith("Low hot USDT is acknowledged: no reminder")
        assert run("ack", name, "--author", "joe", "--comment", "me too")[1].startswith(
            "Low hot USDT was acknowledged by maria at "
        )
        shown = json.loads(run("ack", name, "--author", "joe", "--comment", "me too", "--json")[1])
        assert (shown["id"], shown["account"], shown["acknowledged"]["by"]) == (name, "hot", "maria")
        assert f"({name}, acknowledged by maria: on it)" in run("status")[1], "`why` needs it, too"

    def test_what_does_not_fire_is_not_acknowledged(self, run, valkey_server):
        in_store(valkey_server.url, self.lived)

        code, out, err = run("ack", "alr_nothing", "--author", "maria", "--comment", "on it")

        assert (code, out) == (1, "")
        assert err.startswith("no alert 'alr_nothing' is known")

    def test_who_acknowledges_gives_a_name_and_a_reason(self, run, monkeypatch):
        assert run("ack", "alr_1", "--author", "maria")[0] == 2
        assert run("ack", "alr_1", "--author", "maria", "--comment", " ") == (2, "", "--comment must not be empty\n")
        monkeypatch.delenv("USER", raising=False)
        assert run("ack", "alr_1", "--comment", "on it")[0] == 2
        monkeypatch.setenv("USER", "maria")
        assert run("ack", "alr_1", "--comment", "on it")[0] == 1, "there is none, but somebody has a name"

    def test_an_alert_whose_facts_are_old_says_so(self, run, valkey_server):
        async def went_dark(store):
            watched = Watched((rule("low_balance", alert="Low", below=500),), account=account("hot", provider="bank"))
            watched.record = await store.load("hot")
            await store.enrol("bank", {"hot": NOON})
            [claim] = (await store.claim("bank", 9, seconds(30))).claims
            seen = watched.see(answer(snapshot({"USDT": "40"})), NOON)
            [alert] = seen.record.alerts
            dark = replace(seen.record, alerts=(pause(alert, "stale"),))
            await store.commit("bank", seen._replace(record=dark), claim, NOON)

        in_store(valkey_server.url, went_dark)

        assert "firing warning: Low hot USDT 40 (data: stale)" in run("status")[1]

    def test_an_account_is_late_only_beyond_its_own_interval_and_a_checkup_is_no_account(self, run, valkey_server):
        now = datetime.now(UTC)

        async def one_is_late(store):
            await store.enrol("bank", {"hot": now - seconds(10), "cold": now - seconds(90)})
            await store.enrol(STORE_PROVIDER, {"provider:bank": now - seconds(900)})

        in_store(valkey_server.url, one_is_late)

        late = json.loads(run("status", "--json")[1])["late"]

        assert late["accounts"] == 1
        assert 90_000 <= late["worst_ms"] < 600_000

    @pytest.mark.parametrize(("overdue", "asks"), [(None, True), (3600, True), (-3600, False)])
    def test_when_nobody_polls_it_asks_whether_a_daemon_runs(self, run, valkey_server, overdue, asks):
        async def polled(store):
            at = datetime.now(UTC) - seconds(overdue)
            await store.enrol("bank", dict.fromkeys(("hot", "cold"), NOON))
            for claim in (await store.claim("bank", 9, seconds(30))).claims:
                assert await store.commit("bank", commit(await store.load(claim.account)), claim, at) == "written"

        if overdue is not None:
            in_store(valkey_server.url, polled)

        assert ("is a daemon running" in run("status")[1]) == asks

    def test_before_the_first_poll_is_due_it_does_not(self, run, valkey_server):
        async def enrolled(store):
            await store.enrol("bank", {"hot": datetime.now(UTC) + seconds(60), "cold": NOON})

        in_store(valkey_server.url, enrolled)

        assert "is a daemon running" not in run("status")[1]

    def test_before_the_first_poll_nothing_is_known(self, run):
        _, out, _ = run("status", "--json")

        assert {one["status"] for one in json.loads(out)["accounts"]} == {"never"}

    def test_without_a_store_it_says_so(self, run, folder, valkey_server):
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace(valkey_server.url, "redis://127.0.0.1:1"))

        code, out, err = run("status")

        assert (code, out) == (1, "")
        assert err == "balance-monitor: the store at 127.0.0.1:1 did not answer: Connection refused\n"


class TestCommandLine:
    def test_the_configuration_is_named_before_or_after_the_command_or_by_the_environment(
        self, run, folder, monkeypatch
    ):
        (folder / "config.yaml").rename(folder / "other.yaml")

        assert run("poll", "hot")[0] == 2
        assert run("--config", "other.yaml", "poll", "hot")[0] == 0
        assert run("poll", "hot", "--config", "other.yaml")[0] == 0
        monkeypatch.setenv("BALANCE_MONITOR_CONFIG", "other.yaml")
        assert run("poll", "hot")[0] == 0
        assert run("--config", "missing.yaml", "poll", "hot")[0] == 2

    @pytest.mark.parametrize(
        ("words", "code"),
        [
            (["--help"], 0), (["--version"], 0), (["check"], 0), (["schema", "rules"], 0), ([], 2),
            (["run", "--roles", "pol"], 2), (["nonsense"], 2), (["schema", "nonsense"], 2), (["demo", "--for", "x"], 2),
        ],
    )  # fmt: skip
    def test_exit_codes(self, run, words, code):
        assert run(*words)[0] == code

    def test_case_53_a_bad_configuration_is_told_by_every_command_with_exit_code_2(self, run, folder):
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("api: A", "api: Z"))

        for words in (["check"], ["run"], ["status"], ["poll", "hot"], ["send-test", "ops"]):
            code, out, err = run(*words)
            assert (code, out) == (2, "")
            assert "config.yaml:9: providers.bank.api: " in err


class TestCheckDiff:
    """Case 51: what a reload would close, open or change."""

    RULES = "rules: [{alert: Low, type: low_balance, below: 500, assets: [USDT]}]\n"

    @pytest.fixture
    def lived(self, folder, valkey_server):
        (folder / "rules").mkdir()
        (folder / "rules/r.yaml").write_text(self.RULES)
        in_store(valkey_server.url, TestStatus.lived)
        return folder / "rules/r.yaml"

    def test_what_is_in_force_changes_nothing_and_a_new_account_is_named(self, run, lived):
        code, out, err = run("check", "--diff")

        assert (code, err) == (0, "")
        assert out == "config.yaml: no alert would close, open or change\n"

    @pytest.mark.parametrize(
        ("rules", "expected"),
        [
            ("rules: []", [("closes", "Low", "hot", "USDT", "warning", "rule_removed")]),
            (
                "rules: [{alert: Low, type: low_balance, below: 500, assets: [BTC]}]",
                [("closes", "Low", "hot", "USDT", "warning", "superseded")],
            ),
            (
                "rules: [{alert: Low, type: low_balance, below: 30}]",
                [("closes", "Low", "hot", "USDT", "warning", "recovered")],
            ),
            (
                "rules: [{alert: Low, type: low_balance, below: 60, severity: critical}]",
                [("changes", "Low", "hot", "USDT", "critical", "warning → critical, threshold 500 → 60")],
            ),
            (
                "rules: [{alert: High, type: high_balance, above: 1, for: 5m}, " + RULES.partition("[")[2],
                [("opens", "High", "hot", "USDT", "warning", "pending for 5m")],
            ),
        ],
    )
    def test_case_51_every_alert_that_a_reload_would_touch_is_listed(self, run, lived, rules, expected):
        lived.write_text(rules)

        code, out, _ = run("check", "--diff", "--json")
        told = json.loads(out)

        assert code == 0
        found = [(kind, *one.values()) for kind in ("closes", "opens", "changes") for one in told[kind]]
        assert found == expected
        assert told["rules_removed"] == (["Low"] if rules == "rules: []" else [])
        assert told["accounts"] == {"added": [], "removed": []}

    def test_an_alert_about_the_monitor_is_no_rule_that_was_removed(self, run, lived, valkey_server):
        async def unpriced(store):
            before, claim = await store.load("hot"), await store.take_one("bank", "hot", seconds(30))
            missing = replace(before.alerts[0], rule="PriceMissing", rule_type="self", fingerprint="f", id="alr_f")
            after = replace(before, alerts=(*before.alerts, missing))
            await store.commit("bank", Commit(before=before, record=after), claim, NOON)

        in_store(valkey_server.url, unpriced)

        out = run("check", "--diff")[1]

        assert out == "closes   warning  PriceMissing hot USDT: rule_removed\n"

    def test_case_54_accounts_that_come_and_go_are_named_with_what_closes(self, run, lived, folder):
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace("      hot: {wallet_id: hot", "      new: {wallet_id: hot"))

        _, out, _ = run("check", "--diff")

        assert out.splitlines() == [
            "closes   warning  Low hot USDT: account_removed", "1 account added: new", "1 account removed: hot",
        ]  # fmt: skip

    def test_an_account_that_cannot_be_read_has_not_recovered_from_that(self, run, lived, valkey_server):
        async def went_blind(store):
            watched = Watched((rule("stale", alert="Blind", after="1m"),), account=account("cold", provider="bank"))
            watched.record = await store.load("cold")
            claim = await store.take_one("bank", "cold", seconds(30))
            watched.see(answer(), NOON)
            dark = watched.see(outage(at=NOON + timedelta(hours=1)), NOON + timedelta(hours=1))
            assert [alert.state for alert in dark.record.alerts] == ["firing"]
            before = await store.load("cold")
            await store.commit("bank", dark._replace(before=before), claim, NOON)

        in_store(valkey_server.url, went_blind)
        lived.write_text("rules: [{alert: Blind, type: stale, after: 1m}, " + self.RULES.partition("[")[2])

        assert run("check", "--diff")[1] == "config.yaml: no alert would close, open or change\n"

    def test_case_19_what_is_worth_something_is_judged_by_the_prices_that_were_fetched(
        self, run, lived, folder, valkey_server
    ):
        source = '{type: http_json, url: "https://prices.example/all", path: "@", max_age: 15m}'
        with (folder / "config.yaml").open("a") as config:
            config.write(f"prices: [{source}]\n")
        lived.write_text("rules: [{alert: Poor, type: low_balance, below: 30, unit: usd}, " + self.RULES[8:])
        opens = json.loads(run("check", "--diff", "--json")[1])["opens"]
        assert [one["rule"] for one in opens] == ["PriceMissing"]

        async def fetched(store):
            [price] = load(folder / "config.yaml", secrets=False).prices
            feed = next(iter(Feeds([price])._feeds.values()))
            await store.post_prices(feed.name, Posted(feed.of, NOON, {"USDT": Quote(Decimal(1), NOON)}), minutes(15))
            await store.enrol(f"@prices:{feed.name}", {f"prices:{feed.name}": NOON})

        in_store(valkey_server.url, fetched)

        told = json.loads(run("check", "--diff", "--json")[1])
        assert told["opens"] == []
        assert told["accounts"]["removed"] == [], "where prices come from is no account"

    def test_nothing_is_written(self, run, lived, valkey_server):
        def seen():
            with valkey_server.client() as client:
                return {key: client.dump(key) for key in client.scan_iter("*")}

        lived.write_text("rules: []")
        before = seen()

        run("check", "--diff")

        assert seen() == before

    def test_mistakes_come_first_and_a_store_that_is_away_is_said_plainly(self, run, lived, folder, valkey_server):
        lived.write_text("rules: [{alert: Low, type: low_balance, below: oops}]")
        assert run("check", "--diff")[0] == 2

        lived.write_text("rules: []")
        config = folder / "config.yaml"
        config.write_text(config.read_text().replace(valkey_server.url, "redis://127.0.0.1:1"))
        code, out, err = run("check", "--diff")
        assert (code, out) == (1, "")
        assert err == "balance-monitor: the store at 127.0.0.1:1 did not answer: Connection refused\n"

        config.write_text(config.read_text().replace("redis://127.0.0.1:1", "embedded:./none"))
        code, _, err = run("check", "--diff")
        assert code == 1
        assert "there is no store in" in err
        assert not (folder / "none").exists()

    @pytest.mark.parametrize("words", [["--diff", "--no-secrets"], ["--json"]])
    def test_what_does_not_go_together_is_a_mistake_of_the_caller(self, run, words):
        assert run("check", *words)[0] == 2


def test_without_a_configuration_it_says_how_to_name_one(run, folder):
    (folder / "config.yaml").unlink()

    code, out, err = run("check")

    assert (code, out) == (2, "")
    assert err.startswith("there is no config.yaml here: name another with --config PATH")
    assert run("--config", "other.yaml", "check")[2] == "other.yaml: cannot be read: No such file or directory\n"
