"""expression: what it may say, what it means, and what it says of what is not known."""

import operator
import string
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.model.snapshot import MEASURES
from monitor.rules.expression_code import compiled
from monitor.rules.expression_syntax import SOURCE_MAX
from tests.builders import NOON, minutes
from tests.facts import Watched, answer, blindness, checkup, rule, sighting

NOW = {"available": Decimal(40), "total": Decimal(100), "equity": Decimal("-7.5"), "locked": Decimal(0)}
BEFORE = {"total": Decimal(120)}


def holds(written, now=NOW, before=BEFORE):
    return compiled(written).holds(now, before)


def expression(written, **settings):
    return rule("expression", expression=written, **settings)


@pytest.mark.parametrize(
    ("written", "truth"),
    [
        pytest.param("available < 40", False, id="on the threshold is not below it"),
        pytest.param("available <= 40", True, id="but at most it"),
        pytest.param("available == 40.000", True, id="equal in value"),
        pytest.param("available != 40.000000000000000001", True, id="a wei apart"),
        pytest.param("available < 40.000000000000000001", True, id="a wei below"),
        pytest.param("available / total < 0.4", False, id="a ratio is exact where it can be"),
        pytest.param("0.1 + 0.2 == 0.3 and total > 0", True, id="a number is its text, no float"),
        pytest.param("0.1 * total == 10", True, id="a product too"),
        pytest.param("total > 99_999_999_999_999_999_999_999_999_999.5", False, id="a number of many digits"),
        pytest.param("total - available > 2 * 30 - 1", True, id="products before sums"),
        pytest.param("total - available - 10 == 50", True, id="from the left"),
        pytest.param("total - (available - 10) == 70", True, id="brackets"),
        pytest.param("total / 4 / 5 == 5", True, id="quotients from the left"),
        pytest.param("-available < +1", True, id="signs"),
        pytest.param("equity < -7.4", True, id="negative equity"),
        pytest.param("abs(equity) == 7.5", True, id="its size"),
        pytest.param("min(available, total, 3) == 3", True, id="the smallest"),
        pytest.param("max(available, total, 3) == total", True, id="the largest"),
        pytest.param("0 < available < 50 < total", True, id="a chain is all of its comparisons"),
        pytest.param("0 < available < 30 < total", False, id="one that fails breaks it"),
        pytest.param("total > 1 or total > 2 and total > 1000", True, id="`and` before `or`"),
        pytest.param("(total > 1 or total > 2) and total > 1000", False, id="brackets around conditions"),
        pytest.param("not total > 1000", True, id="`not` after comparisons"),
        pytest.param("not available < 50 or total > 1", True, id="`not` before `or`"),
        pytest.param("total < previous.total", True, id="the reading before"),
        pytest.param("previous.total - total > 0.1 * previous.total", True, id="a fall of a sixth"),
        pytest.param("total\n  <\r\n\tprevious.total ", True, id="over several lines"),
    ],
)
def test_what_it_means(written, truth):
    assert holds(written) is truth


@pytest.mark.parametrize(
    ("written", "truth"),
    [
        pytest.param("held > 1", None, id="a measure that is missing"),
        pytest.param("previous.available > 1", None, id="one that was missing before"),
        pytest.param("held * 0 == 0", None, id="whatever is done with it"),
        pytest.param("min(held, 1) < 5", None, id="in a function"),
        pytest.param("abs(held) >= 0", None, id="any function"),
        pytest.param("-held < 1", None, id="with a sign"),
        pytest.param("not held > 1", None, id="the opposite of unknown"),
        pytest.param("total / locked > 1", None, id="a division by zero"),
        pytest.param("locked / locked == 1", None, id="even of zero"),
        pytest.param("held > 1 or total > 1", True, id="unknown or true is true"),
        pytest.param("total > 1 or held > 1", True, id="in either order"),
        pytest.param("held > 1 or total < 1", None, id="unknown or false is unknown"),
        pytest.param("held > 1 and total < 1", False, id="unknown and false is false"),
        pytest.param("total < 1 and held > 1", False, id="in either order"),
        pytest.param("held > 1 and total > 1", None, id="unknown and true is unknown"),
        pytest.param("held > 1 and held > 2 and total < 1", False, id="one that is false decides"),
        pytest.param("1 < held < 5", None, id="an unknown link"),
        pytest.param("1 < held < 5 < available < 6", False, id="a link that fails decides"),
        pytest.param("locked > 0 and total / locked > 1", False, id="case 34: guarded against no position"),
    ],
)
def test_what_is_not_known_is_neither_true_nor_false(written, truth):
    assert holds(written) is truth


