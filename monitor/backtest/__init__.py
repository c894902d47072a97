"""The command `backtest`: what the configured rules would have sent, had they been in force since some time.

The store is read an account at a time; kept of each are the rows its alerts owed. Those of all accounts together go
through the channels' groups at the end, as in the daemon.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from monitor.backtest.replay import Life, Span, replay
from monitor.backtest.report import Outcome, Unjudged, print_report, report
from monitor.commands.beside import OK, known, load_config, open_store, print_json
from monitor.config import Config
from monitor.engine.suppress import Suppressor
from monitor.engine.watch import match_labels
from monitor.errors import ConfigError
from monitor.fields import duration
from monitor.model.past import Past
from monitor.model.record import Account, Row
from monitor.model.snapshot import Snapshot
from monitor.rules.base import RuleBase
from monitor.ruletest.inbox import Inbox
from monitor.schedule import Every
from monitor.staff import muted
from monitor.staff import policy as policy_of
from monitor.store.redis import RedisStore

#: A reminder a second for a month would never end; more than this many are not counted.
REMINDERS_MAX = 100_000
#: The progress bar moves at most this often within an account.
MOVES = 20


def backtest(path: Path, since: str, rules: Sequence[str], accounts: Sequence[str], *, as_json: bool) -> int:
    """Replay the stored past through the rules and print what would have been sent; reads only."""
    config = load_config(path)
    asked = _Asked(since, _chosen(config, rules), tuple(known(config.accounts, name, "account") for name in accounts))
    outcome = asyncio.run(_replay(config, asked))
    told = report(outcome)
    if as_json:
        print_json(told)
    else:
        print_report(told)
    return OK


def instant(text: str, now: datetime) -> datetime:
    """`30d` ago, or an ISO date or time, UTC unless it says otherwise; ConfigError for anything else."""
    try:
        at = now - duration(text)
    except (ValueError, OverflowError):
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise ConfigError([f"--since {text!r} is neither a duration (30d) nor a date (2026-11-01)"]) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    if at >= now:
        raise ConfigError([f"--since {text!r} is not in the past"])
    return at.astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says; no accounts are all of them."""

    since: str
    rules: tuple[RuleBase, ...]
    accounts: tuple[Account, ...]


def _chosen(config: Config, names: Sequence[str]) -> tuple[RuleBase, ...]:
    by_name = {rule.alert: rule for rule in config.rules}
    wanted = {known(by_name, name, "rule").alert for name in names}
    return tuple(rule for rule in config.rules if not wanted or rule.alert in wanted)


async def _replay(config: Config, asked: _Asked) -> Outcome:
    async with open_store(config) as store:
        now = await store.time()
        since = instant(asked.since, now)
        backtest = _Backtest(config, asked, Span(since - _memory(asked.rules), since, now))
        await backtest.run(store)
    return backtest.outcome()


def _memory(rules: Sequence[RuleBase]) -> timedelta:
    """How far back a rule looks at most: that long before the first alert its window begins to fill."""
    specs = (spec for rule in rules for spec in (rule.flow(), rule.extreme()))
    return max((spec.within for spec in specs if spec), default=timedelta(0))


@dataclass(slots=True)
class _Backtest:
    config: Config
    asked: _Asked
    span: Span
    rows: list[tuple[datetime, Row]] = field(default_factory=list)
    replayed: int = 0
    silent: int = 0
    begins: datetime | None = None
    coarse: dict[str, datetime] = field(default_factory=dict)
    unpriced: dict[str, set[str]] = field(default_factory=dict)

    async def run(self, store: RedisStore) -> None:
        """Read and replay every account; the bar is for people at a terminal."""
        lives = [one for one in self._lives() if one.rules]
        console = Console(stderr=True)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("accounts", total=len(lives))
            for place, life in enumerate(lives):
                past = await store.past(life.account.name, self.span.warm_from)
                self._live(life, past, _mover(self.span, progress, task, place))
        self.rows.sort(key=itemgetter(0))

    def _lives(self) -> Iterator[Life]:
        # History holds no prices, neither those of providers nor fetched ones: what is left are the written ones.
        policy = policy_of(self.config)
        judging = tuple(rule for rule in self.asked.rules if _why_not(rule) is None)
        for account in self.asked.accounts or self.config.accounts.values():
            spec = self.config.providers[account.provider]
            labels = match_labels(account)
            yield Life(
                account=account,
                rules=tuple(rule for rule in judging if rule.matches(labels)),
                policy=policy,
                timetable=self.config.timetables.get(account.name) or Every(account.interval),
                infers="inferred" in spec.KINDS,
                drops_zero=spec.DROPS_ZERO,
            )

    def _live(self, life: Life, past: Past, tick: Callable[[datetime], None]) -> None:
        if not past.points and not past.events:
            self.silent += 1
            return
        self.replayed += 1
        first = max(self.span.since, min([*(p.at for p in past.points[:1]), *(at for at, _ in past.events[:1])]))
        self.begins = first if self.begins is None else min(self.begins, first)
        if past.fine_from is not None and past.fine_from > self.span.since:
            self.coarse[life.account.name] = past.fine_from
        for rule in life.rules:
            if rule.in_usd:
                self._price(rule, life, {point.asset for point in past.points})
        self.rows += replay(life, past, self.span, tick=tick)

    def _price(self, rule: RuleBase, life: Life, assets: set[str]) -> None:
        """Note what a rule in USD cannot judge."""
        prices = life.policy.book.prices(Snapshot(self.span.until, {}), self.span.until)
        missing = {one for one in assets if rule.watches(one) and one not in prices}
        if missing:
            self.unpriced.setdefault(rule.alert, set()).update(missing)

    def outcome(self) -> Outcome:
        """Everything that is to be said, the messages of all channels included."""
        resolved = {name: spec.send_resolved for name, spec in self.config.channels.items()}
        # Silences are of now; a past in which they held would not show what rules do.
        inbox = Inbox(resolved, REMINDERS_MAX, Suppressor((muted(self.config),)))
        for at, row in self.rows:
            inbox.deliver(at)
            inbox.owe([row], at)
        inbox.deliver(self.span.until)
        inbox.drain()
        return Outcome(
            since=self.begins or self.span.since,
            asked_since=self.span.since,
            until=self.span.until,
            channels=tuple(self.config.channels),
            rules=self.asked.rules,
            unjudged=tuple(Unjudged(rule.alert, why) for rule in self.asked.rules if (why := _why_not(rule))),
            rows=tuple(self.rows),
            heard=tuple(inbox.heard),
            replayed=self.replayed,
            silent=self.silent,
            coarse=self.coarse,
            unpriced={name: tuple(sorted(assets)) for name, assets in self.unpriced.items()},
        )


def _why_not(rule: RuleBase) -> str | None:
    """Why the past says nothing of a rule."""
    if rule.judges_outages:
        return "failed polls are not in the history"
    if rule.residual() is not None:
        return "what a ledger explained at each poll is not in the history"
    if rule.spans:
        return "sums over accounts are not replayed"
    return None


def _mover(span: Span, progress: Progress, task: TaskID, place: int) -> Callable[[datetime], None]:
    """Moves the bar within an account by how much of its span is done, not at every step."""
    whole, moved = span.until - span.warm_from, 0.0

    def tick(at: datetime) -> None:
        nonlocal moved
        part = (at - span.warm_from) / whole
        if part - moved > 1 / MOVES:
            moved = part
            progress.update(task, completed=place + part)

    return tick
