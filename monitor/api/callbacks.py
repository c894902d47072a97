"""`/v1/callbacks/{provider}`: a provider says that something has happened in an account, which is then read at once."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from monitor.api import body, query
from monitor.api.context import ApiContext
from monitor.api.problems import Problem, later, unknown_account
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.engine.lane import Lane

#: As the specification names them. Source: https://www.standardwebhooks.com
_ID, _TIMESTAMP, _SIGNATURE = _HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
#: How far a callback's time may be from ours: as far as the library allows, which the specification leaves to us.
WINDOW = timedelta(minutes=5)
#: How soon to call again where the quota has no room for one more poll.
AGAIN = timedelta(seconds=1)
_SECONDS = re.compile(r"\d{1,11}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Caller:
    """A provider that may call back: what it signs with, and the lane that the polls it asks for are paid out of."""

    secret: str = field(repr=False)
    lane: Lane


class Happened(BaseModel):
    """What a provider says: something has happened in this account."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    account: str = Field(min_length=1)


async def happened(api: ApiContext, request: Request) -> Answer:
    """Read an account at once. Any number of callbacks cause one poll, and all polls leave the schedule its part."""
    query.read(request)
    provider = request.match_info["provider"]
    caller = api.callers.get(provider)
    if caller is None:
        raise Problem("not-found", "there is nothing at this path")
    await _verify(caller, request, api.clock())
    said = await body.read(request, Happened)
    account = await api.watches.find(said.account)
    if account is None or account.provider != provider:
        raise unknown_account(said.account)
    wished, _ = await caller.lane.wish(account.name, join=False)
    if wished == "none":
        raise later("refresh-budget-exhausted", "the quota has no room for one more poll now", AGAIN)
    if wished == "new":
        api.wake(provider)
    return answer({"status": "scheduled"}, 202)


async def _verify(caller: Caller, request: Request, now: datetime) -> None:
    """Raises the Problem that this provider has not signed the request, or not now. Nothing of it was parsed yet."""
    headers = {name: _single(request, name) for name in _HEADERS}
    if not _SECONDS.fullmatch(headers[_TIMESTAMP]):
        raise Problem("signature-invalid", f"{_TIMESTAMP} counts the seconds since 1970")
    if abs(now - datetime.fromtimestamp(int(headers[_TIMESTAMP]), UTC)) > WINDOW:
        raise Problem("timestamp-outside-window", f"{_TIMESTAMP} is more than {WINDOW.total_seconds():g} s away")
    try:
        Webhook(caller.secret).verify(await request.read(), headers, json_parse=False)
    except (WebhookVerificationError, ValueError):
        # The library lets pass what base64 and UTF-8 say of garbage.
        raise Problem("signature-invalid", f"{_SIGNATURE} is not that of this request") from None


def _single(request: Request, name: str) -> str:
    found = request.headers.getall(name, [])
    if len(found) != 1:
        raise Problem("signature-invalid", f"sign the request: {name} must be there once")
    return found[0]
