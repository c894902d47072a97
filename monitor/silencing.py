"""What the daemon and `status` say of the silences there are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from monitor.commands.checks import counted
from monitor.config import Config, doubts
from monitor.config.accounts import Roster
from monitor.engine.records import all_records
from monitor.engine.silence_check import Fires, ends_soon, firing, lifted_for, matched, remarks, reminder
from monitor.engine.silence_words import silence_view
from monitor.model.labels import Match, values_of
from monitor.model.record import Account
from monitor.model.silence import Silence
from monitor.store.redis import RedisStore

if TYPE_CHECKING:
    from monitor.plan import Crew


async def ending_silences(crew: "Crew", now: datetime) -> list[tuple[str, str]]:
    """Silences that are about to end and hold something back: id, and what to tell."""
    ending = [held.silence for held in await crew.board.held() if ends_soon(held.silence, now)]
    if not ending:
        return []
    accounts = {**crew.accounts, **crew.stand_ins}
    alerts = await what_fires(crew.store, crew.config, accounts)
    return [(one.id, reminder(one, held)) for one in ending if (held := matched(one, alerts))]


async def what_fires(store: RedisStore, config: Config, accounts: Mapping[str, Account]) -> list[Fires]:
    """All that fires now at these accounts."""
    rules = {rule.alert: rule for rule in config.rules}
    names = [name for name in await store.open_accounts() if name in accounts]
    return [one async for record in all_records(store, names) for one in firing(accounts, rules, (record,))]


async def silence_report(
    store: RedisStore, silences: Iterable[Silence], alerts: Sequence[Fires], now: datetime
) -> list[dict[str, Any]]:
    """The silences that have not ended, for `status`: how many of these alerts each matches, how many of those it holds
    back and for how many `unless` has lifted it, and what is odd about it. One that has not begun holds nothing."""
    matching = [(one, matched(one, alerts)) for one in silences if one.state(now) != "expired"]
    names = sorted({fires.account for one, found in matching if one.unless for fires in found} - {""})
    records = {record.account: record for record in (await store.load_many(names) if names else ())}
    report = []
    for one, found in matching:
        lifted = lifted_for(one, found, records)
        active = one.state(now) == "active"
        report.append(
            {
                **silence_view(one, now),
                "matches": len(found),
                "holds": len(found) - len(lifted) if active else 0,
                "lifted": len(lifted) if active else 0,
                "remarks": list(remarks(one, alerts, now)),
            }
        )
    return report


def silence_line(silence: Mapping[str, Any]) -> str:
    """One of a report for people, on one line."""
    said = [f"from {_minute(silence['starts_at'])}"] if silence["state"] == "pending" else []
    said.append(f"until {_minute(silence['ends_at'])}")
    if silence["state"] == "active" and silence["matches"]:
        said.append(f"holds {counted(silence['holds'], 'firing alert')}")
    if silence["lifted"]:
        said.append(f"lifted by `unless` for {silence['lifted']}")
    what = match_text(silence["match"]) + unless_text(silence["unless"])
    head = f"silence {silence['id']} of {silence['author']} ({silence['comment']}): {what}"
    return f"{head}: {', '.join([*said, *silence['remarks']])}"


def _minute(stamp: str) -> str:
    return f"{stamp[:16].replace('T', ' ')}Z"


def unless_text(unless: Mapping[str, str] | None) -> str:
    """As it is typed: ` unless equity<50000`; empty when there is none."""
    if unless is None:
        return ""
    sign, bound = ("<", unless["below"]) if "below" in unless else (">", unless["above"])
    return f" unless {unless['measure']}{sign}{bound}"


def silence_doubts(config: Config) -> Callable[[Match], list[str]]:
    """What says of a match which of its labels and values no alert has."""
    audience = doubts.Audience(Roster(config.defaults, accounts=dict(config.accounts)))

    def odd(match: Match) -> list[str]:
        known = doubts.told_labels(audience, config.rules, config.providers)
        return [what for _, what in doubts.of_silences([match], known)]

    return odd


def match_text(match: Mapping[str, Any]) -> str:
    """As it is typed: `account=hedge rule=Liq*`."""
    return " ".join(f"{label}={value}" for label, wanted in match.items() for value in values_of(wanted))
