"""What a sum is made of: kept with its alert, shown in its text, and given to its templates."""

import heapq
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from monitor.model.money import multiply, text
from monitor.model.sums import Part, Sums

#: Contributors that are named: the largest, and as many that are missing.
NAMED_MAX = 10
#: Up to so many that are missing are counted one by one.
_COUNTED_MAX = 1_000
#: Of them so many stand in a sentence.
_IN_TEXT = 3


def contributors(sums: Sums, prices: Mapping[str, Decimal] | None) -> str:
    """The largest parts of a sum, then those that are missing, as JSON: what an alert keeps of them."""
    # Equal ones by name: the same facts make the same message.
    known = heapq.nsmallest(
        NAMED_MAX, _priced(sums, prices), key=lambda one: (-abs(one[0]), one[1].account, one[1].asset)
    )
    told = [_told(part, value) for value, part in known]
    lacking = sorted(
        (part for each in sums.values() for part in each.lacking(NAMED_MAX)),
        key=lambda part: (part.account, part.asset),
    )
    told += [_told(part, None) for part in lacking[:NAMED_MAX]]
    return json.dumps(told, ensure_ascii=False)


def contributors_of(details: Mapping[str, str], now: datetime) -> tuple[dict[str, Any], ...]:
    """What `contributors` stored, for templates: account, asset, value (None: missing), age (None: never read)."""
    told = json.loads(details.get("contributors", "[]"))
    return tuple(
        {
            "account": one["account"],
            "asset": one["asset"],
            "value": None if one["value"] is None else Decimal(one["value"]),
            "age": None if one["read_at"] is None else now - datetime.fromisoformat(one["read_at"]),
        }
        for one in told
    )


def breakdown(details: Mapping[str, str]) -> str:
    """` (hot-1 100, hot-2 50; missing: cold)` behind a sum."""
    told = [one for one in json.loads(details.get("contributors", "[]")) if one["value"] is not None]
    assets = len({one["asset"] for one in told}) > 1
    said = [f"{one['account']}{' ' + one['asset'] if assets else ''} {one['value']}" for one in told[:_IN_TEXT]]
    said += [f"and {len(told) - _IN_TEXT} more"] if len(told) > _IN_TEXT else []
    known = ", ".join(said)
    lacking = [f"missing: {details['missing']}"] if "missing" in details else []
    lacking += [f"no price of {details['unpriced']}"] if "unpriced" in details else []
    lacking += [f"no longer counted: {details['left']}"] if "left" in details else []
    inner = "; ".join(part for part in (known, *lacking) if part)
    return f" ({inner})" if inner else ""


def missing_names(sums: Sums, unseen: Collection[str]) -> str:
    """`cold, hot-2 and 7 more`: the accounts of which something is not known; empty for none."""
    counts = [each.unknown for each in sums.values() if each.unknown] + ([len(unseen)] if unseen else [])
    if sum(counts) <= _COUNTED_MAX:
        names: Collection[str] = {*unseen, *(part.account for part in missing_parts(sums))}
        count, over = len(names), ""
    else:
        # Whoever lacks several assets counts once.
        few = (part.account for each in sums.values() for part in each.lacking(NAMED_MAX))
        names = {*few, *heapq.nsmallest(NAMED_MAX, unseen)}
        count, over = max(counts), "" if len(counts) == 1 else "at least "
    rest = f" and {over}{count - NAMED_MAX} more" if count > NAMED_MAX else ""
    return ", ".join(sorted(names)[:NAMED_MAX]) + rest


def missing_parts(sums: Sums) -> list[Part]:
    """The parts that are not known."""
    return [part for each in sums.values() if each.unknown for part in each.parts.values() if part.amount is None]


def _priced(sums: Sums, prices: Mapping[str, Decimal] | None) -> Iterator[tuple[Decimal, Part]]:
    for asset, each in sums.items():
        price = None if prices is None else prices.get(asset)
        if prices is not None and price is None:
            continue
        # At one price the largest amounts are the largest worths.
        for part in each.largest(NAMED_MAX):
            assert part.amount is not None
            yield part.amount if price is None else multiply(part.amount, price), part


def _told(part: Part, value: Decimal | None) -> dict[str, str | None]:
    read_at = None if part.read_at is None else part.read_at.isoformat()
    return {
        "account": part.account,
        "asset": part.asset,
        "value": None if value is None else text(value),
        "read_at": read_at,
    }
