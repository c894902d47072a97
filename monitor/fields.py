"""The values people write in YAML: durations, exact amounts, percentages and secrets, as pydantic types."""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)

from monitor.model.money import exact, multiply, text

_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+", re.ASCII)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)", re.ASCII)
#: In microseconds.
_UNITS = {
    "ms": 1_000, "s": 1_000_000, "m": 60_000_000,
    "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000,
}  # fmt: skip
_AMOUNT = re.compile(r"[+-]?(?:\d[\d_]*)(?:\.[\d_]*\d)?", re.ASCII)
_WITH_UNIT = re.compile(rf"(?P<before>[$€]?\s?)(?P<amount>{_AMOUNT.pattern})(?P<after>\s?[A-Za-z@$€]*)", re.ASCII)
#: What people write behind a number for its zeros.
_MULTIPLES = {"k": 10**3, "m": 10**6, "mn": 10**6, "mln": 10**6, "mio": 10**6, "b": 10**9, "bn": 10**9}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s?%", re.ASCII)
_DURATION_MAX = 64
#: Advice repeats what was written only when it is not longer.
_REPEATED_MAX = 60
_CENTURY = timedelta(days=36_500)
#: Stands for every secret while secrets are not read (`check --no-secrets`).
UNREAD = "unread"
#: A secret file larger than this is not one.
_SECRET_MAX = 64 * 1024


class Section(BaseModel):
    """A part of a file: unchanging, without settings that nobody knows, and quiet of what stands in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Context:
    """What validation may know of the outside: where relative paths start, and whether secrets are read.

    `note` hears of every file before it is read.
    """

    base: Path = field(default_factory=Path)
    secrets: bool = True
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    note: Callable[[Path], None] = lambda _: None


def _context(info: ValidationInfo) -> Context:
    return info.context if isinstance(info.context, Context) else Context()


def duration(value: object) -> timedelta:
    """`250ms 30s 5m 1h30m 7d` as a timedelta; ValueError says how to write it."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _DURATION.fullmatch(value) or len(value) > _DURATION_MAX:
        written = str(value)[:40]
        hint = f"write {written}s" if written.isdecimal() else "write it like 30s, 5m or 1h30m"
        raise ValueError(f"{written!r} is not a duration, {hint}")
    result = 0
    for number, unit in _PART.findall(value):
        whole, _, fraction = number.partition(".")
        result += int(whole) * _UNITS[unit] + int(fraction or 0) * _UNITS[unit] // 10 ** len(fraction)
    if result > _CENTURY // timedelta(microseconds=1):
        raise ValueError(f"{value!r} is longer than a century")
    return timedelta(microseconds=result)


def duration_text(value: timedelta) -> str:
    """The shortest way to write a duration exactly, to the millisecond."""
    left = value // timedelta(milliseconds=1)
    if left == 0:
        return "0s"
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def amount(value: object) -> Decimal:
    """An exact decimal from its literal text (`250_000`, `"0.01"`); a float or anything else is refused."""
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return exact(Decimal(value))
    if isinstance(value, str) and _AMOUNT.fullmatch(value):
        return exact(Decimal(value.replace("_", "")))
    if isinstance(value, str) and len(value) <= _REPEATED_MAX:
        if _PERCENT.fullmatch(value):
            raise ValueError(f"{value!r} is a percentage, which is not possible here: write an amount like 250_000")
        _refuse_unit(value, "an amount like 250_000")
    raise ValueError(f'{str(value)[:60]!r} is not an amount, write it like 250_000 or "0.01"')


def _refuse_unit(value: str, wanted: str) -> None:
    """`80000 USD` is compared with nothing: a threshold has the unit that its rule says.

    No advice may make a threshold another one: `80k` is not answered with 80.
    """
    match = _WITH_UNIT.fullmatch(value)
    before, after = (match["before"].strip(), match["after"].strip()) if match else ("", "")
    lasts = _DURATION.fullmatch(value) is not None
    if match and (many := _MULTIPLES.get(after.lower())):
        what = "is a duration, or did" if lasts else "is no amount: did"
        meant = _grouped(multiply(Decimal(match["amount"].replace("_", "")), Decimal(many)))
        raise ValueError(f"{value!r} {what} you mean {meant}{' with `unit: usd`' if before else ''}?")
    if lasts:
        raise ValueError(f"{value!r} is a duration; write {wanted}")
    if match and (before or after):
        # What stands right behind the number, or in small letters, may be its zeros in some language.
        alone = "all its digits alone" if re.search(r"\d[A-Za-z]|[a-z]", value) else match["amount"]
        unit = "of worths `unit: usd`" if (before + after).lower() in ("$", "usd") else "name the asset in `asset(s)`"
        raise ValueError(f"{value!r} is more than an amount: write {alone}, and {unit}")


def _grouped(value: Decimal) -> str:
    """As people write it: `1_500_000`."""
    written = format(value, ",f").replace(",", "_")
    return written.rstrip("0").rstrip(".") if "." in written else written


@dataclass(frozen=True, slots=True)
class Threshold:
    """An amount, or a percentage of something the rule names."""

    value: Decimal
    percent: bool = False

    def __str__(self) -> str:
        return text(self.value) + ("%" if self.percent else "")


