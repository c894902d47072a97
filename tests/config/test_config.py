"""A configuration is read whole, exactly, and refused with everything that is wrong with it."""

import json
import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from monitor.channels import CHANNELS
from monitor.commands import checks
from monitor.config import load
from monitor.config.mistakes import TYPES_NOT_YET
from monitor.errors import ConfigError
from monitor.rules import RULES
from tests.builders import NOON

ROOT = Path(__file__).parents[2]
BAD = Path(__file__).parent / "bad"
ENVIRONMENT = {
    "KEY": "k-0123456789",
    "URL": "https://hooks.example/T0/secret",
    "TOKEN": "a-long-bearer-token",
    "SIGN": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
}
KUNA = """\
version: 1
providers:
  custody:
    type: kuna
    base_url: https://kuna.example
    auth: {api_key: {env: KEY}}
    accounts:
      treasury: {wallet_id: w1, assets: [USDT, BTC], labels: {role: hot}}
"""
CHANNEL = "channels: {ops: {type: slack, url: {env: URL}}}\n"
OWN_LABEL = "every alert has its own label `severity`, an account cannot set it"
LOW = "rules:\n  - {alert: Low, type: low_balance, below: 250_000.10}\n"


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes files into an empty directory and loads config.yaml from there."""
    monkeypatch.chdir(tmp_path)

    def write(config, *, secrets=True, environment=ENVIRONMENT, **files):
        for name, text in {"config.yaml": config, **files}.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
        return load(Path("config.yaml"), secrets=secrets, environment=environment)

    return write


def mistakes(written, config, **files):
    with pytest.raises(ConfigError) as caught:
        written(config, **files)
    return caught.value.mistakes


def rules(text):
    return {"rules__a.yaml": text}


def test_every_mistake_of_every_file_is_told_at_once_with_its_line(monkeypatch):
    monkeypatch.chdir(BAD)

    with pytest.raises(ConfigError) as caught:
        load(Path("bad.yaml"), environment=ENVIRONMENT)

    expected = (BAD / "expected.txt").read_text("utf-8").replace("CHANNEL_TYPES", ", ".join(sorted(CHANNELS)))
    assert caught.value.mistakes == expected.splitlines()


def test_the_example_is_accepted_without_its_secrets_and_without_a_warning():
    config = load(ROOT / "config.example.yaml", secrets=False, environment={})

    assert config.warnings == ()
    assert {spec.type for spec in config.providers.values()} == {"cryptofuse", "kuna", "kaiko", "pacifica"}
    assert {spec.type for spec in config.channels.values()} == set(CHANNELS)
    assert {rule.type for rule in config.rules} == set(RULES)


def test_the_example_with_secrets_lacks_every_secret():
    with pytest.raises(ConfigError) as caught:
        load(ROOT / "config.example.yaml", environment={})

    shown = re.findall(r"^[^#\n]*?\{env: ", (ROOT / "config.example.yaml").read_text("utf-8"), re.MULTILINE)
    assert len(caught.value.mistakes) == len(shown)
    assert all("the environment variable" in line for line in caught.value.mistakes)


def test_what_a_small_configuration_means(written):
    config = written(KUNA + CHANNEL, **rules(LOW))

    account = config.accounts["treasury"]
    assert (account.provider, account.target, account.assets) == ("custody", "w1", ("USDT", "BTC"))
    assert (account.interval, account.stale_after) == (timedelta(minutes=1), timedelta(minutes=3))
    assert account.labels == {"role": "hot"}
    assert config.rules[0].below == Decimal("250000.10")
    assert config.route is None
    assert config.store.directory == Path("data")
    assert config.history.keep == timedelta(days=30)
    assert config.warnings == ()


def test_the_nearest_timetable_wins(written):
    config = written("""\
version: 1
defaults: {interval: 30s, stale_after: 5}
providers:
  a:
    type: kuna
    base_url: https://kuna.example
    auth: {api_key: {env: KEY}}
    interval: 90s
    accounts:
      own: {wallet_id: w, assets: [X], interval: 15s}
      cron: {wallet_id: w, assets: [X], cron: "*/5 * * * *", location: Europe/Malta}
      inherits: {wallet_id: w, assets: [X]}
  b:
    type: kuna
    base_url: https://kuna.example
    auth: {api_key: {env: KEY}}
    accounts: {plain: {wallet_id: w, assets: [X]}}
