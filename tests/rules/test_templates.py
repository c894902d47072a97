"""Annotations: checked when a rule is loaded, harmless whatever they say, never why an alert is lost."""

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.rules import RULES
from monitor.rules.sandbox import OUTPUT_MAX, SOURCE_MAX, amount, compiled, duration, filled
from monitor.rules.templates import FAILURES, render, template_fields
from tests.builders import NOON, entry, event_entry, minutes
from tests.facts import rule


def annotated(rule_type="low_balance", **annotations):
    own = {"below": 80_000} if rule_type == "low_balance" else {}
    return rule(rule_type, annotations=annotations, **own)


def summary(template, told=None, *, now=NOON):
    made = annotated(summary=template)
    return render(made, told or entry(), details={}, now=now)["summary"]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        pytest.param("{{ account }} {{ asset }} {{ measure }}", "hot-a USDT available", id="its subject"),
        pytest.param("{{ value }} {{ unit }}", "412.50 USDT", id="an amount as it is"),
        pytest.param("{{ previous | amount }}", "90,210.00", id="an amount for people"),
        pytest.param("{{ threshold | amount }}", "80,000", id="the threshold"),
        pytest.param("{{ rule }} {{ severity }}", "HotWalletLow critical", id="names"),
        pytest.param("{{ labels.role }} of {{ labels.provider }}", "hot of casino", id="labels of any sort"),
        pytest.param("{{ labels['role'] | upper }}", "HOT", id="jinja's harmless filters"),
        pytest.param("{{ age | duration }}", "1m30s", id="how old the facts are"),
        pytest.param("{{ threshold - value }}", "79587.50", id="exact arithmetic"),
        pytest.param("{{ value * 3 | abs }}", "1237.50", id="with whole numbers"),
        pytest.param("{% if value < threshold %}low{% else %}fine{% endif %}", "low", id="a choice"),
        pytest.param("{{ reason }}|{{ resolved_at }}", "|", id="what is not there prints nothing"),
        pytest.param("{{ contributors | length }}", "0", id="no contributors yet"),
        pytest.param("{% for name in labels %}{{ name[0] }}{% endfor %}", "rrrspaa", id="one loop"),
        pytest.param("{{ labels | sort | first }} {{ labels | length }}", "account 7", id="a list"),
        pytest.param("<b>&{{ account }}", "<b>&hot-a", id="nothing is escaped here: channels know how"),
        pytest.param("{{ observed_at.isoformat() }}", "2026-11-20T12:00:00+00:00", id="a time"),
        pytest.param("plain text, 100%", "plain text, 100%", id="no template at all"),
    ],
)  # fmt: skip
def test_a_template_sees_every_field_of_its_alert(template, text):
    assert summary(template, now=NOON + timedelta(seconds=90)) == text


def test_an_events_template_sees_the_event():
    made = annotated("liquidation", summary="{{ event.kind }} {{ event.amount | amount }} {{ event.reference }}")

    told = render(made, event_entry(), details={}, now=NOON)

    assert told["summary"] == "withdraw 250,000 0xabc"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.00", "0.00"), ("-0.00", "0.00"), ("1234567.000000000000000001", "1,234,567.000000000000000001"),
        ("-1234.5", "-1,234.5"), ("1E+6", "1,000,000"), ("999", "999"), (1_000, "1,000"), (None, "unknown"),
    ],
)  # fmt: skip
def test_an_amount_is_written_with_all_its_digits(value, text):
    assert amount(Decimal(value) if isinstance(value, str) else value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(0), "0s"), (timedelta(milliseconds=250), "250ms"), (timedelta(seconds=48.408), "48s"),
        (timedelta(hours=2, minutes=5), "2h5m"), (Decimal(300), "5m"), (90, "1m30s"), (None, "unknown"),
        (-timedelta(seconds=61), "-1m1s"),
    ],
)  # fmt: skip
def test_a_duration_is_written_as_people_write_it(value, text):
    assert duration(value) == text


