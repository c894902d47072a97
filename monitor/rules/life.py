"""The keys of an alert's life that every level rule has: their settings, their mistakes, and how they are told."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from pydantic import Field

from monitor.fields import Duration, Section, duration_text
from monitor.model.damping import FLAP
from monitor.model.event import Event
from monitor.model.money import text
from monitor.model.record import Entry
from monitor.rules.mistakes import mistake
from monitor.rules.templates import movement, subject

if TYPE_CHECKING:
    from monitor.rules.base import RuleBase


class FlapLimit(Section):
    """`{max: 6, within: 10m}`: more changes than that are held as one firing alert until it is calm"""

    max: int = Field(default=FLAP.max, ge=1, le=100, description="how often it may fire, change its level and resolve")
    within: Duration = Field(default=FLAP.within, gt=timedelta(0), le=timedelta(days=1))


def check_life(rule: "RuleBase") -> None:
    """A mistake at a key that a rule of this type can make nothing of."""
    if rule.about() == "event":
        for key in ("flap", "renotify_every", "on_no_data"):
            if key in rule.model_fields_set:
                raise mistake("an event is told once, and has no state", key)
        if rule.wait or rule.keep_firing_for:
            raise ValueError("an event is told once, at once: `for` and `keep_firing_for` do not apply")
    if rule.about() == "account" and rule.on_no_data != "keep_state":
        raise mistake(f"{rule.type} judges missing data itself", "on_no_data")
    if rule.renotify_every is not None and rule.worse is None:
        raise mistake(f"{rule.type} has no amount that gets worse", "renotify_every")
    if rule.renotify_every is not None and rule.renotify_every.value <= 0:
        raise mistake("must be more than 0", "renotify_every")


def caveat(limit: FlapLimit, entry: Entry, details: Mapping[str, str]) -> str:
    """What must be known of an alert besides its value: that it flaps, that nothing was read, or that the movement it
    told is gone. Else empty.
    """
    if entry.event is not None:
        return _correction(entry, entry.event)
    value = "" if entry.value is None else f", last read as {text(entry.value)}"
    match details.get("flapping"):
        case "held":
            many = f"more than {limit.max} changes within {duration_text(limit.within)}"
            return f"{subject(entry)} is flapping ({many}) and held as firing{value}"
        case "over":
            return f"{subject(entry)} has stopped flapping and is still firing{value}"
    since = details.get("no_data_since")
    return f"{subject(entry)} could not be read since {since}{value}" if since else ""


def _correction(entry: Entry, event: Event) -> str:
    """What became of a movement that was told before; empty for one that is told for the first time."""
    what = f"{movement(entry, event)} at {event.occurred_at:%Y-%m-%d %H:%M:%S} UTC"
    match entry.reason:
        case "event_reverted":
            return f"{what} was taken back: it is no longer in the provider's ledger"
        case "event_restored":
            return f"{what} stands after all: it is in the provider's ledger again"
    return ""
