"""What is odd about silences: nobody needs them, they are forgotten, or they end before anybody expects it. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from monitor.engine.notice import Rules, labels_of_alert
from monitor.engine.silences import lifted
from monitor.model.alert import State
from monitor.model.labels import Labels, compile_match
from monitor.model.record import Account, Record
from monitor.model.silence import Silence

#: One that ends within this is about to; the author of a shorter one hears of it in its last tenth.
ENDING = timedelta(hours=1)
_TENTH = 10
#: One that is older is likely to be forgotten.
OLD = timedelta(days=7)
#: Alerts named in a reminder.
NAMED_MAX = 3


class Fires(NamedTuple):
    """An alert that fires now, as silences see it."""

    labels: Labels
    measure: str | None
    value: Decimal | None

    @property
    def asset(self) -> str | None:
        return self.labels["asset"] or None

    @property
    def account(self) -> str:
        return self.labels["account"]


def firing(accounts: Mapping[str, Account], rules: Rules, records: Iterable[Record]) -> Iterator[Fires]:
    """What fires now, by the records of accounts: also what is about the monitor itself."""
    for record in records:
        account = accounts.get(record.account)
        for alert in record.alerts:
            if account is not None and alert.state is State.FIRING:
                labels = labels_of_alert(rules.get(alert.rule), account, alert)
                yield Fires(labels, alert.measure, alert.value)


def remarks(silence: Silence, alerts: Sequence[Fires], now: datetime) -> tuple[str, ...]:
    """What somebody should look at: `matches nothing`, `ends within an hour`, `older than seven days`."""
    state = silence.state(now)
    if state == "expired":
        return ()
    begun = silence.created_at or silence.starts_at
    found = (
        ("matches nothing", state == "active" and not matched(silence, alerts)),
        ("ends within an hour", silence.ends_at - now <= ENDING),
        ("older than seven days", begun is not None and now - begun > OLD),
    )
    return tuple(what for what, holds in found if holds)


def matched(silence: Silence, alerts: Sequence[Fires]) -> list[Fires]:
    """The alerts a silence matches."""
    fits = compile_match(silence.match)
    return [one for one in alerts if fits(one.labels)]


def lifted_for(silence: Silence, alerts: Iterable[Fires], records: Mapping[str, Record]) -> list[Fires]:
    """For which of the alerts that it matches it is lifted now, by what is known of their accounts."""
    unless = silence.unless
    return [] if unless is None else [one for one in alerts if lifted(unless, one, records.get(one.account))]


def ends_soon(silence: Silence, now: datetime) -> bool:
    """Whether its author is to be reminded: an hour before its end, or in the last tenth of one shorter than ten."""
    if silence.state(now) != "active":
        return False
    length = ENDING * _TENTH if silence.starts_at is None else silence.ends_at - silence.starts_at
    return silence.ends_at - now <= min(ENDING, length / _TENTH)


def reminder(silence: Silence, held: Sequence[Fires]) -> str:
    """What a silence's author is told before its end."""
    named = [" ".join(filter(None, (one.labels["rule"], one.account, one.asset))) for one in held[:NAMED_MAX]]
    more = f" and {len(held) - NAMED_MAX} more" if len(held) > NAMED_MAX else ""
    return (
        f"the silence of {silence.author} ({silence.comment}) ends at "
        f"{silence.ends_at:%Y-%m-%dT%H:%M:%SZ}, then {', '.join(named)}{more} will be heard"
    )
