"""Polls that tell the real store's guard what there is."""

from collections.abc import Mapping
from datetime import datetime

from monitor.model.feed import Fed, Feed
from monitor.model.record import Committed
from monitor.store.redis import RedisStore
from tests.builders import NOON, commit, minutes

LEASE = minutes(1)


async def reads(
    store: RedisStore,
    assets: Mapping[str, Fed],
    account: str = "player-7",
    *,
    began: datetime | None = None,
    as_of: datetime | None = None,
    whole: bool = False,
    whose: str = "",
) -> Committed:
    """One poll of the account from claim to commit; `began` stands for the time of its claim."""
    await store.enrol("casino", {account: NOON})
    await store.poll_now("casino", account)
    claim = await store.take_one("casino", account, LEASE)
    assert claim is not None, f"somebody polls {account}"
    claim = claim._replace(claimed_at=began or claim.claimed_at)
    record = await store.load(account)
    read = commit(record)._replace(feed=Feed(assets, as_of, whole, whose))
    return await store.commit("casino", read, claim, claim.claimed_at + minutes(1))
