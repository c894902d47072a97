"""`backtest` on the command line, over a store with a month in it; what it counts, and what it admits not to know."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from monitor.backtest import instant
from monitor.errors import ConfigError
from monitor.store.session import Keep
from tests import commandline
from tests.builders import NOON, minutes

CONFIG = """\
version: 1
store: {{url: "{store}"}}
providers:
  bank:
    type: kuna
    base_url: http://127.0.0.1:9
    auth: {{api_key: canary-key}}
    accounts:
      hot: {{wallet_id: hot, assets: [USDT, BTC], labels: {{role: hot}}}}
      cold: {{wallet_id: cold, assets: [USDT]}}
prices: [{{type: static, prices: {{USDT: "1"}}}}]
channels:
  ops: {{type: webhook, url: "http://127.0.0.1:9/ops"}}
  chat: {{type: slack, url: "http://127.0.0.1:9/canary-hook"}}
route: {{channels: [chat], routes: [{{match: {{severity: critical}}, channels: [ops], group_wait: 0s}}]}}
rules: [rules.yaml]
"""
RULES = """\
rules:
  - {alert: Low, type: low_balance, assets: [USDT], for: 2m, levels: {warning: {below: 250}, critical: {below: 80}}}
  - {alert: Out, type: large_outflow, match: {account: hot}, above: 100, within: 6h}
  - {alert: Worth, type: high_balance, unit: usd, above: 1_000_000}
  - {alert: Down, type: provider_down}
  - {alert: Silent, type: stale}
