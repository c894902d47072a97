"""Pacifica's documents, translated: the account into measures, ledger rows into events. Pure."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from monitor.errors import ProviderGarbled, ProviderRefused, ProviderThrottled, ProviderUnreachable
from monitor.model.asset import bare
from monitor.model.event import Direction, LedgerRow
from monitor.model.money import EXACT, exact
from monitor.model.record import Account
from monitor.model.snapshot import Measures, Snapshot
from monitor.providers.answers import Headers, cut, retry_after
from monitor.providers.http import decode
from monitor.providers.times import micros_of

ASSET = "USDC"
#: Every `event_type` in the vendor's pages and in ccxt, and which way it goes when no balance tells.
KINDS: Mapping[str, Direction | None] = {
    "deposit": "in",
    "deposit_release": "in",
    "withdraw": "out",
    "trade": None,
    "market_liquidation": "out",
    "backstop_liquidation": "out",
    "adl_liquidation": None,
    "subaccount_transfer": None,
    "funding": None,
    "payout": None,
    "fee": "out",
    "rebate": "in",
    "cashback": "in",
    "referral": "in",
    "airdrop": "in",
}
#: Refusals that every account would get; their status (400, 403) does not tell.
_CREDENTIALS = re.compile(r"signature|not authori[sz]ed|whitelist|beta access|api.?key|unauthori[sz]ed", re.IGNORECASE)
_QUOTA = re.compile(r"(?:^|;)\s*([rt])=(\d{1,9})(?=$|[;,\s])")


class _Envelope(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    success: Any = None
    error: Any = None
    code: Any = None
    next_cursor: Any = None
    has_more: Any = None


class _Spot(msgspec.Struct):
    symbol: str
    amount: Decimal
    available_to_withdraw: Decimal | None = None
    pending_balance: Decimal | None = None


class Info(msgspec.Struct):
    """`GET /account`. Everything but the balance has been absent in some documented answer."""

    balance: Decimal
    account_equity: Decimal | None = None
    available_to_spend: Decimal | None = None
    available_to_withdraw: Decimal | None = None
    pending_balance: Decimal | None = None
    total_margin_used: Decimal | None = None
    positions_count: Any = None
    updated_at: Any = None
    spot_balances: list[_Spot] | None = None

    @property
    def signature(self) -> tuple[str, ...]:
        """Differs when the ledger has probably grown."""
        parts = (self.balance, self.pending_balance, self.positions_count, self.updated_at)
        return tuple(str(part) for part in parts)


class Row(msgspec.Struct, frozen=True, gc=False):
    """One ledger row: `amount` is the change, of unproven sign; the balances are those after it."""

    amount: Decimal
    balance: Decimal
    event_type: str
    created_at: int
    pending_balance: Decimal | None = None

    @property
    def at(self) -> int:
        """Microseconds since 1970."""
        return micros_of(self.created_at)


class Page(msgspec.Struct, frozen=True):
    """Rows as they came, newest first, and the cursor of the older ones; empty at the end."""

    rows: tuple[Row, ...]
    cursor: str = ""


def _opened(body: bytes) -> _Envelope:
    """The envelope of a success; the ProviderError that a failure in it means."""
    envelope = decode(body, _Envelope)
    if envelope.success is True:
        return envelope
    if envelope.success is None and envelope.error is None:
        raise ProviderGarbled("the answer does not say whether it is a success")
    said = cut(f"success is not true: {envelope.error or 'no reason given'} (code {envelope.code})")
    if envelope.code in (500, 502, 503, 504):
        raise ProviderUnreachable(said, answered=True)
    if envelope.code == 429:
        raise ProviderThrottled(said)
    raise refusal(ProviderRefused(said, "account"))


def refusal(error: ProviderRefused) -> ProviderRefused:
    """The same refusal, of the credentials if its text says that every account would get it."""
    said = str(error)
    return ProviderRefused(said, "credentials" if _CREDENTIALS.search(said) else error.scope)


def info(body: bytes) -> Info:
    """The account, from a list of one object or the object itself; none at all is garbled, not zero."""
    given = bytes(_opened(body).data)
    if given.lstrip()[:1] == b"[":
        found = decode(given, list[Info])
        if len(found) != 1:
            raise ProviderGarbled(f"{len(found)} accounts in the answer instead of one")
        return found[0]
    return decode(given, Info)


def snapshot(seen: Info, account: Account, now: datetime) -> Snapshot:
    """The measures of the perps account in USDC, and of each spot asset."""
    measures = {
        "total": seen.balance,
        "equity": seen.account_equity,
        "available": seen.available_to_spend,
        "withdrawable": seen.available_to_withdraw,
        "pending": seen.pending_balance,
        "margin_used": seen.total_margin_used,
    }
    amounts: dict[str, Measures] = {ASSET: _known(measures)}
    for spot in seen.spot_balances or ():
        # Spot USDC is other money than the perps collateral of the same name.
        asset = f"{ASSET}@SPOT" if spot.symbol.upper() == ASSET else spot.symbol
        if asset in amounts or not asset:
            raise ProviderGarbled(cut(f"spot balance {asset!r} twice"))
        parts = {
            "total": spot.amount,
            "withdrawable": spot.available_to_withdraw,
            "pending": spot.pending_balance,
        }
        amounts[asset] = _known(parts)
    have = {asset.upper() for asset in amounts} | {bare(asset).upper() for asset in amounts}
    missing = tuple(asset for asset in account.assets if asset.upper() not in have)
    why = f"not in the answer: {', '.join(missing)}" if missing else ""
    return Snapshot(observed_at=now, amounts=amounts, missing=missing, why=why)


def _known(measures: Mapping[str, Decimal | None]) -> dict[str, Decimal]:
    try:
        return {name: exact(value) for name, value in measures.items() if value is not None}
    except ValueError as error:
        raise ProviderGarbled(cut(str(error))) from None


def page(body: bytes) -> Page:
    """One page of the ledger; ProviderGarbled if any row is not what is documented."""
    envelope = _opened(body)
    rows = decode(bytes(envelope.data), tuple[Row, ...])
    try:
        for row in rows:
            _ = row.at, exact(row.amount), exact(row.balance), exact(row.pending_balance or row.balance)
    except ValueError as error:
        raise ProviderGarbled(cut(str(error))) from None
    more = envelope.has_more is True and isinstance(envelope.next_cursor, str)
    return Page(rows, envelope.next_cursor if more and rows else "")


def oldest_first(newest_first: Sequence[Row]) -> list[Row]:
    """Sorted by time; rows of one instant keep the server's order."""
    rows = list(newest_first)
    rows.reverse()
    return sorted(rows, key=lambda row: row.at)


def ledger_row(row: Row) -> LedgerRow:
    """Its key is all that a row says; time and kind are what a correction leaves alone."""
    name = f"{row.at}|{row.event_type}"
    values = (row.amount, row.balance, row.pending_balance)
    texts = ("" if value is None else _by_value(value) for value in values)
    return LedgerRow(tuple_key="|".join((name, *texts)), at=row.at, name=name)


def _by_value(value: Decimal) -> str:
    return str(EXACT.normalize(value)) if value else "0"


def wait(headers: Headers, now: datetime) -> timedelta | None:
    """How long to leave the provider alone, if it says so."""
    return quota(headers)[1] or retry_after(headers, now)


def quota(headers: Headers) -> tuple[int | None, timedelta | None]:
    """(credits left, time until there are more) from `ratelimit: "credits";r=1200;t=32`; r is times ten."""
    said = {name: int(number) for name, number in _QUOTA.findall(headers.get("ratelimit", ""))}
    left, wait = said.get("r"), said.get("t")
    return None if left is None else left // 10, None if wait is None else timedelta(seconds=min(wait, 3600))
