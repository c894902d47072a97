"""No digit is lost on the way from a reading to a message: Python's own abs and minus round to 28 digits."""

import ast
from decimal import Decimal
from pathlib import Path

import pytest

from monitor.engine.decide import decide
from monitor.model.event import MONEY_KINDS
from monitor.model.record import Record
from monitor.rules.sandbox import compiled, filled
from monitor.rules.yardstick import totals_before
from tests.builders import NOON
from tests.facts import account, answer, event, policy, sighting, snapshot

ROOT = Path(__file__).parent.parent.parent / "monitor"
#: 29 digits: what a token of 18 decimals needs from ten thousand million on.
LONG = "12345678901.123456789012345678"


def test_an_inferred_movement_has_all_its_digits():
    before = Record("hot-usdt", version=1, snapshot=snapshot({"USDT": "0"}))

    commit = decide(before, answer({"USDT": LONG}, at=NOON), account(), (), policy(), NOON)

    assert [event.amount for event in commit.events] == [Decimal(LONG)]


def test_the_total_before_a_movement_has_all_its_digits():
    seen = sighting({"USDT": LONG}, events=(event(LONG, "out", name="e1", kind=min(MONEY_KINDS)),))

    assert totals_before(seen) == {"e1": Decimal("24691357802.246913578024691356")}


@pytest.mark.parametrize(
    ("source", "said"), [("{{ -value }}", f"-{LONG}"), ("{{ value | abs }}", LONG), ("{{ -3 }}", "-3")]
)
def test_a_template_keeps_all_digits(source, said):
    assert filled(compiled(source), {"value": Decimal(LONG)}) == said


def roundings(source: str) -> list[int]:
    """Lines that apply Python's own abs, or a minus, to what is called an amount."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id="abs"), args=[inner]) | ast.UnaryOp(op=ast.USub(), operand=inner):
                names = {part.id for part in ast.walk(inner) if isinstance(part, ast.Name)}
                names |= {part.attr for part in ast.walk(inner) if isinstance(part, ast.Attribute)}
                if names & {"amount", "value", "delta", "net", "total", "balance", "worth"} and "adjusted" not in names:
                    found.append(node.lineno)
    return found


@pytest.mark.parametrize("part", ["engine", "providers", "rules"])
def test_nobody_rounds_by_writing_abs_or_minus(part):
    found = {path.name: roundings(path.read_text("utf-8")) for path in (ROOT / part).rglob("*.py")}

    assert {name: lines for name, lines in found.items() if lines} == {}


def test_the_search_finds_them():
    assert roundings("a = abs(row.amount)\nb = -event.amount\nc = abs(net)\nd = abs(x)") == [1, 2, 3]
