"""`/v1/accounts`: what is known of each account, its history and its ledger, and "poll now"."""

import asyncio
import heapq
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from monitor.api import query
from monitor.api.context import ApiContext
from monitor.api.problems import invalid, unknown_account
from monitor.api.replies import Answer, answer
from monitor.api.request import Request
from monitor.api.series import TICKS_MAX, held
from monitor.api.shapes import AccountShown
from monitor.api.views import account_view, event_view, page, point_view, stamp
from monitor.engine.refused import asked_at
from monitor.engine.watchports import Kept
from monitor.fields import duration_text
from monitor.model.record import Account, Record
from monitor.model.snapshot import MEASURES

#: Accounts loaded by one store call, so that a large page does not stall the event loop.
CHUNK = 100
#: The longest `?wait=` of a poll.
WAIT_MAX = timedelta(seconds=30)
#: How often a waiting request looks for the new record, growing to the second.
_LOOK_FIRST, _LOOK_LAST = 0.01, 0.2
HISTORY_DEFAULT = timedelta(days=1)
#: Points read for a stepped series: all that `history` keeps of one measure.
_POINTS_MAX = 10_000
_LONGEST_STEP = timedelta(days=366)
#: How the store numbers its ledger; anything else would be an error there.
_PLACE = re.compile(r"\d{1,19}(-\d{1,19})?", re.ASCII)

PROVIDER = query.Param("provider", "only accounts of this provider")
LABELS = query.Param("label.", "only accounts with this label: `label.tier=vip`", prefix=True)
INDEX = (PROVIDER, LABELS, query.LIMIT, query.CURSOR)
MEASURE = query.choice("measure", "which amount of the asset", MEASURES, required=True)
POINTS = query.limit_of(query.LIMIT_MAX)
HISTORY = (
    query.Param("asset", "as `USDT`, or `USDT@TRX` where it is on several networks", required=True),
    MEASURE,
    query.Param(
        "since", "a time like `2026-11-20T12:00:00Z`, or how long ago like `24h`; default: a day before `until`"
    ),
    query.Param("until", "likewise; default: now"),
    query.Param("step", "a duration: the value held at each step, all in one page, instead of the stored points"),
    POINTS,
    query.CURSOR,
)
EVENTS = (query.LIMIT, query.CURSOR)
WAIT = query.Param("wait", f"how long to wait for the reading, at most {duration_text(WAIT_MAX)}")


async def index(api: ApiContext, request: Request) -> Answer:
    """All accounts by name; filters `provider` and `label.<name>`."""
    asked = query.read(request, INDEX)
    most = query.limit(asked)
    after = query.cursor(asked, 1)
    wanted = (name for name in _matching(api.accounts, asked) if after is None or name > after[0])
    # Cheaper than sorting a hundred thousand names for a page of a hundred.
    names = heapq.nsmallest(most + 1, wanted)
    items = await account_views(api, names[:most])
    return answer(page(items, query.encode_cursor(names[most - 1]) if len(names) > most else None))


def _matching(accounts: Mapping[str, Account], asked: query.Query) -> Iterator[str]:
    provider = asked.get("provider")
    labels = {name.removeprefix("label."): value for name, value in asked.items() if name.startswith("label.")}
    for name, account in accounts.items():
        if provider is not None and account.provider != provider:
            continue
        if all(account.labels.get(label) == value for label, value in labels.items()):
            yield name


async def account_views(api: ApiContext, names: Sequence[str]) -> list[AccountShown]:
    """The views of some accounts, in the order asked; those that a reload removed meanwhile are left out."""
    views: list[AccountShown] = []
    waiting = iter(names)
    while chunk := [api.accounts[name] for name in islice(waiting, CHUNK) if name in api.accounts]:
        views += await _views(api, chunk)
    return views


async def _views(api: ApiContext, accounts: Sequence[Account]) -> list[AccountShown]:
    records, dues = await asyncio.gather(
        api.store.load_many([account.name for account in accounts]),
        asyncio.gather(*(api.store.due_at(account.provider, account.name) for account in accounts)),
    )
    now = api.clock()
    return [_view(api, *known, now) for known in zip(accounts, records, dues, strict=True)]


def _view(api: ApiContext, account: Account, record: Record, next_at: datetime | None, now: datetime) -> AccountShown:
    watches, name = api.watches, account.name
    configured = watches.is_configured(name)
    return account_view(
        account, record, next_at, now, api.rules, configured=configured, expires_at=watches.expires_at(name)
    )


async def show(api: ApiContext, request: Request) -> Answer:
    """One account."""
    query.read(request)
    account = await _account(api, request)
    return answer(await shown(api, account.name))


