"""Rule tests of several accounts: what a story of them may say, and what rules over them make of it."""

import json
from dataclasses import replace
from textwrap import dedent, indent

import pytest

from monitor.errors import ConfigError
from monitor.model.record import Record
from monitor.model.snapshot import Snapshot
from monitor.ruletest.cases import load
from monitor.ruletest.polls import Script
from monitor.ruletest.report import run_tests
from monitor.ruletest.run import run
from tests.builders import NOON, minutes

RULES = """\
rules:
  - alert: Float
    type: low_balance
    match: {role: hot}
    aggregate: {by: [asset]}
    levels: {warning: {below: 500, resolve_above: 600}, critical: {below: 100, resolve_above: 200}}
    labels: {team: treasury}
  - {alert: Worth, type: low_balance, measure: total, aggregate: {by: [role], unit: usd}, below: 1000}
  - {alert: Everything, type: high_balance, aggregate: {unit: usd}, above: 10_000}
  - {alert: Drain, type: large_outflow, above: 100, within: 1h, aggregate: {by: [account], unit: usd}}
  - {alert: Outflow, type: large_outflow, above: 100, within: 30m, aggregate: {by: [role], unit: usd}}
  - {alert: Poor, type: low_balance, match: {role: cold}, below: 50}
  - {alert: Gone, type: large_outflow, above: 500}
  - {alert: Slow, type: low_balance, measure: total, aggregate: {unit: usd}, below: 50_000, for: 2m}
  - {alert: Leak, type: large_outflow, above: 500, within: 1h, net_internal: true, settle_within: 10m}
  - {alert: Stale, type: stale}
  - {alert: Down, type: provider_down, after: 5m}
  - {alert: Odd, type: unexplained_change, match: {role: odd}, above: 1, for: 4m}
  - {alert: Burst, type: large_outflow, match: {role: odd}, above: 5, within: 10m}
  - {alert: Row, type: event, match: {role: odd}, kinds: [transfer]}
"""
CONFIG = """\
version: 1
prices: [{type: static, prices: {USDT: "1"}}]
providers:
  bank: {type: cryptofuse, auth: {api_key: {env: NOT_SET_ANYWHERE}}, accounts: {}}
  vault: {type: kuna, base_url: "https://kuna.example", auth: {api_key: {env: NOT_SET_ANYWHERE}}, accounts: {}}
  perps: {type: pacifica, accounts: {}}
channels: {ops: {type: webhook, url: {env: NOT_SET_ANYWHERE}}}
route: {channels: [ops], group_wait: 0s}
rules: []
"""


@pytest.fixture
def written(tmp_path):
    """A test file of one story, beside the rules; `head` replaces what stands before it."""

    def write(story, *, head="rules: [rules.yaml]\ninterval: 1m", config=CONFIG):
        (tmp_path / "rules.yaml").write_text(RULES)
        (tmp_path / "config.yaml").write_text(config)
        path = tmp_path / "t.yaml"
        path.write_text(f"{head}\ntests:\n  - name: a story\n{indent(dedent(story), '    ')}")
        return path

    return write


@pytest.fixture
def ran(written, capsys):
    def play(story, **settings):
        path = written(story, **settings)
        code = run_tests([path], None, as_json=False)
        return code, capsys.readouterr().out.replace(str(path), "t.yaml")

    return play


@pytest.fixture
def holds(ran):
    def check(story, **settings):
        code, out = ran(story, **settings)
        assert (code, out) == (0, "✓ a story\n1 test, all passed\n"), out

    return check


@pytest.fixture
def mistakes(written, tmp_path):
    def found(story, **settings):
        with pytest.raises(ConfigError) as refused:
            load([written(story, **settings)], None)
        return [line.replace(f"{tmp_path}/", "") for line in refused.value.mistakes]

    return found


# What is judged.


