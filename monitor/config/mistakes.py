"""What is wrong with a configuration, said so that a person can mend it.

Every mistake names its file, line and path. pydantic's findings are translated here into our words; which
settings exist in the contract but not in this version stands in one table, because a setting that is
silently ignored (a silence!) would lie.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from monitor.fields import suggestion

#: The way to a value inside a document: keys and list positions.
Steps = tuple[str | int, ...]
#: What is wrong or doubtful there, as a sentence.
Finding = tuple[Steps, str]

#: Types of the contract that this version does not have.
TYPES_NOT_YET: Mapping[str, frozenset[str]] = {
    "providers": frozenset({"http_json", "evm", "bitcoin_esplora", "hyperliquid", "solana", "tron", "ccxt"}),
}  # fmt: skip
_NOUNS = {"providers": "provider", "channels": "channel", "rules": "rule", "prices": "price"}
_KINDS: Mapping[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    type(None): "nothing",
}
_WANTED = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    **dict.fromkeys(("tuple_type", "list_type", "set_type", "frozen_set_type"), "must be a list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "must be a mapping"),
}


_LIMITS: Mapping[str, tuple[str, str]] = {
    "greater_than_equal": ("ge", "must be at least"),
    "greater_than": ("gt", "must be more than"),
    "less_than_equal": ("le", "must be at most"),
    "less_than": ("lt", "must be less than"),
}
_ABSENT = object()


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing to mend; `str()` is the line to print."""

    file: str
    line: int
    path: str
    what: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: "
        return where + printable(f"{self.path}: {self.what}" if self.path else self.what)


def printable(said: str) -> str:
    """One line: a control character from a file must not drive the reader's terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in said)


def dotted(path: Steps) -> str:
    """`("route", "routes", 0, "channels")` as `route.routes[0].channels`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def clip(text: str, most: int = 60) -> str:
    """Short enough for one line of a report."""
    return text if len(text) <= most else text[: most - 1] + "…"


def translated(error: ValidationError, section: str, schema: Mapping[str, Any], value: Any) -> list[tuple[Steps, str]]:
    """Where pydantic found what, in our words, with the path as `value` has it.

    `schema` is the validated model's JSON Schema. `section` is the top-level key under which the value
    stands, or empty for a whole configuration.
    """
    found: list[tuple[Steps, str]] = []
    details = list(_likely(error.errors(include_url=False), value))
    for detail in details:
        path: Steps = detail["loc"]
        if detail["type"] == "too_short" and any(_within(path, other["loc"]) for other in details):
            # Entries that are wrong in themselves are not counted, but they are not missing either.
            continue
        home = section or (str(path[0]) if len(path) > 1 else "")
        kind = detail["type"]
        if kind in ("union_tag_invalid", "union_tag_not_found"):
            below, what = _tag(detail, home)
            found.append(((*_split(path, value)[0], *below), what))
        elif kind == "extra_forbidden":
            what = _unknown(str(path[-1]), properties(schema, path[:-1]))
            found.append((_split(path, value)[0], what))
        else:
            kept = _split(path, value)[0]
            named = kind == "missing" and kept[-1:] != path[-1:]
            found.append(((*kept, path[-1]) if named else kept, _what(detail)))
    return found


def _within(path: Steps, other: Steps) -> bool:
    return len(other) > len(path) and other[: len(path)] == path


def _split(path: Steps, value: Any, last: str | int | None = None) -> tuple[Steps, Steps]:
    """A validator's path as the value has it, and the first union member it went into: where, and which.

    pydantic names union members (and the tags of tagged unions) as steps that no file has.
    """
    kept: Steps = ()
    member: Steps = ()
    for step in path:
        below = _below(value, step)
        if below is not _ABSENT:
            kept, value = (*kept, step), below
        elif not member and step != last and not (isinstance(value, dict) and value.get("type") == step):
            member = (*kept, step)
    return kept, member


def _below(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step, _ABSENT)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return _ABSENT


def _likely(details: list[ErrorDetails], value: Any) -> Iterator[ErrorDetails]:
    """Of the members of an untagged union, only what is wrong with the one that was probably meant."""
    groups: dict[Steps, dict[Steps, list[ErrorDetails]]] = {}
    for detail in details:
        path: Steps = detail["loc"]
        _, member = _split(path, value, path[-1] if path and detail["type"] == "missing" else None)
        if member:
            groups.setdefault(member[:-1], {}).setdefault(member, []).append(detail)
        else:
            yield detail
    for members in groups.values():
        yield from min(members.items(), key=_oddity)[1]


