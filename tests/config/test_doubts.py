"""What is sound and can never work is a warning, at the line of what is at fault."""

from pathlib import Path

import pytest

from monitor.config import load

CONFIG = """\
version: 1
providers:
  custody:
    type: kuna
    base_url: https://kuna.example
    auth: {api_key: {env: KEY}}
    accounts:
      treasury: {wallet_id: w1, assets: [USDT, BTC], labels: {role: hot, tier: vip}, interval: 5m}
      reserve: {wallet_id: w2, assets: [USDT@TRX], labels: {role: cold}}
  perps:
    type: pacifica
    accounts: {hedge: {address: 42trU9A5xv6bVPsZHqDkKJ6HqmsPwKsYKYKPaUQ8Wb8q, labels: {desk: d1}}}
channels: {ops: {type: slack, url: {env: URL}}}
history: {keep: 30d}
"""
LOW = "alert: Low, type: low_balance, below: 1"
OUT = "alert: Out, type: large_outflow, above: 1"


@pytest.fixture
def warnings(tmp_path, monkeypatch):
    """The warnings of a configuration with these rules and more lines."""
    monkeypatch.chdir(tmp_path)

    def told(rules, more=""):
        Path("rules").mkdir()
        Path("rules/a.yaml").write_text("rules:\n" + "".join(f"  - {{{rule}}}\n" for rule in rules), "utf-8")
        Path("config.yaml").write_text(CONFIG + more, "utf-8")
        return list(load(Path("config.yaml"), secrets=False, environment={}).warnings)

    return told


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        pytest.param(
            f"{LOW}, match: {{provider: custody}}, assets: [usdt]",
            "Low.assets[0]: 'usdt' is not in `assets` of any account it matches, did you mean 'USDT'?",
            id="an asset in small letters",
        ),
        pytest.param(
            f"{LOW}, match: {{provider: custody}}, assets: [btc, USDT]",
            "Low.assets[0]: 'btc' is not in `assets` of any account it matches, did you mean 'BTC'?",
            id="one of several in small letters",
        ),
        pytest.param(
            f"{LOW}, match: {{account: treasury}}, assets: [ETH]",
            "Low.assets[0]: 'ETH' is not in `assets` of treasury",
            id="an asset that the account does not have",
        ),
        pytest.param(
            f"{LOW}, match: {{account: reserve}}, assets: [USDT@ETH]",
            "Low.assets[0]: 'USDT@ETH' is not in `assets` of reserve, did you mean 'USDT@TRX'?",
            id="an asset on another network",
        ),
        pytest.param(
            f"{LOW}, match: {{rol: hot}}",
            "Low.match.rol: matches no account: no account has the label 'rol', did you mean 'role'?",
            id="a label that nobody has",
        ),
        pytest.param(
            f"{LOW}, match: {{role: Hot}}",
            "Low.match.role: matches no account: no role is 'Hot', did you mean 'hot'?",
            id="a value that nobody has",
        ),
        pytest.param(
            f"{LOW}, match: {{role: [a, b]}}",
            "Low.match.role: matches no account: no role is 'a' or 'b' (cold, hot)",
            id="values that nobody has",
        ),
        pytest.param(
            f"{LOW}, match: {{account: tresury}}",
            "Low.match.account: matches no account: no account is 'tresury', did you mean 'treasury'?",
            id="an account that is not there",
        ),
        pytest.param(
            f"{LOW}, match: {{account: player-*}}",
            "Low.match.account: matches no account: no account is 'player-*' (hedge, reserve, treasury)",
            id="a glob that matches no account",
        ),
        pytest.param(
            f"{LOW}, match: {{role: cold, tier: vip}}",
            "Low.match: matches no account",
            id="nobody has all of the labels",
        ),
        pytest.param(
            "alert: Down, type: provider_down, match: {role: hot}",
            "Down.match.role: matches no account: a provider as a whole has no label 'role'",
            id="a label of accounts for a rule on providers",
        ),
        pytest.param(
            "alert: L, type: liquidation, match: {provider: custody}",
            "L.type: kuna reports no market_liquidation or backstop_liquidation",
            id="liquidations where there are none",
        ),
        pytest.param(
            "alert: E, type: event, kinds: [withdrawl], match: {provider: perps}",
            "E.kinds: pacifica reports no withdrawl, did you mean 'withdraw'?",
            id="a kind of event that is misspelt",
        ),
        pytest.param(
            f"{OUT}, within: 1h, match: {{role: hot}}, net_internal: true, settle_within: 1m",
            "Out.settle_within: shorter than the 5m between two polls of treasury: "
            "transfers count before they can be seen to arrive",
            id="no time to arrive",
        ),
        pytest.param(
            f"{OUT}, within: 31d, match: {{role: hot}}",
            "Out.within: longer than `history.keep`, 30d: a rule that is new or changed knows no more",
            id="a window longer than history",
        ),
        pytest.param(
            "alert: R, type: runway, below: 24h, history: 60d, match: {role: hot}",
            "R.history: longer than `history.keep`, 30d: a rule that is new or changed knows no more",
            id="a past longer than history",
        ),
    ],
)
def test_a_rule_that_can_never_work_is_a_warning(warnings, rule, said):
    assert warnings([rule]) == [f"rules/a.yaml:2: {said}"]


