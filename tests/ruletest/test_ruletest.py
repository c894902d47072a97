"""Rule tests: what a test file may say, what the runner finds, and how it explains what does not hold."""

import contextlib
import json
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor import cli
from monitor.errors import ConfigError
from monitor.fields import duration_text
from monitor.ruletest.cases import load
from monitor.ruletest.inbox import REMINDERS_MAX
from monitor.ruletest.report import run_tests
from monitor.ruletest.run import run
from monitor.ruletest.series import SAMPLES_MAX, Mark, series

ROOT = Path(__file__).parents[2]
RULES = """\
rules:
  - alert: Low
    type: low_balance
    match: {role: hot}
    assets: [USDT]
    below: 100
    resolve_above: 200
    for: 2m
    keep_firing_for: 3m
    severity: critical
  - {alert: Gone, type: large_outflow, above: 50}
  - {alert: Flow, type: large_outflow, above: 50, within: 1h, net: true}
  - {alert: Liquidated, type: liquidation}
  - {alert: Stale, type: stale}
  - {alert: Sum, type: low_balance, measure: total, aggregate: {by: [role], unit: usd}, below: 1}
  - {alert: Down, type: provider_down, match: {provider: bank}, after: 3m}
  - {alert: Poor, type: low_balance, measure: total, unit: usd, below: 1000}
  - {alert: Blind, type: low_balance, match: {role: well}, below: 10, on_no_data: fire}
  - alert: Deep
    type: low_balance
    match: {role: well}
    levels: {warning: {below: 300}, critical: {below: 100}}
"""
CONFIG = """\
version: 1
store: {url: "redis://elsewhere:1/0"}
defaults: {stale_after: 2}
prices: [{type: static, prices: {USDT: "2"}}]
providers:
  bank: {type: cryptofuse, auth: {api_key: {env: NOT_SET_ANYWHERE}}, accounts: {}}
  vault: {type: kuna, base_url: "https://kuna.example", auth: {api_key: {env: NOT_SET_ANYWHERE}}, accounts: {}}
  perps: {type: pacifica, accounts: {}}
channels:
  ops: {type: webhook, url: {env: NOT_SET_ANYWHERE}}
  quiet: {type: webhook, url: {env: NOT_SET_ANYWHERE}, send_resolved: false}
route:
  channels: [ops]
  repeat_interval: 5m
  routes: [{match: {rule: Stale}, channels: [quiet], group_wait: 0s}]
rules: []
"""
HOT = "{name: hot, provider: bank, labels: {role: hot}}"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "config.yaml").write_text(CONFIG)
    (tmp_path / "tests").mkdir()
    return tmp_path


@pytest.fixture
def ran(folder, capsys):
    """Run a test file of one test: (exit code, output). `head` replaces what stands before the test."""

    def run(body, *, head="rules: [../rules.yaml]\ninterval: 1m", as_json=False):
        lines = [line.strip() for line in body.strip().splitlines()]
        text = f"{head}\ntests:\n  - name: a story\n" + "".join(f"    {line}\n" for line in lines)
        path = folder / "tests" / "t.yaml"
        path.write_text(text)
        code = run_tests([path], None, as_json=as_json)
        return code, capsys.readouterr().out.replace(str(path), "t.yaml")

    return run


@pytest.fixture
def mistakes(ran, folder):
    """What is wrong with a test file of one test."""

    def found(body, **settings):
        with pytest.raises(ConfigError) as refused:
            ran(body, **settings)
        return [line.replace(f"{folder}/", "") for line in refused.value.mistakes]

    return found


def holds(told, *expectations):
    code, out = told
    assert code == 0, out
    assert out == "✓ a story\n1 test, all passed\n"


# What a series may say.


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("5", [Decimal(5)]),
        (5, [Decimal(5)]),
        (Decimal("0.10"), [Decimal("0.10")]),
        ("300_000 -0.50x2", [Decimal(300_000), Decimal("-0.50"), Decimal("-0.50")]),
        ("error _x2 7x1", [Mark.ERROR, Mark.ABSENT, Mark.ABSENT, Decimal(7)]),
        ("refusedx2 throttled garbled", [Mark.REFUSED, Mark.REFUSED, Mark.THROTTLED, Mark.GARBLED]),
        ("  1\n  2 ", [Decimal(1), Decimal(2)]),
    ],
)
def test_a_series_is_one_sample_a_poll(written, expected):
    assert [str(one) for one in series(written)] == [str(one) for one in expected]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("1 Error", "'Error' is no sample"),
        ("1e3", "'1e3' is no sample"),
        ("0.1.2", "is no sample"),
        ("5x", "'5x' is no sample"),
        ("5x0", "x1 is the least"),
        ("x5", "'x5' is no sample"),
        ("٥", "is no sample"),
        ("nan", "is no sample"),
        ("", "needs a sample"),
        (f"5x{SAMPLES_MAX + 1}", f"at most {SAMPLES_MAX} samples"),
        (f"5x{SAMPLES_MAX} 6", f"at most {SAMPLES_MAX} samples"),
        ("5x99999999999999999999", "at most"),
        ("5x" + "9" * 6000, "is no sample"),
        ("9" * 61, "is not plausible"),
        (True, "is no sample"),
        (None, "is no sample"),
        ([5], "is no sample"),
    ],
)
def test_what_is_no_series_is_refused_with_a_reason(written, said):
    with pytest.raises(ValueError, match=said):
        series(written)


AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**20), max_value=10**20)
WORDS = st.lists(st.tuples(st.one_of(AMOUNTS, st.sampled_from(Mark)), st.integers(1, 50)), min_size=1, max_size=20)


@given(WORDS)
def test_a_series_holds_exactly_what_was_written(words):
    written = [(one.value if isinstance(one, Mark) else format(one, "f"), times) for one, times in words]

    read = series(" ".join(word if times == 1 else f"{word}x{times}" for word, times in written))

    expected = [one for one, times in words for _ in range(times)]
    assert read == tuple(expected)
    digits = [one.as_tuple() for one in expected if not isinstance(one, Mark)]
    assert [one.as_tuple() for one in read if not isinstance(one, Mark)] == digits


@given(st.one_of(st.text(max_size=40), st.text("0123456789xX_.-+ error", max_size=40)))
def test_whatever_is_written_is_a_bounded_series_or_a_reason(written):
    with contextlib.suppress(ValueError):
        assert 0 < len(series(written)) <= SAMPLES_MAX


# What is found to hold.


def test_pending_firing_and_resolved_come_when_the_daemon_would_say_so(ran):
    holds(
        ran(f"""
        account: {HOT}
        series: {{available/USDT: "300 90x4 150x3 250x6"}}
        expect:
        - {{at: 0s, alert: Low, state: inactive}}
        - {{at: 1m, alert: Low, state: pending, level: critical, value: 90}}
        - {{at: 179s, alert: Low, state: pending}}
        - {{at: 3m, alert: Low, asset: USDT, state: firing, level: critical}}
        - {{at: 7m, alert: Low, state: firing, value: "150.00"}}
        - {{at: 10m, alert: Low, state: firing}}
        - {{at: 11m, alert: Low, state: resolved, level: critical}}
        - {{at: 13m, alert: Low, state: resolved}}
        expect_notifications: [{{channel: ops, alert: Low, kinds: [firing, resolved]}}]
        """)
    )


def test_a_breach_after_a_resolve_is_pending_and_one_that_passes_leaves_nothing(ran):
    holds(
        ran(f"""
        account: {HOT}
        series: {{available/USDT: "90x3 250x6 90 250 250"}}
        expect:
        - {{at: 8m, alert: Low, state: resolved}}
        - {{at: 9m, alert: Low, state: pending}}
        - {{at: 10m, alert: Low, state: inactive}}
        """)
    )


def test_an_error_in_one_series_is_a_failed_poll_and_a_shorter_series_goes_on(ran):
    holds(
        ran(f"""
        account: {HOT}
        series: {{available/USDT: "300 90", total/USDT: "90x2 errorx3 90"}}
        expect:
        - {{at: 4m, alert: Low, state: pending}}
        - {{at: 4m, alert: Stale, state: firing}}
        - {{at: 5m, alert: Low, state: pending, value: 90}}
        """)
    )


@pytest.mark.parametrize(("provider", "value"), [("bank", 0), ("cryptofuse", 0), ("vault", 90)])
def test_an_absent_asset_is_zero_only_where_the_provider_leaves_empty_ones_out(ran, provider, value):
    holds(
        ran(f"""
        account: {{name: hot, provider: {provider}, labels: {{role: hot}}}}
        series: {{available/USDT: "90 90 90 _ _"}}
        expect: [{{at: 4m, alert: Low, state: firing, value: {value}}}]
        """)
    )


def test_an_absent_asset_that_was_never_seen_is_zero_only_when_the_account_must_have_it(ran):
    story = """
        account: {{name: hot, provider: bank, labels: {{role: hot}}, assets: [{assets}]}}
        series: {{available/USDT: "_x5", available/BTC: "1"}}
        expect: [{{at: 4m, alert: Low, state: {state}}}]
        """

    holds(ran(story.format(assets="USDT", state="firing")))
    holds(ran(story.format(assets="BTC", state="inactive")))


