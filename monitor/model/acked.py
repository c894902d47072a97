"""Somebody has taken care of an alert, and says so."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Acked:
    """Who acknowledged an alert, when, and what they said of it. `by` and `comment` are what a person typed."""

    by: str
    at: datetime
    comment: str