def test_accounts_are_polled_together_and_each_is_judged_by_itself_too(holds):
    holds("""
        accounts:
          - {name: cold-1, provider: bank, labels: {role: cold}, series: {available/USDT: "60 40x3"}}
          - {name: cold-2, provider: bank, labels: {role: cold}, series: {available/USDT: "60x2 30 60"}}
        expect:
          - {at: 1m, alert: Poor, account: cold-1, state: firing, value: 40}
          - {at: 1m, alert: Poor, account: cold-2, state: inactive}
          - {at: 2m, alert: Poor, account: cold-2, asset: USDT, state: firing, value: 30}
          - {at: 3m, alert: Poor, account: cold-2, state: resolved}
          - {at: 3m, alert: Poor, state: firing}
        expect_notifications:
          - {channel: ops, alert: Poor, account: cold-1, kinds: [firing]}
          - {channel: ops, alert: Poor, account: cold-2, kinds: [firing, resolved]}
          - {channel: ops, alert: Poor, labels: {role: cold}, kinds: [firing, firing, resolved]}
        """)


def test_case_20_a_sum_holds_its_alert_while_a_part_of_it_is_too_old_to_be_counted(holds):
    """Younger than three intervals the last value counts; then what is there may be enough by itself, or not."""
    holds("""
        accounts:
          - {name: hot-1, provider: bank, labels: {role: hot}, series: {available/USDT: "300x2 150x8 350x4 650x3"}}
          - {name: hot-2, provider: vault, labels: {role: hot}, series: {available/USDT: "300x2 errorx13 300x2"}}
        expect:
          - {at: 1m, alert: Float, state: inactive}
          - {at: 2m, alert: Float, state: firing, level: warning, value: 450}
          - {at: 3m, alert: Float, state: firing, value: 450}
          - {at: 9m, alert: Float, state: firing, level: warning}      # 150 at least
          - {at: 13m, alert: Float, state: firing, level: warning}     # 350 at least: neither good nor bad
          - {at: 14m, alert: Float, state: resolved, value: 650}
        expect_notifications: [{channel: ops, alert: Float, kinds: [firing, resolved]}]
        """)


def test_a_sum_that_may_be_good_does_not_begin_to_fire(holds):
    holds("""
        accounts:
          - {name: hot-1, provider: bank, labels: {role: hot}, series: {available/USDT: "300x2 150x8"}}
          - {name: hot-2, provider: vault, labels: {role: hot}, series: {available/USDT: "errorx5 100"}}
        expect:
          - {at: 4m, alert: Float, state: inactive}
          - {at: 5m, alert: Float, state: firing, value: 250}
        """)


@pytest.mark.parametrize("part", ["labels: {role: hot}", "account: hot-1"])
def test_a_sum_over_one_account_is_a_sum(holds, part):
    holds(f"""
        account: {{name: hot-1, provider: bank, labels: {{role: hot}}}}
        series: {{total/USDT: "2000 1500 950 1000 1000", available/USDT: "90"}}
        expect:
          - {{at: 0s, alert: Float, state: firing, level: critical}}
          - {{at: 1m, alert: Worth, state: inactive}}
          - {{at: 2m, alert: Worth, labels: {{role: hot}}, state: firing, value: 950}}
          - {{at: 3m, alert: Worth, state: resolved}}
          - {{at: 1m, alert: Drain, {part}, state: firing, value: 500}}
        """)


def test_sums_are_told_apart_by_their_labels(holds):
    holds("""
        accounts:
          - {name: a, provider: bank, labels: {role: hot}, series: {total/USDT: "1500 700", available/USDT: "1500 700"}}
          - {name: b, provider: bank, labels: {role: hot}, series: {total/USDT: "200", available/USDT: "200"}}
          - {name: c, provider: vault, labels: {role: cold}, series: {total/USDT: "5000", available/USDT: "5000"}}
          - {name: d, provider: vault, series: {total/USDT: "5000", available/USDT: "5000"}}
        expect:
          - {at: 0s, alert: Everything, state: firing, value: 11_700}
          - {at: 1m, alert: Everything, state: firing, value: 10_900}
          - {at: 1m, alert: Worth, labels: {role: hot}, state: firing, value: 900}
          - {at: 1m, alert: Worth, labels: {role: cold}, state: inactive}
          - {at: 1m, alert: Worth, labels: {role: ""}, state: inactive}
        expect_notifications:
          - {channel: ops, alert: Worth, labels: {role: hot}, kinds: [firing]}
          - {channel: ops, alert: Worth, labels: {role: cold}, kinds: []}
          - {channel: ops, alert: Float, labels: {team: treasury}, kinds: []}
        """)


