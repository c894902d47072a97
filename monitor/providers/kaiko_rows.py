"""Kaiko's wallet audit as it comes: pages, rows, and where the next page is. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import msgspec

from monitor.errors import ProviderGarbled, ProviderRefused
from monitor.model.money import exact
from monitor.model.window import micros
from monitor.providers.answers import cut
from monitor.providers.http import decode
from monitor.providers.times import micros_of

ASSET = "BTC"
#: Hosts of the vendor's regions; a page of one may point to another and is followed with the key.
SIBLINGS = ".market-api.kaiko.io"
#: Bitcoin's first block; a range that starts at or before it covers everything (3 January 2009).
_GENESIS_MS = 1_230_940_800_000
#: What Kaiko's Python leaks in the place of nothing.
_NOTHING = (None, "", "None", "null")
#: A block's time may lie before its predecessor's, by as much as Bitcoin's consensus rules allow.
_SKEW = 2 * 60 * 60 * 1_000_000

Sort = Literal["asc", "desc"]


class Row(msgspec.Struct, frozen=True, gc=False):
    """One effect of one transaction on one address."""

    transaction_hash: str
    direction: Literal["in", "out"]
    amount: Decimal
    balance_after: Decimal
    timestamp: int
    block_number: int
    transaction_index: int
    internal_transaction_index: int
    transaction_type: str | None = None
    token_symbol: str | None = None
    address: str | None = None
    user_address: str | None = None
    balance_after_usd: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def at(self) -> int:
        """Microseconds since 1970."""
        return micros_of(self.timestamp)

    @property
    def place(self) -> tuple[int, int, int]:
        """Where it stands in the chain; a block's rows share their timestamp, so time does not tell."""
        return self.block_number, self.transaction_index, self.internal_transaction_index


class _Envelope(msgspec.Struct):
    data: msgspec.Raw = msgspec.Raw(b"null")
    result: Any = None
    #: Not theirs, but of whatever may stand before them: no rows beside a failure are no empty address.
    success: Any = None
    error: Any = None
    message: Any = None
    query: Any = None
    access: Any = None
    continuation_token: Any = None
    next_url: Any = None


@dataclass(frozen=True, slots=True)
class Page:
    """One answer: its rows as they came, where it says the next one is, and what it echoes."""

    rows: tuple[Row, ...]
    token: str = ""
    next_url: str = ""
    query: Mapping[str, Any] | None = None
    access: Mapping[str, Any] | None = None


def parse(body: bytes, address: str) -> Page:
    """One page about `address`; ProviderRefused for an error envelope, ProviderGarbled for anything odd."""
    envelope = decode(body, _Envelope)
    if envelope.result == "error" or envelope.success is False or envelope.error:
        raise ProviderRefused(cut(f"error: {envelope.message or 'no reason given'}"), "account")
    given = bytes(envelope.data)
    if given in (b"null", b""):
        raise ProviderGarbled("the answer has no data")
    rows = () if given.replace(b" ", b"") == b"{}" else tuple(decode(given, list[Row]))
    for row in rows:
        _verify(row, address)
    return Page(
        rows=rows,
        token=_said(envelope.continuation_token),
        next_url=_said(envelope.next_url),
        query=envelope.query if isinstance(envelope.query, dict) else None,
        access=envelope.access if isinstance(envelope.access, dict) else None,
    )


def _said(value: object) -> str:
    return value if isinstance(value, str) and value not in _NOTHING else ""


def _verify(row: Row, address: str) -> None:
    try:
        if exact(row.amount) < 0 or exact(row.balance_after) < 0:
            raise ProviderGarbled("a negative amount; direction is what says in or out")
        _ = row.at
    except ValueError as error:
        raise ProviderGarbled(cut(str(error))) from None
    if (row.token_symbol or ASSET).upper() != ASSET:
        raise ProviderGarbled(cut(f"a row of {row.token_symbol} on the bitcoin chain"))
    # Upper case is legal in bech32, so an echo may differ in case; a different address may not.
    said = row.address or row.user_address
    if said and said.casefold() != address.casefold():
        raise ProviderGarbled("rows of another address: the filter was ignored")