@pytest.mark.parametrize(
    ("template", "said"),
    [
        pytest.param("{{ valu }}", "'valu' is undefined", id="a name that does not exist"),
        pytest.param("{{ account", "unexpected end of template", id="an unfinished place"),
        pytest.param("{{ event.kind }}", "has no attribute 'kind'", id="an event where there is none"),
        pytest.param("{{ asset | amount }}", "is not a number", id="a filter that does not fit"),
        pytest.param("{{ value | money }}", "No filter named 'money'", id="a filter that does not exist"),
        pytest.param("{{ value < '5' }}", "not supported", id="a comparison that makes no sense"),
        pytest.param("{{ value * 0.5 }}", "would lose digits", id="a binary fraction"),
        pytest.param("{{ previous | upper | amount }}", "is not a number", id="wrong only on some samples"),
        pytest.param("{{ range(9) }}", "can be called", id="a function"),
        pytest.param("{{ account.__class__ }}", "unsafe", id="a way out of the sandbox"),
        pytest.param("{{ account.format(1) }}", "can be called", id="a formatting method"),
        pytest.param("{{ '%9999999999d' % 1 }}", "mod", id="a formatting operator"),
        pytest.param("{{ 'x' * 9999999999 }}", "is not a number", id="a very long text"),
        pytest.param("{{ 9 ** 99999999 }}", "pow", id="a very large number"),
        pytest.param("{% set a = account ~ account %}", "assign", id="an assignment"),
        pytest.param("{% for a in b %}{% for c in d %}{% endfor %}{% endfor %}", "inside a loop", id="loops"),
        pytest.param("{% include 'x' %}", "include", id="another file"),
        pytest.param("{% macro m() %}{% endmacro %}", "macro", id="a macro"),
        pytest.param("{{ 'x' | center(999999999) }}", "No filter named 'center'", id="padding"),
        pytest.param("{{ lipsum }}", "undefined", id="jinja's own globals"),
        pytest.param("{{ " + "(" * 1500 + "1" + ")" * 1500 + " }}", "too deeply", id="nested without end"),
        pytest.param("{{ account | truncate(1) }}", "expected length", id="a filter that asserts"),
        pytest.param("x" * (SOURCE_MAX + 1), "longer than", id="a novel"),
    ],
)  # fmt: skip
def test_a_bad_template_is_a_mistake_at_load_and_says_where(template, said):
    with pytest.raises(ValidationError) as caught:
        annotated(summary="fine", description=template)

    [error] = caught.value.errors()
    assert error["loc"][1:] == ("annotations", "description")
    assert said in error["msg"]


def test_a_template_of_an_event_may_not_count_on_what_the_provider_need_not_tell():
    with pytest.raises(ValidationError, match="is not a number"):
        annotated("event", summary="{{ event.balance_after + 1 }}")


@pytest.mark.parametrize("rule_type", sorted(RULES))
def test_without_a_summary_every_rule_speaks_plainly(rule_type):
    own = {
        "low_balance": {"below": 1}, "high_balance": {"above": 1}, "locked_funds": {"above": 1},
        "balance_change": {"falls_by": 1, "within": "1h"}, "expression": {"expression": "available < 1"},
        "runway": {"below": "1h"}, "unexplained_change": {"above": 1},
        "large_outflow": {"above": 1}, "large_inflow": {"above": 1, "within": "1h"},
    }.get(rule_type, {})  # fmt: skip
    made = rule(rule_type, annotations={"runbook_url": "https://x"}, **own)

    for sample in made.made_up():
        told = render(made, sample, details={}, now=NOON)
        assert told["summary"].startswith("hot-usdt")
        assert "None" not in told["summary"]
        assert told["runbook_url"] == "https://x"


@pytest.mark.parametrize(
    ("made", "value", "said"),
    [
        (rule("low_balance", below=100, resolve_above=120), "99", "99 is below 100"),
        (rule("low_balance", below=100, resolve_above=120), "110", "110 is not yet above 120 again"),
        (rule("low_balance", below=100, resolve_above=120), "130", "130 is no longer below 100, but only lately"),
        (rule("low_balance", below=100), "100", "100 is no longer below 100, but only lately"),
        (rule("high_balance", above=100, resolve_below=80), "101", "101 is above 100"),
        (rule("high_balance", above=100, resolve_below=80), "80", "80 is not yet below 80 again"),
        (rule("locked_funds", above=100, resolve_below=80), "90", "90 is not yet below 80 again"),
        (
            rule("low_balance", levels={"warning": {"below": 100, "resolve_above": 120}, "critical": {"below": 50}}),
            "110",
            "110 is not yet above 120 again",
        ),
    ],
)
def test_an_alert_that_is_held_says_what_it_has_to_reach(made, value, said):
    told = entry(severity="warning", value=Decimal(value), threshold=Decimal(100))

    assert render(made, told, details={}, now=NOON)["summary"] == f"hot-a USDT available {said}"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (
            rule("large_outflow", above=100, within="1h"),
            "hot-a USDT 70 went out within 1h, but only lately no longer above 100",
        ),
        (
            rule("balance_change", falls_by=100, within="1h"),
            "hot-a USDT fell by 70 within 1h, but only lately no longer more than 100",
        ),
    ],
)
def test_a_sum_that_is_kept_firing_is_not_said_to_be_above(made, said):
    told = entry(measure=None, value=Decimal(70), threshold=Decimal(100))

    assert render(made, told, details={}, now=NOON)["summary"] == said


def test_a_sum_is_named_by_its_labels_also_when_it_is_good_again():
    made = rule("low_balance", below=80_000, aggregate={"by": ["role", "asset"]})
    told = entry(status="resolved", account="", provider="", labels={"role": "hot"}, value=Decimal(90_000))

    assert render(made, told, details={}, now=NOON)["summary"] == (
        "USDT of role=hot available 90000 has recovered, it was below 80000"
    )


