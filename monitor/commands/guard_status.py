"""How the guard is doing, for whoever looks once: what closes it, and where holds may have been lost."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from monitor.api.views import stamp
from monitor.engine.guardports import Quarantine, reasons
from monitor.engine.switch import told
from monitor.store.redis import RedisStore


class CauseShown(TypedDict):
    """What keeps the guard closed: `operator` or `bankroll`, and why."""

    cause: str
    why: str


class QuarantineShown(TypedDict):
    """How many of the partitions refuse new holds, until when at least, and why."""

    partitions: int
    of: int
    until: str
    why: str


class GuardShown(TypedDict):
    """The guard in `status --json`."""

    closed: list[CauseShown]
    quarantine: QuarantineShown | None


async def guard_report(store: RedisStore, now: datetime) -> GuardShown:
    """The operator's switch and quarantines are the store's own; of the bankroll the daemons say what they find."""
    switch, bound = await store.switch(), await store.quarantines(now)
    causes = {one.about: one.why for one in await store.reports(now) if one.name == "GuardClosed"}
    causes.pop("operator", None)
    if switch.since is not None:
        causes["operator"] = told(switch)
    return {
        "closed": [{"cause": cause, "why": why} for cause, why in sorted(causes.items())],
        "quarantine": _shown(bound, len(store.partitions)) if bound else None,
    }


def _shown(bound: Sequence[Quarantine], partitions: int) -> QuarantineShown:
    until = stamp(max(one.until for one in bound))
    return {"partitions": len(bound), "of": partitions, "until": until, "why": reasons(bound)}


def guard_lines(guard: GuardShown) -> list[str]:
    """The same for people; nothing where all is well."""
    lines = [f"guard closed, every bet is refused: {one['why']}" for one in guard["closed"]]
    if bound := guard["quarantine"]:
        where = f"{bound['partitions']} of {bound['of']} partitions"
        lines.append(f"guard in quarantine, {bound['why']}: {where}, until {bound['until'][:19]}Z at least")
    return lines
