"""`/v1/alerts`: what is pending or firing now, read from the accounts' records; and that somebody looks after it."""

import heapq
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from monitor.api import body, query
from monitor.api.accounts import CHUNK
from monitor.api.context import ApiContext
from monitor.api.problems import Problem, unknown_account
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.api.shapes import AlertShown
from monitor.api.views import alert_view, open_alerts, page
from monitor.engine.acknowledge import AUTHOR_MAX, COMMENT_MAX, acknowledge_alert
from monitor.engine.silence_words import one_line
from monitor.errors import NotAcknowledged
from monitor.model.alert import SEVERITIES, State
from monitor.model.record import Account

#: Accounts looked at for one page; a page may hold few alerts and still continue.
SCAN_MAX = 2_000
STATE = query.choice("state", "only those in this state", (State.PENDING.value, State.FIRING.value))
SEVERITY = query.choice("severity", "only those of this severity", SEVERITIES)
FILTERS = (
    STATE,
    SEVERITY,
    query.Param("account", "only those that name this account; empty: those about none"),
    query.Param("provider", "only those of accounts of this provider"),
    query.Param("rule", "only those of this rule"),
)
INDEX = (*FILTERS, query.LIMIT, query.CURSOR)
#: What an alert is found under when a page ends within an account: after its name and its alert's id.
_Place = tuple[str, str]


class Acknowledgement(BaseModel):
    """Who looks after an alert, and what there is to say of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    author: Annotated[str, Field(min_length=1, max_length=AUTHOR_MAX, pattern=r"\S"), AfterValidator(one_line)]
    comment: Annotated[str, Field(min_length=1, max_length=COMMENT_MAX, pattern=r"\S"), AfterValidator(one_line)]


async def index(api: ApiContext, request: Request) -> Answer:
    """Open alerts by account and id; filters `state`, `severity`, `account`, `provider`, `rule`."""
    asked = query.read(request, INDEX)
    query.one_of(asked, STATE)
    query.one_of(asked, SEVERITY)
    most = query.limit(asked)
    found = query.cursor(asked, 2)
    start = ("", "") if found is None else (found[0], found[1])
    accounts = await _accounts(api, asked.get("account"))
    names = heapq.nsmallest(SCAN_MAX + 1, (name for name in accounts if name >= start[0]))
    items, end = await _scan(api, [accounts[name] for name in names[:SCAN_MAX]], asked, start, most)
    if end is None and len(names) > SCAN_MAX:
        end = (names[SCAN_MAX], "")
    return answer(page(items, query.encode_cursor(*end) if end else None))


async def ack(api: ApiContext, request: Request) -> Answer:
    """Acknowledge an alert; who is the second to do so is answered what the first one said."""
    said, wanted = await body.read(request, Acknowledgement), request.match_info["id"]
    try:
        found = await acknowledge_alert(api.store, partial(_known, api), wanted, said.author, said.comment, api.clock)
    except NotAcknowledged as error:
        raise Problem(f"alert-{error.reason}", str(error)) from None
    return answer(alert_view(found.alert, found.account, api.clock(), api.rules))


async def _accounts(api: ApiContext, wanted: str | None) -> Mapping[str, Account]:
    """Those that may have alerts; what the store still lists but nobody configures is left out."""
    if wanted and wanted not in api.accounts:
        raise unknown_account(wanted)
    # Of an account there are its own, and those of what stands for something else and may name it.
    names = [wanted, *api.others] if wanted else await api.store.open_accounts()
    known = ((name, _known(api, name)) for name in names)
    return {name: account for name, account in known if account is not None}


def _known(api: ApiContext, name: str) -> Account | None:
    return api.accounts.get(name) or api.others.get(name)


async def _scan(
    api: ApiContext, accounts: Sequence[Account], asked: query.Query, start: _Place, most: int
) -> tuple[list[AlertShown], _Place | None]:
    """Up to `most` alerts after `start`, and the place to go on when there are more."""
    items: list[AlertShown] = []
    last, now = start, api.clock()
    for first in range(0, len(accounts), CHUNK):
        chunk = accounts[first : first + CHUNK]
        records = await api.store.load_many([account.name for account in chunk])
        for account, record in zip(chunk, records, strict=True):
            for alert in sorted(open_alerts(record), key=lambda alert: alert.id):
                place, view = (account.name, alert.id), alert_view(alert, account, now, api.rules)
                if place <= start or not _wanted(view, asked):
                    continue
                if len(items) == most:
                    return items, last
                items.append(view)
                last = place
    return items, None


def _wanted(view: Mapping[str, object], asked: query.Query) -> bool:
    return all(asked.get(name, view[name]) == view[name] for name, *_ in FILTERS)
