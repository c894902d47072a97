"""What KUNA Core's `POST /v2/balance` answers, in our words. Pure. Facts: docs.kunacore.io."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import msgspec

from monitor.errors import ProviderGarbled
from monitor.model import money
from monitor.model.snapshot import Snapshot
from monitor.providers.answers import cut, envelope, plausible_code
from monitor.providers.http import decode

Row = Mapping[str, msgspec.Raw]

#: More rows than any wallet has assets.
MAX_ROWS = 5000
#: Their field → our measure. `balance` is *available*: the exchange's documentation defines it so.
BUCKETS = {
    "balance": "available",
    "holdBalance": "held",
    "lockBalance": "locked",
    "referralBalance": "referral",
}
#: What adds up to `total`; `*` is any `…Balance` field they may add (the page speaks of funds in settlement).
TOTAL = ("balance", "holdBalance", "lockBalance", "*")


@dataclass(frozen=True, slots=True)
class Seen:
    """A reading, with the balance fields nobody documented and the deposit addresses by asset and network."""

    snapshot: Snapshot
    unknown: tuple[str, ...] = ()
    addresses: Mapping[str, str] = field(default_factory=dict)


class _Answer(msgspec.Struct):
    data: list[dict[str, msgspec.Raw]]
    success: object = None
    error: object = None


class _Deposit(msgspec.Struct):
    address: str | None = None


def parse(
    body: bytes,
    assets: tuple[str, ...],
    now: datetime,
    total: tuple[str, ...] = TOTAL,
    secrets: tuple[str, ...] = (),
) -> Seen:
    """A complete answer; ProviderError for anything else. A requested asset it lacks is missing, not zero."""
    asked = {asset.upper(): asset for asset in assets}
    amounts: dict[str, dict[str, Decimal]] = {}
    unknown: dict[str, None] = {}
    addresses: dict[str, str] = {}
    for row in _rows(body, secrets):
        code = _code(row)
        asset = asked.get(code.upper(), code)
        if asset in amounts:
            raise ProviderGarbled("an asset appears twice")
        found = buckets(row)
        amounts[asset] = measures(found, total)
        unknown |= dict.fromkeys(name for name in found if name not in BUCKETS)
        addresses |= {f"{asset} on {net}": where for net, where in deposits(row.get("depositAddress"))}
    missing = tuple(asset for asset in assets if asset not in amounts)
    why = f"not in the answer: {', '.join(missing)}" if missing else ""
    return Seen(Snapshot(now, amounts, missing=missing, why=why), tuple(unknown), addresses)


def _rows(body: bytes, secrets: tuple[str, ...]) -> list[dict[str, msgspec.Raw]]:
    try:
        answer = decode(body, _Answer)
    except ProviderGarbled as garbled:
        raise (envelope(body, secrets) or garbled) from None
    if answer.success is False or answer.error:
        raise envelope(body, secrets) or ProviderGarbled("an error within a success")
    rows = answer.data
    if len(rows) > MAX_ROWS:
        raise ProviderGarbled(f"{len(rows)} rows are not one wallet's")
    return rows


def _code(row: Row) -> str:
    if "asset" not in row:
        raise ProviderGarbled("a row without asset")
    return plausible_code(decode(bytes(row["asset"]), str))


def buckets(row: Row) -> dict[str, Decimal]:
    """Every balance a row tells, by their name for it. Null tells nothing; what is no amount is garbled."""
    found = {}
    for name, raw in row.items():
        if (name == "balance" or name.endswith("Balance")) and bytes(raw) != b"null":
            try:
                found[name] = money.exact(decode(bytes(raw), Decimal))
            except ValueError as error:
                raise ProviderGarbled(cut(f"{name}: {error}")) from None
    if "balance" not in found:
        raise ProviderGarbled("a row without balance")
    return found


def measures(found: Mapping[str, Decimal], total: tuple[str, ...]) -> dict[str, Decimal]:
    """One asset's amounts. While a bucket of its formula is not told, `total` is unknown, not smaller."""
    amounts = {measure: found[name] for name, measure in BUCKETS.items() if name in found}
    named = [name for name in total if name != "*"]
    if all(name in found for name in named):
        more = [n for n in found if n not in BUCKETS and n not in named] if "*" in total else []
        amounts["total"] = money.total(found[name] for name in (*named, *more))
    return amounts


def deposits(raw: msgspec.Raw | None) -> list[tuple[str, str]]:
    """(network, address) pairs; none when nothing is readable, for no balance depends on them."""
    try:
        found = {} if raw is None else decode(bytes(raw), dict[str, _Deposit])
    except ProviderGarbled:
        return []
    return [(network, it.address) for network, it in found.items() if it.address]