@pytest.mark.parametrize(
    "rule",
    [
        f"{LOW}, assets: [ETH]",
        f"{LOW}, match: {{provider: custody}}, assets: [USDT, USDC]",
        f"{LOW}, match: {{account: reserve}}, assets: [USDT]",
        f"{LOW}, match: {{account: treasury}}, assets: [USDT@TRX]",
        f'{LOW}, match: {{team: ""}}',
        f"{LOW}, match: {{role: [hot, warm]}}",
        f"{OUT}, within: 30d, match: {{role: cold}}, net_internal: true, settle_within: 1m",
        "alert: E, type: event, match: {provider: custody}",
        "alert: L, type: liquidation",
        "alert: Down, type: provider_down, match: {provider: perps}",
    ],
)
def test_a_rule_that_can_work_is_no_warning(warnings, rule):
    assert warnings([rule]) == []


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (
            "match: {severity: page}",
            "route.routes[0].match.severity: no severity is 'page' (critical, info, warning)",
        ),
        (
            "match: {severity: [critical, warn]}",
            "route.routes[0].match.severity: no severity is 'warn', did you mean 'warning'?",
        ),
        (
            "match: {sevrity: info}",
            "route.routes[0].match.sevrity: no alert has the label 'sevrity', did you mean 'severity'?",
        ),
        ("match: {rule: Lo}", "route.routes[0].match.rule: no rule is 'Lo', did you mean 'Low'?"),
        ("match: {rule: Liquid*}", "route.routes[0].match.rule: no rule is 'Liquid*'"),
        (
            "match: {provider: custdy}",
            "route.routes[0].match.provider: no provider is 'custdy', did you mean 'custody'?",
        ),
        ("match: {team: treasry}", "route.routes[0].match.team: no team is 'treasry', did you mean 'treasury'?"),
        (
            "group_by: [rule, acount]",
            "route.routes[0].group_by[1]: no alert has the label 'acount', did you mean 'account'?",
        ),
        (
            "match: {role: hot}, routes: [{match: {role: warm}}]",
            "route.routes[0].routes[0].match.role: no role is 'warm' (cold, hot)",
        ),
    ],
)
def test_a_route_that_no_alert_takes_is_a_warning(warnings, route, said):
    found = warnings([f"{LOW}, labels: {{team: treasury}}"], f"route:\n  routes:\n    - {{{route}}}\n")

    assert found == [f"config.yaml:17: {said}"]


def test_a_route_that_some_alert_can_take_is_no_warning(warnings):
    routes = [
        "match: {rule: [NotificationFailing, Lo*], rule_type: self}",
        "match: {rule_type: low_balance, asset: WHATEVER, account: ''}",
        "match: {team: treas*, desk: '', group: ''}, group_by: [team, desk, asset]",
        "match: {severity: '*'}, group_by: [...]",
    ]

    listed = "".join(f"    - {{{route}}}\n" for route in routes)
    assert warnings([f"{LOW}, labels: {{team: treasury}}"], f"route:\n  routes:\n{listed}") == []


