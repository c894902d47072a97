"""How old facts may be."""

from datetime import timedelta
from typing import Literal

Freshness = Literal["fresh", "soft", "stale", "never"]


def freshness(age: timedelta | None, soft_age: timedelta, max_age: timedelta) -> Freshness:
    """`soft`: good for a decision, and to be read anew in the background. None: never seen."""
    if age is None:
        return "never"
    if age > max_age:
        return "stale"
    return "fresh" if age <= soft_age else "soft"