def test_outflows_of_several_accounts_add_up_until_the_window_has_passed(holds):
    """To the second: what a ring cannot tell is told by the movements themselves."""
    holds(
        """
        accounts:
          - {name: a, provider: bank, labels: {role: hot}, series: {total/USDT: "1000x2 940x200"}}
          - {name: b, provider: bank, labels: {role: hot}, series: {total/USDT: "1000x3 950x200"}}
        expect:
          - {at: 40s, alert: Outflow, state: inactive}
          - {at: 1m, alert: Outflow, labels: {role: hot}, state: firing, value: 110}
          - {at: 30m10s, alert: Outflow, state: firing}
          - {at: 30m40s, alert: Outflow, state: resolved}
          - {at: 30m40s, alert: Drain, state: inactive}
        """,
        head="rules: [rules.yaml]\ninterval: 20s",
    )


def test_a_window_over_several_accounts_rolls_between_two_polls(holds):
    holds(
        """
        accounts:
          - {name: a, provider: bank, labels: {role: hot}, series: {total/USDT: "1000 800 800 800x6"}}
          - {name: b, provider: bank, labels: {role: hot}, series: {total/USDT: "1000"}}
        expect:
          - {at: 40m, alert: Outflow, state: firing, value: 200}
          - {at: 49m, alert: Outflow, state: firing}
          - {at: 51m, alert: Outflow, state: resolved}
        """,
        head="rules: [rules.yaml]\ninterval: 20m",
    )


def test_an_alert_on_a_sum_need_not_wait_for_the_next_polls(holds):
    holds(
        """
        account: {name: a, provider: bank, labels: {role: hot}}
        series: {total/USDT: "60_000 20_000x2"}
        expect:
          - {at: 10m, alert: Slow, state: pending}
          - {at: 11m30s, alert: Slow, state: pending}
          - {at: 12m, alert: Slow, state: firing}
        """,
        head="rules: [rules.yaml]\ninterval: 10m",
    )


def test_a_transfer_that_does_not_arrive_counts_from_that_moment_whenever_the_next_poll_is(holds):
    holds(
        """
        accounts:
          - {name: a, provider: bank, series: {total/USDT: "9000x2 8000x9"}}
          - {name: b, provider: bank, series: {total/USDT: "1"}}
        expect:
          - {at: 17m30s, alert: Leak, account: a, state: inactive}
          - {at: 19m, alert: Leak, account: a, state: firing, value: 1000}
        """,
        head="rules: [rules.yaml]\ninterval: 4m",
    )


def test_what_changes_within_a_second_is_added_up_once(holds):
    holds(
        """
        account: {name: a, provider: bank, labels: {role: hot}}
        series: {total/USDT: "2000 500x9 600x4"}
        expect:
          - {at: 900ms, alert: Worth, state: inactive}
          - {at: 1s, alert: Worth, state: firing, value: 600}
        """,
        head="rules: [rules.yaml]\ninterval: 100ms",
    )


def test_an_account_that_cannot_be_read_may_have_lost_anything(holds):
    holds("""
        accounts:
          - {name: a, provider: bank, labels: {role: hot}, series: {total/USDT: "1000x2 800x40"}}
          - {name: b, provider: vault, labels: {role: hot}, series: {total/USDT: "1000x10 errorx30 1000"}}
        expect:
          - {at: 2m, alert: Outflow, state: firing, value: 200}
          - {at: 39m, alert: Outflow, state: firing}
          - {at: 40m, alert: Outflow, state: resolved}
        """)


