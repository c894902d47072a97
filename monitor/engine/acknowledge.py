"""Acknowledging an alert: it goes on as it is, and nobody is reminded of it any more, nor does it escalate.

The record says so, and its next version owes an `acked` row to whoever was told or is to be told. It ends with the
alert, and earlier when the alert's level rises: what is worse than what somebody looks after, nobody looks after.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from monitor.engine.notice import entry_of_alert
from monitor.engine.ports import Clock
from monitor.engine.records import Amending, all_records
from monitor.errors import NotAcknowledged, StoreUnavailable
from monitor.model.acked import Acked
from monitor.model.alert import Alert, State
from monitor.model.record import Account, Commit, Record, Row
from monitor.model.story import Told

#: An account that is written to oftener than this between reading and amending is not; the caller tries again.
TRIES = 10
#: What a person may type.
AUTHOR_MAX, COMMENT_MAX = 100, 1_000

#: The configured account of that name, or the one that stands for a provider, a sum or the monitor.
Known = Callable[[str], Account | None]


class AckStore(Amending, Protocol):
    """What this page needs of the store."""

    async def open_accounts(self) -> list[str]: ...

    async def story(self, alert: str) -> Sequence[Told]: ...


@dataclass(frozen=True, slots=True)
class Found:
    """An alert and the account it lives at."""

    account: Account
    alert: Alert


def acknowledge(record: Record, account: Account, alert_id: str, acked: Acked) -> Commit | None:
    """The record with that alert acknowledged, and what is owed for it; None when it was already.

    NotAcknowledged when it is not open, or pending.
    """
    alert = record.alert(alert_id)
    if alert is None or alert.state is State.RESOLVED:
        raise NotAcknowledged(alert_id, "resolved")
    if alert.state is State.PENDING:
        raise NotAcknowledged(alert_id, "pending")
    if alert.acked is not None:
        return None
    answered = replace(alert, acked=acked)
    entry = entry_of_alert(None, account, answered, acked.at)
    said = replace(entry, annotations={"summary": f"acknowledged by {acked.by}: {acked.comment}"})
    alerts = tuple(answered if one is alert else one for one in record.alerts)
    row = Row(news="acked", entry=said, targets=alert.targets)
    return Commit(before=record, record=replace(record, alerts=alerts), rows=(row,))


async def acknowledge_alert(store: AckStore, known: Known, alert_id: str, by: str, comment: str, clock: Clock) -> Found:
    """Acknowledge an alert wherever it lives among the accounts there are; it is as it is by now.

    Who is the second one to do so changes nothing, and is answered the first. NotAcknowledged says why not.
    """
    account, record = await _find(store, known, alert_id)
    for _ in range(TRIES):
        commit = acknowledge(record, account, alert_id, Acked(by, clock(), comment))
        if commit is None:
            return _found(account, record, alert_id)
        if await store.amend(account.provider, commit) == "written":
            await store.move(account.name)
            return _found(account, commit.record, alert_id)
        [record] = await store.load_many([account.name])
    raise StoreUnavailable(f"{account.name} is being written to all the time")


async def _find(store: AckStore, known: Known, alert_id: str) -> tuple[Account, Record]:
    async for record in all_records(store, await store.open_accounts()):
        if record.alert(alert_id) is not None and (account := known(record.account)) is not None:
            return account, record
    told = [one.chapter.what for one in await store.story(alert_id)]
    raise NotAcknowledged(alert_id, "unknown" if not told else "event" if "event" in told else "resolved")


def _found(account: Account, record: Record, alert_id: str) -> Found:
    alert = record.alert(alert_id)
    assert alert is not None, "it was there a moment ago, in this same record"
    return Found(account, alert)
