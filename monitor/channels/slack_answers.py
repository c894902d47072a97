"""What Slack says to a message, and what that means. Pure.

Facts: api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks for webhooks, and for bots the errors
of docs.slack.dev/reference/methods/chat.postMessage and …/chat.update.
"""

import msgspec

from monitor.channels.answers import failure as by_code
from monitor.channels.answers import understood
from monitor.channels.http import Reply, asked
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected

#: The destination is gone or refuses us, whatever is sent.
CHANNEL_ERRORS = frozenset(
    {
        "account_inactive", "action_prohibited", "channel_is_archived", "channel_not_found", "invalid_auth",
        "invalid_token", "is_archived", "missing_scope", "no_active_hooks", "no_permission", "no_service",
        "no_service_id", "no_team", "not_authed", "not_in_channel", "posting_to_general_channel_denied",
        "team_disabled", "token_expired", "token_revoked", "user_not_found",
    }
)  # fmt: skip
#: This payload will never be taken.
MESSAGE_ERRORS = frozenset(
    {
        "invalid_attachments", "invalid_blocks", "invalid_payload", "msg_blocks_too_long", "msg_too_long",
        "no_text", "too_many_attachments",
    }
)  # fmt: skip
#: What was to be answered or edited cannot be any more; the words are fine, as a new message.
GONE_ERRORS = frozenset(
    {
        "cannot_reply_to_message", "cant_update_message", "edit_window_closed", "message_not_found",
        "restricted_action_thread_locked", "thread_not_found",
    }
)  # fmt: skip
_LATER = frozenset(
    {
        "fatal_error", "internal_error", "rate_limited", "ratelimited", "request_timeout", "rollup_error",
        "service_unavailable",
    }
)  # fmt: skip


class Said(msgspec.Struct):
    """How their API answers, and their rate limiter. `ts` names a message within its `channel`."""

    ok: bool = False
    error: str = ""
    retry_after: float | None = None
    channel: str = ""
    ts: str = ""


def read(said: str) -> Said:
    """The answer; most errors of webhooks are plain text, which is then the error's name."""
    return understood(said, Said) or Said(error=said)


def failure(reply: Reply, said: Said) -> DeliveryError:
    """What an answer that is not a success means: by the body first, by the code where that is mute."""
    why = f"HTTP {reply.status} {said.error}".strip() if said.ts else reply.why
    if reply.status == 429 or said.error in _LATER:
        return DeliveryDeferred(why, reply.wait or asked(said.retry_after))
    if said.error in CHANNEL_ERRORS:
        return DeliveryRejected(why, "channel")
    if said.error in MESSAGE_ERRORS:
        return DeliveryRejected(why, "message")
    return by_code(reply)