def test_rows_of_ledgers_are_read_by_each_account(holds):
    holds("""
        accounts:
          - name: a
            provider: perps
            labels: {role: hot}
            series: {total/USDC: "1000 1000 940"}
            events: [{at: 90s, kind: withdraw, asset: USDC, amount: 60, direction: out}]
          - name: b
            provider: perps
            labels: {role: hot}
            series: {total/USDC: "1000 1000 error 950"}
            events: [{at: 90s, kind: withdraw, asset: USDC, amount: 50, direction: out}]
        prices: {USDC: "1"}
        expect:
          - {at: 2m, alert: Outflow, state: inactive}
          - {at: 3m, alert: Outflow, state: firing, value: 110}
        """)


def test_a_story_of_one_account_is_the_same_in_either_form(written):
    samples = 'series: {total/USDT: "2000 1500 error 950 _ 1000x40"}'
    expected = "expect: [{at: 0s, alert: Drain, state: inactive}]"
    head, told = "{name: a, provider: bank, labels: {role: hot}", []
    for form in (f"account: {head}}}\n{samples}", f"accounts: [{head}, {samples}}}]"):
        [case] = load([written(f"{form}\n{expected}\n")], None)
        told.append(run(case, lambda: None))

    assert told[0] == told[1]
    assert [(heard.kind, heard.alert) for _, heard in told[0].heard if heard.alert in ("Drain", "Worth")] == [
        ("firing", "Drain"), ("firing", "Worth"), ("resolved", "Worth"),
    ]  # fmt: skip


def test_what_the_provider_takes_back_is_undone_and_what_it_took_back_unread_was_never_there(holds):
    holds("""
        account: {name: a, provider: perps}
        series: {total/USDC: "1000x3 error 1000x10"}
        prices: {USDC: 1}
        events:
          - {at: 1m, kind: withdraw, asset: USDC, amount: 600, direction: out, reverted_at: 5m30s}
          - {at: 150s, kind: withdraw, asset: USDC, amount: 700, direction: out, reverted_at: 190s}
        expect:
          - {at: 1m, alert: Drain, state: firing, value: 600}
          - {at: 5m, alert: Drain, state: firing, value: 600}
          - {at: 6m, alert: Drain, state: resolved}
        expect_notifications: [{channel: ops, alert: Gone, kinds: [event, updated]}]
        """)


def test_case_37_what_is_read_after_a_gap_is_judged_in_the_window_it_belongs_to(holds):
    holds("""
        account: {name: w, provider: kaiko, labels: {role: odd}}
        series: {total/BTC: "10x2 errorx60 2x20"}
        events:
          - {at: 2m30s, kind: transfer, asset: BTC, amount: 4, direction: out}
          - {at: 9m, kind: transfer, asset: BTC, amount: 4, direction: out}
        expect:
          - {at: 61m, alert: Burst, state: inactive}
          - {at: 62m, alert: Burst, state: firing, value: 8}
        """)


def test_what_is_read_after_a_gap_is_told_as_late(written):
    path = written("""
        account: {name: w, provider: kaiko, labels: {role: odd}}
        series: {total/BTC: "10x2 error 2x2"}
        events:
          - {at: 2m, kind: transfer, asset: BTC, amount: 4, direction: out}
          - {at: 4m, kind: transfer, asset: BTC, amount: 4, direction: out}
        expect_notifications: [{channel: ops, alert: Row, kinds: [event, event]}]
        """)

    [case] = load([path], None)
    script, record = Script(case.members[0], NOON), Record("w", version=1, snapshot=Snapshot(NOON, {}))
    script.reading(0, NOON, record)
    [after, _], [usual, _] = (
        script.reading(place, NOON + minutes(place), one)
        for place, one in ((3, replace(record, failing_since=NOON + minutes(2))), (4, record))
    )

    assert [row.late for reading in (after, usual) for row in reading.events] == [True, False]


@pytest.mark.parametrize(
    "samples",
    [
        pytest.param("10x2 7x3 10x9", id="with its row"),
        pytest.param("10x2 7x2 10x9", id="a poll before"),
        pytest.param("10x2 7x4 10x9", id="a poll after"),
        pytest.param("10x20", id="it never went"),
    ],
)
def test_case_23_what_is_taken_back_explains_that_it_comes_back(holds, samples):
    holds(f"""
        account: {{name: w, provider: kaiko, labels: {{role: odd}}}}
        series: {{total/BTC: "{samples}"}}
        events: [{{at: 2m, kind: transfer, asset: BTC, amount: 3, direction: out, reverted_at: 5m}}]
        expect_notifications: [{{channel: ops, alert: Odd, kinds: []}}]
        """)