def test_movements_are_inferred_where_there_is_no_ledger(ran):
    holds(
        ran(f"""
        account: {HOT}
        series: {{total/USDT: "100 40 100 100.01"}}
        expect:
        - {{at: 1m, alert: Flow, state: firing, value: 60}}
        - {{at: 2m, alert: Flow, state: resolved}}
        expect_notifications: [{{channel: ops, alert: Gone, kinds: [event]}}]
        """)
    )


def test_of_a_provider_that_is_not_configured_movements_are_inferred_unless_the_test_has_a_ledger(ran):
    story = """
        account: {name: new, provider: tomorrows}
        series: {total/USDT: "100 40 40"}
        EVENTS
        expect_notifications: [{channel: ops, alert: Gone, kinds: [KINDS]}]
        """
    row = "{at: 90s, kind: payout, asset: USDT, amount: 55, direction: out}"

    holds(ran(story.replace("EVENTS", "").replace("KINDS", "event")))
    holds(ran(story.replace("EVENTS", "events: []").replace("KINDS", "event")))
    holds(ran(story.replace("EVENTS", f"events: [{row}, {row}]").replace("KINDS", "event, event")))


def test_a_window_ends_to_the_second(ran):
    """The ring alone cannot tell: the daemon reads the recorded events then, and so does a test."""
    holds(
        ran(
            f"""
            account: {HOT}
            series: {{total/USDT: "200x2 140x200"}}
            expect:
            - {{at: 40s, alert: Flow, state: firing, value: 60}}
            - {{at: 1h20s, alert: Flow, state: firing}}
            - {{at: 1h40s, alert: Flow, state: resolved}}
            """,
            head="rules: [../rules.yaml]\ninterval: 20s",
        )
    )


def test_rows_of_a_ledger_are_read_by_the_next_good_poll_and_before_the_first_they_are_history(ran):
    code, out = ran(
        """
        account: {name: hedge, provider: perps}
        series: {equity/USDC: "error 1 error 1 1"}
        events:
        - {at: 90s, kind: market_liquidation, asset: USDC, amount: 7, direction: out}
        - {at: 30s, kind: market_liquidation, asset: USDC, amount: "5.50", direction: out}
        expect_notifications: [{channel: ops, alert: Liquidated, kinds: []}]
        """
    )

    assert code == 1
    assert "1m     1            market_liquidation 5.50 USDC out (before the first good poll: history, not news)" in out
    assert "3m     1            market_liquidation 7 USDC out\n" in out
    assert "was      event\n" in out


def test_a_provider_is_down_when_its_only_account_fails_for_long_enough(ran):
    holds(
        ran(f"""
        account: {HOT}
        series: {{available/USDT: "500 errorx6 500"}}
        expect:
        - {{at: 4m, alert: Down, state: inactive}}
        - {{at: 5m, alert: Down, state: firing, level: warning}}
        - {{at: 7m, alert: Down, state: resolved}}
        """)
    )


def test_staleness_and_prices_and_routes_are_the_configurations(ran):
    holds(
        ran(f"""
        account: {HOT}
        series: {{total/USDT: "400 errorx4 600"}}
        expect:
        - {{at: 0s, alert: Poor, state: firing, value: 800}}
        - {{at: 2m, alert: Stale, state: inactive}}
        - {{at: 3m, alert: Stale, state: firing}}
        - {{at: 5m, alert: Stale, state: resolved}}
        expect_notifications:
        - {{channel: quiet, alert: Stale, kinds: [firing]}}
        - {{channel: ops, alert: Stale, kinds: []}}
        - {{channel: ops, alert: Poor, asset: USDT, kinds: [firing, resolved]}}
        """)
    )


def test_not_knowing_may_count_as_bad(ran):
    holds(
        ran("""
        account: {name: x, provider: vault, labels: {role: well}}
        series: {available/USDT: "500 error _ error 500"}
        expect:
        - {at: 2m, alert: Blind, state: inactive}
        - {at: 3m, alert: Blind, state: firing}
        - {at: 4m, alert: Blind, state: resolved, value: 500}
        """)
    )


def test_reminders_count_only_where_they_are_asked_for(ran):
    story = """
        account: {{name: hot, provider: bank, labels: {{role: hot}}}}
        series: {{available/USDT: "90x15"}}
        expect_notifications: [{{channel: ops, alert: Low, kinds: [{kinds}]}}]
        """

    holds(ran(story.format(kinds="firing")))
    holds(ran(story.format(kinds="firing, reminder, reminder")))
    assert ran(story.format(kinds="firing, reminder"))[0] == 1


