"""What the guard goes by: its settings, counted in units."""

from datetime import timedelta
from typing import Literal, NamedTuple

from monitor.guard.hold import Terms

#: What to do about a bet whose facts are too old: refuse it, or read them anew first.
OnStale = Literal["deny", "refresh"]
#: Which decisions are logged; sampled: every refusal and 1 % of the rest.
AuditMode = Literal["off", "sampled", "all"]


class House(NamedTuple):
    """The wallet that pays what players win."""

    account: str
    asset: str


class Policy(NamedTuple):
    """Amounts in units. `deadline` is for one request, `refresh_wait` is added where one waits for a refresh."""

    terms: Terms
    max_age: timedelta
    soft_age: timedelta
    on_stale: OnStale
    ttl: timedelta
    ttl_max: timedelta
    amount_min: int
    amount_max: int
    deadline: timedelta
    refresh_wait: timedelta
    audit: AuditMode = "sampled"
    house: House | None = None