def test_the_two_ends_of_a_transfer_are_found_by_its_transaction(holds):
    end = "kind: {kind}, asset: USDC, amount: {amount}, direction: {way}, reference: {tx}"
    out, back, other = (
        end.format(kind=kind, amount=amount, way=way, tx=tx)
        for kind, amount, way, tx in (
            ("withdraw", 800, "out", "tx1"), ("deposit", 790, "in", "tx1"), ("deposit", 600, "in", "tx2"),
        )
    )  # fmt: skip
    holds(f"""
        accounts:
          - {{name: a, provider: perps, series: {{total/USDC: "1x90"}}, events: [{{at: 1m, {out}}}]}}
          - {{name: b, provider: perps, series: {{total/USDC: "1x90"}}, events: [{{at: 2m, {back}}}]}}
          - name: c
            provider: perps
            series: {{total/USDC: "1x90"}}
            events: [{{at: 20m, {out.replace("tx1", "tx3")}}}, {{at: 21m, {other}}}]
        expect:
          - {{at: 19m, alert: Leak, state: inactive}}
          - {{at: 29m50s, alert: Leak, account: c, state: inactive}}
          - {{at: 30m, alert: Leak, account: c, asset: USDC, state: firing, value: 800}}
          - {{at: 31m, alert: Leak, account: a, state: inactive}}
        """)


# How providers are doing.


def test_a_provider_is_down_only_when_none_of_its_accounts_can_be_read(holds):
    holds(
        """
        accounts:
          - {name: a, provider: bank, series: {total/USDT: "1 errorx9 1"}}
          - {name: b, provider: bank, series: {total/USDT: "1x5 errorx7"}}
          - {name: c, provider: vault, series: {total/USDT: "error 1x20"}}
        expect:
          - {at: 8m, alert: Stale, account: a, state: firing}
          - {at: 9m, alert: Down, state: inactive}
          - {at: 10m, alert: Stale, account: a, state: resolved}
          - {at: 18m, alert: Down, labels: {provider: bank}, state: firing}
          - {at: 20m, alert: Down, labels: {provider: vault}, state: inactive}
        """.replace("errorx9 1", "errorx9 1 errorx20").replace("errorx7", "errorx20")
    )


@pytest.mark.parametrize(
    ("word", "at_once"), [("refused", True), ("error", False), ("throttled", False), ("garbled", False)]
)
def test_a_provider_that_refuses_us_is_down_at_once_any_other_failure_takes_its_time(holds, word, at_once):
    state = "firing" if at_once else "inactive"
    holds(f"""
        account: {{name: a, provider: bank}}
        series: {{total/USDT: "1x2 {word}x10 1"}}
        expect:
          - {{at: 1m, alert: Down, state: inactive}}
          - {{at: 2m, alert: Down, state: {state}}}
          - {{at: 8m, alert: Down, state: firing}}
          - {{at: 12m, alert: Down, state: resolved}}
        """)


def test_a_refusal_beside_a_good_poll_is_no_refusal_of_the_provider(holds):
    holds("""
        accounts:
          - {name: a, provider: bank, series: {total/USDT: "1x2 refusedx10"}}
          - {name: b, provider: bank, series: {total/USDT: "1"}}
        expect:
          - {at: 11m, alert: Down, state: inactive}
          - {at: 11m, alert: Stale, account: a, state: firing}
        """)


# Prices.


def test_case_19_a_price_that_is_missing_decides_nothing_unless_the_rest_is_enough(holds):
    holds("""
        accounts:
          - {name: a, provider: vault, labels: {role: hot}, series: {total/USDT: "500x8 2000"}}
          - {name: b, provider: vault, labels: {role: hot}, series: {total/BTC: "0.01"}}
        prices: {BTC: "60_000 40_000x2 _x3 60_000 _"}
        expect:
          - {at: 0s, alert: Worth, state: inactive}
          - {at: 1m, alert: Worth, state: firing, value: 900}
          - {at: 5m, alert: Worth, state: firing, value: 900}     # as it was known last
          - {at: 6m, alert: Worth, state: resolved, value: 1100}
          - {at: 7m, alert: Worth, state: resolved}
          - {at: 8m, alert: Worth, state: resolved}
        """)