def test_what_fires_and_resolves_before_it_is_told_comes_in_one_message(ran):
    holds(
        ran(
            """
            account: {name: hot, provider: bank}
            series: {total/USDT: "400 600 600"}
            expect_notifications: [{channel: ops, alert: Poor, kinds: [firing, resolved]}]
            """,
            head="rules: [../rules.yaml]\ninterval: 2s",
        )
    )


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        # A new group waits for company, later news wait for the interval, the end of the last alert for nothing.
        ("200x3", [("10s", "firing")]),
        ("400 200 90x9", [("30s", "firing"), ("1m30s", "updated")]),
        ("400 200 90 200x3 400", [("30s", "firing"), ("1m30s", "updated"), ("2m", "resolved")]),
        ("400 200 400 200 400", [("30s", "firing"), ("40s", "resolved"), ("1m10s", "firing"), ("1m20s", "resolved")]),
    ],
)
def test_messages_come_when_the_daemon_would_send_them(folder, samples, told):
    path = folder / "tests" / "t.yaml"
    path.write_text(f"""\
rules: [../rules.yaml]
interval: 20s
tests:
  - name: a story
    account: {{name: x, provider: bank, labels: {{role: well}}}}
    series: {{available/USDT: "{samples}"}}
    expect_notifications: [{{channel: ops, alert: Deep, kinds: [firing]}}]
""")
    [case] = load([path], None)

    story = run(case, lambda: None)

    assert [(duration_text(at), heard.kind) for at, heard in story.heard] == told


def test_what_is_told_of_one_asset_can_be_asked_for(ran):
    holds(
        ran("""
        account: {name: hot, provider: bank}
        series: {total/USDT@ETH: "400x2 600", total/USDT@TRX: "400x3"}
        expect_notifications:
        - {channel: ops, alert: Poor, asset: USDT@TRX, kinds: [firing]}
        - {channel: ops, alert: Poor, kinds: [firing, firing, resolved]}
        """)
    )


def test_news_at_the_end_of_a_story_are_still_told(ran):
    holds(
        ran("""
        account: {name: hot, provider: bank}
        series: {total/USDT: "400"}
        expect_notifications: [{channel: ops, alert: Poor, kinds: [firing]}]
        """)
    )


def test_without_a_configuration_any_provider_will_do_and_every_named_channel_hears_all(ran, folder):
    (folder / "config.yaml").unlink()

    holds(
        ran("""
        account: {name: hot, provider: whoever, labels: {role: hot}}
        series: {available/USDT: "90x4"}
        events: [{at: 1m, kind: payout, asset: USDT, amount: 60, direction: out}]
        expect_notifications:
        - {channel: desk, alert: Low, kinds: [firing]}
        - {channel: other, alert: Low, kinds: [firing]}
        - {channel: desk, alert: Gone, kinds: [event]}
        """)
    )


def test_a_file_may_name_its_configuration(ran, folder):
    (folder / "other.yaml").write_text(CONFIG.replace("ops", "desk"))

    code, _ = ran(
        f"""
        account: {HOT}
        series: {{available/USDT: "90x4"}}
        expect_notifications: [{{channel: desk, alert: Low, kinds: [firing]}}]
        """,
        head="rules: ['../rule*.yaml']\nconfig: ../other.yaml\ninterval: 1m",
    )

    assert code == 0


def test_of_several_assets_the_worst_counts_unless_one_is_named(ran):
    holds(
        ran("""
        account: {name: hot, provider: bank}
        series: {total/USDT@ETH: "400x2 600", total/USDT@TRX: "600x3"}
        expect:
        - {at: 1m, alert: Poor, state: firing}
        - {at: 1m, alert: Poor, asset: USDT, state: firing}
        - {at: 1m, alert: Poor, asset: USDT@TRX, state: inactive}
        - {at: 2m, alert: Poor, state: resolved}
        """)
    )


# How it is explained.


GOLDEN = """\
✗ a story
  t.yaml:8: Low at 1m
    expected firing critical, value 91
    was      pending critical, value 90
    hint     pending critical (value 90, below 100 for 2m fires)
  t.yaml:9: Low USDT at 5m
    expected resolved
    was      firing critical
    hint     firing critical (value 90, resolves above 200 for 3m)
  t.yaml:10: ops about Low
    expected firing, resolved
    was      firing

    time   available/USDT  total/USDT  what happened
    0s     300             1000
    1m     90              1000        Low USDT: inactive → pending critical
  >                                    Low: expected firing critical, value 91, was pending critical, value 90
    3m     90              1000        Low USDT: pending critical → firing critical
    3m10s  90              1000        ops hears: firing Low USDT
    4m     error           1000
  > 5m     _               1000        Low USDT: expected resolved, was firing critical

1 test, 1 failed
"""


