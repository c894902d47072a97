"""`/v1/silences`: those of the configuration and those made at run time."""

from collections.abc import Sequence

from monitor.api import body, query
from monitor.api.context import ApiContext
from monitor.api.problems import Problem, invalid
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.api.views import page
from monitor.engine.silence_words import NewSilence, SilenceShown, silence_view
from monitor.model.silence import SILENCES_MAX


class SilenceMade(SilenceShown):
    """`warnings` are labels and values of it that no alert has."""

    warnings: Sequence[str]


STATE = query.choice("state", "only those in this state", ("pending", "active", "expired"))


async def index(api: ApiContext, request: Request) -> Answer:
    """All that are kept, ended ones for five days; filter `state`."""
    wanted = query.one_of(query.read(request, (STATE,)), STATE)
    now = api.clock()
    views = [silence_view(one, now) for one in (*api.silences, *await api.store.silences(now))]
    return answer(page([view for view in views if wanted in (None, view["state"])], None))


async def create(api: ApiContext, request: Request) -> Answer:
    """Make a silence. It holds within a second. `warnings` are labels and values of it that no alert has."""
    now = api.clock()
    try:
        silence = (await body.read(request, NewSilence)).silence(now)
    except ValueError as error:
        raise invalid(str(error)) from None
    if not await api.store.add_silence(silence):
        raise Problem("silences-full", f"there are {SILENCES_MAX} silences already, ended ones included")
    made: SilenceMade = {**silence_view(silence, now), "warnings": api.odd(silence.match)}
    return answer(made, 201)


async def expire(api: ApiContext, request: Request) -> Answer:
    """End one now; what ended before stays as it was."""
    name, now = request.match_info["id"], api.clock()
    if any(silence.id == name for silence in api.silences):
        raise Problem("silence-configured", "this silence stands in the configuration file: remove it there")
    silence = await api.store.end_silence(name, now)
    if silence is None:
        raise Problem("silence-unknown", f"there is no silence {name[:64]!r}")
    return answer(silence_view(silence, now))
