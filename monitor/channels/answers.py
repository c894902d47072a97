"""What an HTTP code means for a message, where a destination's body says nothing better. Pure."""

from monitor.channels.http import Reply
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected

#: Nothing can be posted there, whatever it is: removed, disabled, or its credential is refused.
CHANNEL_CODES = frozenset({401, 403, 404, 410})
#: This payload will never be taken.
MESSAGE_CODES = frozenset({400, 413, 415, 422})


def why(reply: Reply) -> str:
    """The code and the beginning of the body, for people."""
    return f"HTTP {reply.status} {reply.excerpt}".strip()


def failure(reply: Reply) -> DeliveryError:
    """What an answer that is no success means by its code alone. 429 and all that is not known is tried again."""
    if reply.status in CHANNEL_CODES:
        return DeliveryRejected(why(reply), "channel")
    if reply.status in MESSAGE_CODES:
        return DeliveryRejected(why(reply), "message")
    return DeliveryDeferred(why(reply), reply.wait)
