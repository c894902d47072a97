"""`/v1/checks` and `/v1/holds`: may this bet be placed, and what became of the money that was held for it.

Allow and deny are answers; everything else is a problem, which means: do not bet.
"""

from datetime import timedelta

import msgspec

from monitor.api import guard_models as models
from monitor.api import guard_read as read
from monitor.api.context import ApiContext
from monitor.api.guard_views import decision_view, found_view, hold_view
from monitor.api.problems import Problem, invalid, later
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.engine.bet import Decided
from monitor.guard.errors import DeadlineExceeded
from monitor.guard.hold import Outcome, Resolution

_CHECK = msgspec.json.Decoder(models.CheckRequest)
_HOLD = msgspec.json.Decoder(models.HoldRequest)
_COMMIT = msgspec.json.Decoder(models.CommitRequest)
_NOTHING = msgspec.json.Decoder(models.Nothing)
_SOON = timedelta(seconds=1)
#: What a call on a hold is told when it cannot be done.
_WORDS: dict[Outcome, str] = {
    "hold-unknown": "nothing is held under this id",
    "hold-expired": "its time was over, and the money is free again: this is final",
    "hold-already-released": "it was rolled back",
    "hold-already-committed": "the bet stands already",
    "commit-exceeds-hold": "more than is held cannot be committed",
}


async def check(api: ApiContext, request: Request) -> Answer:
    """May this be spent? Reserves nothing."""
    wish = read.wish(await read.body(request, _CHECK), api.guard.policy.ttl_max)
    decided = _decided(await api.guard.check(request.caller, wish, _decision(api, request)))
    return answer(decision_view(models.CheckDecision, decided))


async def put(api: ApiContext, request: Request) -> Answer:
    """Check and reserve: 201 when it is held, 200 when it is refused, or was answered before."""
    hold = read.path(request, "hold_id")
    said = await read.body(request, _HOLD)
    wish = read.wish(said, api.guard.policy.ttl_max)
    try:
        decided = _decided(await api.guard.hold(request.caller, hold, wish, _decision(api, request)))
    except DeadlineExceeded as error:
        # With the same id it would be refused.
        raise later("deadline-exceeded", str(error), _SOON, safe_to_retry=False) from None
    verdict = decided.verdict
    if verdict.reused:
        raise Problem("hold-id-reused", "another bet has this id; nothing happened")
    return answer(decision_view(models.Decision, decided), 201 if verdict.allowed and not verdict.replayed else 200)


async def commit(api: ApiContext, request: Request) -> Answer:
    """The bet stands, with a final amount of at most what is held; the rest returns at once."""
    hold = read.path(request, "hold_id")
    amount = read.final_amount(await read.body(request, _COMMIT, models.CommitRequest()))
    return _resolved(await api.guard.commit(request.caller, hold, amount))


async def settled(api: ApiContext, request: Request) -> Answer:
    """Its debit is booked at the provider."""
    hold = read.path(request, "hold_id")
    await read.body(request, _NOTHING, models.Nothing())
    return _resolved(await api.guard.settle(request.caller, hold))


async def release(api: ApiContext, request: Request) -> Answer:
    """Roll back; an id that never came is refused from now on."""
    hold = read.path(request, "hold_id")
    await read.body(request, _NOTHING, models.Nothing())
    return _resolved(await api.guard.release(request.caller, hold))


async def show(api: ApiContext, request: Request) -> Answer:
    """What became of a hold: for whoever got no answer."""
    hold = read.path(request, "hold_id")
    read.nothing_asked(request)
    found = await api.guard.find(request.caller, hold)
    if found is None:
        raise Problem("hold-unknown", _WORDS["hold-unknown"])
    return answer(models.HoldAnswer(found_view(found)))


def _decided(decided: Decided) -> Decided:
    if networks := decided.verdict.networks:
        raise invalid(f"asset: the account has it on several networks: name one of {', '.join(networks)}")
    return decided


def _decision(api: ApiContext, request: Request) -> str:
    """The decision's id, also for a problem that comes of it."""
    name = api.guard.name()
    request.decision = name
    return name


def _resolved(done: Resolution) -> Answer:
    if done.outcome == "done":
        assert done.hold is not None, "something was done to it"
        return answer(models.HoldAnswer(hold_view(done.hold)))
    known = {} if done.hold is None else {"hold": hold_view(done.hold)}
    raise Problem(done.outcome, _WORDS[done.outcome], None, **known)
