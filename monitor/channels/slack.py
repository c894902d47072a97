"""`slack`: an incoming webhook.

Facts: docs.slack.dev/messaging/sending-messages-using-incoming-webhooks, and for the errors
api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import model_validator

from monitor.channels.base import ChannelSettings, SecretUrl
from monitor.channels.http import WAIT_MAX, Http, Reply
from monitor.channels.slack_blocks import render
from monitor.engine.ports import Channel
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.fields import RateLimit
from monitor.model.group import Message, Receipt

#: The destination is gone or refuses us, whatever is sent.
CHANNEL_ERRORS = frozenset(
    {
        "action_prohibited", "channel_is_archived", "channel_not_found", "invalid_token", "no_active_hooks",
        "no_service", "no_service_id", "no_team", "posting_to_general_channel_denied", "team_disabled",
        "user_not_found",
    }
)  # fmt: skip
#: This payload will never be taken.
MESSAGE_ERRORS = frozenset(
    {
        "invalid_attachments", "invalid_blocks", "invalid_payload", "msg_blocks_too_long", "msg_too_long",
        "no_text", "too_many_attachments",
    }
)  # fmt: skip
_LATER = frozenset({"rate_limited", "ratelimited", "rollup_error", "internal_error", "fatal_error"})
_HEADERS = {"Content-Type": "application/json"}
_encode = msgspec.json.Encoder().encode


class Slack(ChannelSettings):
    """`chat: {type: slack, url: {env: SLACK_URL}}`"""

    RATE: ClassVar[RateLimit | None] = RateLimit(requests=1, per=timedelta(seconds=1))

    type: Literal["slack"]
    url: SecretUrl

    @model_validator(mode="before")
    @classmethod
    def _webhook_only(cls, settings: Any) -> Any:
        if isinstance(settings, dict) and {"token", "channel"} & settings.keys():
            raise ValueError("a bot token is not supported by this version, use the url of an incoming webhook")
        return settings

    def connect(self, http: Http) -> Channel:
        return SlackChannel(self, http)


@dataclass(frozen=True, slots=True)
class SlackChannel:
    spec: Slack
    http: Http

    async def send(self, message: Message, now: datetime) -> Receipt:
        """Post the message; only `200 ok` counts."""
        body = _encode(render(message, redact=bool(self.spec.redact)))
        return Receipt(classify(await self.http.post(self.spec.url, body, _HEADERS, now, self.spec.timeout)))


def classify(reply: Reply) -> str:
    """`ok`, or the DeliveryError for what Slack said: by the body first, by the code where that is mute."""
    said = reply.text.strip()
    if reply.status == 200 and said == "ok":
        return said
    raise _failure(reply, *_error(said))


def _failure(reply: Reply, error: str, wait: timedelta | None) -> DeliveryError:
    why = f"HTTP {reply.status} {reply.excerpt}".strip()
    if reply.status == 429 or error in _LATER:
        return DeliveryDeferred(why, reply.wait or wait)
    if error in CHANNEL_ERRORS:
        return DeliveryRejected(why, "channel")
    if error in MESSAGE_ERRORS:
        return DeliveryRejected(why, "message")
    if reply.status in (401, 403, 404, 410):
        return DeliveryRejected(why, "channel")
    if reply.status in (400, 413, 415, 422):
        return DeliveryRejected(why, "message")
    return DeliveryDeferred(why, reply.wait)


class _Said(msgspec.Struct):
    """How their rate limiter answers."""

    error: str = ""
    retry_after: float | None = None


def _error(said: str) -> tuple[str, timedelta | None]:
    """The error's name and the wait it asks for; most errors are plain text."""
    try:
        document = msgspec.json.decode(said, type=_Said)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return said, None
    seconds = document.retry_after
    if seconds is None or seconds < 0:
        return document.error, None
    return document.error, timedelta(seconds=min(seconds, WAIT_MAX.total_seconds()))