""")

    seconds = {name: account.interval.total_seconds() for name, account in config.accounts.items()}
    assert seconds == {"own": 15, "cron": 300, "inherits": 90, "plain": 30}
    assert config.accounts["own"].stale_after == timedelta(seconds=75)
    assert config.timetables["cron"].location == "Europe/Malta"


def test_paths_start_at_the_file_not_at_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "etc" / "rules").mkdir(parents=True)
    (tmp_path / "etc" / "config.yaml").write_text(KUNA.replace("{env: KEY}", "{file: key.txt}"))
    (tmp_path / "etc" / "rules" / "a.yaml").write_text(LOW)
    (tmp_path / "etc" / "key.txt").write_text("  k-from-a-file\n")
    monkeypatch.chdir(tmp_path)

    config = load(Path("etc/config.yaml"), environment={})

    assert config.providers["custody"].auth.api_key.get_secret_value() == "k-from-a-file"
    assert config.store.directory == Path("etc/data")
    assert [rule.alert for rule in config.rules] == ["Low"]


def test_no_secret_shows_in_a_repr_or_a_summary(written):
    config = written(KUNA + CHANNEL + "store: {url: 'redis://:hunter2@db:6379/0'}\n")

    for shown in (repr(config), checks.summary(config, NOON)):
        assert "k-0123456789" not in shown
        assert "hunter2" not in shown
        assert "T0/secret" not in shown
    assert {secret.get_secret_value() for secret in config.secrets} >= {"k-0123456789", ENVIRONMENT["URL"]}


def test_no_mistake_quotes_a_secret(written):
    broken = ENVIRONMENT | {"URL": "htp://hooks.example/T0/hunter2"}

    said = mistakes(written, KUNA + CHANNEL, environment=broken)

    assert len(said) == 1
    assert said[0].startswith("config.yaml:9: channels.ops.url: ")
    assert "hunter2" not in said[0]


@pytest.mark.parametrize("kind", sorted(TYPES_NOT_YET["providers"]))
def test_a_provider_type_of_a_later_version_is_refused_by_name(written, kind):
    said = mistakes(written, f"version: 1\nproviders: {{a: {{type: {kind}}}}}\n")

    assert said == [f"config.yaml:2: providers.a.type: `{kind}` is not supported by this version"]


@pytest.mark.parametrize(
    ("added", "said"),
    [
        pytest.param(
            "route: {channels: [nobody]}\n" + CHANNEL,
            ["config.yaml:9: route.channels[0]: there is no channel 'nobody' (ops)"],
            id="a route to a channel that does not exist",
        ),
        pytest.param(
            "http: {listen: '0.0.0.0:80'}\n",
            ["config.yaml:9: http.listen: 0.0.0.0:80 can be reached from other machines: add tokens"],
            id="an open port without tokens",
        ),
        pytest.param(
            "http: {tokens: [{name: a, token: {env: TOKEN}, scopes: [all]}]}\n",
            ["config.yaml:9: http.tokens[0].scopes[0]: 'all' is not one of read, guard, admin"],
            id="a scope that does not exist",
        ),
        pytest.param(
            "http: {tokens: [&t {name: a, token: {env: TOKEN}, scopes: [read]}, *t]}\n",
            ["config.yaml:9: http.tokens[1].name: there is already a token 'a'"],
            id="two tokens of one name",
        ),
        pytest.param(
            "http: {tokens: [{name: a, token: &t {env: TOKEN}, scopes: [read]}, {name: b, token: *t, "
            "scopes: [read]}]}\n",
            ["config.yaml:9: http.tokens[1].token: the same as that of 'a': who asks could not be told"],
            id="two names of one token",
        ),
        pytest.param(
            "      cold: {wallet_id: w, assets: [X], labels: {severity: high}}\n",
            [f"config.yaml:9: providers.custody.accounts.cold: {OWN_LABEL}"],
            id="a label that alerts have anyway",
        ),
        pytest.param(
            "prices: [{type: static, prices: {USDT: 0}}]\n",
            ["config.yaml:9: prices[0]: the price of USDT must be above 0"],
            id="a price of nothing",
        ),
        pytest.param(
            "store: {url: 'mysql://x'}\n",
            [
                ("config.yaml:9: store.url: write it like embedded:./data, redis://host:6379, rediss://…, "
                "unix:///path, redis+sentinel://h1,h2/service or redis+cluster://h1,h2"),
            ],
            id="a store of another kind",
        ),
        pytest.param(
            "store: {url: 'redis+sentinel://h1,h2'}\n",
            ["config.yaml:9: store.url: the name of the service is missing: redis+sentinel://h1:26379,h2/service"],
            id="a store that cannot be found",
        ),
        pytest.param(
            "rules: [{alert: Low}]\n",
            ["config.yaml:9: rules[0]: must be text, got a mapping"],
            id="rules written into the configuration",
        ),
        pytest.param(
            "expected_transfers:\n"
            "  - {name: a, account: treasur, asset: X, up_to: 1, active: [noon]}\n"
            "  - {name: a, account: treasury, asset: X, up_to: 1, to: [addr], active: [non]}\n"
            "time_intervals: {noon: [{times: ['12:00-13:00']}]}\n",
            [
                (
                    "config.yaml:10: expected_transfers[0].account: "
                    "there is no account 'treasur', did you mean 'treasury'?"
                ),
                "config.yaml:11: expected_transfers[1].name: there is already an expected transfer 'a'",
                ("config.yaml:11: expected_transfers[1].active[0]: "
                "there is no 'non' in `time_intervals`, did you mean 'noon'?"),
            ],
            id="expected transfers of what is not there",
        ),
        pytest.param(
            "time_intervals: {noon: [{times: ['12-13'], weekdays: [fri-x], location: Malta}]}\n"
            "expected_transfers: [{name: a, account: treasury, asset: X, up_to: 0, active: [noon]}]\n",
            [
                ("config.yaml:9: time_intervals.noon[0].times[0]: "
                "'12-13' is not a range of times, write it like \"08:00-12:00\" or \"22:00-07:00\""),
                ("config.yaml:9: time_intervals.noon[0].weekdays[0]: "
                "'fri-x' is no day of the week, write mon, tue, wed, thu, fri, sat, sun or mon-fri"),
                ("config.yaml:9: time_intervals.noon[0].location: "
                "there is no time zone 'Malta', write it like Europe/Malta"),
                "config.yaml:10: expected_transfers[0].up_to: must be more than 0",
            ],
            id="times of the week that are none",
        ),
        pytest.param(
            "version: 1\n", ["config.yaml:9: version: given twice, first in line 1"], id="a key twice"
        ),
    ],
)  # fmt: skip
def test_a_mistake_between_parts_is_told(written, added, said):
    assert mistakes(written, KUNA + added) == said


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            "{alert: Low, type: low_balance, measure: equity, below: 1}",
            "rules/a.yaml:2: Low.measure: kuna never offers 'equity', only available, held, locked, ",
        ),
        (
            '{alert: Thin, type: expression, expression: "total > 0 and previous.equity / total < 1.5"}',
            "rules/a.yaml:2: Thin.expression: kuna never offers 'equity', only available, held, locked, ",
        ),
        (
            '{alert: Thin, type: expression, expression: "total < avalable"}',
            "rules/a.yaml:2: Thin.expression: position 9: unknown name 'avalable', did you mean 'available'?",
        ),
        (
            "{alert: Fell, type: balance_change, measure: equity, falls_by: 5%, within: 1h}",
            "rules/a.yaml:2: Fell.measure: kuna never offers 'equity', only available, held, locked, ",
        ),
        (
            "{alert: Fell, type: balance_change, falls_by: 5%, within: 0s}",
            "rules/a.yaml:2: Fell: `within` is at least 1s and at most 366d",
        ),
        (
            "{alert: Low, type: low_balance, below: true}",
            "rules/a.yaml:2: Low.below: 'True' is not an amount, write it like 250_000 or \"0.01\"",
        ),
        (
            '{alert: Low, type: low_balance, below: 1, annotations: {summary: "{{ valeu }}"}}',
            "rules/a.yaml:2: Low.annotations.summary: ",
        ),
    ],
)
def test_a_mistake_in_a_rule_begins_with_the_alerts_name(written, rule, said):
    [found] = mistakes(written, KUNA, **rules(f"rules:\n  - {rule}\n"))

    assert found.startswith(said)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("low_balance, below: 80k", "below: '80k' is no amount: did you mean 80_000?"),
        ("low_balance, below: 1.5M", "below: '1.5M' is no amount: did you mean 1_500_000?"),
        ("low_balance, below: 2b", "below: '2b' is no amount: did you mean 2_000_000_000?"),
        ("low_balance, below: -1.2345k", "below: '-1.2345k' is no amount: did you mean -1_234.5?"),
        ("low_balance, below: 5m", "below: '5m' is a duration, or did you mean 5_000_000?"),
        ("low_balance, below: $80k", "below: '$80k' is no amount: did you mean 80_000 with `unit: usd`?"),
        ("low_balance, below: 5 mio", "below: '5 mio' is no amount: did you mean 5_000_000?"),
        (
            "low_balance, below: 80t",
            "below: '80t' is more than an amount: write all its digits alone, and name the asset in `asset(s)`",
        ),
        (
            "low_balance, below: 80kUSDT",
            "below: '80kUSDT' is more than an amount: write all its digits alone, and name the asset in `asset(s)`",
        ),
        (
            "low_balance, below: 3 million",
            "below: '3 million' is more than an amount: write all its digits alone, and name the asset in `asset(s)`",
        ),
        ("low_balance, below: 4h", "below: '4h' is a duration; write an amount like 250_000"),
        (
            "low_balance, below: 1, renotify_every: 4h",
            "renotify_every: '4h' is a duration; write an amount like 250_000 or 25%",
        ),
        (
            "large_outflow, above: 1h30m, within: 1h",
            "above: '1h30m' is a duration; write an amount like 250_000 or 25%",
        ),
        ("large_outflow, above: 40k, within: 1h", "above: '40k' is no amount: did you mean 40_000?"),
        (
            "low_balance, below: 25%",
            "below: '25%' is a percentage, which is not possible here: write an amount like 250_000",
        ),
        (
            "runway, below: 24h, quantile: 90%",
            "quantile: '90%' is a percentage, which is not possible here: write 0.9",
        ),
    ],
)
def test_no_advice_on_an_amount_makes_it_another_one(written, rule, said):
    found = mistakes(written, KUNA, **rules(f"rules:\n  - {{alert: Low, type: {rule}}}\n"))

    assert found == [f"rules/a.yaml:2: Low.{said}"]


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (
            "type: low_balance, threshold: 5",
            ["R.threshold: unknown setting", "R: a threshold is missing: write `below`, or `levels`"],
        ),
        (
            "type: large_outflow, limit: 5, within: 1h",
            ["R.limit: unknown setting", "R: a threshold is missing: write `above`, or `levels`"],
        ),
        ("type: low_balance, belw: 5", ["R.belw: unknown setting, did you mean 'below'?"]),
        ("type: low_balance, below: 5, colour: red", ["R.colour: unknown setting"]),
        ("type: expression, expr: total < 5", [
            "R.expression: is required",
            "R.expr: unknown setting, did you mean 'expression'?",
        ]),
    ],
)  # fmt: skip
def test_an_unknown_setting_is_told_with_what_is_lacking(written, rule, said):
    found = mistakes(written, KUNA, **rules(f"rules:\n  - {{alert: R, {rule}}}\n"))

    assert found == [f"rules/a.yaml:2: {each}" for each in said]


@pytest.mark.parametrize("pattern", ["rules", "rules/", "rul*"])
def test_a_directory_of_rules_is_a_mistake_where_it_is_named(written, pattern):
    found = mistakes(written, KUNA + f"rules:\n  - {pattern}\n", **rules(LOW))

    better = "rul*.yaml" if "*" in pattern else "rules/*.yaml"
    assert found == [f"config.yaml:10: rules[0]: rules is a directory, write {better}"]


def test_a_budget_with_a_suffix_is_asked_about(written):
    expected = "expected_transfers: [{name: p, account: treasury, asset: BTC, up_to: 180k, active: [noon]}]\n"
    noon = "time_intervals: {noon: [{times: ['12:00-13:00']}]}\n"

    found = mistakes(written, KUNA + CHANNEL + expected + noon)

    assert found == ["config.yaml:10: expected_transfers[0].up_to: '180k' is no amount: did you mean 180_000?"]


@pytest.mark.parametrize(
    ("wallet", "said"),
    [
        ("12345", 'must be text, write it in quotes: "12345"'),
        ("55e84", "must be text, write it in quotes"),
        ("550e8400", "550e8400 is too large or too long for a number: put it in quotes if it is text"),
    ],
)
def test_an_id_that_looks_like_a_number_is_never_repeated_as_another_one(written, wallet, said):
    found = mistakes(written, KUNA.replace("w1", wallet))

    assert found == [f"config.yaml:8: providers.custody.accounts.treasury.wallet_id: {said}"]


CHAIN = """\
  chain: {type: kaiko, auth: {api_key: {env: KEY}}, accounts: {cold: {addresses: [bc1q0123456789]}}}
