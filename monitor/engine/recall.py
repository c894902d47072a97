"""The facts that a rule would be given if the next poll read what is known already. Pure: nobody is asked."""

from collections.abc import Container
from dataclasses import replace
from datetime import datetime

from monitor.engine.learn import learn
from monitor.engine.origin import of_provider
from monitor.engine.pricing import PriceBook
from monitor.model.event import Event
from monitor.model.record import Account, Answer, Confirm, Need, Reading, Record
from monitor.rules.base import RuleBase
from monitor.rules.facts import Facts, Overview, Sighting


class Everything(Container[str]):
    """Holds every subject: whoever asks wants to hear of what is good, too."""

    def __contains__(self, _subject: object) -> bool:
        return True


def last_answer(record: Record, account: Account, now: datetime) -> Answer | None:
    """The last good reading as far as it was really read; None when there is none of this provider."""
    snapshot = of_provider(record, account, now).snapshot
    if snapshot is None:
        return None
    told = {asset: measures for asset, measures in snapshot.amounts.items() if asset not in snapshot.seen}
    return Answer(replace(snapshot, amounts=told, seen={}), (), record.ledgers)


def recalled(
    record: Record,
    reading: Reading,
    account: Account,
    rule: RuleBase,
    now: datetime,
    recorded: tuple[Event, ...] | None,
    book: PriceBook,
) -> Facts | Need:
    """What `rule` would judge were this read now, with all subjects asked for; Need as when deciding.

    `reading` brings nothing new: the last answer, the outage there is, a provider's health, or sums as they are.
    """
    learned = learn(of_provider(record, account, now), reading, account, (rule,), now, recorded, book)
    assert not isinstance(learned, Confirm), "what is known already is not doubted"
    if isinstance(learned, Need):
        return learned
    _, facts = learned
    match facts:
        case Sighting():
            return facts._replace(alerting=Everything())
        case Overview():
            known = {alert.subject for alert in record.alerts}
            return facts._replace(alerting=frozenset(known | facts.reading.sums.keys()))
    return facts
