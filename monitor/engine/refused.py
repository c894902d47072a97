"""Refused credentials: the provider is asked seldom, while what is known is judged as often as ever. Pure."""

from dataclasses import replace
from datetime import datetime, timedelta

from monitor.model.snapshot import Outage

#: After a refusal a person must act; asking faster gets keys banned.
REFUSED_PAUSE = timedelta(minutes=5)


def asked_at(outage: Outage) -> datetime:
    """When the provider itself said this."""
    return outage.asked_at or outage.at


def still_refused(outage: Outage, since: datetime, planned: datetime, due_at: datetime, now: datetime) -> bool:
    """Whether a poll is to go by the last refusal and leave the provider alone.

    Not where that was before `since`: the credentials may be others by now. Nor where the poll is due earlier than was
    `planned`: somebody wants it now, probably for having mended them.
    """
    return due_at >= planned and since <= asked_at(outage) <= now < asked_at(outage) + REFUSED_PAUSE


def again(outage: Outage, now: datetime) -> Outage:
    """The same refusal as a reading of now, for nobody has asked since."""
    return replace(outage, at=now, asked_at=asked_at(outage))
