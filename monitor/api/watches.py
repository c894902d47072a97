"""`PUT` and `DELETE /v1/accounts/{id}`: accounts made at run time."""

from datetime import timedelta

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from monitor.api import body, query
from monitor.api.accounts import watched
from monitor.api.context import ApiContext
from monitor.api.problems import Problem, invalid, unknown_account
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.errors import WatchesFull, WatchRefused, WatchTaken
from monitor.fields import Duration
from monitor.model.watch import LONGEST

#: Watches are kept in every process.
SETTINGS_MAX = 16 * 1024


class NewWatch(BaseModel):
    """`{provider: casino, external_id: player-7, interval: 15s, expires_in: 2h}`: what an account of that provider may
    say in the configuration, and for how long it is watched."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    provider: str = Field(min_length=1, strict=True, description="a configured one")
    expires_in: Duration | None = Field(
        default=None, gt=timedelta(0), le=LONGEST, description="it ends by itself after that; default: it does not"
    )


async def put(api: ApiContext, request: Request) -> Answer:
    """Watch an account from now on, or watch it otherwise. It is polled at once, and judged, and open to the guard."""
    query.read(request)
    name = request.match_info["id"]
    _check_free(api, name)
    said = await body.read(request, NewWatch)
    settings = msgspec.json.encode(said.model_extra or {}, order="deterministic")
    if len(settings) > SETTINGS_MAX:
        raise invalid(f"the settings of an account have {SETTINGS_MAX} bytes at most")
    try:
        kept = await api.watches.put(name, said.provider, settings.decode(), said.expires_in)
    except WatchRefused as refused:
        raise invalid(str(refused)) from None
    except WatchTaken as taken:
        raise Problem("wallet-watched", str(taken)) from None
    except WatchesFull as full:
        raise Problem("watches-full", str(full)) from None
    return answer(await watched(api, kept), 201 if kept.new else 200)


async def delete(api: ApiContext, request: Request) -> Answer:
    """Watch an account no more. What was told of its alerts is told to be over; it is forgotten some time later."""
    query.read(request)
    name = request.match_info["id"]
    _check_free(api, name)
    if await api.watches.remove(name) is None:
        raise unknown_account(name)
    return answer({"id": name, "status": "removed"})


def _check_free(api: ApiContext, name: str) -> None:
    if api.watches.is_configured(name):
        raise Problem("account-configured", f"{name} stands in the configuration file: change it there")