def _oddity(group: tuple[Steps, list[ErrorDetails]]) -> tuple[int, int]:
    """How unlikely it is that this member was meant: another shape, else wrong and lacking names."""
    (*_, member), details = group
    shape = sum(detail["loc"][-1] == member for detail in details)
    return shape, sum(detail["type"] in ("missing", "extra_forbidden") for detail in details)


def unsupported(name: str) -> str:
    """What we say of a setting that the contract knows and this version does not."""
    return f"`{name}` is not supported by this version"


def _unknown(name: str, known: Iterable[str]) -> str:
    return f"unknown setting{suggestion(name, known)}"


def _tag(detail: ErrorDetails, section: str) -> tuple[Steps, str]:
    """What is wrong with a `type`, and where it is below the value that has it."""
    if not isinstance(detail["input"], Mapping):
        return (), f"must be a mapping, got {_kind(detail['input'])}"
    if detail["type"] == "union_tag_not_found":
        return ("type",), "is required"
    tag = str(detail["ctx"]["tag"])
    if tag in TYPES_NOT_YET.get(section, ()):
        return ("type",), unsupported(tag)
    known = sorted(word.strip(" '") for word in str(detail["ctx"]["expected_tags"]).split(","))
    noun = _NOUNS.get(section, section)
    what = f"there is no {noun} type {clip(tag)!r} ({', '.join(known)}){suggestion(tag, known)}"
    return ("type",), what


def _what(detail: ErrorDetails) -> str:
    kind, given, context = detail["type"], detail["input"], detail.get("ctx", {})
    if kind == "missing":
        return "is required"
    if kind in ("value_error", "assertion_error"):
        return detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    if kind == "literal_error":
        known = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ",").split(",")]
        if len(known) == 1:
            return f"must be {known[0]}, got {clip(repr(given))}"
        return f"{clip(str(given))!r} is not one of {', '.join(known)}{suggestion(str(given), known)}"
    if kind == "string_type" and isinstance(given, Decimal):
        # `55e84` is no longer known as it was written, and an id copied from here would be another one.
        return "must be text, write it in quotes"
    if kind == "string_type" and isinstance(given, int):
        shown = str(given).lower() if isinstance(given, bool) else str(given)
        return f'must be text, write it in quotes: "{clip(shown)}"'
    if kind in _LIMITS:
        key, words = _LIMITS[kind]
        return f"{words} {context[key]}"
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    if kind in ("too_short", "string_too_short"):
        return f"needs at least {context['min_length']}, got {context.get('actual_length', 0)}"
    if kind == "string_pattern_mismatch":
        return f"must match {context['pattern']}"
    if _WANTED.get(kind) == "must be a list" and isinstance(given, str):
        return f"must be a list, write [{clip(given)}]"
    if kind in _WANTED:
        return f"{_WANTED[kind]}, got {_kind(given)}"
    said = detail["msg"].removeprefix("Input ")
    return said[:1].lower() + said[1:]


def _kind(given: object) -> str:
    if isinstance(given, int | Decimal) and not isinstance(given, bool):
        return clip(str(given))
    return _KINDS.get(type(given), "something else")


def properties(schema: Mapping[str, Any], path: Sequence[str | int]) -> set[str]:
    """The names a mapping at `path` may have, from a JSON Schema; union tags in the path are skipped."""
    here = list(_options(schema, schema))
    for step in path:
        below = [option for node in here for option in _step(node, step, schema)]
        tagged = [option for node in here for option in _tagged(node, step, schema)]
        # The rule type `expression` has a setting of this name.
        by_tag = [node for node in here if step in node.get("discriminator", {}).get("mapping", {})]
        here = (tagged if by_tag else below) or tagged or here
    return {name for node in here for name in node.get("properties", {})}


def _options(node: Mapping[str, Any], root: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """A schema and everything it may be instead."""
    if "$ref" in node:
        target: Any = root
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        yield from _options(target, root)
        return
    yield node
    for union in ("anyOf", "oneOf", "allOf"):
        for option in node.get(union, ()):
            yield from _options(option, root)


def _step(node: Mapping[str, Any], step: str | int, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if isinstance(step, int):
        found = [node.get("items")]
    else:
        found = [node.get("properties", {}).get(step)]
        if found == [None]:
            found = [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]
    return [option for below in found if isinstance(below, Mapping) for option in _options(below, root)]


def _tagged(node: Mapping[str, Any], tag: str | int, root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The union member behind a step that only a validator sees: a tag, or a model's name."""
    target = node.get("discriminator", {}).get("mapping", {}).get(tag)
    if target is None and tag in root.get("$defs", {}):
        target = f"#/$defs/{tag}"
    return list(_options({"$ref": target}, root)) if target else []