@pytest.mark.parametrize(
    "written",
    [
        "total + 0.000000000000000001 - total == 0.000000000000000001",
        "total - 0.000000000000000001 < total",
        "-total + total == 0",
        "abs(-total) == total",
        "abs(total) == total",
        "total * 3 - total - total == total",
        "total * 10 / 10 == total",
        "max(total, total - 0.000000000000000001) == total",
    ],
)
def test_forty_eight_digits_are_as_exact_as_two(written):
    assert holds(written, {"total": Decimal("123456789012345678901234567890.123456789012345678")}) is True


def test_the_first_reading_has_none_before_it():
    assert holds("total < previous.total", before={}) is None
    assert list(expression("total < previous.total").judge(sighting({"USDT": "1"}))) == []


ALL = "available, pending, held, locked, total, equity, margin_used, withdrawable, referral"
ALLOWED = (
    f"allowed are numbers, {ALL}, previous.<measure>, + - * / ( ), < <= > >= == !=, and or not, min max abs"
)  # fmt: skip


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "there is nothing in it"),
        (" \n", "there is nothing in it"),
        ("total < avalable", "position 9: unknown name 'avalable', did you mean 'available'?"),
        ("cash < 5", f"position 1: unknown name 'cash'; {ALLOWED}"),
        ("total < previous.totl", f"position 9: there is no measure 'totl' ({ALL}), did you mean 'total'?"),
        ("total < previous", "position 9: write previous.available, or another measure after the dot"),
        ("total < 5m", "position 9: '5m' is not a number, write it like 250_000 or 0.01"),
        ("total < 1e5", "position 9: '1e5' is not a number, write it like 250_000 or 0.01"),
        ("total < .5", "position 9: '.5' is not a number, write it like 250_000 or 0.01"),
        ("total < 1.2.3", "position 9: '1.2.3' is not a number, write it like 250_000 or 0.01"),
        ("total < " + "9" * 61, "position 9: an amount with exponent 60 is not plausible"),
        ("total < 25%", "position 11: '%' is not part of an expression, write 0.25 for 25%"),
        ("total = 5", "position 7: '=' is not part of an expression, write =="),
        ("total =< 5", "position 7: '=<' is not part of an expression, write <="),
        ("total < 5 && held < 5", "position 11: '&&' is not part of an expression, write and"),
        ("total < 5 OR held < 5", "position 11: write or instead of OR"),
        ("total ** 2 > 5", f"position 7: '**' is not part of an expression: {ALLOWED}"),
        ("total // 2 > 5", f"position 7: '//' is not part of an expression: {ALLOWED}"),
        ("total > 5 if held else 6", f"position 11: 'if' is not part of an expression: {ALLOWED}"),
        ("__import__('os')", f"position 1: unknown name '__import__'; {ALLOWED}"),
        ("total.real > 5", f"position 6: '.' is not part of an expression: {ALLOWED}"),
        ("total['x'] > 5", f"position 6: '[' is not part of an expression: {ALLOWED}"),
        ("total > 5 # why", f"position 11: '#' is not part of an expression: {ALLOWED}"),
        ("5 < é", f"position 5: 'é' is not part of an expression: {ALLOWED}"),
        ("total <", "position 8: something is missing at the end"),
        ("  (total < 5", "position 3: this bracket is never closed"),
        ("  total < 5)", "position 12: this bracket closes nothing"),
        ("  total total < 5", f"position 9: this cannot stand here: {ALLOWED}"),
        ("total", "position 1: this is a number, and a condition is needed: compare it with something"),
        ("held < 5 and total", "position 14: this is a number, and a condition is needed: compare it with something"),
        ("  1 + (total < 5) > 2", "position 8: this is a condition, and a number is needed here"),
        ("abs(total, held) < 5", "position 1: abs takes one number"),
        ("min(total) < 5", "position 1: min takes two numbers or more"),
        ("max() < 5", "position 1: max takes two numbers or more"),
        ("5 < max", "position 5: max needs its numbers in brackets"),
        ("total(5) < 5", "position 1: total is no function"),
        ("(total, held) < 5", f"position 1: this is not part of an expression: {ALLOWED}"),
        ("min(total, *held) < 5", f"position 12: this is not part of an expression: {ALLOWED}"),
        ("total / 0.00 < 5", "position 9: nothing can be divided by 0"),
        ("1 < 2", f"it reads no measure, so it is always the same: {ALLOWED}"),
        ("x" * (SOURCE_MAX + 1), "longer than 1000 characters"),
        ("(" * 300 + "total < 5" + ")" * 300, "position 201: nested too deeply"),
        ("total < " + "-" * 600 + "5", "position 58: nested deeper than 50"),
        ("not " * 200 + "total < 5", "position 201: nested deeper than 50"),
    ],
)  # fmt: skip
def test_what_it_may_not_say_is_told_with_its_position(written, said):
    with pytest.raises(ValidationError) as caught:
        expression(written)

    [error] = caught.value.errors()
    assert error["loc"][-1] == "expression"
    assert error["msg"] == f"Value error, {said}"