@pytest.mark.parametrize(
    ("made", "told", "text"),
    [
        pytest.param(annotated(), entry(), "hot-a USDT available 412.50 is below 80000", id="low"),
        pytest.param(
            annotated(), entry(status="resolved", value=Decimal(320_000)),
            "hot-a USDT available 320000 has recovered, it was below 80000", id="low no more",
        ),
        pytest.param(
            annotated(), entry(status="resolved", reason="rule_removed"),
            "hot-a USDT available is closed: rule removed", id="closed for a reason that is no recovery",
        ),
        pytest.param(
            rule("large_outflow", above=80_000, within="1h"), entry(value=Decimal(90_000), measure=None),
            "hot-a USDT 90000 went out within 1h, above 80000", id="an outflow",
        ),
        pytest.param(
            rule("large_inflow", above=80_000), event_entry(threshold=Decimal(80_000), measure=None),
            "hot-out USDT 250000 came in, above 80000", id="an inflow",
        ),
        pytest.param(
            rule("event"), event_entry(measure=None), "hot-out USDT withdraw of 250000 out", id="an event",
        ),
        pytest.param(
            rule("stale"), entry(asset=None, measure=None, value=Decimal(300), unit="s"),
            "hot-a has had no news for 5m: the provider repeats old data", id="stale",
        ),
        pytest.param(
            rule("provider_down"), entry(account="", asset=None, measure=None, value=Decimal(180), unit="s"),
            "casino has answered no poll for 3m", id="a provider",
        ),
    ],
)  # fmt: skip
def test_the_plain_text_is_a_sentence(made, told, text):
    assert render(made, told, details={}, now=NOON)["summary"] == text


def test_details_make_the_plain_text_more_precise():
    low = rule("low_balance", below=50_000, unit="usd")
    worth = entry(asset="BTC", value=Decimal(30_000), threshold=Decimal(50_000), unit="USD")
    told = render(low, worth, details={"amount": "0.5", "price": "60000"}, now=NOON)
    assert told["summary"] == "hot-a BTC available 30000 USD is below 50000 USD (0.5 at 60000)"

    share = rule("large_outflow", above="25%", within="1h")
    moved = entry(value=Decimal(300), threshold=Decimal(250), measure=None)
    told = render(share, moved, details={"of": "1000"}, now=NOON)
    assert told["summary"] == "hot-a USDT 300 went out within 1h, above 250 (25% of 1000)"


def test_a_template_that_fails_at_night_is_replaced_by_the_plain_text_with_the_error():
    made = annotated(summary="{{ labels.team }}", runbook_url="https://x")

    told = render(made, entry(), details={}, now=NOON)

    assert told["summary"] == "hot-a USDT available 412.50 is below 80000"
    assert told["template_error"] == "summary: UndefinedError: 'dict object' has no attribute 'team'"
    assert told["runbook_url"] == "https://x"


def test_output_is_cut_at_two_kilobytes_of_whole_characters():
    made = annotated(summary="{{ labels.note }}", description="{% for c in labels.note %}{{ c }}€{% endfor %}")

    told = render(made, entry(labels={"note": "€" * 5_000}), details={}, now=NOON)

    for text in told.values():
        assert text.endswith("€…")
        assert OUTPUT_MAX - 3 <= len(text.encode()) <= OUTPUT_MAX


def test_the_most_work_a_template_can_ask_for_is_little():
    nested = "{{ " + "labels | " + "list | " * 40 + "join }}"
    concat = "{{ " + " ~ ".join(["account"] * 300) + " }}"
    made = annotated(summary=nested, description=concat)
    labels = {f"label-{n}": "x" * 200 for n in range(50)}

    began = time.process_time()
    told = render(made, replace(entry(), labels=labels), details={}, now=NOON + minutes(1))

    assert all(len(text.encode()) <= OUTPUT_MAX for text in told.values())
    # Not a benchmark: a template that escapes its bounds runs for hours.
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", ["rule", "severity", "asset"])
def test_a_rule_cannot_pretend_to_be_another_by_its_labels(name):
    with pytest.raises(ValidationError, match=name):
        rule("stale", labels={name: "x"})


def test_too_many_annotations_are_a_mistake():
    with pytest.raises(ValidationError):
        annotated(**{f"note{n}": "x" for n in range(17)})


_TOKENS = [
    "{{", "}}", "{%", "%}", "{#", "#}", "-%}", "{%-", "|", ".", "[", "]", "(", ")", "~", "+", "-", "*", "/",
    "<", "==", ",", ":", "%", "**", "=", "if", "else", "endif", "for", "endfor", "in", "is", "not", "and",
    "set", "none", "true", "x", "0", "7", "'a'", "€", "loop", "items", "value", "labels", "account", "event",
    "age", "amount", "duration", "join", "sort", "default", "first", "truncate", "length",
]  # fmt: skip


@given(st.lists(st.sampled_from(_TOKENS), max_size=14).map(" ".join), st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_is_written_is_a_mistake_or_a_text(source, inside):
    written = f"{{{{ {source} }}}}" if inside else source
    try:
        template = compiled(written)
    except ValueError:
        return

    try:
        text = filled(template, template_fields(entry(), {}, NOON))
    except FAILURES:
        return
    assert len(text.encode()) <= OUTPUT_MAX