def test_an_expected_transfer_of_what_its_account_does_not_have_is_a_warning(warnings):
    found = warnings(
        [LOW],
        "time_intervals: {noon: [{times: ['12:00-13:00']}]}\n"
        "expected_transfers:\n"
        "  - {name: a, account: treasury, asset: usdt, up_to: 1, active: [noon]}\n"
        "  - {name: b, account: treasury, asset: USDT@TRX, up_to: 1, active: [noon]}\n"
        "  - {name: c, account: hedge, asset: XYZ, up_to: 1, active: [noon]}\n",
    )

    said = "'usdt' is not in `assets` of treasury, did you mean 'USDT'?"
    assert found == [f"config.yaml:17: expected_transfers[0].asset: {said}"]


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ("{acount: treasury}", "no alert has the label 'acount', did you mean 'account'?"),
        ("{rule: Lo}", "no rule is 'Lo', did you mean 'Low'?"),
        ("{account: [hedge, tresury]}", "no account is 'tresury', did you mean 'treasury'?"),
    ],
)
def test_a_silence_that_no_alert_can_match_is_a_warning(warnings, match, said):
    one = f"{{match: {match}, ends_at: 2099-01-01T00:00:00Z, author: maria, comment: x}}"

    label = match[1:].partition(":")[0]
    assert warnings([LOW], f"silences: [{one}]\n") == [f"config.yaml:15: silences[0].match.{label}: {said}"]


@pytest.mark.parametrize(
    ("earlier", "later", "dead"),
    [
        pytest.param("match: {}", "match: {rule: Low}", True, id="an empty match takes everything"),
        pytest.param("match: {}, continue: true", "match: {rule: Low}", False, id="but for one that goes on"),
        pytest.param("match: {rule: Low}", "match: {rule: Low, account: hedge}", True, id="the same and more"),
        pytest.param("match: {rule: Low, account: hedge}", "match: {rule: Low}", False, id="the wide one comes later"),
        pytest.param('match: {rule: "L*"}', "match: {rule: Low}", True, id="a glob that takes the name"),
        pytest.param("match: {rule: Low}", 'match: {rule: "L*"}', False, id="a glob that takes more"),
        pytest.param("match: {severity: [info, warning]}", "match: {severity: [warning]}", True, id="one of several"),
        pytest.param("match: {severity: [info]}", "match: {severity: [info, warning]}", False, id="one more"),
        pytest.param('match: {severity: "*"}', "match: {rule: Low}", True, id="every alert has a severity"),
        pytest.param('match: {tier: "*"}', "match: {rule: Low}", False, id="not every alert has a tier"),
        pytest.param('match: {tier: "*"}', 'match: {tier: ""}', False, id="none at all is no tier"),
    ],
)
def test_a_route_behind_one_that_takes_all_it_matches_is_a_warning(warnings, earlier, later, dead):
    said = warnings([LOW], f"route: {{channels: [ops], routes: [{{{earlier}}}, {{{later}}}]}}\n")

    why = "route.routes[0] before it takes all that this one matches, and has no `continue`"
    assert said == ([f"config.yaml:15: route.routes[1]: takes no alert: {why}"] if dead else [])


@pytest.mark.parametrize(
    ("route", "dead"),
    [
        ("{match: {rule: Low}, channels: []}", True),
        ("{match: {rule: Low}, channels: [], routes: [{match: {account: hedge}, channels: [ops]}]}", False),
        ("{match: {rule: Low}, channels: [], escalate: later}", False),
    ],
)
def test_a_route_that_tells_nobody_is_a_warning(warnings, route, dead):
    other = "{match: {rule: Other*}, channels: [], escalate: later}"
    escalations = "escalations: {later: [{after: 5m, channels: [ops]}]}\n"
    more = f"{escalations}route: {{channels: [ops], routes: [{route}, {other}]}}\n"

    said = "config.yaml:16: route.routes[0].channels: is empty: what this route takes is told to nobody"
    assert warnings([LOW, LOW.replace("Low", "Other", 1)], more) == ([said] if dead else [])


@pytest.mark.parametrize("label", ["drill", "channel"])
def test_labels_that_the_monitor_gives_by_itself_are_known(warnings, label):
    assert warnings([LOW], f'route: {{channels: [ops], routes: [{{match: {{{label}: "x"}}}}]}}\n') == []


def test_a_server_alone_is_no_secret(warnings):
    path = "https://am.example/x?token=y"

    urls = [f"http://am.example:9093{end}" for end in ("", "/")]
    told = warnings([LOW], f"heartbeats: [{{url: '{urls[0]}'}}, {{url: '{urls[1]}'}}, {{url: '{path}'}}]\n")

    assert [one for one in told if "plain text" in one] == [
        "config.yaml:15: heartbeats[2].url: a secret in plain text, write {env: NAME} or {file: PATH}"
    ]
