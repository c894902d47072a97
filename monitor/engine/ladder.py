"""When a delivery that failed is tried again, and when never. Pure."""

import hashlib
from datetime import datetime, timedelta

from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import Group

#: How long to wait after each failed attempt. Then hourly up to GIVE_UP_AFTER; then we bury it. One that was tried more
#: seldom, because its channel as a whole fails and is tried with others, has all of these tries first.
RETRY_DELAYS = tuple(timedelta(seconds=seconds) for seconds in (1, 5, 30, 120, 600, 1_800))
HOURLY = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(hours=24)
#: Spreads retries of many groups.
JITTER = 0.2

assert RETRY_DELAYS[-1] <= HOURLY < GIVE_UP_AFTER


def next_attempt(group: Group, error: DeliveryError, now: datetime, seed: str) -> datetime | None:
    """When to try again after this attempt failed; None to bury the message.

    `group` is as claimed, so this failure is its attempt number `attempts + 1`. `seed` is the message's id:
    the same failure always gets the same jitter.
    """
    if isinstance(error, DeliveryRejected):
        return None
    done = group.attempts
    if isinstance(error, DeliveryDeferred) and error.wait:
        # It knows better than we do. Who asks for it again and again is in the end a channel that fails.
        return _unless_too_late(group, now + error.wait, now)
    step = RETRY_DELAYS[done] if done < len(RETRY_DELAYS) else HOURLY
    chance = _chance(seed, done)
    return _unless_too_late(group, now + step * (1 - JITTER + 2 * JITTER * chance), now)


def _unless_too_late(group: Group, due_at: datetime, now: datetime) -> datetime | None:
    if group.attempts < len(RETRY_DELAYS):
        # It waited for its channel more than it was tried, and nobody dies of waiting.
        return due_at
    return due_at if due_at <= (group.failing_since or now) + GIVE_UP_AFTER else None


def _chance(seed: str, attempt: int) -> float:
    """A number in [0, 1) that depends on nothing but the message and the attempt."""
    raw = hashlib.blake2b(f"{seed}/{attempt}".encode(), digest_size=8).digest()
    return int.from_bytes(raw) / 2**64