def failing(ran, **settings):
    return ran(
        """
        account: {name: hot, provider: vault, labels: {role: hot}}
        series: {available/USDT: "300 90x3 error _", total/USDT: "1000"}
        expect:
        - {at: 1m, alert: Low, state: firing, level: critical, value: 91}
        - {at: 5m, alert: Low, asset: USDT, state: resolved}
        expect_notifications: [{channel: ops, alert: Low, kinds: [firing, resolved]}]
        """,
        **settings,
    )


def test_a_failure_says_what_was_expected_what_was_and_what_happened_around_it(ran):
    assert failing(ran) == (1, GOLDEN)


def test_for_machines_the_same_comes_as_json(ran):
    code, out = failing(ran, as_json=True)
    [story] = json.loads(out)["tests"]

    assert code == 1
    assert (story["name"], story["passed"], story["line"]) == ("a story", False, 4)
    assert story["failures"][1] == {
        "line": 9, "about": "Low USDT", "at": "5m", "expected": "resolved", "was": "firing critical",
        "hints": ["firing critical (value 90, resolves above 200 for 3m)"],
    }  # fmt: skip
    assert story["timeline"][-1] == {
        "at": "5m",
        "read": {"available/USDT": "_", "total/USDT": "1000"},
        "happened": [],
        "wrong": ["Low USDT: expected resolved, was firing critical"],
    }


def test_a_name_cannot_drive_the_readers_terminal(folder, capsys):
    (folder / "tests" / "t.yaml").write_text(f"""\
rules: [../rules.yaml]
tests:
  - name: "[bold]\\e[2Jgone\\n✓"
    account: {HOT}
    series: {{total/USDT: 1}}
    expect: [{{at: 0s, alert: Poor, state: firing}}]
""")

    assert run_tests([folder / "tests" / "t.yaml"], None, as_json=False) == 0

    assert capsys.readouterr().out.splitlines()[0] == r"✓ [bold]\x1b[2Jgone\n✓"


@pytest.mark.parametrize(
    ("account", "samples", "alert", "hint"),
    [
        ("{name: cold, provider: bank}", "available/USDT: 1", "Low", "its `match` does not select the account cold"),
        (HOT, "available/BTC: 1", "Low", "its `assets` (USDT) are not among the test's"),
        (HOT, "total/USDT: 1", "Low", "it reads 'available', which the test has no series of"),
        (HOT, "available/USDT: 1", "Flow", "movements are inferred from 'total', which the test has no series of"),
        ("{name: x, provider: vault}", "total/USDT: 1", "Down", "its `match` does not select the account x"),
    ],
)
def test_a_rule_that_could_say_nothing_gets_a_hint(ran, account, samples, alert, hint):
    code, out = ran(f"""
        account: {account}
        series: {{{samples}}}
        expect: [{{at: 0s, alert: {alert}, state: firing}}]
        """)

    assert code == 1
    assert f"    hint     {hint}\n" in out


def test_of_a_long_story_only_what_is_near_the_failure_is_shown(ran):
    zigzag = " ".join(f"{100 + place}" for place in range(200))
    code, out = ran(f"""
        account: {HOT}
        series: {{available/USDT: "{zigzag}"}}
        expect: [{{at: 100m, alert: Low, state: firing}}]
        """)

    lines = out.splitlines()
    assert code == 1
    assert len(lines) < 24
    assert [line.split()[0] for line in lines if "…" in line] == ["…", "…"]
    assert any(line.startswith("  > 1h40m  200") for line in lines)


# What is wrong with a file.


def test_every_mistake_of_a_file_is_said_with_its_line(mistakes):
    found = mistakes("""
        account: {name: hot, provider: bnk}
        series: {availabel/USDT: "5x2", /USDT: "1", total/USDT: 1}
        expect:
        - {at: 3m, alert: Loww, state: firing}
        - {at: 0s, alert: Low, asset: USTD, state: inactive, level: critical}
        - {at: 0s, alert: Gone, state: firing}
        - {at: 0s, alert: PriceMissing, state: firing}
        expect_notifications: [{channel: oops, alert: Low, kinds: [firing]}]
        """)

    known = "available, pending, held, locked, total, equity, margin_used, withdrawable, referral"
    assert found == [
        "tests/t.yaml:5: tests[0].account.provider: there is no provider 'bnk', did you mean 'bank'?",
        (
            "tests/t.yaml:6: tests[0].series.availabel/USDT: bnk never offers 'availabel', "
            f"only {known}, did you mean 'available'?"
        ),
        "tests/t.yaml:6: tests[0].series./USDT: write measure/asset, for example available/USDT",
        "tests/t.yaml:8: tests[0].expect[0].alert: no rule of that name is in the rule files, did you mean 'Low'?",
        "tests/t.yaml:8: tests[0].expect[0].at: is after the last sample, at 1m",
        "tests/t.yaml:9: tests[0].expect[1].asset: the test has no 'USTD', did you mean 'USDT'?",
        "tests/t.yaml:9: tests[0].expect[1].level: an inactive alert has none",
        (
            "tests/t.yaml:10: tests[0].expect[2].alert: Gone tells events, which have no state: expect_notifications "
            "says what is told, with kinds: [event]"
        ),
        (
            "tests/t.yaml:11: tests[0].expect[3].alert: PriceMissing is about the monitor itself: such alerts are left "
            "out of tests"
        ),
        (
            "tests/t.yaml:12: tests[0].expect_notifications[0].channel: there is no channel 'oops' (ops, quiet), "
            "did you mean 'ops'?"
        ),
    ]