"""


@pytest.mark.parametrize(
    ("config", "rule", "said"),
    [
        pytest.param(
            KUNA,
            "{alert: Odd, type: unexplained_change, above: 1}",
            "Odd.type: kuna has no ledger, movements are inferred from `total`: nothing could ever be unexplained",
            id="no ledger",
        ),
        pytest.param(
            KUNA + CHAIN,
            "{alert: Odd, type: unexplained_change, above: 1, match: {provider: chain}, assets: [USDT]}",
            "Odd.assets: the ledger of kaiko covers only BTC: nothing could ever be unexplained",
            id="a ledger of something else",
        ),
    ],
)
def test_a_rule_on_a_ledger_needs_one(written, config, rule, said):
    [found] = mistakes(written, config, **rules(f"rules:\n  - {rule}\n"))

    assert found == f"rules/a.yaml:2: {said}"


def test_a_destination_that_no_provider_tells_covers_nothing_and_is_a_warning(written):
    expected = "expected_transfers: [{name: p, account: treasury, asset: X, up_to: 1, to: [addr], active: [noon]}]\n"
    noon = "time_intervals: {noon: [{times: ['12:00-13:00']}]}\n"

    config = written(KUNA + CHANNEL + expected + noon)

    [said] = [one for one in config.warnings if "expected_transfers[0].to" in one]
    assert "never tells where money went, so this covers nothing" in said


def test_accounts_without_a_ledger_are_named_where_others_have_one(written):
    odd = "rules:\n  - {alert: Odd, type: unexplained_change, above: 1}\n"

    config = written(KUNA + CHAIN + CHANNEL, **rules(odd))

    said = "rules/a.yaml:2: Odd.type: kuna has no ledger for it: its accounts are not judged"
    assert said in map(str, config.warnings)


@pytest.mark.parametrize(
    ("prices", "rule", "said"),
    [
        pytest.param(
            "[]",
            "{alert: Low, type: low_balance, below: 1, unit: usd}",
            "Low.unit: kuna reports no USD values and `prices` has none: nothing can be judged",
            id="worths that nobody knows",
        ),
        pytest.param(
            "[{type: static, prices: {USDT: 1}}]",
            "{alert: Out, type: large_outflow, above: 1, unit: usd, assets: [BTC, USDT@TRX]}",
            "Out.unit: kuna reports no USD values and `prices` has none for BTC: nothing can be judged",
            id="the worth of one asset",
        ),
        pytest.param(
            "[]",
            "{alert: Fell, type: balance_change, falls_by: 1, unit: USDT, within: 1h}",
            "Fell.unit: 'USDT' is not one of asset, usd",
            id="an asset for a unit",
        ),
        pytest.param(
            "[]",
            "{alert: Low, type: low_balance, below: 80_000 USD, assets: [USDT]}",
            "Low.below: '80_000 USD' is more than an amount: write 80_000, and of worths `unit: usd`",
            id="USDT against USD",
        ),
        pytest.param(
            "[]",
            "{alert: Out, type: large_outflow, above: $500}",
            "Out.above: '$500' is more than an amount: write 500, and of worths `unit: usd`",
            id="against dollars",
        ),
        pytest.param(
            "[]",
            "{alert: Low, type: low_balance, below: 2 BTC}",
            "Low.below: '2 BTC' is more than an amount: write 2, and name the asset in `asset(s)`",
            id="an amount of one asset",
        ),
        pytest.param(
            "[]",
            "{alert: Fell, type: balance_change, falls_by: 5%, unit: usd, within: 1h}",
            "Fell: 5% is a percentage, `unit: usd` contradicts it",
            id="a percentage of USD",
        ),
    ],
)
def test_case_22_comparing_in_the_wrong_unit_is_a_mistake(written, prices, rule, said):
    config = KUNA + CHANNEL + f"prices: {prices}\n"

    [found] = mistakes(written, config, **rules(f"rules:\n  - {rule}\n"))

    assert found.startswith(f"rules/a.yaml:2: {said}")


@pytest.mark.parametrize(
    ("config", "rule", "said"),
    [
        pytest.param(
            KUNA + "channels: {ops: {type: slack, url: 'https://hooks.slack.com/services/x'}}\n",
            LOW,
            "config.yaml:9: channels.ops.url: a secret in plain text, write {env: NAME} or {file: PATH}",
            id="a secret in the file",
        ),
        pytest.param(
            KUNA + "channels: {ops: {type: webhook, url: {env: HTTP}}}\n",
            LOW,
            "config.yaml:9: channels.ops: url is http: everybody on the way can read and forge it, use https",
            id="a channel in the clear",
        ),
        pytest.param(
            KUNA.replace("https", "http") + CHANNEL,
            LOW,
            "config.yaml:5: providers.custody.base_url: is http: everybody on the way can read it, use https",
            id="a provider in the clear",
        ),
        pytest.param(
            KUNA.replace("    accounts:", "    interval: 100ms\n    accounts:") + CHANNEL,
            LOW,
            "config.yaml:3: providers.custody: 1 accounts at 1 a poll need 10 per 1s, the limit is 1: "
            "polls will run late",
            id="more polls than the provider allows",
        ),
        pytest.param(
            KUNA + CHANNEL,
            LOW.replace("below", "aggregate: {by: [rool, asset]}, below"),
            "rules/a.yaml:2: Low.aggregate.by: no account has the label 'rool', did you mean 'role'?",
            id="a sum by a label that nobody has",
        ),
        pytest.param(
            KUNA + CHANNEL,
            LOW.replace("below", "match: {role: cold}, below"),
            "rules/a.yaml:2: Low.match.role: matches no account: no role is 'cold' (hot)",
            id="a rule that watches nothing",
        ),
        pytest.param(
            KUNA + CHANNEL,
            "rules: [{alert: L, type: liquidation, kinds: [market_liquidation]}]",
            "rules/a.yaml:1: L.kinds: kuna reports no market_liquidation",
            id="a kind of event that nobody reports",
        ),
        pytest.param(
            KUNA,
            LOW,
            "config.yaml:1: channels: no channel is configured, alerts would reach nobody",
            id="no channel",
        ),
    ],
)  # fmt: skip
def test_what_works_but_is_doubtful_is_a_warning(written, config, rule, said):
    loaded = written(config, environment=ENVIRONMENT | {"HTTP": "http://hooks.example/x"}, **rules(rule))

    assert loaded.warnings == (said,)


def test_every_wrong_annotation_of_a_rule_is_told(written):
    annotations = 'summary: "{{ valeu }}", fine: "{{ value }}", other: "{{ account", third: "{{ value | amuont }}"'
    rule = f"{{alert: Low, type: low_balance, below: 1, annotations: {{{annotations}}}}}"

    said = mistakes(written, KUNA + CHANNEL, **rules(f"rules:\n  - {rule}\n"))

    assert [line.split(": ")[1] for line in said] == [
        f"Low.annotations.{name}" for name in ("summary", "other", "third")
    ]


def test_a_worth_is_known_from_prices_or_from_a_provider_that_reports_it(written):
    low = LOW.replace("below", "unit: usd, below")
    fuse = KUNA.replace("kuna\n    base_url: https://kuna.example", "cryptofuse").replace("assets: [USDT, BTC], ", "")

    assert written(KUNA + CHANNEL + "prices: [{type: static, prices: {USDT: 1}}]\n", **rules(low)).warnings == ()
    assert written(fuse + CHANNEL, **rules(low)).warnings == ()


def test_a_configuration_without_secrets_says_nothing_about_their_form(written):
    channels = "channels: {ops: {type: webhook, url: {env: A}, secret: [{env: B}, {file: c}]}}\n"

    config = written(KUNA + channels, secrets=False, environment={}, **rules(LOW))

    assert config.warnings == ()


def test_the_digest_changes_with_every_file_and_every_secret(written):
    first = written(KUNA, **rules(LOW)).digest
    same = written(KUNA, **rules(LOW)).digest
    rule = written(KUNA, **rules(LOW.replace("Low", "Lower"))).digest
    secret = written(KUNA, environment=ENVIRONMENT | {"KEY": "another"}, **rules(LOW)).digest
    setting = written(KUNA + "shutdown_timeout: 29s\n", **rules(LOW)).digest

    assert first == same
    assert len({first, rule, secret, setting}) == 4


def test_rule_files_are_found_by_glob_each_once_and_in_order(written):
    config = written(
        KUNA + "rules: ['rules/*.yaml', 'rules/b.yaml', 'more/**/*.yaml']\n",
        **{
            "rules__b.yaml": LOW,
            "rules__a.yaml": LOW.replace("Low,", "First,"),
            "more__c.yaml": LOW.replace("Low,", "Last,"),
        },
    )

    assert [rule.alert for rule in config.rules] == ["First", "Low", "Last"]


def test_a_file_that_is_not_there_is_one_mistake(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "config.yaml")

    assert caught.value.mistakes == [f"{tmp_path}/config.yaml: cannot be read: No such file or directory"]


def test_a_terminal_is_not_driven_by_what_a_file_says(written):
    [said] = mistakes(written, KUNA + '"\\e[2J": 1\n')

    assert said == "config.yaml:9: \\x1b[2J: unknown setting"


@pytest.mark.parametrize("what", ["config", "rules"])
def test_the_schema_is_json_with_resolvable_references_and_readable_defaults(what):
    schema = checks.schema(what)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema
    references = _references(schema)
    assert references
    assert all(name.removeprefix("#/$defs/") in schema["$defs"] for name in references)


def test_the_schema_says_what_the_contract_says():
    schema = checks.schema("config")

    assert schema["additionalProperties"] is False
    assert schema["properties"]["defaults"]["default"] == {
        "interval": "1m", "timeout": "10s", "stale_after": 3, "outage_tolerance": "1h",
    }  # fmt: skip
    assert schema["properties"]["shutdown_timeout"]["default"] == "30s"
    assert schema["properties"]["history"]["default"] == {
        "keep": "30d",
        "max_points": 1000,
        "max_events": 10000,
    }


def _references(node):
    if isinstance(node, dict):
        own = {node["$ref"]} if "$ref" in node else set()
        return own.union(*map(_references, node.values()))
    return set().union(*map(_references, node)) if isinstance(node, list) else set()


def test_the_summary_fits_on_one_screen_and_names_what_is_watched(written):
    shown = checks.summary(written(KUNA + CHANNEL, **rules(LOW)), NOON).splitlines()

    assert len(shown) < 24
    assert shown[0] == "config.yaml: fine"
    assert any("custody" in line and "kuna" in line and line.endswith("1 account") for line in shown)
