"""Annotations: small texts with places to fill in, from people we trust but whose mistakes must not page us.

Only a list of harmless constructs is accepted, so a template's work is bounded by its own length: no
assignment, no nested loop, no function but a few, no arithmetic on texts. Numbers stay exact.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, nodes
from jinja2.sandbox import SandboxedEnvironment

from monitor.fields import duration_text
from monitor.model import money

#: Longest template, and longest text it may make, in bytes.
SOURCE_MAX = 4_096
OUTPUT_MAX = 2_048
#: Beyond this a duration is told without its milliseconds.
_COARSE = timedelta(seconds=10)

_ALLOWED: tuple[type[nodes.Node], ...] = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.Slice, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
    nodes.If, nodes.CondExpr, nodes.For, nodes.Call, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.Neg,
    nodes.Concat, nodes.Tuple, nodes.List, nodes.Keyword,
)  # fmt: skip
#: Methods that neither format nor repeat: everything else is a filter.
_METHODS = frozenset({"items", "keys", "values", "get", "isoformat"})
#: Jinja's own filters whose result is no longer than what they are given, give or take a constant factor.
_KEPT_FILTERS = frozenset({
    "upper", "lower", "capitalize", "title", "trim", "default", "d", "length", "count", "first", "last",
    "sort", "unique", "list", "dictsort", "urlencode", "truncate", "string",
})  # fmt: skip
_KEPT_TESTS = frozenset({
    "defined", "undefined", "none", "string", "number", "mapping", "eq", "ne", "lt", "le", "gt", "ge", "in",
    "equalto",
})  # fmt: skip
_ARITHMETIC: Mapping[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": money.add,
    "-": money.subtract,
    "*": money.multiply,
    "/": money.divide,
}


def amount(value: object) -> str:
    """An amount with its thousands separated and all its digits; `unknown` for what is not known."""
    if value is None:
        return "unknown"
    number = _number(value)
    return format(number or abs(number), ",f")


def duration(value: object) -> str:
    """`2h5m`, from a duration or a number of seconds; `unknown` for what is not known."""
    if value is None:
        return "unknown"
    span = value if isinstance(value, timedelta) else timedelta(milliseconds=int(_number(value) * 1000))
    sign, span = ("-", -span) if span < timedelta(0) else ("", span)
    if span >= _COARSE:
        span -= timedelta(microseconds=span % timedelta(seconds=1) // timedelta(microseconds=1))
    return sign + duration_text(span)


def joined(values: Iterable[object], separator: str = ", ") -> str:
    """Texts in a row; longer than an annotation may be, it is cut."""
    texts: list[str] = []
    room = OUTPUT_MAX
    for value in values:
        texts.append(str(_shown(value)))
        room -= len(texts[-1]) + len(separator)
        if room < 0:
            break
    return separator.join(texts)[:OUTPUT_MAX]


def _number(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    raise TypeError(f"{value!r:.40} is not a number")


def _shown(value: object) -> object:
    """What a place prints: nothing for what is not there, an amount with all its digits."""
    if value is None:
        return ""
    return money.text(value) if isinstance(value, Decimal) else value


class _Sandbox(SandboxedEnvironment):
    intercepted_binops = frozenset(_ARITHMETIC)
    intercepted_unops = frozenset({"-"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002 - jinja's signature
        return _ARITHMETIC[operator](_number(left), _number(right))

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:  # noqa: ARG002 - jinja's signature
        return _number(arg).copy_negate()


def _environment() -> _Sandbox:
    sandbox = _Sandbox(undefined=StrictUndefined, autoescape=False, finalize=_shown)
    sandbox.globals.clear()
    kept = {name: sandbox.filters[name] for name in _KEPT_FILTERS}
    # Python's own abs and minus round to 28 digits.
    own = {"abs": lambda value: _number(value).copy_abs(), "amount": amount, "duration": duration, "join": joined}
    sandbox.filters = {**kept, **own}
    sandbox.tests = {name: sandbox.tests[name] for name in _KEPT_TESTS}
    return sandbox


_SANDBOX = _environment()


def compiled(source: str) -> Template:
    """A template ready to render; ValueError says what is wrong with it."""
    if len(source.encode()) > SOURCE_MAX:
        raise ValueError(f"longer than {SOURCE_MAX} bytes")
    try:
        tree = _SANDBOX.parse(source)
        _inspect(tree)
        # jinja's stubs know only texts here; its documentation says "or a nodes.Template".
        return _SANDBOX.from_string(tree)
    except TemplateError as error:
        raise ValueError(error.message or type(error).__name__) from None
    except (RecursionError, SyntaxError, MemoryError):
        raise ValueError("nested too deeply") from None


def _inspect(node: nodes.Node, *, looping: bool = False) -> None:
    """ValueError for the first construct that is not on the list."""
    known = isinstance(node, _ALLOWED)
    if not known:
        raise ValueError(f"`{type(node).__name__.lower()}` is not available in annotations")
    match node:
        case nodes.For():
            if looping or node.recursive:
                raise ValueError("a loop inside a loop is not available in annotations")
            looping = True
        case nodes.Call():
            called = node.node
            if not isinstance(called, nodes.Getattr) or called.attr not in _METHODS:
                raise ValueError(f"only {', '.join(sorted(_METHODS))} can be called in annotations")
        case nodes.Const(value=float()):
            raise ValueError(f"{node.value} would lose digits: compare and compute with whole numbers")
    for child in node.iter_child_nodes():
        _inspect(child, looping=looping)


def filled(template: Template, fields: Mapping[str, object]) -> str:
    """The text, cut at OUTPUT_MAX bytes. Raises whatever the template's mistake raises."""
    parts: list[bytes] = []
    room = OUTPUT_MAX
    for part in template.generate(fields):
        parts.append(part.encode("utf-8", "replace"))
        room -= len(parts[-1])
        if room < 0:
            return b"".join(parts)[: OUTPUT_MAX - 3].decode("utf-8", "ignore") + "…"
    return b"".join(parts).decode()
