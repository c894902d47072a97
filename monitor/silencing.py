"""What the daemon and `status` say of the silences there are."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from monitor.config import Config
from monitor.engine.silence_check import ends_soon, firing, matched, remarks, reminder
from monitor.engine.silence_words import silence_view
from monitor.model.labels import Labels
from monitor.model.record import Account, Record
from monitor.model.silence import Silence
from monitor.store.redis import RedisStore

if TYPE_CHECKING:
    from monitor.plan import Crew

#: Records read from the store at once.
CHUNK = 500


async def ending_silences(crew: "Crew", now: datetime) -> list[tuple[str, str]]:
    """Silences that are about to end and hold something back: id, and what to tell."""
    ending = [held.silence for held in await crew.board.held() if ends_soon(held.silence, now)]
    if not ending:
        return []
    accounts = {**crew.config.accounts, **crew.stand_ins}
    alerts = await _firing(crew.store, crew.config, accounts)
    return [(one.id, reminder(one, held)) for one in ending if (held := matched(one, alerts))]


async def _firing(store: RedisStore, config: Config, accounts: Mapping[str, Account]) -> list[Labels]:
    rules = {rule.alert: rule for rule in config.rules}
    names = [name for name in await store.open_accounts() if name in accounts]
    found: list[Labels] = []
    for start in range(0, len(names), CHUNK):
        found += firing(accounts, rules, await store.load_many(names[start : start + CHUNK]))
    return found


def silence_report(
    silences: Iterable[Silence],
    config: Config,
    accounts: Mapping[str, Account],
    records: Iterable[Record],
    now: datetime,
) -> list[dict[str, Any]]:
    """The silences that have not ended, for `status`, each with how many alerts it matches and what is odd about it."""
    alerts = list(firing(accounts, {rule.alert: rule for rule in config.rules}, records))
    return [
        {**silence_view(one, now), "matches": len(matched(one, alerts)), "remarks": list(remarks(one, alerts, now))}
        for one in silences
        if one.state(now) != "expired"
    ]


def match_text(match: Mapping[str, Any]) -> str:
    """As it is typed: `account=hedge rule=Liq*`."""
    values = ((label, [one] if isinstance(one, str) else one) for label, one in match.items())
    return " ".join(f"{label}={value}" for label, several in values for value in several)
