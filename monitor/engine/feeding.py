"""What a reading tells the guard. Pure."""

from monitor.engine.bet import owner
from monitor.engine.learn import overtaken
from monitor.model.feed import Fed, Feed
from monitor.model.money import ZERO, add
from monitor.model.record import Account, Answer, PriceWatch, Reading, Record
from monitor.model.snapshot import Measures

#: What may be in `total` besides `available`, where that does not contain it.
_APART = ("pending", "held", "locked")


def feed_of(reading: Reading, account: Account, record: Record, ours: Record, *, trusted: bool) -> Feed | None:
    """The balances that were really read this time; None where nothing was.

    `record` is what was known, `ours` as far as it is of the account's provider. `trusted`: its own time counts.
    """
    if not isinstance(reading, Answer) or isinstance(account.target, PriceWatch) or overtaken(ours, reading.snapshot):
        return None
    snapshot = reading.snapshot
    # A name that does not print would break the store's lists of names; nobody can ask for it either.
    assets = {
        asset: fed(measures)
        for asset, measures in snapshot.amounts.items()
        if "available" in measures and asset.isprintable()
    }
    if not assets and snapshot.missing:
        return None
    # Another provider's balances are other money, whatever the asset is called.
    whole = ours is not record or (snapshot.absent_is_zero and not snapshot.missing)
    return Feed(assets, snapshot.as_of if trusted else None, whole, owner(account))


def fed(measures: Measures) -> Fed:
    """What `available` contains of `locked` is told by the total: it is less than their sum. In doubt it is taken off,
    which only refuses more."""
    available, locked = measures["available"], measures.get("locked", ZERO)
    if locked <= 0:
        return Fed(available, ZERO)
    total, parts = measures.get("total"), available
    for name in _APART:
        parts = add(parts, max(ZERO, measures.get(name, ZERO)))
    return Fed(available, ZERO, locked) if total is not None and parts <= total else Fed(available, locked)
