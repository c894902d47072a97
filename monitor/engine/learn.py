"""What one reading teaches: changes, movements, rolling sums. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from monitor.engine.calm import judged_by
from monitor.engine.doubt import NO_DOUBTS, Doubts, confirm, set_aside, suspects, unbelieved
from monitor.engine.movements import Moved, imported, moved
from monitor.engine.pricing import PriceBook, Prices
from monitor.engine.rings import back_to
from monitor.engine.room import fit
from monitor.engine.roundup import round_up
from monitor.engine.windows import Windows, look_back, unmoved
from monitor.model.event import Event
from monitor.model.expected import Budgets, Expected
from monitor.model.record import (
    Account,
    Answer,
    Confirm,
    Health,
    Need,
    Point,
    ProviderWatch,
    Reading,
    Record,
    Roundup,
)  # fmt: skip
from monitor.model.report import Reports
from monitor.model.snapshot import Change, Outage, Snapshot, carry, diff
from monitor.rules.base import RuleBase
from monitor.rules.facts import Blindness, Checkup, Facts, Sighting


def overtaken(record: Record, snapshot: Snapshot) -> bool:
    """Whether what we know is newer than this snapshot, by the provider's own clock."""
    known = record.snapshot
    return known is not None and known.as_of is not None and snapshot.as_of is not None and snapshot.as_of < known.as_of


_NO_PRICES = PriceBook()


def learn(
    record: Record,
    reading: Reading,
    account: Account,
    rules: tuple[RuleBase, ...],
    now: datetime,
    recorded: tuple[Event, ...] | None,
    book: PriceBook = _NO_PRICES,
    doubts: Doubts = NO_DOUBTS,
    expected: tuple[Expected, ...] = (),
    *,
    calm: bool = False,
) -> tuple[Record, Facts] | Need | Confirm:
    """The record knowing this reading, and the facts that rules judge; Need when a ring must be rebuilt.

    `calm` says that the reading is the one there was, so that no window changes.

    Confirm when the reading is not to be believed. `doubts` are those of the reading that this one shall confirm:
    it is judged, whatever it says.
    """
    if isinstance(reading, Answer):
        reading = _not_from_the_future(reading, now)
    match reading:
        case Health() | Reports():
            return _reached(record), _of_the_store(record, reading, account, now)
        case Outage():
            return _learn_outage(record, reading, account, now, doubts)
        case Answer() if overtaken(record, reading.snapshot):
            known = replace(record, doubts={**record.doubts, **doubts}) if doubts else record
            return known, _nothing_new(record, account, now)
        case Roundup():
            (rule,) = rules
            return round_up(_reached(record), reading, account, rule, now, recorded, book)
        case Answer(corrections=corrections) if corrections and recorded is None:
            return back_to(corrections, rules, record, now)
        case Answer():
            return _learn_answer(record, reading, account, rules, now, recorded, book, doubts, expected, calm=calm)


def _reached(record: Record) -> Record:
    """The record of what is read from the store, now that it is."""
    return record if record.outage is None else replace(record, outage=None, failing_since=None)


def _of_the_store(record: Record, reading: Health | Reports, account: Account, now: datetime) -> Facts:
    if isinstance(reading, Reports):
        return replace(reading, now=now, alerting=frozenset([alert.subject for alert in record.alerts]))
    watch = account.target
    assert isinstance(watch, ProviderWatch)
    return Checkup(now=now, provider=watch.provider, interval=watch.interval, health=reading)


def _learn_outage(
    record: Record, outage: Outage, account: Account, now: datetime, doubts: Doubts
) -> tuple[Record, Blindness]:
    since = record.failing_since or outage.at
    good = record.snapshot.observed_at if record.snapshot else None
    facts = Blindness(now=now, account=account, since=since, last_good_at=good, outage=outage)
    return replace(record, failing_since=since, outage=outage, doubts={**record.doubts, **doubts}), facts


def _not_from_the_future(answer: Answer, now: datetime) -> Answer:
    """A provider whose clock is ahead speaks of now; else what it says later would look older."""
    as_of = answer.snapshot.as_of
    return answer if as_of is None or as_of <= now else answer._replace(snapshot=replace(answer.snapshot, as_of=now))


def _nothing_new(record: Record, account: Account, now: datetime) -> Blindness:
    """A manual poll was answered by a replica that lags: it teaches nothing, and that may go on for long."""
    assert record.snapshot is not None, "nothing is older than nothing"
    good = record.snapshot.observed_at
    outage = Outage(at=now, kind="garbled", why="the answer is older than what is known")
    return Blindness(now=now, account=account, since=record.failing_since or good, last_good_at=good, outage=outage)