_WORDS = [
    *MEASURES[:3], "previous.total", "min", "abs", "and", "or", "not", "(", ")", ",", "<", "==", "+", "-", "*", "/",
    "0", "1.5", "0.1", "previous", ".", "in", "if", "lambda", ":", "'", "\\", "\0", "é", "\n", "**", "[", "10_0",
]  # fmt: skip


@given(st.one_of(
    st.text(max_size=60),
    st.text(string.printable, max_size=60),
    st.lists(st.sampled_from(_WORDS), max_size=25).map(" ".join),
    st.lists(st.sampled_from(_WORDS), max_size=25).map("".join),
    st.tuples(st.sampled_from(["(", "-", "not ", "abs(", "1+", "1<", "min(1,"]), st.integers(1, 300)).map(
        lambda pair: pair[0] * pair[1] + "total"),
))  # fmt: skip
@example("(" * 999)
@example("-" * 999 + "1")
@example("total<1" + " or total<1" * 90)
def test_whatever_is_written_is_an_expression_or_a_mistake_in_words(written):
    try:
        formula = compiled(written)
    except ValueError as error:
        told = str(error)
    else:
        told = ""
        _is_sound(formula)
    assert len(told) < 400


def _is_sound(formula):
    for now, before in ((NOW, BEFORE), ({}, {}), (dict.fromkeys(MEASURES, Decimal("1E-45")),) * 2):
        assert formula.holds(now, before) in (True, False, None)
    assert formula.now or formula.before


_OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
_TESTS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def _binary(parts):
    (a, f), sign, (b, g) = parts
    known = lambda x, y: None if x is None or y is None else _OPERATORS[sign](x, y)  # noqa: E731 - a pair with its text
    return f"({a} {sign} {b})", lambda now: known(f(now), g(now))


def _compared(parts):
    (a, f), sign, (b, g) = parts
    known = lambda x, y: None if x is None or y is None else _TESTS[sign](x, y)  # noqa: E731 - a pair with its text
    return f"{a} {sign} {b}", lambda now: known(f(now), g(now))


def _both(x, y):
    return False if x is False or y is False else None if x is None or y is None else True


def _joined(parts):
    (a, f), word, (b, g) = parts
    if word == "and":
        return f"({a} and {b})", lambda now: _both(f(now), g(now))
    # By De Morgan, so that the model shares no branch with what it checks.
    flip = lambda x: None if x is None else not x  # noqa: E731 - a pair with its text
    return f"({a} or {b})", lambda now: flip(_both(flip(f(now)), flip(g(now))))


_AMOUNTS = st.decimals(-(10**6), 10**6, places=18)
_LEAVES = st.one_of(
    st.decimals(0, 10**6, places=3).map(lambda n: (format(n, "f"), lambda _now: Fraction(n))),
    st.sampled_from(MEASURES[:4]).map(lambda name: (name, lambda now: now.get(name))),
)
_NUMBERS = st.recursive(
    _LEAVES, lambda inner: st.tuples(inner, st.sampled_from([*_OPERATORS]), inner).map(_binary), max_leaves=4
)
_COMPARED = st.tuples(_NUMBERS, st.sampled_from([*_TESTS]), _NUMBERS).map(_compared)
_CONDITIONS = st.recursive(
    _COMPARED, lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(_joined), max_leaves=4
)


@given(_CONDITIONS, st.dictionaries(st.sampled_from(MEASURES[:4]), _AMOUNTS))
def test_it_agrees_with_fractions_digit_for_digit(condition, now):
    written, model = condition

    found = holds(f"({written}) and total == 1 or ({written})", {**now, "total": Decimal(2)})

    assert found is model({name: Fraction(value) for name, value in now.items()})