def test_case_24_a_price_that_crashes_is_no_outflow_but_what_is_left_is_worth_less(holds):
    holds("""
        account: {name: a, provider: vault, labels: {role: hot}}
        series: {total/BTC: "0.02"}
        prices: {BTC: "60_000 30_000x3"}
        expect:
          - {at: 0s, alert: Worth, state: inactive}
          - {at: 1m, alert: Worth, state: firing, value: 600}
          - {at: 3m, alert: Drain, state: inactive}
          - {at: 3m, alert: Outflow, state: inactive}
        """)


@pytest.mark.parametrize(
    ("prices", "asset", "value"),
    [
        ("{USDT: 2}", "USDT", 200),  # instead of the configured one
        ("{USDT: 2}", "USDT@TRX", 200),
        ("{BTC: 2}", "USDT", 100),  # of other assets the configured ones stand
        ('{USDT@ETH: 2, USDT: "_"}', "USDT@ETH", 200),
    ],
)
def test_prices_of_a_test_stand_before_the_configured_ones(holds, prices, asset, value):
    holds(f"""
        account: {{name: a, provider: vault, labels: {{role: hot}}}}
        series: {{total/{asset}: "100"}}
        prices: {prices}
        expect: [{{at: 0s, alert: Worth, state: firing, value: {value}}}]
        """)


def test_a_price_that_is_told_to_be_unknown_is_not_taken_from_elsewhere(holds):
    holds("""
        account: {name: a, provider: vault, labels: {role: hot}}
        series: {total/USDT: "100"}
        prices: {USDT: "_ 1"}
        expect:
          - {at: 0s, alert: Worth, state: inactive}
          - {at: 1m, alert: Worth, state: firing}
        """)


def test_case_29_a_drain_over_twelve_assets_each_under_its_own_threshold_is_one_alert(holds):
    series = ", ".join(f'total/A{place}: "100x2 85x5"' for place in range(12))
    prices = ", ".join(f"A{place}: 1" for place in range(12))
    holds(f"""
        account: {{name: a, provider: vault}}
        series: {{{series}}}
        prices: {{{prices}}}
        expect: [{{at: 2m, alert: Drain, account: a, state: firing, value: 180}}]
        expect_notifications: [{{channel: ops, alert: Drain, kinds: [firing]}}]
        """)


# How it is explained.

GOLDEN = """\
✗ a story
  t.yaml:12: Float USDT at 3m
    expected resolved
    was      firing warning
    hint     firing warning (value 450, resolves above 600)
  t.yaml:13: Worth role=hot at 4m
    expected firing
    was      inactive
    hint     it reads 'total', which the test has no series of
  t.yaml:14: ops about Poor cold-1
    expected firing
    was      nothing

          hot-1           hot-2           cold-1
    time  available/USDT  available/USDT  available/USDT  price/X  what happened
    0s    300             300             90              0.5      Worth: cold-1, hot-1, hot-2 not known
    1m    150             300             90              0.5      Float USDT of all accounts: inactive → firing warning
                                                                   ops hears: firing Float USDT of all accounts
    2m    150             error           90              0.5
  > 3m    150             error           90              0.5      Float USDT: expected resolved, was firing warning
    4m    150             error           90              _        Float: hot-2 not known
  >                                                                Worth role=hot: expected firing, was inactive
    5m    150             300             90              _        Float: all of it is known again

1 test, 1 failed
"""


