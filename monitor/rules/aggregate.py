"""Sums over accounts and assets: what `aggregate` means, whom it sums up, and how a sum is rated.

A sum whose parts are not all known is an interval. It is bad when all of it is, good when all of it is, and else
not known.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from pydantic import Field

from monitor.fields import Section
from monitor.model.alert import Severity
from monitor.model.asset import bare
from monitor.model.money import text
from monitor.model.record import Account
from monitor.model.snapshot import Snapshot, carry
from monitor.model.sums import SIGNED, Interval, Part, Sum, Sums, total_of, worth
from monitor.rules.contributors import NAMED_MAX, contributors, missing_names
from monitor.rules.facts import Prices, Sighting
from monitor.rules.mistakes import mistake

#: A value's worst level that is breached, and the worst it has not recovered from.
Rating = tuple[Severity | None, Severity | None]
#: Labels that only alerts have.
_OF_ALERTS = frozenset({"rule", "rule_type", "severity"})
#: Labels that tell accounts apart; the others are the accounts' own.
OWN = frozenset({"account", "provider", "asset"})


class Aggregate(Section):
    """`aggregate: {by: [asset], unit: usd}`: one sum for each combination of these labels"""

    by: tuple[str, ...] = Field(
        default=(), max_length=8, description="`asset`, `account`, `provider`, or labels of the accounts; none: one sum"
    )
    unit: Literal["asset", "usd"] | None = Field(default=None, description="default: the rule's `unit`")

    @property
    def crosses(self) -> bool:
        """Whether one sum may be over several accounts."""
        return "account" not in self.by


def check_aggregate(rule: Any) -> None:
    """A mistake for sums that mean nothing; `rule` has `aggregate`, `unit`, `on_no_data`."""
    aggregate: Aggregate | None = rule.aggregate
    if aggregate is None:
        return
    if len(set(aggregate.by)) < len(aggregate.by):
        raise mistake("a label is there twice", "aggregate", "by")
    for label in aggregate.by:
        if label in _OF_ALERTS:
            raise mistake(f"`{label}` is of alerts, accounts do not have it", "aggregate", "by")
    if aggregate.unit is not None and "unit" in rule.model_fields_set and aggregate.unit != rule.unit:
        raise mistake(f"`unit: {rule.unit}` of the rule contradicts it", "aggregate", "unit")
    if unit_of(rule) != "usd" and "asset" not in aggregate.by:
        what = "different assets add up only in USD: write `unit: usd`, or `asset` into `by`"
        raise mistake(what, "aggregate")
    if aggregate.crosses and rule.on_no_data != "keep_state":
        raise mistake("a sum over accounts always holds its alert while a part of it is not known", "on_no_data")


def unit_of(rule: Any) -> str | None:
    """What a rule's amounts are in, wherever it is written."""
    aggregate: Aggregate | None = rule.aggregate
    return rule.unit if aggregate is None or aggregate.unit is None else aggregate.unit


def subject_of(by: Sequence[str], labels: Mapping[str, str], asset: str) -> str:
    """The name of the sum that an asset of an account with these labels belongs to."""
    values = [asset if label == "asset" else labels.get(label, "") for label in by]
    return values[0] if len(values) == 1 else json.dumps(values, ensure_ascii=False) if values else ""


def labels_of_subject(by: Sequence[str], subject: str) -> dict[str, str]:
    """The labels that `subject_of` made that name of."""
    values = [subject] if len(by) == 1 else json.loads(subject) if by else []
    return dict(zip(by, values, strict=True))


def apart(labels: Mapping[str, str]) -> tuple[str, ...]:
    """What tells a sum apart but for its asset: the key of `Roundup.unknown`."""
    return tuple(value for label, value in labels.items() if label != "asset")


#: Before a sum's name, so that it cannot be taken for another kind of name, and between it and an asset.
_SEPARATOR = "\x1f"


def subject_of_account(by: Sequence[str], account: Account, asset: str) -> str:
    """The name of the sum that an asset of this account belongs to."""
    return subject_of(by, {**account.labels, "account": account.name, "provider": account.provider}, asset)


def ring_name(subject: str, asset: str) -> str:
    """What stands for the asset in the name of a sum's ring."""
    return f"{_SEPARATOR}{subject}{_SEPARATOR}{asset}"


