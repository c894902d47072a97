"""One poll, from the claim to the commit.

load ─▶ read (failure becomes an Outage) ─▶ decide ⇄ load what it needs ─▶ commit ─▶ move the rows
          └──◂── once more, after a pause ──◂──┘ hard to believe
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

import structlog

from monitor.deadlines import Deadlines
from monitor.engine.decide import decide
from monitor.engine.doubt import PAUSE, DoubtOutcome, Doubts, hurry, pause_of, verdict
from monitor.engine.origin import of_provider
from monitor.engine.policy import Policy
from monitor.engine.ports import Budget, Claim, Clock, PollStore, Provider, Summing
from monitor.engine.refused import again, still_refused
from monitor.errors import (
    Outdated,
    ProviderError,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnreachable,
    StoreUnavailable,
)
from monitor.model.event import Event
from monitor.model.record import Account, Answer, Commit, Committed, Confirm, Need, Reading, Record, Roundup, RuleWatch
from monitor.model.snapshot import Outage
from monitor.model.standing import Standing
from monitor.rules.base import RuleBase

log = structlog.get_logger("monitor.poll")

#: How an outage begins that is our own fault: an adapter, or what judges its readings, is broken.
BUG = "bug in the"
#: A decision is taken again when somebody else wrote the record in between (an acknowledgement).
DECISIONS_MAX = 5
#: How much longer than its slowest poll a lease lasts: room for the decision and the commit.
LEASE_MARGIN = timedelta(seconds=15)


#: Lets a time pass.
Rest = Callable[[timedelta], Awaitable[None]]


class Watching(Protocol):
    """What one poll needs to know of the configuration."""

    policy: Policy

    def rules_for(self, account: Account) -> Sequence[RuleBase]: ...

    def next_due(self, account: Account, now: datetime) -> datetime: ...

    def summing(self, account: Account) -> Summing: ...


class Polled(NamedTuple):
    """What became of one poll, and when: for metrics and logs."""

    reading: Reading
    commit: Commit
    result: Committed
    next_at: datetime
    started_at: datetime
    read_at: datetime
    decided_at: datetime
    committed_at: datetime
    #: What the second reading said of a first one that was doubted.
    doubt: DoubtOutcome | None = None


@dataclass(frozen=True, slots=True)
class Polling:
    """Everything that the polls of one provider share. `timeout` bounds one whole reading."""

    provider: str
    adapter: Provider
    timeout: timedelta
    store: PollStore
    watching: Watching
    now: Clock
    #: Whence the events of a window are loaded; None: from the account's own ledger.
    recall: Callable[[Account, datetime], Awaitable[tuple[Event, ...]]] | None = None
    standing: Standing = field(default_factory=Standing)
    deadlines: Deadlines = field(default_factory=Deadlines.of_the_loop)
    #: Since when these credentials are used.
    since: datetime = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "since", self.now())

    @property
    def lease(self) -> timedelta:
        """Longer than the slowest poll, which reads twice, so a lease never ends while we are still reading."""
        return self.timeout * 2 + PAUSE + LEASE_MARGIN


async def sleep(time: timedelta) -> None:
    """Let that time pass."""
    await asyncio.sleep(time.total_seconds())


async def poll(polling: Polling, account: Account, claim: Claim, budget: Budget, rest: Rest = sleep) -> Polled:
    """Read the account and commit what follows. `rest` passes the time between two readings, where a second one is
    needed.

    Raises StoreUnavailable, then the lease simply ends; and Outdated, then nothing was written.
    """
    started = polling.now()
    record = await polling.store.load(account.name)
    if record.generation > polling.standing.generation:
        raise Outdated(record.generation)
    refused = _refused(polling, account, claim, record, started)
    reading = refused or await read(polling, account, record, budget, started)
    one = _Poll(polling, account, claim, budget, started, record, reading, polling.now(), rest)
    try:
        polled = await one.write()
    except (StoreUnavailable, Outdated):
        raise
    except Exception as bug:
        # Bulkhead: a reading that cannot be judged or stored is not known: it pages, where a crash would only
        # be repeated for ever. Its events are read again.
        if isinstance(one.reading, Outage):
            raise
        log.exception("decide.bug", provider=polling.provider, account=account.name)
        one.reading = Outage(at=one.read_at, kind="garbled", why=f"{BUG} judging: {type(bug).__name__}")
        polled = await one.write()
    if polled.result in ("written", "already") and polled.commit.rows:
        await polling.store.move(account.name)
    if polled.result == "written":
        announce(polled.commit.before, polled.reading, account)
        announce_events(polled.commit)
    return polled


@dataclass(slots=True)
class _Poll:
    """One poll under way: what was read of an account, and what of it was doubted."""

    polling: Polling
    account: Account
    claim: Claim
    budget: Budget
    started: datetime
    record: Record
    reading: Reading
    read_at: datetime
    rest: Rest
    doubts: Doubts = field(default_factory=dict)
    outcome: DoubtOutcome | None = None

    async def write(self) -> Polled:
        """Decide and commit, again while somebody else writes the record in between."""
        polling, now = self.polling, self.read_at
        for _ in range(DECISIONS_MAX):
            commit, now = await self._commit(now)
            decided_at = polling.now()
            next_at = self._next_at(commit.record, now)
            result = await polling.store.commit(
                polling.provider, commit, self.claim, next_at, polling.watching.summing(self.account),
                polling.standing.generation,
            )  # fmt: skip
            if result == "outdated":
                raise Outdated(self.record.generation)
            if result != "moved":
                break
            known, self.record, now = self.record, await polling.store.load(self.account.name), polling.now()
            if isinstance(self.reading, Roundup) and known.ledgers != self.record.ledgers:
                # It says what moved since a place that the record is not at: the record was lost.
                self.reading = await read(polling, self.account, self.record, self.budget, now)
                self.read_at = now = polling.now()
        return Polled(
            self.reading, commit, result, next_at, self.started, self.read_at, decided_at, polling.now(), self.outcome
        )  # fmt: skip

    async def _commit(self, now: datetime) -> tuple[Commit, datetime]:
        """The decision, and the time it is of: that of the second reading where the first one is doubted."""
        decision = await self._decide(now)
        if isinstance(decision, Confirm):
            await self._read_again(decision)
            now = self.read_at
            decision = await self._decide(now)
        assert isinstance(decision, Commit), "what was read twice is judged"
        return decision, now

    async def _decide(self, now: datetime) -> Commit | Confirm:
        watching = self.polling.watching
        rules, policy = watching.rules_for(self.account), watching.policy
        decision = decide(self.record, self.reading, self.account, rules, policy, now, doubts=self.doubts)
        if isinstance(decision, Need):
            found = await self._recall(decision.since)
            decision = decide(self.record, self.reading, self.account, rules, policy, now, found, self.doubts)
        assert not isinstance(decision, Need), "with the events of the longest window every rule can tell"
        return decision

    async def _recall(self, since: datetime) -> tuple[Event, ...]:
        if self.polling.recall is not None and isinstance(self.account.target, RuleWatch):
            return await self.polling.recall(self.account, since)
        return await self.polling.store.events(self.account.name, since)

    async def _read_again(self, decision: Confirm) -> None:
        """Take the second reading, within the same claim: nobody else reads this account meanwhile."""
        of = {"provider": self.polling.provider, "account": self.account.name}
        log.info("reading.doubted", **of, why=decision.why)
        await self.rest(pause_of(self.account))
        now = self.polling.now()
        self.reading = await read(self.polling, self.account, self.record, self.budget, now)
        self.read_at, self.doubts = self.polling.now(), decision.doubts
        self.outcome = verdict(self.record, self.reading, decision.doubts)
        if self.outcome == "refuted":
            log.warning("reading.not_confirmed", **of, why=decision.why)

    def _next_at(self, following: Record, now: datetime) -> datetime:
        due = self.polling.watching.next_due(self.account, now)
        # One that is throttled or refused keeps its rhythm, for staleness is still judged; nobody is asked.
        if isinstance(self.reading, Outage) and self.reading.scope == "credentials":
            return due
        return due if not following.doubts else min(due, now + hurry(following, self.doubts, self.account, now))


def _refused(polling: Polling, account: Account, claim: Claim, record: Record, now: datetime) -> Outage | None:
    """What an account whose credentials were refused is judged by while the provider is left alone."""
    outage = record.outage
    if outage is None or outage.scope != "credentials":
        return None
    planned = polling.watching.next_due(account, outage.at)
    return again(outage, now) if still_refused(outage, polling.since, planned, claim.due_at, now) else None


async def read(polling: Polling, account: Account, record: Record, budget: Budget, started: datetime) -> Reading:
    """Poll, turning failure into a fact the engine can reason about."""
    try:
        with polling.deadlines.within(polling.timeout.total_seconds()):
            return await polling.adapter.poll(account, of_provider(record, account, started), budget, started)
    except ProviderError as error:
        return _outage(error, polling.now())
    except TimeoutError:
        return Outage(
            at=polling.now(),
            kind="unreachable",
            why=f"no answer within {polling.timeout.total_seconds():g} s",
        )
    except StoreUnavailable:
        # Asked for quota, or for a provider's health: it is not the provider that failed.
        raise
    except Exception as bug:
        # Bulkhead: a bug in one adapter must page like an outage, not silence the account.
        log.exception("provider.bug", provider=polling.provider, account=account.name)
        return Outage(at=polling.now(), kind="garbled", why=f"{BUG} adapter: {type(bug).__name__}")


def _outage(error: ProviderError, now: datetime) -> Outage:
    return Outage(
        at=now,
        kind=error.kind,
        why=str(error),
        scope=error.scope if isinstance(error, ProviderRefused) else None,
        wait=error.wait if isinstance(error, ProviderThrottled) else None,
        answered=isinstance(error, ProviderUnreachable) and error.answered,
    )


def announce(before: Record, reading: Reading, account: Account) -> None:
    """An outage is news twice: when it starts and when it ends."""
    match before.failing_since, reading:
        case None, Outage(kind=kind, why=why):
            log.warning("account.failing", account=account.name, provider=account.provider, kind=kind, why=why)
        case datetime() as since, Answer():
            log.info("account.recovered", account=account.name, provider=account.provider, failing_since=since)
    if isinstance(reading, Answer):
        for stream in reading.ledgers.keys() - before.ledgers.keys() if reading.ledgers else ():
            rows = len(reading.ledgers[stream].known)
            log.info("events.baseline", account=account.name, stream=stream, rows=rows)
        for note in reading.notes:
            log.warning("provider.note", account=account.name, provider=account.provider, note=note)
        if reading.restated:
            log.warning("events.restated", account=account.name, count=len(reading.restated))
        if reading.gap:
            log.warning("events.incomplete", account=account.name, why=reading.gap)
        if reading.lost:
            log.error("events.lost", account=account.name, why=reading.lost)


def announce_events(commit: Commit) -> None:
    """What became of movements that nobody is told of: history, and what was expected."""
    account = commit.record.account
    if imported := sum(event.imported for event in commit.events):
        log.info("events.imported", account=account, events=imported, would_have_alerted=commit.untold)
    for event in commit.events:
        if event.imported or event.reverted:
            continue
        for use in event.expected:
            used = {"transfer": use.by, "amount": str(use.amount), "movement": event.id}
            log.info("transfer.expected", account=account, asset=event.asset, **used)
