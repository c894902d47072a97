"""What was sent, and why: `/v1/alerts/{id}` with all that came of it, `/v1/deliveries`, and the replay of dead ones."""

from monitor.api import query
from monitor.api.context import ApiContext
from monitor.api.ledger_views import delivery_view, whole_view
from monitor.api.problems import Problem
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.api.views import page
from monitor.engine.why import whole
from monitor.model.ledger import DELIVERY_STATES, UNDONE, DeliveryState, Place

STATE = query.choice("state", "only those in this state; default: dead and failing", DELIVERY_STATES)
DELIVERIES = (STATE, query.Param("channel", "only those of this channel"), query.LIMIT, query.CURSOR)


async def why(api: ApiContext, request: Request) -> Answer:
    """One alert, open or over: its history, its notifications with every attempt, and what keeps it from being told."""
    query.read(request)
    wanted = request.match_info["id"]
    found = await whole(api.store, wanted, api.channels)
    if found is None:
        raise Problem("alert-unknown", f"nothing is known of an alert {wanted[:128]!r}, or no longer")
    name = found.record.account if found.record else ""
    return answer(whole_view(found, api.accounts.get(name) or api.others.get(name), api.clock(), api.rules))


async def deliveries(api: ApiContext, request: Request) -> Answer:
    """What has not arrived, worst and newest first; with `state` what is in that one, with `channel` of that one."""
    asked = query.read(request, DELIVERIES)
    state, channel = query.one_of(asked, STATE), asked.get("channel")
    if channel is not None and channel not in api.channels:
        raise Problem("channel-unknown", f"there is no channel {channel[:128]!r}")
    states = UNDONE if state is None else _as_states(state)
    channels = api.channels if channel is None else (channel,)
    found, after = await api.store.deliveries(channels, states, _place(asked), query.limit(asked))
    cursor = query.encode_cursor(*(str(part) for part in after)) if after else None
    return answer(page((delivery_view(one) for one in found), cursor))


async def replay(api: ApiContext, request: Request) -> Answer:
    """Send a dead letter again, as it was. It goes out as soon as its channel takes it."""
    query.read(request)
    wanted = request.match_info["id"]
    channel = await api.store.find_dead(wanted, api.channels)
    if channel is not None and await api.store.replay(channel, wanted):
        return answer({"id": wanted, "channel": channel, "state": "waiting"}, 202)
    if await api.store.notification(wanted, api.channels) is not None:
        raise Problem("delivery-not-dead", f"{wanted} is not dead: it arrived, or is tried again already")
    raise Problem("delivery-unknown", f"there is no dead delivery {wanted[:128]!r}")


def _as_states(state: str) -> tuple[DeliveryState, ...]:
    return tuple(one for one in DELIVERY_STATES if one == state)


def _place(asked: query.Query) -> Place | None:
    parts = query.cursor(asked, 4)
    if parts is None:
        return None
    try:
        return Place(int(parts[0]), int(parts[1]), parts[2], parts[3])
    except ValueError:
        raise query.bad_cursor() from None
