"""What a problem of the guard says besides: which decision it was, of which hold, and whether to ask again."""

from monitor.api.context import ApiContext
from monitor.api.problems import Problem
from monitor.api.request import Request

_PATHS = ("/v1/checks", "/v1/holds", "/v1/wallets", "/v1/guard")


def completed(problem: Problem, api: ApiContext, path: str, asked: Request | None) -> Problem:
    """The same; where it was about a bet, with `decision_id`, `hold` where known, and `safe_to_retry`.

    `safe_to_retry`: the same request may be sent again, and may then succeed.
    """
    if path.startswith(_PATHS):
        more = problem.more
        more.setdefault("decision_id", (asked and asked.decision) or api.guard.name())
        if asked is not None and (hold := asked.match_info.get("hold_id")):
            more.setdefault("hold", {"id": hold[:128]})
        more.setdefault("safe_to_retry", problem.status == 429 or problem.status >= 500)
    return problem
