"""What an alert says: the fields its templates see, its plain text, and its annotations."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from jinja2 import Template, TemplateError

from monitor.model.asset import bare
from monitor.model.event import Event
from monitor.model.money import readable, text
from monitor.model.record import Entry
from monitor.rules.contributors import contributors_of
from monitor.rules.sandbox import filled

_NAMES = tuple(each.name for each in fields(Entry) if each.name != "annotations")
#: Longest error of a template that is told to people.
_ERROR_MAX = 200
#: Everything a template can raise: jinja's own, and what its filters and comparisons raise on odd values.
FAILURES = (
    TemplateError, ArithmeticError, AssertionError, TypeError, ValueError, LookupError, AttributeError,
    RuntimeError,
)  # fmt: skip

#: The unit of worths.
USD = "USD"
#: A worth of more is told as far as people read it.
_DIGITS = 15


class Speaker(Protocol):
    """What this page needs of a rule."""

    @property
    def templates(self) -> Mapping[str, Template]: ...

    def plain(self, entry: Entry, details: Mapping[str, str]) -> str: ...


def labels_of(entry: Entry) -> Mapping[str, str]:
    """What routes and templates see: the labels of every alert, over the account's and the rule's own."""
    return {
        **entry.labels,
        "rule": entry.rule,
        "rule_type": entry.rule_type,
        "severity": entry.severity,
        "provider": entry.provider,
        "account": entry.account,
        "asset": entry.asset or "",
    }


def template_fields(entry: Entry, details: Mapping[str, str], now: datetime) -> dict[str, object]:
    """Every field of an alert by name, and `age` (of its facts), `contributors`, `details`."""
    known: dict[str, object] = {name: getattr(entry, name) for name in _NAMES}
    told, labels = contributors_of(details, now), labels_of(entry)
    return {**known, "labels": labels, "details": details, "age": now - entry.observed_at, "contributors": told}


def render(rule: Speaker, entry: Entry, *, details: Mapping[str, str], now: datetime) -> Mapping[str, str]:
    """The annotations of one entry. Never raises.

    Without a `summary` of its own a rule says its plain text. A template that fails is replaced by that
    text, and `template_error` says what went wrong.
    """
    templates = rule.templates
    told = {"summary": rule.plain(entry, details)} if "summary" not in templates else {}
    if not templates:
        return told
    seen = template_fields(entry, details, now)
    for name, template in templates.items():
        try:
            told[name] = filled(template, seen)
        except FAILURES as error:
            # Whatever is wrong with a template, the alert goes out.
            told[name] = rule.plain(entry, details)
            told["template_error"] = f"{name}: {type(error).__name__}: {error}"[:_ERROR_MAX]
    return told


def subject(entry: Entry) -> str:
    """`hot-usdt USDT available`: what an entry is about, as far as it names it."""
    parts = (entry.account or entry.provider, entry.asset, entry.measure)
    return " ".join(part for part in parts if part)


def movement(entry: Entry, event: Event) -> str:
    """`hot-usdt USDT withdraw of 60 out`: a row of a ledger in words."""
    way = f" {event.direction}" if event.direction else ""
    return f"{subject(entry)} {event.kind.replace('_', ' ')} of {text(event.amount)}{way}"


def amount_of(value: Decimal | None, unit: str | None, asset: str | None) -> str:
    """An amount for a sentence that names the asset already: its unit is told only when it is another."""
    if value is None:
        return "unknown"
    if unit is None or unit == bare(asset or ""):
        return text(value)
    # At a price without an end a worth has none either.
    endless = unit == USD and len(value.as_tuple().digits) > _DIGITS
    return f"{readable(value) if endless else text(value)} {unit}"
