"""What of the guard's settings `check` refuses or doubts."""

from pathlib import Path

import pytest

from monitor.config import load
from monitor.errors import ConfigError

CONFIG = """\
version: 1
http: {{listen: "127.0.0.1:8787", tokens: [{{name: casino, token: {{env: TOKEN}}, scopes: [{scope}]}}]}}
providers:
  custody:
    type: kuna
    base_url: https://kuna.example
    auth: {{api_key: {{env: KEY}}}}
    accounts:
      hot: {{wallet_id: w1, assets: [USDT@TRX, BTC], interval: 5m}}
      player-7: {{wallet_id: w2, assets: [USDT], interval: 60s}}
channels: {{ops: {{type: slack, url: {{env: URL}}}}}}
rules: [rules.yaml]
"""
RULES = "rules: [{alert: Low, type: low_balance, below: 1, match: {account: hot}}]"
HOUSE = "bankroll: {{account: {0}, asset: {1}, close_below: 80, open_above: 100}}"


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The warnings of a configuration with this guard section, or its mistakes."""
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(RULES, "utf-8")

    def check(guard=None, scope="guard"):
        text = CONFIG.format(scope=scope) + (f"guard: {{{guard}}}\n" if guard is not None else "")
        Path("config.yaml").write_text(text, "utf-8")
        try:
            return list(load(Path("config.yaml"), secrets=False, environment={}).warnings)
        except ConfigError as error:
            return error.mistakes

    return check


OFTEN = "an interval (player-7 is read every 1m, no account more often)"


@pytest.mark.parametrize(
    ("guard", "said"),
    [
        pytest.param(
            HOUSE.format("hott", "BTC"),
            "guard.bankroll.account: there is no account 'hott', did you mean 'hot'?",
            id="no such account",
        ),
        pytest.param(
            HOUSE.format("hot", "XRP"),
            "guard.bankroll.asset: 'XRP' is not in `assets` of hot",
            id="no such asset",
        ),
        pytest.param(
            "max_age: 89s",
            f"guard.max_age: less than 1.5 × {OFTEN}: bets are refused between two polls",
            id="facts too old between two polls",
        ),
        pytest.param(
            "soft_age: 59s",
            f"guard.soft_age: shorter than {OFTEN}: bets have accounts read anew all the time",
            id="every bet has its account read anew",
        ),
        pytest.param(
            HOUSE.format("hot", "USDT"),
            "guard.bankroll.account: hot is read every 5m, max_age is less than 1.5 × that: "
            "the guard closes in between",
            id="a bankroll that is seldom read",
        ),
        pytest.param(
            "unsettled_limit: 11s",
            "guard.unsettled_limit: shorter than posting_delay and read_lag together: every debit is an alert",
            id="an alert for every debit",
        ),
    ],
)
def test_what_cannot_work_is_told_with_its_line(told, guard, said):
    [line] = told(guard)

    assert line == f"config.yaml:13: {said}"


def test_tokens_of_whom_none_may_ask_the_guard_are_doubted_where_there_is_a_guard_section(told):
    [line] = told("max_age: 150s", scope="read")

    assert "http.tokens: no token has the scope guard: nobody can ask the guard" in line
    assert told(scope="read") == told("max_age: 150s", scope="admin") == []


TWIN = """\
  other:
    type: kuna
    base_url: https://kuna.example/
    auth: {{api_key: {{env: KEY}}}}
    accounts:
      twin: {{wallet_id: {wallet}, assets: [{assets}]}}
channels:"""


@pytest.mark.parametrize(
    ("wallet", "assets", "doubted"),
    [("w1", "USDT", True), ("w1", "ETH, BTC", True), ("w1", "ETH", False), ("w3", "USDT", False)],
)
def test_two_accounts_that_read_one_wallet_are_doubted(told, monkeypatch, wallet, assets, doubted):
    text = CONFIG.replace("channels:", TWIN.replace("{wallet}", wallet).replace("{assets}", assets))
    monkeypatch.setattr(f"{__name__}.CONFIG", text)

    assert told() == []
    said = "providers.other.accounts.twin: reads the same wallet as hot: the guard would promise its money twice"
    assert told("max_age: 90s, soft_age: 60s") == ([f"config.yaml:16: {said}"] if doubted else [])


@pytest.mark.parametrize("asset", ["USDT", "USDT@TRX"])
def test_a_bankroll_may_leave_out_its_network(told, asset):
    assert told(f"max_age: 10m, {HOUSE.format('hot', asset)}") == []


def test_sound_settings_are_told_nothing_of(told):
    assert told("max_age: 90s, soft_age: 60s") == []
    assert told() == []