def test_a_failure_shows_every_account_and_names_them(ran):
    found = ran("""
        accounts:
          - {name: hot-1, provider: bank, labels: {role: hot}, series: {available/USDT: "300 150x4"}}
          - {name: hot-2, provider: vault, labels: {role: hot}, series: {available/USDT: "300x2 errorx3 300"}}
          - {name: cold-1, provider: bank, labels: {role: cold}, series: {available/USDT: 90}}
        prices: {X: "0.5x4 _"}
        expect:
          - {at: 3m, alert: Float, asset: USDT, state: resolved}
          - {at: 4m, alert: Worth, labels: {role: hot}, state: firing}
        expect_notifications: [{channel: ops, alert: Poor, account: cold-1, kinds: [firing]}]
        """)

    assert found == (1, GOLDEN)


def test_for_machines_a_column_is_named_after_its_account(written, capsys):
    path = written("""
        accounts:
          - {name: a, provider: bank, series: {total/USDT: 1}}
          - {name: b, provider: bank, series: {total/USDT: "error"}}
        prices: {BTC: "_"}
        expect: [{at: 0s, alert: Drain, account: b, state: firing}]
        """)

    assert run_tests([path], None, as_json=True) == 1

    [story] = json.loads(capsys.readouterr().out)["tests"]
    assert story["failures"][0]["about"] == "Drain b"
    assert story["timeline"][0]["read"] == {"a total/USDT": "1", "b total/USDT": "error", "price/BTC": "_"}


def test_movements_and_providers_are_told_apart(ran):
    code, out = ran("""
        accounts:
          - {name: a, provider: bank, series: {total/USDT: "1 errorx9"}}
          - name: b
            provider: perps
            series: {total/USDC: "9 8 errorx8"}
            events: [{at: 1m, kind: withdraw, asset: USDC, amount: 1, direction: out}]
        expect: [{at: 9m, alert: Down, state: inactive}]
        """)

    assert code == 1
    assert "  b: withdraw 1 USDC out\n" in out
    assert "  Down bank: inactive → firing warning\n" in out
    assert "  Down perps: inactive → firing warning\n" in out


@pytest.mark.parametrize(
    ("expected", "hint"),
    [
        ("alert: Float", "its `match` selects none of the accounts"),
        ("alert: Poor, account: a", "its `match` does not select the account a"),
    ],
)
def test_a_rule_that_selects_none_of_them_gets_a_hint(ran, expected, hint):
    code, out = ran(f"""
        accounts:
          - {{name: a, provider: bank, series: {{available/USDT: 1}}}}
          - {{name: b, provider: bank, labels: {{role: cold}}, series: {{available/USDT: 90}}}}
        expect: [{{at: 0s, {expected}, state: firing}}]
        """)

    assert code == 1
    assert f"    hint     {hint}\n" in out


def test_a_rule_on_worths_without_any_prices_gets_a_hint(ran):
    _, out = ran(
        """
        account: {name: a, provider: vault}
        series: {total/USDT: 1}
        expect: [{at: 0s, alert: Worth, state: firing}]
        """,
        config=CONFIG.replace('prices: [{type: static, prices: {USDT: "1"}}]\n', ""),
    )

    assert "    hint     it judges worths, and neither the test nor the configuration has `prices`\n" in out


# What is wrong with a file.

FORM = "each of `accounts` says this of itself: write one form or the other"
PRICE = "write a price above zero or _, each perhaps repeated: 60000x5"
VAULT = "vault never offers 'totl', only available, held, locked, referral, total, did you mean 'total'?"
TWO = """\
accounts:
  - {name: a, provider: bank, labels: {role: hot}, series: {total/USDT: "1x3"}}
  - {name: b, provider: vault, series: {total/BTC: "1"}}
"""


