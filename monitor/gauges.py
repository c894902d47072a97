"""Turns what the engine tells of its work into metrics, and on request into log lines."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from monitor.concerns import Concerns
from monitor.engine.deliver import Outcome
from monitor.engine.poll import BUG, Polled
from monitor.engine.ports import Claim, Clock
from monitor.metrics import AccountState, Metrics, PollOutcome
from monitor.metrics.sending import DeliveryOutcome
from monitor.model.group import Message
from monitor.model.record import Account, Answer
from monitor.model.snapshot import Outage

log = structlog.get_logger("monitor.gauges")

#: Two clocks are never the same; by more than that one of them is wrong.
CLOCKS_DIFFER = timedelta(seconds=2)
#: A template that has not failed for so long is taken to be mended; a reload mends them all, until they fail.
TEMPLATE_TOLD = timedelta(days=1)
_OUTCOMES: dict[Outcome, DeliveryOutcome] = {"sent": "ok", "failed": "deferred", "rejected": "dead"}


@dataclass(slots=True)
class Gauges:
    """Hears of every poll and delivery of this process; `loud` logs each of them."""

    metrics: Metrics
    clock: Clock
    concerns: Concerns
    states: dict[str, dict[str, AccountState]] = field(default_factory=dict)
    #: Asking the logger at every poll would cost more than deciding what to tell.
    loud: bool = False
    _ahead: set[str] = field(default_factory=set)

    def expect(self, accounts: Iterable[Account]) -> None:
        """These accounts are configured; those already known keep their state."""
        old, self.states = self.states, {}
        for provider in old:
            # Where none is left, none is counted any more.
            self.metrics.accounts(provider, {})
        for account in accounts:
            known = old.get(account.provider, {}).get(account.name, "never")
            self.states.setdefault(account.provider, {})[account.name] = known

    def come(self, account: Account) -> None:
        """One more account, or another than before."""
        self.states.setdefault(account.provider, {}).setdefault(account.name, "never")

    def gone(self, account: Account) -> None:
        """There is no such account any more."""
        self.states.get(account.provider, {}).pop(account.name, None)

    def polled(self, account: Account, claim: Claim, polled: Polled) -> None:
        """One poll has ended, whatever became of it."""
        self.metrics.decided(polled.decided_at - polled.read_at)
        self.metrics.committed(polled.result, polled.committed_at - polled.decided_at)
        for row in polled.commit.rows:
            self.metrics.owed(row.news)
            if error := row.entry.annotations.get("template_error"):
                self._template_failed(row.entry.rule, error)
        if self.loud:
            _say_polled(account, polled)
        if account.provider.startswith("@"):
            # It stands for something else than a balance.
            return
        if not (isinstance(polled.reading, Outage) and polled.reading.asked_at):
            self.metrics.poll(
                account.provider,
                _outcome(polled),
                took=polled.read_at - polled.started_at,
                lateness=polled.started_at - claim.due_at,
                interval=account.interval,
            )
        if polled.doubt is not None:
            self.metrics.doubted(account.provider, polled.doubt)
        self.metrics.recorded(account.provider, len(polled.commit.events))
        if not all(cover.whole for cover in polled.commit.record.coverage.values()):
            self.metrics.crowded(account.provider)
        good = isinstance(polled.reading, Answer)
        if isinstance(polled.reading, Answer):
            self.metrics.read(account.provider, polled.read_at)
            self._compare_clocks(account, polled.reading, polled.read_at)
        # Of a crew that is leaving, it may be configured no longer.
        if account.name in (states := self.states.get(account.provider, {})):
            states[account.name] = "ok" if good else "failing"

    def _compare_clocks(self, account: Account, answer: Answer, now: datetime) -> None:
        """Say once of a provider that its clock is ahead: what it dates in the future is taken to be of now."""
        times = [event.occurred_at for event in answer.events or ()]
        if answer.snapshot.as_of is not None:
            times.append(answer.snapshot.as_of)
        if times and max(times) - now > CLOCKS_DIFFER and account.provider not in self._ahead:
            self._ahead.add(account.provider)
            ahead = (max(times) - now).total_seconds()
            log.warning("provider.clock_ahead", account=account.name, provider=account.provider, by_seconds=ahead)

    def _template_failed(self, rule: str, error: str) -> None:
        self.metrics.template_failed(rule)
        log.warning("template.failed", rule=rule, why=error)
        # By the annotation's name: its error may read differently each time.
        about = f"{rule} {error.partition(':')[0]}"
        self.concerns.report("TemplateError", f"{rule}.{error}", about=about, lasts=TEMPLATE_TOLD)

    def claimed(self, took: timedelta) -> None:
        """The store said what is due."""
        self.metrics.claimed(took)

    def attempted(self, outcome: Outcome, message: Message, took: timedelta) -> None:
        """One delivery was tried."""
        if self.loud:
            what = {"channel": message.channel, "notification": message.id, "type": message.type}
            log.debug("delivery.tried", **what, outcome=outcome, alerts=len(message.alerts), took_ms=_ms(took))
        latency = None
        # A reminder's news are as old as its interval is long: nobody waited for it.
        if outcome == "sent" and message.alerts and message.type != "alert.reminder":
            latency = self.clock() - min(alert.entry.observed_at for alert in message.alerts)
        self.metrics.attempted(message.channel, _OUTCOMES[outcome], latency)

    def refresh(self) -> None:
        """Set the gauges that are counted rather than told."""
        for provider, states in self.states.items():
            self.metrics.accounts(provider, Counter(states.values()))


def _say_polled(account: Account, polled: Polled) -> None:
    log.debug(
        "poll.ended",
        account=account.name,
        provider=account.provider,
        outcome=_outcome(polled),
        took_ms=_ms(polled.read_at - polled.started_at),
        news=len(polled.commit.rows),
        result=polled.result,
    )


def _ms(took: timedelta) -> int:
    return took // timedelta(milliseconds=1)


def _outcome(polled: Polled) -> PollOutcome:
    match polled.reading:
        case Outage(kind=kind, why=why):
            return kind if not why.startswith(BUG) else "bug"
        case Answer(snapshot=snapshot, gap=gap, lost=lost) if snapshot.missing or gap or lost:
            return "partial"
    return "ok"
