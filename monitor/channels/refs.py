"""How a chat finds the message that told of an alert before. Pure."""

from typing import TypeVar

from monitor.channels.answers import understood
from monitor.model.group import Message

T = TypeVar("T")


def first_of(message: Message, kind: type[T]) -> T | None:
    """The one message that told of all these alerts before, by the channel's own reference of that kind.

    None where none did, or several. What is no such reference is none: a channel may have been of another type before.
    """
    refs = {one.ref for one in message.alerts if one.entry.status != "event"}
    if len(refs) != 1:
        return None
    return understood(refs.pop(), kind)


def told(message: Message) -> set[str]:
    """The fingerprints of the alerts in it."""
    return {one.entry.fingerprint for one in message.alerts}