async def history(api: ApiContext, request: Request) -> Answer:
    """One measure over time: the stored points, or with `step` the value held at each step."""
    account = await _account(api, request)
    asked = query.read(request, HISTORY)
    now = api.clock()
    until = query.moment(asked, "until", now, now)
    since = query.moment(asked, "since", until - HISTORY_DEFAULT, now)
    if since > until:
        raise invalid("since is after until")
    query.one_of(asked, MEASURE)
    [record] = await api.store.load_many([account.name])
    asset = resolve(asked["asset"], record)
    if "step" in asked:
        return await _stepped(api, asked, (account.name, asset, asked["measure"]), since, until)
    most = query.limit(asked, POINTS)
    if (older := query.cursor(asked, 1)) is not None:
        until = query.moment({"cursor": older[0]}, "cursor", until, now)
    # The newest come first, page by page, though each page reads from old to new.
    points = await api.store.history(account.name, asset, asked["measure"], since, until, most + 1)
    follows = query.encode_cursor(points[-most - 1].at.isoformat()) if len(points) > most else None
    return answer(page(map(point_view, points[-most:]), follows))


async def _stepped(
    api: ApiContext, asked: query.Query, what: tuple[str, str, str], since: datetime, until: datetime
) -> Answer:
    step = query.span(asked, "step", _LONGEST_STEP)
    if not step:
        raise invalid("step is longer than zero")
    if "limit" in asked or "cursor" in asked:
        raise invalid("step answers in one page: leave out limit and cursor")
    if (until - since) // step > TICKS_MAX:
        raise invalid(f"this step makes more than {TICKS_MAX} points; choose a longer step or a shorter range")
    points = await api.store.history(*what, since, until, _POINTS_MAX)
    return answer(page(map(point_view, held(points, since, until, step)), None))


def resolve(asset: str, record: Record) -> str:
    """The full name of an asset: a bare one may stand for its only network."""
    known = record.snapshot.amounts if record.snapshot else {}
    if asset in known:
        return asset
    networks = sorted(name for name in known if name.partition("@")[0] == asset)
    if len(networks) > 1:
        raise invalid(f"asset {asset} is on several networks: {', '.join(networks)}")
    return networks[0] if networks else asset


async def events(api: ApiContext, request: Request) -> Answer:
    """The account's ledger, newest first."""
    account = await _account(api, request)
    asked = query.read(request, EVENTS)
    most = query.limit(asked)
    before = query.cursor(asked, 1)
    if before is not None and not _PLACE.fullmatch(before[0]):
        raise query.bad_cursor()
    found = await api.store.recent_events(account.name, before[0] if before else None, most + 1)
    follows = query.encode_cursor(found[most - 1][0]) if len(found) > most else None
    return answer(page((event_view(event) for _, event in found[:most]), follows))


async def poll(api: ApiContext, request: Request) -> Answer:
    """Make the account due now. Any number of callers cause one poll: an account has one due time."""
    account = await _account(api, request)
    wait = query.span(query.read(request, (WAIT,)), WAIT.name, WAIT_MAX)
    [before] = await api.store.load_many([account.name])
    await api.store.poll_now(account.provider, account.name)
    api.wake(account.provider)
    if wait and await _polled(api, before, wait):
        return answer(await shown(api, account.name))
    return answer({"status": "scheduled"}, 202)


async def _polled(api: ApiContext, before: Record, wait: timedelta) -> bool:
    """Whether the provider was asked in time and that was committed; a failed poll counts, its view says so."""
    pause, known = _LOOK_FIRST, _heard_at(before)
    try:
        async with asyncio.timeout(wait.total_seconds()):
            # Not the version: an account is also judged while its provider is left alone for having refused us.
            while _heard_at((await api.store.load_many([before.account]))[0]) == known:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LOOK_LAST)
    except TimeoutError:
        return False
    return True


def _heard_at(record: Record) -> tuple[datetime | None, datetime | None]:
    """When the provider last told something, and when it last failed to."""
    told = record.snapshot.observed_at if record.snapshot else None
    return told, asked_at(record.outage) if record.outage else None


async def shown(api: ApiContext, name: str) -> AccountShown:
    """One account, if it is still there."""
    for view in await account_views(api, [name]):
        return view
    # Its watch has ended meanwhile.
    raise unknown_account(name)


async def watched(api: ApiContext, kept: Kept) -> AccountShown:
    """One account as it has just been watched, though that may be over by now."""
    [view] = await _views(api, [kept.account])
    return {**view, "expires_at": stamp(kept.expires_at)}


async def _account(api: ApiContext, request: Request) -> Account:
    name = request.match_info["id"]
    if (account := await api.watches.find(name)) is None:
        raise unknown_account(name)
    return account