def threshold(value: object) -> Threshold:
    """`250_000` or `25%`."""
    if isinstance(value, Threshold):
        return value
    if isinstance(value, str) and (match := _PERCENT.fullmatch(value)):
        return Threshold(exact(Decimal(match[1])), percent=True)
    try:
        return Threshold(amount(value))
    except ValueError:
        if isinstance(value, str) and len(value) <= _REPEATED_MAX:
            _refuse_unit(value, "an amount like 250_000 or 25%")
        raise ValueError(f"{str(value)[:60]!r} is neither an amount (250_000) nor a percentage (25%)") from None


def _percentage(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"\d{1,2}%", value, re.ASCII):
        shown = str(value)[:20]
        hint = f"write {shown}%" if re.fullmatch(r"\d{1,2}", shown, re.ASCII) else "write it like 10%"
        raise ValueError(f"{shown!r} is not a percentage below 100%, {hint}")
    return value


def _secret(value: object, info: ValidationInfo) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    context = _context(info)
    match value:
        case {"env": str(name), **others} if not others:
            return SecretStr(_from_environment(name, context))
        case {"file": str(name), **others} if not others:
            return SecretStr(_from_file(name, context))
        case str() if value:
            return SecretStr(value)
    raise ValueError("a secret is {env: NAME}, {file: PATH} or a non-empty string")


def _from_environment(name: str, context: Context) -> str:
    found = context.environment.get(name, "")
    if not found and context.secrets:
        state = "empty" if name in context.environment else "not set"
        raise ValueError(f"the environment variable {name} is {state}")
    return found or UNREAD


def _from_file(name: str, context: Context) -> str:
    if not context.secrets:
        return UNREAD
    context.note(context.base / name)
    try:
        with (context.base / name).open("rb") as file:
            found = file.read(_SECRET_MAX + 1)[:_SECRET_MAX].decode("utf-8").strip()
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a NUL in the name
        why = getattr(error, "strerror", None) or "it is not text"
        raise ValueError(f"cannot read the secret file {name}: {why}") from None
    if not found:
        raise ValueError(f"the secret file {name} is empty")
    return found


def unread(secret: SecretStr) -> bool:
    """Whether this secret was not read on purpose, so that nothing can be said about its form."""
    return secret.get_secret_value() == UNREAD


def _plainly(schema_type: str, pattern: str, description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": schema_type, "pattern": pattern, "description": description})


Duration = Annotated[
    timedelta,
    BeforeValidator(duration),
    PlainSerializer(duration_text),
    _plainly("string", r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$", "a duration: 250ms, 30s, 5m, 1h30m, 7d"),
]
Amount = Annotated[
    Decimal,
    BeforeValidator(amount),
    PlainSerializer(text),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[+-]?\d[\d_]*(\.[\d_]*\d)?$"}]}),
]
ThresholdField = Annotated[
    Threshold,
    BeforeValidator(threshold),
    PlainSerializer(str),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "description": "an amount, or 25%"}]}),
]
#: `10%`, as people write it.
Percentage = Annotated[str, BeforeValidator(_percentage), WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}%$"})]
_SECRET_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {
            "type": "object",
            "properties": {"env": {"type": "string"}},
            "required": ["env"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {"file": {"type": "string"}},
            "required": ["file"],
            "additionalProperties": False,
        },
        {"type": "string", "description": "accepted, but `check` warns: keep secrets out of the file"},
    ]
}
Secret = Annotated[SecretStr, BeforeValidator(_secret), WithJsonSchema(_SECRET_SCHEMA)]


def _text_or_secret(value: object, info: ValidationInfo) -> str | SecretStr:
    return value if isinstance(value, str) else _secret(value, info)


#: Plain text that need not be hidden, or a secret.
TextOrSecret = Annotated[str | SecretStr, BeforeValidator(_text_or_secret), WithJsonSchema(_SECRET_SCHEMA)]


class RateLimit(Section):
    """`{requests: 10, per: 1s}`: at most so many requests (or the provider's credits) in any such time."""

    requests: int = Field(ge=1, le=1_000_000)
    per: Duration


def _as_list(value: object) -> object:
    return [value] if isinstance(value, Mapping | RateLimit) else value


RateLimits = Annotated[
    tuple[RateLimit, ...],
    BeforeValidator(_as_list, json_schema_input_type=RateLimit | tuple[RateLimit, ...]),
]


def suggestion(word: str, known: Iterable[str]) -> str:
    """`, did you mean 'x'?`, or nothing when no known word is near."""
    names = list(known)
    near = difflib.get_close_matches(word[:100], names, n=1, cutoff=0.7)
    # `expr` is short for one thing or for none.
    longer = [name for name in names if len(word) > 2 and name.startswith(word)]
    near = near or (longer if len(longer) == 1 else [])
    return f", did you mean '{near[0]}'?" if near else ""


def by_type(union: Any) -> dict[str, Any]:
    """The members of a union that `type` tells apart: type as written in a file → its settings."""
    members = get_args(get_args(union)[0])
    return {get_args(member.model_fields["type"].annotation)[0]: member for member in members}
