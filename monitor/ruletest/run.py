"""Runs a rule test: the daemon's own decisions, routes and messages, on a virtual clock and without a store.

poll at k × interval ─▶ decide ─▶ states, rows ─▶ groups ─▶ what the channels hear
        ├▶ what accounts have together ─▶ decide, after their polls and as often as the daemon does between them
        └▶ health of the provider ─▶ decide, as often as the daemon looks at it
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from monitor.engine.inhibitions import Inhibited
from monitor.engine.kicks import FOLD
from monitor.engine.notice import labels_of_alert
from monitor.engine.policy import Policy
from monitor.engine.silences import Board
from monitor.engine.suppress import NOTHING_SUPPRESSED
from monitor.engine.watch import account_of_checkup, aggregates, match_labels
from monitor.model.alert import Alert
from monitor.model.record import Account, Commit, Health, Reading, Roundup, RuleWatch
from monitor.model.window import NEVER
from monitor.rules.aggregate import title
from monitor.rules.base import RuleBase
from monitor.rules.contributors import missing_parts
from monitor.rules.templates import labels_of
from monitor.ruletest.cases import Case
from monitor.ruletest.inbox import Inbox
from monitor.ruletest.polls import Script, Ticker, expected_of, noted, sample_at, shown
from monitor.ruletest.story import INACTIVE, About, Status, Story
from monitor.staff import suppressor
from monitor.virtual import Shelf, Virtual, VirtualSum

#: What is looked at besides polls is, at most this often between two: a day between polls must not mean thousands.
LOOKS_MAX = 20
_INSTANT = timedelta(microseconds=1)
#: What keeps others quiet is looked up every time.
_NO_TIME = timedelta(0)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Judged:
    """An account, a provider as a whole or a sum, and how every alert of it stands, by fingerprint."""

    virtual: Virtual
    known: dict[str, Status] = field(default_factory=dict)

    def decide(self, reading: Reading, now: datetime) -> Commit:
        decision = self.virtual.decide(reading, now)
        self.known = dict(_statuses(self.known, decision))
        return decision


@dataclass(slots=True)
class _Watched:
    """What is judged between the polls too: every so often, next at `look_at`."""

    judged: _Judged
    read: Callable[[datetime], Reading]
    every: timedelta
    look_at: datetime
    looked_at: datetime = _LONG_AGO
    #: Whether nothing can change before the next polls.
    rests: Callable[[], bool] = lambda: False

    def hurry(self, now: datetime) -> None:
        """Something it reads has changed: whatever changes within a second is looked at once."""
        self.look_at = min(self.look_at, max(now, self.looked_at + FOLD))


def run(case: Case, tick: Callable[[], None]) -> Story:
    """Everything that happens in a test; `tick` hears of every poll."""
    world = _World(case, tick)
    world.run()
    return world.story


@dataclass(slots=True)
class _World:
    case: Case
    tick: Callable[[], None]
    story: Story = field(default_factory=Story)
    inbox: Inbox = field(init=False)
    ticker: Ticker = field(init=False)
    polled: list[tuple[Script, _Judged]] = field(default_factory=list)
    providers: list[_Watched] = field(default_factory=list)
    sums: list[_Watched] = field(default_factory=list)
    health: dict[str, Health] = field(default_factory=dict)
    shelf: Shelf = field(init=False)

    def __post_init__(self) -> None:
        case = self.case
        self.shelf = Shelf(case.start)
        quiet = NOTHING_SUPPRESSED
        if case.config is not None:
            board = Board(self.shelf, self._now, case.config.silences)
            quiet = suppressor(case.config, board, Inhibited(self.shelf, self._now, case.config.inhibitions, _NO_TIME))
        self.inbox, self.ticker = Inbox(case.send_resolved, suppress=quiet), Ticker(case.test.prices)
        policy = replace(case.policy, book=self.ticker.before(case.policy.book))

        def judged(account: Account, *, whole: bool) -> _Judged:
            labels = match_labels(account)
            rules = (r for r in case.rules if r.judges_provider == whole and not r.spans and r.matches(labels))
            return _Judged(Virtual(account, tuple(rules), policy))

        self.polled = [(Script(member, case.start), judged(member.account, whole=False)) for member in case.members]
        for name in dict.fromkeys(member.account.provider for member in case.members):
            self.health[name] = Health(at=case.start)
            account = account_of_checkup(name, case.interval)
            if (one := judged(account, whole=True)).virtual.rules:
                self.providers.append(_Watched(one, self._checkup(name), self._rhythm(account), case.start))
        accounts = {member.account.name: member.account for member in case.members}
        self.sums = list(self._sums(accounts, {rule.alert: rule for rule in case.rules}, policy))

    def _sums(
        self, accounts: Mapping[str, Account], rules: Mapping[str, RuleBase], policy: Policy
    ) -> Iterator[_Watched]:
        for account in aggregates(rules.values(), accounts).values():
            assert isinstance(account.target, RuleWatch)
            if account.target.members:
                one = VirtualSum(account, rules[account.target.rule], policy, self.shelf)
                read, every = self._adding_up(one), self._rhythm(account)
                yield _Watched(_Judged(one), read, every, self.case.start, rests=one.rests)

    def _adding_up(self, one: VirtualSum) -> Callable[[datetime], Reading]:
        """Reads a sum, and says when some of it becomes unknown: that decides nothing, and so shows nowhere else."""
        before: list[str] = []
        test = self.case.test
        told = any(expected.alert == one.rules[0].alert for expected in (*test.expect, *test.expect_notifications))

        def read(now: datetime) -> Reading:
            nonlocal before
            reading = one.read(now)
            if told and (lacking := _unknown(reading)) != before:
                said = f"{', '.join(lacking)} not known" if lacking else "all of it is known again"
                self.story.movements.append((now - self.case.start, f"{one.rules[0].alert}: {said}"))
                before = lacking
            return reading

        return read

    def _rhythm(self, account: Account) -> timedelta:
        return max(account.interval, self.case.interval / LOOKS_MAX)

    def _checkup(self, provider: str) -> Callable[[datetime], Reading]:
        return lambda now: replace(self.health[provider], at=now)

    def run(self) -> None:
        last = self.case.test.polls - 1
        for place in range(last + 1):
            now = self.case.start + place * self.case.interval
            self._poll_all(place, now)
            for one in self.sums:
                one.hurry(now)
            self._look(now + (self.case.interval if place < last else _INSTANT))
            self.tick()
        self.inbox.deliver(now)
        self.inbox.drain()
        self.story.heard = [(heard.at - self.case.start, heard) for heard in self.inbox.heard]

    def _poll_all(self, place: int, now: datetime) -> None:
        self.ticker.turn(place)
        columns = [sample for script, _ in self.polled for sample in script.samples(place).values()]
        columns += [sample_at(told, place) for told in self.case.test.prices.values()]
        read = tuple(shown(sample) for sample in columns)
        if not self.story.readings or self.story.readings[-1][1] != read:
            self.story.readings.append((now - self.case.start, read))
        for script, judged in self.polled:
            self._poll(script, judged, place, now)

    def _poll(self, script: Script, judged: _Judged, place: int, now: datetime) -> None:
        account = script.member.account
        reading, moved = script.reading(place, now, judged.virtual.record)
        whose = f"{account.name}: " if self.case.test.several else ""
        self.story.movements += [(now - self.case.start, whose + one) for one in moved]
        self.health[account.provider] = noted(self.health[account.provider], reading, now)
        commit = self._judge(judged, reading, now)
        covered = (f"{whose}{said}" for event in commit.events if (said := expected_of(event)))
        self.story.movements += [(now - self.case.start, said) for said in covered]
        self.shelf.write(account, commit, now)

    def _now(self) -> datetime:
        return self.shelf.now

    def _look(self, until: datetime) -> None:
        """Judge what is due before then, each at its time."""
        watched = [*self.providers, *self.sums]
        while watched:
            one = min(watched, key=lambda one: one.look_at)
            if one.look_at >= until:
                return
            self._judge(one.judged, one.read(one.look_at), one.look_at)
            one.looked_at, one.look_at = one.look_at, NEVER if one.rests() else one.look_at + one.every

    def _judge(self, judged: _Judged, reading: Reading, now: datetime) -> Commit:
        # What was due before is said before: a message never tells what came after it.
        self.inbox.deliver(now)
        before = judged.known
        commit = judged.decide(reading, now)
        self._introduce(judged.virtual, commit)
        for name, status in judged.known.items():
            if before.get(name, INACTIVE) != status:
                self.story.states.setdefault(name, []).append((now - self.case.start, status))
        self.shelf.hear(commit)
        self.inbox.owe(commit.rows, now)
        self.inbox.deliver(now)
        return commit

    def _introduce(self, virtual: Virtual, commit: Commit) -> None:
        """Note what alerts are about that were never heard of."""
        known = self.story.alerts
        rules = {rule.alert: rule for rule in virtual.rules}
        for alert in commit.record.alerts:
            if alert.fingerprint not in known:
                labels = labels_of_alert(rules[alert.rule], virtual.account, alert)
                known[alert.fingerprint] = self._about(labels, virtual, alert)
        for row in commit.rows:
            if row.entry.fingerprint not in known:
                known[row.entry.fingerprint] = self._about(labels_of(row.entry), virtual)

    def _about(self, labels: Mapping[str, str], virtual: Virtual, alert: Alert | None = None) -> About:
        """`HotWalletLow USDT`; of several accounts `HotWalletLow hot-1 USDT`; `Float USDT of role=hot` for a sum."""
        if isinstance(virtual, VirtualSum) and alert is not None:
            return About(f"{labels['rule']} {title(alert.labels) if alert.labels else ''}".rstrip(), labels)
        several = len(self.health) > 1 if not labels["account"] else self.case.test.several
        who = (labels["account"] or labels["provider"]) if several else ""
        return About(" ".join(filter(None, (labels["rule"], who, labels["asset"]))), labels)


def _unknown(reading: Roundup) -> list[str]:
    """The accounts of which a part of a sum is not known."""
    parts = (part.account for sums in reading.sums.values() for part in missing_parts(sums))
    return sorted({*parts, *(name for names in reading.unknown.values() for name in names)})


def _statuses(before: Mapping[str, Status], commit: Commit) -> Iterator[tuple[str, Status]]:
    """Every alert ever seen, as it stands now: `resolved` lasts until the next breach."""
    open_now = {a.fingerprint: Status(a.state.value, a.severity, a.value, a.threshold) for a in commit.record.alerts}
    closed = {
        row.entry.fingerprint: Status("resolved", row.entry.severity, row.entry.value, row.entry.threshold)
        for row in commit.rows
        if row.news == "resolved"
    }
    for name in {**before, **closed, **open_now}:
        was = before.get(name, INACTIVE)
        still = was if was.state == "resolved" else INACTIVE
        yield name, open_now.get(name) or closed.get(name) or still