@pytest.mark.parametrize(
    ("written", "subjects"),
    [
        pytest.param("available < 50", {"USDT": "warning", "BTC": "warning", "ETH": None}, id="every asset by itself"),
        pytest.param("locked > 5", {"ETH": "warning"}, id="one that lacks the measure is not judged"),
    ],
)
def test_each_asset_is_judged_by_its_own_measures(written, subjects):
    facts = sighting({"USDT": "40", "BTC": "1", "ETH": {"available": "60", "locked": "6"}})

    assert {verdict.subject: verdict.bad for verdict in expression(written).judge(facts)} == subjects


@pytest.mark.parametrize("facts", [blindness(), checkup()], ids=["an outage", "a provider's health"])
def test_nothing_but_a_good_poll_says_anything_about_money(facts):
    assert list(expression("available < 50").judge(facts)) == []


def test_assets_choose_what_is_judged():
    judge = expression("available < 50", assets=["USDT"])

    assert [v.subject for v in judge.judge(sighting({"BTC": "1", "USDT@TRX": "1"}))] == ["USDT@TRX"]


def test_of_two_sides_one_is_the_value_and_the_other_the_threshold():
    [verdict] = expression("available / total < 0.2", severity="critical").judge(
        sighting({"USDT": {"available": "10", "total": "80"}})
    )

    assert (verdict.value, verdict.thresholds) == (Decimal("0.125"), {"critical": Decimal("0.2")})
    assert verdict.details == {"available": "10", "total": "80"}
    assert (verdict.measure, verdict.unit, verdict.previous) == (None, None, None)


def test_a_quotient_without_end_is_judged_whole_and_told_short():
    facts = sighting({"USDT": {"available": "1", "total": "3"}})

    [verdict] = expression("available / total < 0." + "3" * 55).judge(facts)

    assert (verdict.bad, verdict.value) == (None, Decimal("0.33333333333333333333"))


def test_a_longer_condition_has_neither_value_nor_threshold():
    [verdict] = expression("available < 50 or held > 1").judge(sighting({"USDT": {"available": "10"}}))

    assert (verdict.bad, verdict.value, verdict.thresholds) == ("warning", None, {})
    assert verdict.details == {"available": "10"}


def test_it_fires_holds_through_what_is_unknown_and_resolves():
    watched = Watched((expression("total < 0.5 * previous.total or total < 10", for_="1m"),))
    for minute, amounts in enumerate(
        ({"USDT": "100"}, {"USDT": "9"}, {"USDT": "9"}, {"USDT": {"available": "5"}}, {}, {"USDT": "20"})
    ):
        now = NOON + minutes(minute)
        watched.see(answer(amounts, at=now), now)

    assert watched.news == [(2, "firing"), (5, "resolved")]
    assert [entry.annotations["summary"] for _, _, entry in watched.told] == [
        "hot-usdt USDT: total < 0.5 * previous.total or total < 10 (total 9, previous.total 9)",
        "hot-usdt USDT: no longer total < 0.5 * previous.total or total < 10",
    ]


def test_case_34_a_closed_position_is_good_when_the_expression_allows_for_it():
    watched = Watched((expression("margin_used > 0 and equity / margin_used < 1.2"),))
    for minute, (equity, used) in enumerate([("110", "100"), ("110", "0")]):
        now = NOON + minutes(minute)
        watched.see(answer({"USDC": {"equity": equity, "margin_used": used}}, at=now), now)

    assert watched.news == [(0, "firing"), (1, "resolved")]


def test_it_says_which_measures_it_reads():
    judge = expression("min(held, 5) > locked or previous.total > previous.held or abs(locked) > 1")

    assert judge.measures() == ("held", "locked", "total")


@pytest.mark.parametrize(
    ("written", "template", "fits"),
    [
        ("available < 5", "{{ value * 2 }} {{ measure | upper }}", True),
        ("available < total", "{{ threshold * 2 }}", True),
        ("available < 5 or total < 5", "{{ value * 2 }}", False),
        ("available < 5 or total < 5", "{{ details.available }} {{ value | amount }}", True),
    ],
)
def test_templates_are_tried_on_what_the_expression_really_gives(written, template, fits):
    try:
        expression(written, annotations={"summary": template})
    except ValidationError:
        assert not fits
    else:
        assert fits