def echoed(page: Page, name: str, sent: str) -> None:
    """ProviderGarbled when a first page shows that the filter `name` was not taken as sent.

    The envelope echoes every parameter it handled; a name it does not know is silently ignored.
    """
    if page.query is None:
        return
    said = page.query.get(name)
    if said != sent and _instant(said) != _instant(sent):
        raise ProviderGarbled(f"the filter {name} was ignored")


def _instant(text: object) -> int | None:
    try:
        if isinstance(text, int) or (isinstance(text, str) and text.isdecimal()):
            return micros_of(int(text)) // 1000
        given = datetime.fromisoformat(str(text))
        return micros(given if given.tzinfo else given.replace(tzinfo=UTC)) // 1000
    except (ValueError, OverflowError):
        return None


def follow(page: Page, home: str) -> tuple[str, str]:
    """(trusted absolute URL or "", token or "") of the next page; both empty at the end.

    The key goes with the request, so only our own origin and the vendor's https hosts are followed.
    """
    if page.next_url and trusted(page.next_url, home):
        return page.next_url, page.token or _token_of(page.next_url)
    return "", page.token or _token_of(page.next_url)


def trusted(url: str, home: str) -> bool:
    """Whether the API key may be sent there."""
    try:
        parts, own = urlsplit(url), urlsplit(home)
        port = parts.port
    except ValueError:
        return False
    if parts.username is not None or parts.password is not None or any(c.isspace() or c == "\\" for c in url):
        return False
    if (parts.scheme, parts.hostname, port) == (own.scheme, own.hostname, own.port):
        return True
    return parts.scheme == "https" and (parts.hostname or "").endswith(SIBLINGS) and port in (None, 443)


def _token_of(url: str) -> str:
    try:
        return _said(parse_qs(urlsplit(url).query).get("continuation_token", [""])[0])
    except ValueError:
        return ""


def covers_everything(access: Mapping[str, Any] | None) -> bool:
    """Whether both ranges span all of Bitcoin's history, so that no rows means an empty wallet."""
    ranges = [(access or {}).get(name) for name in ("access_range", "data_range")]
    return all(isinstance(span, dict) and _spans(span) for span in ranges)


def _spans(span: Mapping[str, Any]) -> bool:
    start, end = span.get("start_timestamp", "absent"), span.get("end_timestamp", "absent")
    begins = _number(start)
    return end in _NOTHING and (start in _NOTHING or (begins is not None and begins <= _GENESIS_MS))


def _number(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value[:20])
    return value if isinstance(value, int) else None


def in_order(rows: Sequence[Row], last: int, sort: Sort) -> None:
    """ProviderGarbled if the `last` rows do not continue the others as sorted: the parameter was ignored.

    Then the first row need not be the newest, and its balance may be years old.
    """
    edge: int | None = None
    for row in rows[max(0, len(rows) - last - 1) :]:
        at = row.at if sort == "asc" else -row.at
        if edge is not None and at < edge - _SKEW:
            raise ProviderGarbled(f"rows are not sorted {sort}")
        edge = at if edge is None else max(edge, at)


def older_block_follows(rows: Sequence[Row]) -> bool:
    """Whether rows, newest first, contain the whole newest block."""
    return bool(rows) and rows[-1].block_number < max(row.block_number for row in rows)


def newest(rows: Iterable[Row]) -> Row | None:
    """The row that holds the present balance."""
    return max(rows, key=lambda row: row.place, default=None)


def usd_of(row: Row) -> Decimal | None:
    """The vendor's dollar figure for the balance, at the time of that row; None when there is none."""
    try:
        return exact(decode(bytes(row.balance_after_usd), Decimal))
    except (ProviderGarbled, ValueError):
        return None
