"""CryptoFuse's four documented balance answers, told apart by what they hold, in our words. Pure.

    A  {"balances": {"btc": {available, pending, total, usd_value, blockchain}}, "last_updated": …}
    B  {"result": {"balances": [{currency, amount, pendingAmount}]}}              amount is available
    C  {"account": {…}, "balances": [{currency, amount, pending_amount, available_balance}]}   amount is total
    D  {"balances": [{currency, total_balance, available_balance, pending_balance}]}           of the user

Facts: docs.cryptofuse.io, pages get-account-balance, wallet-balance and user/balances.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec

from monitor.errors import ProviderGarbled
from monitor.model import money
from monitor.model.asset import selects
from monitor.model.snapshot import Measures, Snapshot
from monitor.providers.answers import cut, envelope
from monitor.providers.cryptofuse_names import asset, renamed
from monitor.providers.http import decode

Shape = Literal["A", "B", "C", "D"]

#: More assets than any wallet has; old ones beyond it are forgotten rather than kept at zero for ever.
MAX_ASSETS = 2000
_ZEROS: Measures = {"available": money.ZERO, "pending": money.ZERO, "total": money.ZERO}


class _Held(msgspec.Struct):
    """A currency of shape A."""

    available: Decimal
    total: Decimal
    pending: Decimal | None = None
    usd_value: Decimal | None = None
    blockchain: str | None = None


class _Row(msgspec.Struct):
    """A row of B, C or D: what is set tells which."""

    currency: str
    amount: Decimal | None = None
    pendingAmount: Decimal | None = None  # noqa: N815  # theirs
    pending_amount: Decimal | None = None
    available_balance: Decimal | None = None
    total_balance: Decimal | None = None
    pending_balance: Decimal | None = None
    usd_value: Decimal | None = None


class _Wallet(msgspec.Struct):
    balances: list[_Row]


class _Answer(msgspec.Struct):
    result: _Wallet | None = None
    balances: dict[str, _Held] | list[_Row] | None = None
    account: object = None
    wallet_id: object = None
    last_updated: object = None
    success: object = None
    error: object = None


class Line(NamedTuple):
    """One currency of an answer. `networked` is False where the answer names no network though it could."""

    asset: str
    measures: Measures
    usd: Decimal | None = None
    networked: bool = True


class Read(NamedTuple):
    """An understood answer, its amounts not yet judged. `shape` is None when no row tells it.

    `wallets` and `external` are the ids of whose answer it says it is, as far as it says so.
    """

    shape: Shape | None
    lines: tuple[Line, ...]
    as_of: datetime | None = None
    wallets: tuple[str, ...] = ()
    external: str | None = None


def parse(body: bytes, known: Mapping[str, str] | None = None, secrets: Iterable[str] = ()) -> Read:
    """What an answer of any shape says; ProviderError for everything else. `known` maps codes to assets."""
    try:
        answer = decode(body, _Answer)
    except ProviderGarbled as garbled:
        raise (envelope(body, secrets) or garbled) from None
    if answer.success is False or answer.error:
        # An empty list beside an error is no empty wallet.
        raise envelope(body, secrets) or ProviderGarbled("an error within a success")
    shape: Shape | None
    match answer:
        case _Answer(result=_Wallet(balances=rows)):
            shape, lines = "B", [_b(row, known) for row in rows]
        case _Answer(balances=dict(held)):
            shape, lines = "A", [_a(code, row, known) for code, row in held.items()]
        case _Answer(balances=list(rows)):
            shape, lines = _listed(rows, known)
        case _:
            raise envelope(body, secrets) or ProviderGarbled("none of the documented shapes")
    if len(lines) > MAX_ASSETS:
        raise ProviderGarbled(f"{len(lines)} currencies are not one wallet's")
    if len({line.asset for line in lines}) < len(lines):
        raise ProviderGarbled("a currency appears twice")
    return Read(shape, tuple(lines), _moment(answer.last_updated), *_whose(answer))


def _whose(answer: _Answer) -> tuple[tuple[str, ...], str | None]:
    """Its wallet's ids and its external id. In C `id` may be what A calls `wallet_id`: alone it proves nothing."""
    said = answer.account if isinstance(answer.account, dict) else {"wallet_id": answer.wallet_id}
    wallets = (said.get("wallet_id"), said.get("id")) if said.get("wallet_id") else ()
    external = said.get("external_id")
    return tuple(it for it in wallets if isinstance(it, str)), external if isinstance(external, str) else None


