"""A reminder tells what is known now, not what was told hours ago."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from monitor.engine.notice import entry_of_alert
from monitor.engine.ports import Clock
from monitor.engine.records import Records
from monitor.engine.watch import CHECKUP, SUM
from monitor.model.alert import State
from monitor.model.record import Account, Entry, Record
from monitor.rules.base import RuleBase


@dataclass(frozen=True, slots=True)
class Afresh:
    """Puts entries of alerts that fire into words anew. `accounts` are the configured ones and those that stand for
    providers and sums; an alert of another rule or account, or one that has ended meanwhile, is left as it is."""

    store: Records
    accounts: Mapping[str, Account]
    rules: Mapping[str, RuleBase]
    clock: Clock

    async def __call__(self, entries: Sequence[Entry]) -> tuple[Entry, ...]:
        """The same alerts by what their records say of them. StoreUnavailable when they cannot be read."""
        names = [self._place(entry) for entry in entries]
        wanted = [name for name in dict.fromkeys(names) if name in self.accounts]
        records = dict(zip(wanted, await self.store.load_many(wanted), strict=True)) if wanted else {}
        return tuple(self._anew(entry, records.get(name), name) for entry, name in zip(entries, names, strict=True))

    def _place(self, entry: Entry) -> str:
        """In whose record an alert lives."""
        rule = self.rules.get(entry.rule)
        if rule is None:
            return ""
        if rule.spans:
            return SUM + rule.alert
        return CHECKUP + entry.provider if rule.judges_provider else entry.account

    def _anew(self, entry: Entry, record: Record | None, name: str) -> Entry:
        alerts = record.alerts if record else ()
        alert = next((one for one in alerts if one.id == entry.id and one.state is State.FIRING), None)
        if alert is None:
            return entry
        told = entry_of_alert(self.rules[entry.rule], self.accounts[name], alert, self.clock())
        if alert.data == "ok" or "caveat" in told.annotations:
            return told
        known = f"as last read at {alert.observed_at:%Y-%m-%dT%H:%M:%SZ}"
        return replace(told, annotations={**told.annotations, "caveat": known})
