"""What of an account is not known, and which sums that leaves open.

A key is the labels of a sum (`apart`), and where only some of its assets may be missing their bare name behind it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from monitor.model.asset import bare
from monitor.model.record import Account
from monitor.model.snapshot import Snapshot
from monitor.model.sums import Part
from monitor.rules.aggregate import apart
from monitor.rules.base import RuleBase

#: The keys of `Roundup.unknown`.
Keys = frozenset[tuple[str, ...]]
_NOTHING: Keys = frozenset()


def unseen_keys(
    rule: RuleBase, account: Account, snapshot: Snapshot | None, parts: Sequence[Part], now: datetime, *, gap: bool
) -> Keys:
    """The sums to which an account may add what `parts` do not say.

    Of balances: whatever it has, where nothing was ever read or what was read is too old and names nothing; and a
    declared asset, which may be on any network. Of movements: whatever it moved, where it is stale or its ledger has
    a gap; and an asset that its answers have not named for as long.
    """
    is_flow = rule.flow() is not None
    stale = snapshot is None or now - snapshot.observed_at >= account.stale_after
    if stale and (is_flow or not parts):
        return frozenset([_key(rule, account)])
    if is_flow and gap:
        return frozenset([_key(rule, account)])
    lacking = [part for part in parts if part.amount is None and (is_flow or part.read_at is None)]
    if not lacking:
        return _NOTHING
    wanted = {bare(asset) for asset in rule.assets}
    return frozenset(_key(rule, account, part.asset) for part in lacking if not wanted or bare(part.asset) in wanted)


def unseen_of(
    unknown: Mapping[tuple[str, ...], Collection[str]], labels: Mapping[str, str], assets: Iterable[str]
) -> Collection[str]:
    """The accounts that may add to a sum of these assets what is not known."""
    if not unknown:
        return ()
    key = apart(labels)
    found = {*unknown.get(key, ())}
    for asset in assets:
        found.update(unknown.get((*key, bare(asset)), ()))
    return found


def _key(rule: RuleBase, account: Account, asset: str = "") -> tuple[str, ...]:
    labels = {**account.labels, "account": account.name, "provider": account.provider}
    key = apart({label: labels.get(label, "") for label in rule.summed_by})
    return (*key, bare(asset)) if asset and "asset" in rule.summed_by else key