def _listed(rows: list[_Row], known: Mapping[str, str] | None) -> tuple[Shape | None, list[Line]]:
    """C or D. D first: both have `available_balance`."""
    if not rows:
        return None, []
    if all(row.total_balance is not None for row in rows):
        return "D", [_line(row, known, row.available_balance, row.total_balance, row.pending_balance) for row in rows]
    return "C", [_line(row, known, row.available_balance, row.amount, row.pending_amount) for row in rows]


def _a(code: str, row: _Held, known: Mapping[str, str] | None) -> Line:
    name = asset(code, row.blockchain, known)
    networked = "@" in name or bool(row.blockchain)
    return Line(name, _measures(row.available, row.total, row.pending), _usd(row.usd_value), networked)


def _b(row: _Row, known: Mapping[str, str] | None) -> Line:
    if row.amount is None or row.pendingAmount is None:
        raise ProviderGarbled("a row without amount or pendingAmount")
    try:
        both = money.add(row.amount, row.pendingAmount)
    except ArithmeticError:
        raise ProviderGarbled("amounts that cannot be added") from None
    return _line(row, known, row.amount, both, row.pendingAmount)


def _line(
    row: _Row,
    known: Mapping[str, str] | None,
    available: Decimal | None,
    total: Decimal | None,
    pending: Decimal | None,
) -> Line:
    if available is None or total is None:
        raise ProviderGarbled("a row without its available or total amount")
    return Line(asset(row.currency, None, known), _measures(available, total, pending), _usd(row.usd_value))


def _measures(available: Decimal, total: Decimal, pending: Decimal | None) -> Measures:
    if pending is None:
        return {"available": available, "total": total}
    return {"available": available, "pending": pending, "total": total}


def _usd(value: Decimal | None) -> Decimal | None:
    """A price hint; an implausible one is dropped, for no balance depends on it."""
    try:
        return None if value is None else money.exact(value)
    except ValueError:
        return None


def _moment(given: object) -> datetime | None:
    """A time with a zone; anything else is no time, for no balance depends on it."""
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else None
        return moment.astimezone(UTC) if moment and moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def snapshot(
    read: Read, before: Snapshot | None, declared: Iterable[str], now: datetime, *, trust_as_of: bool = False
) -> Snapshot:
    """The reading: what the answer holds, and zero for whatever was seen before or is declared and is gone.

    Their answers leave drained currencies out: only the union of old, new and declared assets shows a drain.
    """
    old = before.amounts if before else {}
    lines = {_placed(line, read, old): line for line in read.lines}
    amounts = {name: line.measures for name, line in lines.items()}
    if declared or old.keys() != amounts.keys():
        for name in gone(amounts, old, declared):
            if len(amounts) >= MAX_ASSETS:
                break
            amounts[name] = _ZEROS
    try:
        return Snapshot(
            observed_at=now,
            amounts=amounts,
            as_of=read.as_of if trust_as_of else None,
            usd={name: line.usd for name, line in lines.items() if line.usd is not None},
            absent_is_zero=True,
        )
    except ValueError as error:
        raise ProviderGarbled(cut(str(error))) from None


def gone(present: Iterable[str], old: Iterable[str], declared: Iterable[str]) -> Iterator[str]:
    """Assets to report as zero: declared ones first, then those seen before. A bare name that now appears
    with its network was a placeholder and goes."""
    here = set(present)
    names = here | set(old)
    for name in (*declared, *old):
        if name in here or renamed(name, names):
            continue
        if name in old or not any(selects(name, other) for other in names):
            here.add(name)
            yield name


def _placed(line: Line, read: Read, old: Mapping[str, Measures]) -> str:
    """The asset of a line. Where shape A leaves the network out (an empty wallet has none), the one network
    this wallet was known to have is meant."""
    if line.networked or line.asset in old:
        return line.asset
    here = {other.asset for other in read.lines}
    were = [name for name in old if name.startswith(f"{line.asset}@") and name not in here]
    return were[0] if len(were) == 1 else line.asset


def unbalanced(read: Read) -> tuple[str, ...]:
    """Assets whose total is not available + pending: worth a line in the log, no more."""
    if read.shape == "B":
        # It tells no total: the sum is ours.
        return ()
    return tuple(
        line.asset
        for line in read.lines
        if "pending" in line.measures
        and money.add(line.measures["available"], line.measures["pending"]) != line.measures["total"]
    )
