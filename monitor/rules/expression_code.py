"""Turns an expression into functions. What is not known stays unknown: None, in numbers and in conditions.

Numbers are exact; only where a result has more than a hundred digits, as one third has, is it rounded there.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from monitor.model.money import RATIO
from monitor.model.snapshot import Measures
from monitor.rules.expression_syntax import ALLOWED, DEPTH_MAX, Source, read

#: From the measures of an asset now, and those of the reading before.
Number = Callable[[Measures, Measures], Decimal | None]
Condition = Callable[[Measures, Measures], bool | None]

_ARITHMETIC: Mapping[type[ast.operator], Callable[[Decimal, Decimal], Decimal]] = {
    ast.Add: RATIO.add,
    ast.Sub: RATIO.subtract,
    ast.Mult: RATIO.multiply,
    ast.Div: RATIO.divide,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Decimal, Decimal], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


@dataclass(frozen=True, slots=True)
class Formula:
    """A compiled expression. `sides` are the two of a plain comparison; `now` and `before` the measures it reads."""

    holds: Condition
    sides: tuple[Number, Number] | None
    now: tuple[str, ...]
    before: tuple[str, ...]


def compiled(text: str) -> Formula:
    """The expression, ready to be asked; ValueError names the position and what is wrong there."""
    source = read(text)
    _check_depth(source)
    holds = _condition(source, source.tree)
    sides = None
    if isinstance(source.tree, ast.Compare) and len(source.tree.ops) == 1:
        sides = _number(source, source.tree.left), _number(source, source.tree.comparators[0])
    now, before = _reads(source.tree)
    if not now and not before:
        raise ValueError(f"it reads no measure, so it is always the same: {ALLOWED}")
    return Formula(holds, sides, now, before)


def _check_depth(source: Source) -> None:
    level: list[ast.AST] = [source.tree]
    for _ in range(DEPTH_MAX):
        level = [child for node in level for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        if not level:
            return
    raise source.error(level[0], f"nested deeper than {DEPTH_MAX}")


def _reads(tree: ast.AST) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The measures it names, each once, in the order of the text: those of now, those of before."""
    nodes = sorted(ast.walk(tree), key=lambda node: getattr(node, "col_offset", -1))
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    before = [node for node in nodes if isinstance(node, ast.Attribute)]
    inner = called | {id(node.value) for node in before}
    now = [node.id for node in nodes if isinstance(node, ast.Name) and id(node) not in inner]
    return tuple(dict.fromkeys(now)), tuple(dict.fromkeys(node.attr for node in before))


def _condition(source: Source, node: ast.expr) -> Condition:
    match node:
        case ast.Compare():
            return _comparison(source, node)
        case ast.BoolOp(op=op, values=values):
            deciding = isinstance(op, ast.Or)
            parts = [_condition(source, value) for value in values]
            return lambda now, before: _joined((part(now, before) for part in parts), deciding=deciding)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _condition(source, operand)
            return lambda now, before: None if (truth := inner(now, before)) is None else not truth
    _number(source, node)
    raise source.error(node, "this is a number, and a condition is needed: compare it with something")


def _joined(truths: Iterable[bool | None], *, deciding: bool) -> bool | None:
    """One deciding truth decides, whatever is unknown; without one, anything unknown leaves it open."""
    result: bool | None = not deciding
    for truth in truths:
        if truth is deciding:
            return deciding
        if truth is None:
            result = None
    return result


def _comparison(source: Source, node: ast.Compare) -> Condition:
    parts = [_number(source, part) for part in (node.left, *node.comparators)]
    # `in` and `is` never reach the parser, so every comparison is in the table.
    tests = [_COMPARISONS[type(op)] for op in node.ops]

    def holds(now: Measures, before: Measures) -> bool | None:
        values = [part(now, before) for part in parts]
        pairs = zip(tests, values, values[1:], strict=False)
        return _joined((None if a is None or b is None else test(a, b) for test, a, b in pairs), deciding=False)

    return holds


def _number(source: Source, node: ast.expr) -> Number:
    match node:
        case ast.Constant():
            value = source.numbers[node.col_offset]
            return lambda _now, _before: value
        case ast.Attribute(attr=measure):
            return lambda _now, before: before.get(measure)
        case ast.Name(id=measure) if measure not in _FUNCTIONS:
            return lambda now, _before: now.get(measure)
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            return _arithmetic(source, node)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as sign, operand=operand):
            inner, negative = _number(source, operand), isinstance(sign, ast.USub)
            return lambda now, before: _signed(inner(now, before), negative=negative)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _call(source, node, name, args)
        case ast.Call(func=ast.Name(id=name)):
            raise source.error(node, f"{name} is no function")
        case ast.Name(id=name):
            raise source.error(node, f"{name} needs its numbers in brackets")
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            raise source.error(node, "this is a condition, and a number is needed here")
    raise source.error(node, f"this is not part of an expression: {ALLOWED}")


def _arithmetic(source: Source, node: ast.BinOp) -> Number:
    left, right, compute = _number(source, node.left), _number(source, node.right), _ARITHMETIC[type(node.op)]
    if isinstance(node.op, ast.Div) and isinstance(node.right, ast.Constant) and not right({}, {}):
        raise source.error(node.right, "nothing can be divided by 0")

    def result(now: Measures, before: Measures) -> Decimal | None:
        a, b = left(now, before), right(now, before)
        if a is None or b is None:
            return None
        try:
            return compute(a, b)
        except ArithmeticError:
            # Nobody knows what x / 0 is.
            return None

    return result


def _signed(value: Decimal | None, *, negative: bool) -> Decimal | None:
    return value.copy_negate() if negative and value is not None else value


def _largest(values: list[Decimal]) -> Decimal:
    return max(values)


def _smallest(values: list[Decimal]) -> Decimal:
    return min(values)


def _size(values: list[Decimal]) -> Decimal:
    return values[0].copy_abs()


_FUNCTIONS: Mapping[str, Callable[[list[Decimal]], Decimal]] = {"min": _smallest, "max": _largest, "abs": _size}


def _call(source: Source, node: ast.Call, name: str, args: list[ast.expr]) -> Number:
    if len(args) != 1 if name == "abs" else len(args) < 2:
        raise source.error(node, f"{name} takes {'one number' if name == 'abs' else 'two numbers or more'}")
    parts, function = [_number(source, arg) for arg in args], _FUNCTIONS[name]

    def result(now: Measures, before: Measures) -> Decimal | None:
        values = [part(now, before) for part in parts]
        known = [value for value in values if value is not None]
        return function(known) if len(known) == len(values) else None

    return result