def of_ring(key: str) -> tuple[str, str]:
    """The sum and the asset of a ring, by its name."""
    subject, _, rest = key.removeprefix(_SEPARATOR).rpartition(_SEPARATOR)
    return subject, rest.partition("|")[0]


def parts_of(account: Account, snapshot: Snapshot | None, measure: str, now: datetime) -> Iterator[Part]:
    """What an account adds to sums of a measure: its last good values while they are not stale, else unknown.

    Declared assets that were never read are unknown too. Without any snapshot and any declared asset there is
    nothing to say; `Roundup.unknown` names such an account.
    """
    known = snapshot.amounts if snapshot else {}
    for asset, measures in known.items():
        assert snapshot is not None
        read_at = snapshot.seen.get(asset, snapshot.observed_at)
        amount = measures.get(measure) if now - read_at < account.stale_after else None
        yield Part(account.name, asset, amount, read_at, signed=measure in SIGNED)
    named = {*known, *map(bare, known)}
    for asset in account.assets:
        if asset not in named:
            yield Part(account.name, asset, None, signed=measure in SIGNED)


def sums_of_account(
    seen: Sighting, by: Sequence[str], measure: str, watches: Callable[[str], bool]
) -> dict[str, dict[str, Sum]]:
    """One account's assets, added up."""
    account = seen.account
    found: dict[str, dict[str, Sum]] = {}
    for part in parts_of(account, carry(seen.previous, seen.snapshot), measure, seen.now):
        if watches(part.asset):
            sums = found.setdefault(part.asset if "asset" in by else "", {})
            sums.setdefault(part.asset, Sum()).put(part)
    return found


def title(labels: Mapping[str, str]) -> str:
    """A sum for a sentence: `USDT of role=hot`, `all accounts`."""
    rest = ", ".join(
        f"{name}={value}" if name not in OWN else value for name, value in labels.items() if name != "asset"
    )
    asset = labels.get("asset", "")
    return f"{asset} of {rest or 'all accounts'}" if asset else rest or "all accounts"


class Rated(NamedTuple):
    """A sum held against thresholds. `decided` is False when it may be good and may be bad."""

    bad: Severity | None
    held: Severity | None
    decided: bool


def rate_interval(interval: Interval, rate: Callable[[Decimal], Rating], worst: Severity, *, low: bool) -> Rated:
    """Rate an amount known as an interval. `low`: small amounts are the bad ones; `worst` is the worst level."""
    kind, unkind = (interval.high, interval.low) if low else (interval.low, interval.high)
    surely = (None, None) if kind is None else rate(kind)
    perhaps: Rating = (worst, worst) if unkind is None else rate(unkind)
    if surely[0] is None:
        return Rated(None, surely[1], decided=surely == perhaps)
    return Rated(surely[0], perhaps[1], decided=True)


def add_up(sums: Sums, prices: Prices | None) -> tuple[Interval, tuple[str, ...]]:
    """The sum over assets, in USD when there are prices; and the assets that lack one."""
    if prices is None:
        return total_of(each.interval() for each in sums.values()), ()
    unpriced = tuple(asset for asset, each in sums.items() if each.known and asset not in prices)
    return total_of(worth(each.interval(), prices.get(asset)) for asset, each in sums.items()), unpriced


def known_end(interval: Interval) -> Decimal | None:
    """What of an interval is known, to be told as its value."""
    return interval.high if interval.low is None else interval.low


def describe(
    sums: Sums,
    prices: Prices | None,
    interval: Interval,
    unpriced: Iterable[str],
    unseen: Collection[str],
    accounts: int,
) -> dict[str, str]:
    """What an alert says of a sum over so many accounts besides its value."""
    details = {"accounts": str(accounts)}
    if not interval.exact:
        details |= {"at_least": _end(interval.low), "at_most": _end(interval.high)}
    if missing := missing_names(sums, unseen):
        details["missing"] = missing
    if lacking := sorted(unpriced):
        details["unpriced"] = ", ".join(lacking[:NAMED_MAX])
    return {**details, "contributors": contributors(sums, prices)}


def _end(end: Decimal | None) -> str:
    return "unknown" if end is None else text(end)
