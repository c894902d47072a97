"""`/v1/guard/closed`: the operator's switch."""

import msgspec

from monitor.api import guard_models as models
from monitor.api import guard_read as read
from monitor.api.context import ApiContext
from monitor.api.guard_views import closed_view
from monitor.api.problems import invalid
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.engine.silence_words import one_line

_CLOSE = msgspec.json.Decoder(models.CloseRequest)
_NOTHING = msgspec.json.Decoder(models.Nothing)


async def show(api: ApiContext, request: Request) -> Answer:
    """Whether the guard refuses everything, and why."""
    read.nothing_asked(request)
    return await _told(api)


async def close(api: ApiContext, request: Request) -> Answer:
    """Nothing new is held anywhere, until it is opened again."""
    comment = one_line((await read.body(request, _CLOSE)).comment)
    if not comment:
        raise invalid("comment is required: say why")
    await api.guard.close(comment, request.caller)
    return await _told(api)


async def reopen(api: ApiContext, request: Request) -> Answer:
    """As before; a bankroll that is too low still keeps it closed."""
    await read.body(request, _NOTHING, models.Nothing())
    await api.guard.reopen()
    return await _told(api)


async def _told(api: ApiContext) -> Answer:
    return answer(closed_view(*await api.guard.closed()))
