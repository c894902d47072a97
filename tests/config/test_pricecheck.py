"""What `check` says of where prices come from."""

from pathlib import Path

import pytest

from monitor.config import load
from monitor.errors import ConfigError

CONFIG = """\
version: 1
providers:
  custody:
    type: kuna
    base_url: https://kuna.example
    auth: {api_key: {env: KEY}}
    accounts: {treasury: {wallet_id: w1, assets: [USDT, BTC]}}
channels: {ops: {type: slack, url: {env: URL}}}
"""
WORTH = "rules:\n  - {alert: Low, type: low_balance, unit: usd, below: 250_000.10}\n"
ENVIRONMENT = {"KEY": "k-0123456789", "URL": "https://hooks.example/T0/secret", "PRICES": "canary-price-key"}
FEED = '{type: http_json, url: "https://prices.example/v1", path: "[].{asset: a, price: p}", max_age: 15m'


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The configuration with these prices, and one rule in USD."""
    monkeypatch.chdir(tmp_path)

    def load_it(prices):
        Path("config.yaml").write_text(f"{CONFIG}prices:\n{prices}\n", "utf-8")
        Path("rules").mkdir()
        Path("rules/a.yaml").write_text(WORTH, "utf-8")
        return load(Path("config.yaml"), environment=ENVIRONMENT)

    return load_it


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (f"  - {FEED}}}\n  - {FEED}}}", "11: prices[1]: there are already prices called prices.example: "),
        (f"  - {FEED}, interval: 1h}}", "10: prices[0]: fetched every 1h, prices are too old after 15m"),
        (f"  - {FEED}, interval: 100ms}}", "10: prices[0].interval: must be at least "),
        (f"  - {FEED.replace('[].', '[.')}}}", "10: prices[0].path: is not JMESPath: "),
        (f"  - {FEED.replace('price: p', 'price: sum(p)')}}}", "10: prices[0].path: `sum()` cannot be used"),
        (
            f"  - {FEED}, headers: {{X-Key: {{env: NOWHERE}}}}}}",
            "10: prices[0].headers.X-Key: the environment variable NOWHERE is not set",
        ),
        (f"  - {FEED}, every: 1m}}", "10: prices[0].every: unknown setting"),
    ],
)
def test_prices_that_cannot_be_fetched_are_a_mistake(loaded, prices, said):
    with pytest.raises(ConfigError) as caught:
        loaded(prices)

    [found] = caught.value.mistakes
    assert found.startswith(f"config.yaml:{said}")


def test_fetched_prices_are_enough_for_a_rule_in_usd_and_their_secrets_are_known(loaded):
    clear = FEED.replace("https", "http")

    config = loaded(f"  - {clear}, headers: {{X-Key: {{env: PRICES}}, X-Token: plain, X-Plan: demo}}}}")

    assert config.warnings == (
        "config.yaml:10: prices[0].url: is http: everybody on the way can change the prices, use https",
        "config.yaml:10: prices[0].headers.X-Token: a secret in plain text, write {env: NAME} or {file: PATH}",
    )
    secrets = {secret.get_secret_value() for secret in config.secrets}
    assert {"canary-price-key", "plain"} <= secrets
    assert "demo" not in secrets
