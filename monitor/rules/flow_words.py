"""How an alert about money that moved is put into words."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from monitor.fields import duration_text
from monitor.model.event import Direction, Event
from monitor.model.money import text, total
from monitor.model.record import Entry
from monitor.rules.aggregate import title
from monitor.rules.lateness import ago
from monitor.rules.templates import amount_of, subject
from monitor.rules.transit import said_of_transfers


def said_of_flow(
    entry: Entry,
    details: Mapping[str, str],
    direction: Direction,
    within: timedelta | None,
    share: str,
    *,
    excess: bool,
    net: bool,
) -> str:
    """One plain sentence about a sum, or one movement, that is above its threshold; `share` is that as written."""
    way = _way(direction, net=net)
    value, threshold = (amount_of(x, entry.unit, entry.asset) for x in (entry.value, entry.threshold))
    span = "" if within is None else f" within {duration_text(within)}"
    rate = f" ({share} of {details['of']})" if "of" in details else f" ({share})" if share.endswith("%") else ""
    least = "at least " if "at_least" in details else ""
    parts = f" ({details['breakdown']})" if "breakdown" in details else ""
    who = details.get("sum") or subject(entry)
    transfers = said_of_transfers(details)
    parts += f", occurred {when} ago" if (when := _when(entry, details)) else ""
    besides = f", besides what was expected ({details['expected']})" if "expected" in details else ""
    if entry.event is not None and excess and entry.event.expected:
        return f"{subject(entry)} {_expectation(entry.event)}: {value} is above {threshold}{rate}{parts}"
    lately = entry.value is not None and entry.threshold is not None and entry.value <= entry.threshold
    limit = f"but only lately no longer above {threshold}" if lately else f"above {threshold}"
    return f"{who} {least}{value} {way}{span}, {limit}{rate}{parts}{besides}{transfers}"


def said_of_calm(entry: Entry, by: Sequence[str], direction: Direction, within: timedelta | None, *, net: bool) -> str:
    """One plain sentence about a sum that is good again; `by` are the labels that tell it apart."""
    value, threshold = (amount_of(x, entry.unit, entry.asset) for x in (entry.value, entry.threshold))
    labels = {**entry.labels, "provider": entry.provider, "asset": entry.asset or ""}
    who = subject(entry) if entry.account else title({label: labels.get(label, "") for label in by})
    span = "" if within is None else f" within {duration_text(within)}"
    return f"{who} {value} {_way(direction, net=net)}{span}, no longer above {threshold}"


def _way(direction: Direction, *, net: bool) -> str:
    way, other = ("went out", "came in") if direction == "out" else ("came in", "went out")
    return f"{way}, net of what {other}," if net else way


def _when(entry: Entry, details: Mapping[str, str]) -> str:
    """How long ago it occurred, of what was found late."""
    if entry.event is not None and entry.event.late:
        return ago(entry.event.occurred_at, entry.observed_at)
    return details.get("ago", "")


def _expectation(event: Event) -> str:
    """`181000 went out, 180000 of it expected (payroll)`"""
    names = ", ".join(use.by for use in event.expected)
    expected = total(use.amount for use in event.expected)
    return f"{text(event.amount)} went out, {text(expected)} of it expected ({names})"