@pytest.mark.parametrize(
    ("story", "said"),
    [
        (
            f"account: {{name: c, provider: bank}}\n{TWO}series: {{total/USDT: 1}}\n",
            [
                f"t.yaml:5: tests[0].account: {FORM}",
                f"t.yaml:9: tests[0].series: {FORM}",
            ],
        ),
        (f"{TWO}events: []\n", [f"t.yaml:8: tests[0].events: {FORM}"]),
        ("", ["t.yaml:4: tests[0]: tells of no account: add `account` and `series`, or `accounts`"]),
        ("prices: {A: 1}\n", ["t.yaml:4: tests[0]: tells of no account: add `account` and `series`, or `accounts`"]),
        ("accounts: []\n", ["t.yaml:5: tests[0].accounts: needs at least 1, got 0"]),
        ("account: {name: c, provider: bank}\n", ["t.yaml:4: tests[0].series: is required"]),
        ("series: {total/USDT: 1}\n", ["t.yaml:4: tests[0].account: is required"]),
        (TWO.replace("name: b", "name: a"), ["t.yaml:7: tests[0].accounts[1].name: there is another account 'a'"]),
        (TWO.replace("series", "serise", 1), [
            "t.yaml:6: tests[0].accounts[0].series: is required",
            "t.yaml:6: tests[0].accounts[0].serise: unknown setting, did you mean 'series'?",
        ]),
        (TWO.replace("total/BTC", "totl/BTC"), [
            f"t.yaml:7: tests[0].accounts[1].series.totl/BTC: {VAULT}"
        ]),
        (TWO.replace("provider: vault", "provider: valt"), [
            "t.yaml:7: tests[0].accounts[1].provider: there is no provider 'valt', did you mean 'vault'?"
        ]),
        (TWO.replace("1x3", "1x60000"), [
            "t.yaml:5: tests[0].accounts: a test has at most 100000 polls, of all accounts together"
        ]),
        (f"{TWO}prices: {{BTC: '1 error'}}\n", [
            f"t.yaml:8: tests[0].prices.BTC: 'error' is no price, {PRICE}"
        ]),
        (f"{TWO}prices: {{BTC: 0}}\n", [
            f"t.yaml:8: tests[0].prices.BTC: '0' is no price, {PRICE}"
        ]),
        (f"{TWO}prices: {{BTC: 1 O}}\n", [
            f"t.yaml:8: tests[0].prices.BTC: 'O' is no sample, {PRICE}"
        ]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_story_is_said_with_its_line(mistakes, story, said):
    expected = "expect: [{at: 0s, alert: Drain, state: inactive}]\n"

    assert mistakes(f"{story}{expected}") == said


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("alert: Drain, account: c", "account: the test has no account 'c'"),
        ("alert: Drain, asset: USDT", "asset: Drain adds up by account: its alerts have no `asset`"),
        ("alert: Float, account: a", "account: Float adds up by asset: its alerts have no `account`"),
        ("alert: Everything, asset: BTC", "asset: Everything adds up everything: its alerts have no `asset`"),
        ("alert: Down, account: a", "account: Down judges a provider as a whole: its alerts have no `account`"),
        ("alert: Worth, labels: {rol: hot}", "labels.rol: no alert of Worth has this label, did you mean 'role'?"),
        ("alert: Worth, labels: {role: hott}", "labels.role: none of the accounts has role=hott, did you mean 'hot'?"),
        ("alert: Poor, labels: {role: warm}", "labels.role: none of the accounts has role=warm"),
        ("alert: Float, labels: {role: hot}", "labels.role: no alert of Float has this label"),
        ("alert: Float, labels: {team: risk}", "labels.team: none of the accounts has team=risk"),
        ("alert: Down, labels: {provider: x}", "labels.provider: none of the accounts has provider=x"),
        ("alert: Stale, asset: USDT", "asset: Stale judges accounts as a whole: its alerts have no `asset`"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("news", [False, True])
def test_an_expectation_speaks_of_alerts_that_can_be(mistakes, expected, said, news):
    key = "expect_notifications" if news else "expect"
    rest = "channel: ops, kinds: []" if news else "at: 0s, state: inactive"

    found = mistakes(f"{TWO}{key}: [{{{expected}, {rest}}}]\n")

    assert found == [f"t.yaml:8: tests[0].{key}[0].{said}"]


def test_what_is_taken_back_was_there_before(mistakes):
    row = "{at: 5s, kind: withdraw, asset: USDC, amount: 1, reverted_at: 5s}"

    [said] = mistakes(f"""
        account: {{name: a, provider: perps}}
        series: {{total/USDC: 1}}
        events: [{row}]
        expect: [{{at: 0s, alert: Drain, state: inactive}}]
        """)

    assert said == "t.yaml:8: tests[0].events[0].reverted_at: what is taken back was there before"