"""
DAY = 24 * 60


@pytest.fixture
def folder(tmp_path, valkey_server, monkeypatch):
    with valkey_server.client() as client:
        client.flushall()
    (tmp_path / "config.yaml").write_text(CONFIG.format(store=valkey_server.url))
    (tmp_path / "rules.yaml").write_text(RULES)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    structlog.reset_defaults()


@pytest.fixture
def run(folder, capfd, monkeypatch):
    def command(*words):
        code, out, err = commandline.run(monkeypatch, capfd, "backtest", *words)
        assert "canary" not in out + err
        return code, out, err

    return command


def usdt(*readings):
    """(day, value) of USDT, with one BTC beside."""
    return [(day * DAY, {"USDT": value, "BTC": "1"}) for day, value in readings]


def told(run, *words):
    code, out, err = run("--json", *words)
    assert (code, err) == (0, "")
    found = json.loads(out)
    return found, {rule["rule"]: rule for rule in found["rules"]}


def test_a_month_is_told_per_rule_channel_and_week(run, valkey_server):
    commandline.past(valkey_server.url, {"hot": usdt((0, "300"), (3, "240"), (4, "300"), (10, "70"), (10.5, "400"))})

    found, rules = told(run)

    assert found["weeks"] == 4.29
    assert (rules["Low"]["episodes"], rules["Low"]["still_firing"]) == (2, 0)
    assert rules["Out"]["kinds"] == {"firing": 1, "reminder": 1, "resolved": 1}
    assert [one["severity"] for one in rules["Low"]["examples"]] == ["critical", "warning"]
    assert rules["Low"]["examples"][0] | {"at": "", "lasted_ms": 0} == {
        "at": "", "severity": "critical", "account": "hot", "asset": "USDT", "lasted_ms": 0,
        "text": "hot USDT available 70 is below 80",
    }  # fmt: skip
    assert rules["Low"]["examples"][0]["lasted_ms"] == minutes(DAY / 2 - 2) // timedelta(milliseconds=1)
    assert rules["Out"]["notifications"]["channels"] == {
        "ops": {"count": 0, "per_week": 0.0}, "chat": {"count": 3, "per_week": 0.7},
    }  # fmt: skip
    weeks = [week["channels"]["ops"] for week in found["by_week"]]
    assert len(weeks) == 5
    assert weeks[1] == sum(weeks) == rules["Low"]["notifications"]["channels"]["ops"]["count"] > 0


def test_people_get_a_table_examples_totals_and_what_is_not_known(run, valkey_server):
    commandline.past(valkey_server.url, {"hot": usdt((0, "300"), (3, "240"), (4, "300"))})

    code, out, err = run()

    assert (code, err) == (0, "")
    assert "│ Low    │ 1" in out
    assert "│ Down   │ not judged" in out
    assert "Silent: not judged, failed polls are not in the history" in out
    assert "warning, for 23h58m: hot USDT available 240 is below 250" in out
    assert "notifications in 4.29 weeks from 1 account" in out
    assert "note: 1 account without any history" in out
    assert "note: Worth could not judge BTC: no price in history, and none under `prices: static`" in out
    assert "note: failed polls are not in the history" in out


def test_without_history_it_says_so_and_is_fine(run):
    code, out, _ = run()

    assert code == 0
    assert "there is no history since" in out
    assert told(run)[0]["accounts"] == {"replayed": 0, "without_history": 2}


def test_rates_are_of_the_time_that_is_known(run, valkey_server):
    commandline.past(valkey_server.url, {"hot": usdt((0, "300"), (1, "70"), (2, "300"))}, ago=timedelta(days=7))

    found, _ = told(run)

    assert found["weeks"] == 1.0
    assert any(note.startswith("history begins at") for note in found["notes"])


def test_other_rules_are_tried_with_another_configuration_of_the_same_store(run, folder, valkey_server):
    commandline.past(valkey_server.url, {"hot": usdt((0, "300"), (3, "240"))})
    (folder / "other.yaml").write_text(CONFIG.format(store=valkey_server.url).replace("rules.yaml", "other-rules.yaml"))
    (folder / "other-rules.yaml").write_text("rules:\n  - {alert: Lower, type: low_balance, below: 100}\n")

    assert list(told(run, "--config", "other.yaml")[1]) == ["Lower"]


def test_rules_and_accounts_are_chosen(run, valkey_server):
    commandline.past(valkey_server.url, {"hot": usdt((0, "30")), "cold": [(0, {"USDT": "40"})]})

    assert list(told(run, "--rule", "Low", "--rule", "Out")[1]) == ["Low", "Out"]
    assert told(run)[1]["Low"]["episodes"] == 2
    assert told(run, "--account", "cold")[1]["Low"]["episodes"] == 1


def test_two_accounts_that_fall_together_share_a_message(run, valkey_server):
    fell = {name: [(0, {"USDT": "300"}), (60, {"USDT": "200"}), (90, {"USDT": "300"})] for name in ("hot", "cold")}
    commandline.past(valkey_server.url, fell)

    rule = told(run, "--rule", "Low")[1]["Low"]

    # The first to recover does not wait for the other.
    assert (rule["episodes"], rule["kinds"], rule["notifications"]["count"]) == (2, {"firing": 2, "resolved": 2}, 3)


def test_where_history_is_thinned_it_says_from_when_it_is_whole(run, valkey_server):
    busy = [(minute, {"USDT": str(300 + minute % 7)}) for minute in range(0, 6 * DAY, 20)]
    commandline.past(valkey_server.url, {"hot": busy}, keep=Keep(points=100))

    [note] = [note for note in told(run)[0]["notes"] if "last value of each hour" in note]

    assert note.startswith("of 1 account only")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--rule", "Loww"], "there is no rule 'Loww', did you mean 'Low'?"),
        (["--account", "hott"], "there is no account 'hott', did you mean 'hot'?"),
        (["--since", "soon"], "--since 'soon' is neither a duration (30d) nor a date (2026-11-01)"),
        (["--since", "2999-01-01"], "--since '2999-01-01' is not in the past"),
    ],
)
def test_a_slip_is_exit_2(run, words, said):
    code, out, err = run(*words)

    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1h30m", NOON - minutes(90)),
        ("2026-11-01", datetime(2026, 11, 1, tzinfo=UTC)),
        ("2026-11-20T12:00:00+01:00", NOON - minutes(60)),
    ],
)
def test_since_is_a_duration_or_a_date(text, at):
    assert instant(text, NOON) == at


def test_a_duration_longer_than_time_is_a_mistake_not_a_crash():
    with pytest.raises(ConfigError):
        instant("36500d" * 9, NOON)