def _learn_answer(
    record: Record,
    answer: Answer,
    account: Account,
    rules: tuple[RuleBase, ...],
    now: datetime,
    recorded: tuple[Event, ...] | None,
    book: PriceBook,
    doubts: Doubts,
    expected: tuple[Expected, ...],
    *,
    calm: bool,
) -> tuple[Record, Sighting] | Need | Confirm:
    believed = _believed(record, answer, doubts, now)
    if isinstance(believed, Confirm):
        return believed
    answer, changes, unsure = believed
    movements = moved(record, answer, changes, expected, now, recorded)
    found = unmoved(record) if calm else look_back(record, answer, changes, movements, rules, now)
    if isinstance(found, Need):
        return found
    windows = found if calm else fit(record, found, rules)
    mark, prices = judged_by(record, rules), book.prices(answer.snapshot, now, record.reported)
    following = _following(record, answer, account, windows, unsure, movements.budgets, mark)
    return following, _sighting(record, answer, account, changes, movements, found, prices, now)


def reread(record: Record, answer: Answer, account: Account) -> Record:
    """The record knowing a calm answer without a time of its own: the same but for when it was read."""
    return _following(record, answer, account, unmoved(record), NO_DOUBTS, record.budgets, record.judged)


def _sighting(
    record: Record,
    answer: Answer,
    account: Account,
    changes: tuple[Change, ...],
    movements: Moved,
    found: Windows,
    prices: Prices,
    now: datetime,
) -> Sighting:
    """What rules judge of an answer; `record` is what was known before it."""
    return Sighting(
        now=now,
        account=account,
        snapshot=answer.snapshot,
        previous=record.snapshot,
        changes=changes,
        events=movements.events,
        flows=found.flows,
        recorded=movements.known,
        prices=prices,
        alerting=frozenset([alert.subject for alert in record.alerts]),
        extremes=found.extremes,
        gap=answer.gap,
        lost=answer.lost,
        coverage=found.coverage,
        valued=record.valued,
        budgets=movements.budgets,
        residuals=found.residuals,
        corrected=movements.corrected,
        imported=imported(answer, now) if answer.imported else (),
    )


def _believed(
    record: Record, answer: Answer, doubts: Doubts, now: datetime
) -> tuple[Answer, tuple[Change, ...], Doubts] | Confirm:
    """What of an answer may be judged, what changed by that, and which assets are still in doubt."""
    changes = diff(record.snapshot, answer.snapshot)
    found = suspects(record.snapshot, answer.snapshot, changes)
    unsure = unbelieved(found, record, doubts, now) if found else ()
    if not unsure:
        return answer, changes, NO_DOUBTS
    if not doubts:
        return confirm(unsure, record, answer.snapshot, now)
    # Only the second of two readings says so: it is not known.
    snapshot = set_aside(answer.snapshot, unsure)
    return answer._replace(snapshot=snapshot), diff(record.snapshot, snapshot), dict.fromkeys(unsure, now)


def _following(
    record: Record,
    answer: Answer,
    account: Account,
    windows: Windows,
    unsure: Doubts,
    budgets: Budgets,
    mark: object,
) -> Record:
    """The record knowing an answer; nothing fails any more."""
    # Spelt out: `replace` costs three times as much, here at every poll.
    return Record(
        account=record.account,
        version=record.version,
        snapshot=carry(record.snapshot, answer.snapshot),
        alerts=record.alerts,
        ledgers=record.ledgers if answer.ledgers == record.ledgers else answer.ledgers,
        flows=windows.flows,
        extremes=windows.extremes,
        lately=record.lately,
        coverage=windows.coverage,
        provider=account.provider,
        began_at=record.began_at,
        doubts=unsure,
        valued=record.valued,
        reported=record.reported,
        budgets=budgets,
        residuals=windows.residuals,
        gap=answer.gap,
        wallet=account.wallet,
        judged=mark,
    )


def points(before: Snapshot | None, facts: Facts) -> Iterator[Point]:
    """Every measure that took a new value, the first ever included."""
    if not isinstance(facts, Sighting):
        return
    known: Mapping[str, Mapping[str, Decimal]] = before.amounts if before else {}
    if known == facts.snapshot.amounts:
        return
    for asset, measures in facts.snapshot.amounts.items():
        was = known.get(asset, {})
        for measure, value in measures.items():
            if was.get(measure) != value:
                yield Point(asset, measure, value, facts.snapshot.observed_at)
