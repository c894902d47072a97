"""The log of decisions: off the bet path, bounded, and without personal data."""

import hashlib
from collections import deque
from datetime import timedelta
from typing import NamedTuple

import structlog

from monitor.engine.guardports import Meter
from monitor.guard.policy import AuditMode
from monitor.guard.reasons import Reason

#: Decisions that may wait to be written; more are counted, not kept.
WAITING_MAX = 10_000
#: Written in one go: a line costs as much as a tenth of a decision.
SLICE = 200
#: Of the decisions that allow, one in so many is a sample.
SAMPLE = 100
_MILLISECOND = timedelta(milliseconds=1)

log = structlog.get_logger("monitor.guard")


class Decision(NamedTuple):
    """One decision. Neither amounts nor balances are in it; the account and the asset are written as a digest."""

    id: str
    reason: Reason
    caller: str
    hold: str
    account: str
    asset: str
    age: timedelta | None
    replayed: bool


class Audit:
    """Keeps decisions until `write`, which somebody calls now and then."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._waiting: deque[Decision] = deque()
        self._allowed = 0

    def wants(self, mode: AuditMode, reason: Reason) -> bool:
        """Whether a decision is to be logged, as the settings say; to be asked once of each."""
        if mode != "sampled" or reason != "OK":
            return mode != "off"
        self._allowed += 1
        return self._allowed % SAMPLE == 0

    def note(self, decision: Decision) -> None:
        """Log it, if there is room."""
        if len(self._waiting) >= WAITING_MAX:
            self._meter.unaudited(1)
            return
        self._waiting.append(decision)

    async def write(self) -> None:
        """Log a slice of what waits; the event loop must not stand still for the log."""
        for _ in range(min(SLICE, len(self._waiting))):
            _say(self._waiting.popleft())

    def drain(self) -> None:
        """Log all that waits, on the way out."""
        while self._waiting:
            _say(self._waiting.popleft())


def _say(decision: Decision) -> None:
    log.info(
        "guard.decided",
        id=decision.id,
        decision="allow" if decision.reason == "OK" else "deny",
        reason=decision.reason,
        caller=decision.caller,
        hold=decision.hold or None,
        wallet=digest(decision.account, decision.asset),
        age_ms=None if decision.age is None else decision.age // _MILLISECOND,
        replayed=decision.replayed,
    )


def digest(account: str, asset: str) -> str:
    """Tells wallets apart without naming them; the same in every process and for ever."""
    return hashlib.blake2b(f"{account}\n{asset}".encode(), digest_size=6, person=b"guard-audit").hexdigest()
