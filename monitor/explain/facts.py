"""Reads what the store knows of one account, and asks a rule what it makes of it. Writes nothing, polls nobody."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from monitor.engine.portfolio import Portfolio
from monitor.engine.pricing import PriceBook
from monitor.engine.recall import last_answer, recalled
from monitor.engine.records import all_records
from monitor.engine.sumreader import SumReader
from monitor.explain.subject import Explained, explained
from monitor.model.alert import EventVerdict, Verdict
from monitor.model.asset import selects
from monitor.model.event import Event
from monitor.model.record import Account, Answer, Need, ProviderWatch, Reading, Record, Roundup, RuleWatch
from monitor.model.snapshot import Snapshot
from monitor.redact import redact
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, Judgement, Sighting
from monitor.store.redis import RedisStore

#: Events that a rule on events is tried on: the newest.
EVENTS_MAX = 500


@dataclass(frozen=True, slots=True)
class Tried:
    """What a rule on events would have told of the newest ones: how many there are, and which of them."""

    events: int
    told: tuple[EventVerdict, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What a rule makes of one account, of a provider as a whole, or of its sums."""

    account: Account
    record: Record
    trouble: str
    subjects: tuple[Explained, ...] = ()
    tried: Tried | None = None


@dataclass(frozen=True, slots=True)
class Asking:
    """One rule, asked about what is stored."""

    store: RedisStore
    rule: RuleBase
    book: PriceBook
    now: datetime

    async def part(self, account: Account) -> Part:
        """Everything that is to be said of one account."""
        [record] = await self.store.load_many([account.name])
        trouble = f"{record.outage.kind}: {redact(record.outage.why)}" if record.outage else ""
        if self.rule.about() == "event":
            return Part(account, record, trouble, tried=await self._tried(account, record))
        facts, verdicts = await self._judged(account, record)
        by_subject = {one.subject: one for one in verdicts if isinstance(one, Verdict)}
        return Part(
            account,
            record,
            trouble,
            tuple(
                explained(self.rule, subject, by_subject.get(subject), facts, record, trouble)
                for subject in self._subjects(account, record, by_subject)
            ),
        )

    def _subjects(self, account: Account, record: Record, judged: Iterable[str]) -> list[str]:
        """Every subject that is judged, or could be: the assets, or the whole."""
        rule, known = self.rule, record.snapshot
        alerting = [alert.subject for alert in record.alerts if alert.rule == rule.alert]
        whole = rule.about() == "account"
        own = isinstance(account.target, ProviderWatch | RuleWatch)
        assets = () if whole or own or known is None else (*known.amounts, *known.missing)
        declared = () if whole or own else tuple(asset for asset in account.assets if not _named(asset, assets))
        found = dict.fromkeys((*(asset for asset in (*assets, *declared) if rule.watches(asset)), *judged, *alerting))
        return list(found) or ([""] if whole and not rule.spans else [])

    async def _judged(self, account: Account, record: Record) -> tuple[Facts, list[Judgement]]:
        """The facts that a rule can say most about: those of an outage if it judges that, else of the last answer."""
        readings = await self._readings(account, record)
        for place, reading in enumerate(readings):
            facts = await self._recalled(account, record, reading)
            verdicts = list(self.rule.judge(facts))
            if any(isinstance(one, Need) for one in verdicts):
                facts = await self._recalled(account, record, reading, whole=True)
                verdicts = list(self.rule.judge(facts))
            if verdicts or place == len(readings) - 1:
                break
        return facts, verdicts

    async def _readings(self, account: Account, record: Record) -> list[Reading]:
        match account.target:
            case ProviderWatch(provider=provider):
                return [await self.store.health(provider)]
            case RuleWatch():
                return [await self._sums(account, record)]
        answer = last_answer(record, account, self.now) or Answer(Snapshot(self.now, {}), ())
        if record.outage is None:
            return [answer]
        return [record.outage, answer] if record.snapshot else [record.outage]

    async def _recalled(self, account: Account, record: Record, reading: Reading, *, whole: bool = False) -> Facts:
        recorded = await self._recorded(account, datetime.fromtimestamp(0, self.now.tzinfo)) if whole else None
        facts = recalled(record, reading, account, self.rule, self.now, recorded, self.book)
        if isinstance(facts, Need):
            recorded = await self._recorded(account, facts.since)
            facts = recalled(record, reading, account, self.rule, self.now, recorded, self.book)
        assert not isinstance(facts, Need), "with the events of the longest window every rule can tell"
        return facts

    async def _recorded(self, account: Account, since: datetime) -> tuple[Event, ...]:
        if isinstance(account.target, RuleWatch):
            return await SumReader(self.store, {}).recall(account, since)
        return await self.store.events(account.name, since)

    async def _sums(self, account: Account, record: Record) -> Roundup:
        """The sums as they stand, from the members' records."""
        watch = account.target
        assert isinstance(watch, RuleWatch)
        portfolio = Portfolio(self.rule, watch.members)
        async for member in all_records(self.store, watch.members):
            portfolio.take(watch.members[member.account], member, self.now)
        sums = portfolio.sums if self.rule.flow() is None else {}
        prices = portfolio.quotes()
        return Roundup(self.now, sums, (), record.ledgers, portfolio.unknown, prices, portfolio.accounts)

    async def _tried(self, account: Account, record: Record) -> Tried:
        found = await self.store.recent_events(account.name, None, EVENTS_MAX)
        events = tuple(event for _, event in reversed(found))
        answer = last_answer(record, account, self.now) or Answer(Snapshot(self.now, {}), ())
        facts = await self._recalled(account, record, answer)
        assert isinstance(facts, Sighting)
        told = self.rule.judge(facts._replace(events=events, previous=None))
        return Tried(len(events), tuple(one for one in told if isinstance(one, EventVerdict)))


def _named(asset: str, known: Iterable[str]) -> bool:
    return any(selects(asset, one) for one in known)