def test_what_has_the_wrong_shape_is_said_with_its_line(mistakes):
    found = mistakes("""
        account: {name: "a b", provider: bank, labels: {rule: x}, lables: {}}
        serise: {}
        series: {available/USDT: "5 five", total/USDT: 5.5.5}
        expect:
        - {at: 60, alert: Low, state: fireing, value: much}
        - {at: 1m, alert: Low, state: firing, levle: critical}
        expect_notifications: [{channel: ops, alert: Low, kinds: [resolve]}]
        events: [{at: 1m, kind: deposit, asset: USDT, amount: -1, direction: up}]
        """)

    said = {line.partition(": ")[2] for line in found}
    assert said == {
        "tests[0].account.name: a name has 1 to 128 letters, digits, dots, underscores or hyphens, and is not . or ..",
        "tests[0].account.lables: unknown setting, did you mean 'labels'?",
        "tests[0].serise: unknown setting, did you mean 'series'?",
        (
            "tests[0].series.available/USDT: 'five' is no sample, write an amount, error or _, each perhaps repeated: "
            "70000x5"
        ),
        "tests[0].series.total/USDT: '5.5.5' is no sample, write an amount, error or _, each perhaps repeated: 70000x5",
        "tests[0].expect[0].at: '60' is not a duration, write 60s",
        "tests[0].expect[0].state: 'fireing' is not one of inactive, pending, firing, resolved, did you mean 'firing'?",
        """tests[0].expect[0].value: 'much' is not an amount, write it like 250_000 or "0.01\"""",
        "tests[0].expect[1].levle: unknown setting, did you mean 'level'?",
        (
            "tests[0].expect_notifications[0].kinds[0]: 'resolve' is not one of firing, updated, reminder, resolved, "
            "event, did you mean 'resolved'?"
        ),
        "tests[0].events[0].amount: must be at least 0",
        "tests[0].events[0].direction: 'up' is not one of in, out",
    }
    assert {line.split(":")[1] for line in found} == {"5", "6", "7", "9", "10", "11", "12"}


@pytest.mark.parametrize(
    ("events", "provider", "said"),
    [
        ("{at: 0s, kind: x, asset: USDT, amount: 1}", "bank", "bank has no ledger: movements are inferred"),
        ("{at: 1s, kind: deposit, asset: USDC, amount: 1}", "perps", "is after the last sample, at 0s"),
        ("{at: 0s, kind: deposits, asset: USDC, amount: 1}", "perps", "did you mean 'deposit'?"),
    ],
)
def test_events_are_those_that_the_provider_can_report(mistakes, events, provider, said):
    [found] = mistakes(f"""
        account: {{name: hot, provider: {provider}}}
        series: {{total/USDT: "1"}}
        events: [{events}]
        expect_notifications: [{{channel: ops, alert: Gone, kinds: []}}]
        """)

    assert said in found


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("rules: [../nowhere.yaml]", "tests/t.yaml:1: rules[0]: no file is named '../nowhere.yaml'"),
        ("rules: []", "tests/t.yaml:1: rules: needs at least 1, got 0"),
        ("rules: [../rules.yaml]\ninterval: 1ms", "tests/t.yaml:2: interval: the shortest interval is 100ms"),
        ("rules: [../rules.yaml]\nconfig: gone.yaml", "tests/t.yaml:2: config: there is no file gone.yaml"),
        ("rules: [../broken.yaml]", "broken.yaml:2: Low.belwo: unknown setting, did you mean 'below'?"),
        ("rules: [../rules.yaml]\nconfig: ../broken.yaml", "broken.yaml:1: version: is required"),
    ],
)
def test_what_a_file_refers_to_is_read_and_checked(mistakes, folder, head, said):
    (folder / "broken.yaml").write_text("rules:\n  - {alert: Low, type: low_balance, below: 1, belwo: 2}\n")

    found = mistakes(
        f"account: {HOT}\nseries: {{available/USDT: 1}}\nexpect: [{{at: 0s, alert: Low, state: firing}}]", head=head
    )

    assert said in [line.replace("tests/../", "") for line in found]


