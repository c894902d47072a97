"""What an HTTP answer means for a message, where a destination's body says nothing better. Pure."""

from typing import TypeVar

import msgspec

from monitor.channels.http import Reply
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected

T = TypeVar("T")

#: Nothing can be posted there, whatever it is: removed, disabled, or its credential is refused.
CHANNEL_CODES = frozenset({401, 403, 404, 410})
#: This payload will never be taken.
MESSAGE_CODES = frozenset({400, 413, 415, 422})


class Gone(DeliveryDeferred):
    """The message to answer or to edit is no more, or no longer to be touched."""


def understood(text: str, kind: type[T]) -> T | None:
    """What is said, if it is the API's: pages and plain text are of somebody before it."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def failure(reply: Reply) -> DeliveryError:
    """What an answer that is no success means by its code alone. 429 and all that is not known is tried again."""
    if reply.status in CHANNEL_CODES:
        return DeliveryRejected(reply.why, "channel")
    if reply.status in MESSAGE_CODES:
        return DeliveryRejected(reply.why, "message")
    return DeliveryDeferred(reply.why, reply.wait)
