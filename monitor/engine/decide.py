"""One reading in, everything that follows from it out: pure, so a crash or a repeat changes nothing.

reading ─▶ facts (changes, events, rings) ─▶ rules ─▶ verdicts ─▶ alerts advance ─▶ rows for the groups
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from monitor.engine.calm import is_calm, judged_by, nobody_stirs
from monitor.engine.chronicle import Chronicle, would_tell
from monitor.engine.doubt import NO_DOUBTS, Doubts
from monitor.engine.escalate import begun, joined
from monitor.engine.feeding import feed_of
from monitor.engine.inhibit import source_of
from monitor.engine.learn import learn, points, reread
from monitor.engine.leavers import leavers, parting, says_so
from monitor.engine.nodata import data_flag, last_read, read_again, supposed, vanished, without_gap
from monitor.engine.notice import entry_of_alert, labels_of_alert
from monitor.engine.origin import left_behind, of_provider
from monitor.engine.policy import Policy
from monitor.engine.pricing import valued
from monitor.engine.rings import longest, reaching
from monitor.model.alert import (
    Alert,
    EventVerdict,
    News,
    Reason,
    Severity,
    State,
    Verdict,
    advance,
    close,
    opened,
    pause,
)
from monitor.model.damping import Timing, Turns
from monitor.model.event import Event
from monitor.model.record import Account, Answer, Commit, Confirm, Entry, Need, Reading, Record, Row, RuleWatch
from monitor.model.source import Source
from monitor.rules.aggregate import apart
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, Judgement, Overview, Sighting
from monitor.rules.templates import labels_of

_NO_TIME = timedelta(0)


def decide(
    record: Record,
    reading: Reading,
    account: Account,
    rules: Iterable[RuleBase],
    policy: Policy,
    now: datetime,
    recorded: tuple[Event, ...] | None = None,
    doubts: Doubts = NO_DOUBTS,
) -> Commit | Confirm | Need:
    """Work out the next record and what it owes, or what else must be read first: see `Need` and `Confirm`."""
    rules, ours = tuple(rules), of_provider(record, account, now)
    calm = isinstance(reading, Answer) and is_calm(ours, reading, rules)
    feed = feed_of(reading, account, record, ours, trusted=account.provider in policy.trusting)
    if calm and isinstance(reading, Answer) and nobody_stirs(ours, reading):
        return Commit(record, reread(ours, reading, account), feed=feed)
    expected = policy.expects(account)
    learned = learn(ours, reading, account, rules, now, recorded, policy.book, doubts, expected, calm=calm)
    if isinstance(learned, Need | Confirm):
        return learned if isinstance(learned, Confirm) else reaching(learned, reading, rules, ours, now)
    following, facts = learned
    decision = _Decision(record=following, account=account, policy=policy, now=now)
    chronicle = Chronicle(account, policy.route, now)
    known = {(alert.rule, alert.subject): alert for alert in without_gap(ours, policy.bearable(account), now)}
    for rule in judged_by(ours, rules).restless if calm else rules:
        if not decision.hear(rule, rule.judge(facts), known, chronicle):
            return reaching(longest(rules, ours, now), reading, rules, ours, now)
    if known:
        decision.settle_unjudged(known.values(), rules, facts, moved=ours is not record)
    decision.miss(rules, facts)
    after = decision.following(rules, read=isinstance(facts, Sighting))
    return Commit(
        before=record,
        record=valued(after, facts, rules) if isinstance(facts, Sighting) else after,
        events=chronicle.stored(facts),
        points=tuple(points(ours.snapshot, facts)),
        rows=(*decision.rows, *chronicle.rows(facts, rules)),
        untold=would_tell(facts, rules),
        feed=feed,
    )


@dataclass(slots=True)
class _Decision:
    """The alerts and rows of one decision while it is being made."""

    record: Record
    account: Account
    policy: Policy
    now: datetime
    alerts: list[Alert] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    ended: dict[str, Turns] = field(default_factory=dict)

    def following(self, rules: tuple[RuleBase, ...], *, read: bool) -> Record:
        alerts, lately = tuple(self.alerts), self.record.lately
        if lately or self.ended:
            lately = self._lately(rules)
        if alerts == self.record.alerts and lately == self.record.lately:
            return self.record
        # What ends while nothing is read has not become good.
        mark = self.record.judged if read else None
        return replace(self.record, alerts=alerts, lately=lately, judged=mark)

    def _lately(self, rules: tuple[RuleBase, ...]) -> Mapping[str, Turns]:
        """The turns of alerts that have ended, for as long as any rule could count them.

        Those of a clock that was ahead are dropped: they would be kept until it has caught up.
        """
        longest_window = max((rule.damping.within for rule in rules), default=_NO_TIME)
        open_now = {alert.fingerprint for alert in self.alerts}
        return {
            name: turns
            for name, turns in {**self.record.lately, **self.ended}.items()
            if name not in open_now and _NO_TIME <= self.now - turns[-1] < longest_window
        }

    def hear(
        self, rule: RuleBase, judged: Iterable[Judgement], known: dict[tuple[str, str], Alert], chronicle: Chronicle
    ) -> bool:
        """Take what a rule says, striking the alerts it names from those `known`; False when it cannot tell yet."""
        for verdict in judged:
            match verdict:
                case Verdict():
                    alert = known.pop((rule.alert, verdict.subject), None)
                    if alert is not None and rule.spans and tuple(alert.labels) != rule.summed_by:
                        # The same name for another thing: `vip` was a tier, and is a role now.
                        self._keep(None, *close(alert, "superseded", self.now))
                        alert = None
                    self.judge(rule, alert, read_again(alert, parting(alert, verdict, self.account)))
                case EventVerdict():
                    chronicle.hear(rule, verdict)
                case Need():
                    return False
        return True

    def judge(self, rule: RuleBase, alert: Alert | None, verdict: Verdict, observed_at: datetime | None = None) -> None:
        if verdict.data == "unknown" and verdict.bad is None:
            if alert is not None:
                # It could be either: why is what there is to say.
                alert = pause(replace(alert, details=verdict.details), "unknown")
                self._keep(rule, alert, "updated" if says_so(alert) else None)
            return
        if alert is None:
            if verdict.bad is None:
                return
            alert = self._opened(rule, verdict.subject, verdict.bad, observed_at)
        elif alert.rule_type != rule.type:
            # A rule of the same name that judges the same is the same rule, edited.
            alert = replace(alert, rule_type=rule.type)
        timing = Timing(
            wait=rule.wait,
            keep=rule.keep_firing_for,
            tolerance=self.policy.bearable(self.account),
            flap=rule.damping,
            renotify=rule.renotify,
        )
        moved, news = advance(alert, verdict, timing, self.now)
        if alert.acked is not None and moved is not None and moved.acked is None:
            # Nobody looks after what it is now: who is told of that later waits anew.
            moved = replace(moved, targets=begun(moved.targets, self.now))
        ended = alert if moved is None else moved if news == "resolved" else None
        if ended is not None and ended.turns:
            self.ended[ended.fingerprint] = ended.turns
        if news is None and moved is not None and says_so(moved):
            news = "updated"
        self._keep(rule, moved, news)

    def _opened(self, rule: RuleBase, subject: str, level: Severity, observed_at: datetime | None) -> Alert:
        """A new episode; it counts on where the last one ended, so that flapping is seen over many of them."""
        alert = opened(rule.alert, rule.type, self.account.name, subject, self.record.version, level, self.now)
        turns = self.record.lately.get(alert.fingerprint, ()) if self.record.lately else ()
        if turns or observed_at:
            return replace(alert, turns=turns, observed_at=observed_at or self.now)
        return alert

    def settle_unjudged(
        self, alerts: Iterable[Alert], rules: tuple[RuleBase, ...], facts: Facts, *, moved: bool
    ) -> None:
        """Alerts nobody judged: closed when no rule can judge them, else held with their timers paused."""
        live = {rule.alert: rule for rule in rules}
        for alert in alerts:
            rule = live.get(alert.rule)
            if rule is None:
                gone: Reason = "superseded" if alert.rule in self.policy.rules else "rule_removed"
                self._keep(None, *close(alert, gone, self.now))
            elif isinstance(facts, Overview) and _emptied(rule, alert, facts):
                left = "account" in alert.labels or leavers(alert, self.account)
                self._keep(rule, *close(alert, "account_removed" if left else "superseded", self.now))
            elif not judges(rule, alert):
                # The rule was edited and speaks of other things now.
                self._keep(rule, *close(alert, "superseded", self.now))
            elif moved and isinstance(facts, Sighting) and left_behind(alert, facts.snapshot):
                self._keep(rule, *close(alert, "superseded", self.now))
            else:
                self._hold(rule, alert, facts)

    def _hold(self, rule: RuleBase, alert: Alert, facts: Facts) -> None:
        """An alert whose subject is unknown: it stays, unless `on_no_data` says otherwise and it is stale."""
        read_at = last_read(rule, alert.subject, facts, self.record.snapshot)
        flag = data_flag(facts, read_at)
        if flag != "stale" or rule.on_no_data == "keep_state":
            self.alerts.append(pause(alert, flag))
        elif rule.on_no_data == "resolve":
            self.judge(rule, alert, supposed(alert, None, read_at))
        elif alert.state is State.PENDING:
            self.judge(rule, alert, supposed(alert, alert.severity, read_at))
        else:
            self.alerts.append(pause(alert, flag))

    def miss(self, rules: tuple[RuleBase, ...], facts: Facts) -> None:
        """Alerts on what can no longer be read, for rules that want them (`on_no_data: fire`)."""
        for rule in rules:
            if rule.on_no_data != "fire":
                continue
            known = {alert.subject for alert in self.alerts if alert.rule == rule.alert}
            for read_at, verdict in vanished(rule, facts, self.record.snapshot):
                if verdict.subject not in known:
                    self.judge(rule, None, verdict, observed_at=read_at)

    def _keep(self, rule: RuleBase | None, alert: Alert | None, news: News | None) -> None:
        if alert is None:
            return
        if news is None and rule is not None and alert.state is State.FIRING and not alert.calm:
            alert = self._tell_newcomers(rule, alert)
        if news is not None:
            was, entry = alert.inhibits, entry_of_alert(rule, self.account, alert, self.now)
            if news != "resolved":
                # An alert tells for ever whom it told first: a later route only adds channels.
                labels = labels_of(entry)
                targets = joined(alert.targets, self.policy.route(labels), self.now)
                alert = replace(alert, targets=targets, told_labels=entry.labels, inhibits=self.policy.inhibits(labels))
            self.rows.append(Row(news, entry, alert.targets, self._source(entry, was, alert)))
        if news != "resolved":
            self.alerts.append(alert)

    def _source(self, entry: Entry, was: bool, alert: Alert) -> Source | None:
        inhibits = alert.inhibits and alert.state is State.FIRING
        return source_of(entry, self.account.name, self.now, was=was, inhibits=inhibits)

    def _tell_newcomers(self, rule: RuleBase, alert: Alert) -> Alert:
        """A route that was edited leads to other channels: they hear of what fires, or nobody would from now on."""
        labels = labels_of_alert(rule, self.account, alert)
        targets, inhibits = joined(alert.targets, self.policy.route(labels), self.now), self.policy.inhibits(labels)
        if inhibits != alert.inhibits:
            entry = entry_of_alert(rule, self.account, alert, self.now)
            was, alert = alert.inhibits, replace(alert, inhibits=inhibits)
            self.rows.append(Row("inhibits", entry, (), self._source(entry, was, alert)))
        if targets is alert.targets:
            return alert
        newcomers = tuple(target for target in targets if target not in alert.targets)
        entry = entry_of_alert(rule, self.account, alert, self.now)
        self.rows.append(Row(news="firing", entry=entry, targets=newcomers))
        return replace(alert, targets=targets)


def judges(rule: RuleBase, alert: Alert) -> bool:
    """Whether a rule of that name can still say anything of an alert; one that tells events judges nothing."""
    if rule.type != alert.rule_type or rule.about() == "event":
        return False
    if rule.spans:
        return tuple(alert.labels) == rule.summed_by and (
            "asset" not in alert.labels or rule.watches(alert.labels["asset"])
        )
    if rule.about() == "account":
        return not alert.subject
    return bool(alert.subject) and rule.watches(alert.subject)


def _emptied(rule: RuleBase, alert: Alert, facts: Overview) -> bool:
    """Whether nobody is left of those that a sum was over, as far as it names them or is of balances."""
    if not judges(rule, alert):
        return False
    if "account" in alert.labels:
        watch = facts.account.target
        return isinstance(watch, RuleWatch) and alert.labels["account"] not in watch.members
    if rule.flow() is not None:
        return False
    return alert.subject not in facts.reading.sums and apart(alert.labels) not in facts.reading.unknown