def test_a_test_that_expects_nothing_is_a_mistake(mistakes):
    [found] = mistakes(f"account: {HOT}\nseries: {{available/USDT: 1}}")

    assert found == "tests/t.yaml:4: tests[0]: expects nothing: add `expect` or `expect_notifications`"


def test_a_story_has_an_end(mistakes, ran):
    story = """
        account: {name: hot, provider: bank}
        series: {total/USDT: 400xPOLLS}
        expect: [{at: 0s, alert: Poor, state: firing}]
        """
    day = "rules: [../rules.yaml]\ninterval: 1d"

    holds(ran(story.replace("POLLS", "3651"), head=day))
    [found] = mistakes(story.replace("POLLS", "3652"), head=day)

    assert found == "tests/t.yaml:6: tests[0].series: lasts 3651d, a story is shorter than 3650d"


@pytest.mark.parametrize("count", [REMINDERS_MAX - 1, REMINDERS_MAX])
def test_reminders_are_told_for_a_long_time_but_not_for_ever(ran, count):
    reminders = ", ".join(["reminder"] * count)
    code, _ = ran(
        f"""
        account: {HOT}
        series: {{total/USDT: "400x6000"}}
        expect_notifications: [{{channel: ops, alert: Poor, kinds: [firing, {reminders}]}}]
        """
    )

    assert code == (0 if count == REMINDERS_MAX else 1)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=8)
    | st.sampled_from(["1m", "5x3", "error", "USDT", "-1s"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
SOUND = {
    "interval": "1m",
    "tests": [
        {
            "name": "x",
            "account": {"name": "hot", "provider": "perps", "labels": {"role": "hot"}, "assets": ["USDT"]},
            "series": {"available/USDT": "90x4 _ error", "total/USDT": "1"},
            "events": [{"at": "1m", "kind": "deposit", "asset": "USDT", "amount": 1, "direction": "in"}],
            "expect": [
                {"at": "2m", "alert": "Low", "state": "firing", "level": "critical", "asset": "USDT", "value": 90}
            ],
            "expect_notifications": [{"channel": "ops", "alert": "Low", "kinds": ["firing"], "asset": "USDT"}],
        },
        {
            "name": "y",
            "accounts": [
                {"name": "a", "provider": "bank", "labels": {"role": "hot"}, "series": {"total/USDT": "5 refusedx3"}},
                {"name": "b", "provider": "perps", "assets": ["BTC"], "series": {"total/BTC": "1"}, "events": []},
            ],
            "prices": {"BTC": "60000 _"},
            "expect": [{"at": "2m", "alert": "Sum", "state": "firing", "labels": {"role": "hot"}}],
            "expect_notifications": [{"channel": "ops", "alert": "Low", "kinds": ["firing"], "account": "a"}],
        },
    ],
}


def places(value, path=()):
    """The path of everything in a document."""
    yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def changed(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(copy[path[0]], path[1:], new)
    return copy


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
@given(st.sampled_from([path for path in places(SOUND) if path]), VALUES)
def test_whatever_stands_in_a_test_file_it_runs_or_says_what_is_wrong(folder, path, value):
    document = {**changed(SOUND, path, value), "rules": ["../rules.yaml"]}
    (folder / "tests" / "fuzz.yaml").write_text(json.dumps(document))

    try:
        code = run_tests([folder / "tests" / "fuzz.yaml"], None, as_json=True)
    except ConfigError as error:
        code, said = 2, error.mistakes
    else:
        said = []

    assert code in (0, 1, 2)
    assert all("fuzz.yaml:" in line for line in said)


def test_the_mistakes_of_all_files_come_at_once(folder):
    for name in ("a", "b"):
        (folder / "tests" / f"{name}.yaml").write_text("rules: [../rules.yaml]\n")

    with pytest.raises(ConfigError) as refused:
        load([folder / "tests" / "a.yaml", folder / "tests" / "b.yaml", folder / "tests" / "c.yaml"], None)

    assert [line.rpartition("/")[2] for line in refused.value.mistakes] == [
        "a.yaml:1: tests: is required",
        "b.yaml:1: tests: is required",
        "c.yaml: cannot be read: No such file or directory",
    ]


# The command.


def test_the_readmes_example_is_true_and_fails_as_it_says(tmp_path, capsys, monkeypatch):
    text = (ROOT / "README.md").read_text("utf-8")
    (tmp_path / "rules" / "tests").mkdir(parents=True)
    for name in ("config.yaml", "rules/float.yaml", "rules/tests/float.yaml"):
        [block] = re.findall(rf"```yaml\n(# {name}\n.*?)```", text, re.DOTALL)
        (tmp_path / name).write_text(block)
    monkeypatch.chdir(tmp_path)
    story, rule = Path("rules/tests/float.yaml"), Path("rules/float.yaml")

    assert run_tests([story], None, as_json=False) == 0
    capsys.readouterr()
    rule.write_text(rule.read_text().replace("for: 2m", "for: 5m"))
    assert run_tests([story], None, as_json=False) == 1

    assert f"```text\n{capsys.readouterr().out}```" in text


def test_the_readmes_story_of_several_accounts_is_true(tmp_path, capsys):
    text = (ROOT / "README.md").read_text("utf-8")
    (tmp_path / "rules" / "tests").mkdir(parents=True)
    for name in ("rules/total.yaml", "rules/tests/total.yaml"):
        [block] = re.findall(rf"```yaml\n(# {name}\n.*?)```", text, re.DOTALL)
        (tmp_path / name).write_text(block)

    assert run_tests([tmp_path / "rules/tests/total.yaml"], None, as_json=False) == 0, capsys.readouterr().out


def command(folder, *words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "monitor", "test", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("state", "code", "said"),
    [("firing", 0, "1 test, all passed"), ("resolved", 1, "1 test, 1 failed"), ("fireing", 2, "t.yaml:7: tests[0]")],
)
def test_the_command_ends_as_its_tests_do(folder, state, code, said):
    (folder / "tests" / "t.yaml").write_text(f"""\
rules: [../rules.yaml]
interval: 1m
tests:
  - name: ✓
    account: {HOT}
    series: {{available/USDT: "90x4"}}
    expect: [{{at: 3m, alert: Low, state: {state}}}]
""")

    ended = command(folder, "tests/t.yaml", PYTHONIOENCODING="ascii" if code == 0 else "utf-8")

    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert said in (ended.stderr if code == 2 else ended.stdout)


def test_the_option_config_is_for_files_that_name_none(folder, capsys, monkeypatch):
    (folder / "other.yaml").write_text(CONFIG.replace("ops", "desk"))
    (folder / "tests" / "t.yaml").write_text(f"""\
rules: [../rules.yaml]
tests:
  - name: told
    account: {HOT}
    series: {{available/USDT: "90x4"}}
    expect_notifications: [{{channel: desk, alert: Low, kinds: [firing]}}]
""")
    monkeypatch.setattr(
        sys, "argv", ["x", "--config", str(folder / "other.yaml"), "test", str(folder / "tests/t.yaml")]
    )

    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code in (None, 0), capsys.readouterr()


class TestEscalation:
    @pytest.fixture(autouse=True)
    def escalating(self, folder):
        config = folder / "config.yaml"
        config.write_text(
            config.read_text().replace("  repeat_interval: 5m\n", "  repeat_interval: 1h\n  escalate: treasury\n")
            + "escalations: {treasury: [{after: 10m, channels: [quiet]}]}\n"
        )

    def test_who_is_told_when_nobody_answers_is_told_at_its_time(self, ran):
        code, out = ran(f"""
            account: {HOT}
            series: {{available/USDT: "300 40x20 300x5"}}
            expect_notifications:
              - {{channel: ops, alert: Low, kinds: [firing, resolved]}}
              - {{channel: quiet, alert: Low, kinds: []}}
        """)

        assert code == 1, "it is told"
        assert "13m    40              quiet hears: firing Low USDT\n" in out

    def test_what_is_over_in_time_is_not(self, ran):
        holds(
            ran(f"""
            account: {HOT}
            series: {{available/USDT: "300 40x8 300x5"}}
            expect_notifications:
              - {{channel: ops, alert: Low, kinds: [firing, resolved]}}
              - {{channel: quiet, alert: Low, kinds: []}}
        """)
        )

    def test_nor_is_what_the_test_is_too_short_for(self, ran):
        holds(
            ran(f"""
            account: {HOT}
            series: {{available/USDT: "300 40x8"}}
            expect_notifications:
              - {{channel: ops, alert: Low, kinds: [firing]}}
              - {{channel: quiet, alert: Low, kinds: []}}
        """)
        )


def test_case_11_what_another_alert_inhibits_is_not_told(ran, folder):
    (folder / "rules.yaml").write_text(RULES.replace("after: 3m", "after: 1m"))
    holds(
        ran(f"""
        account: {HOT}
        series: {{available/USDT: "300 errorx10 300x5"}}
        expect:
          - {{at: 6m, alert: Stale, state: firing}}
        expect_notifications:
          - {{channel: ops, alert: Down, kinds: [firing, resolved]}}
          - {{channel: quiet, alert: Stale, kinds: []}}
    """)
    )
