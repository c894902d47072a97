"""Whether a rule test holds, and what one has to see to understand why not. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from monitor.engine.pricing import Static
from monitor.engine.watch import match_labels
from monitor.fields import duration_text, suggestion
from monitor.model.money import text
from monitor.rules.base import RuleBase
from monitor.ruletest import Expectation, ExpectedNews, Meant, split_key
from monitor.ruletest.cases import Case, Member
from monitor.ruletest.story import INACTIVE, Status, Story

#: Rows of a timeline that are shown whole; of a longer one, those around what went wrong.
ROWS_WHOLE = 24
ROWS_MAX = 40
_BEFORE, _AFTER = 4, 3
_SERIOUS = ("inactive", "resolved", "pending", "firing")


@dataclass(frozen=True, slots=True)
class Failure:
    """One expectation that does not hold. `at` is None for what is told, which has no single time."""

    line: int
    what: str
    at: timedelta | None
    expected: str
    was: str
    hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One instant of a timeline: what the poll then or before read, and what followed."""

    at: timedelta
    read: tuple[str, ...]
    happened: tuple[str, ...]
    wrong: tuple[str, ...] = ()


def failures(case: Case, story: Story) -> list[Failure]:
    """Every expectation that does not hold, in the order of the file."""
    found = []
    for place, one in enumerate(case.test.expect):
        if (failed := _state(case, story, one, case.line("expect", place))) is not None:
            found.append(failed)
    for place, news in enumerate(case.test.expect_notifications):
        if (failed := _news(case, story, news, case.line("expect_notifications", place))) is not None:
            found.append(failed)
    return found


def _state(case: Case, story: Story, one: Expectation, line: int) -> Failure | None:
    status = _worst(story, one)
    holds = (
        status.state == one.state
        and one.level in (None, status.level)
        and (one.value is None or one.value == status.value)
    )
    if holds:
        return None
    value = f", value {text(status.value)}" if one.value is not None and status.value is not None else ""
    return Failure(
        line=line,
        what=_named(one.alert, one),
        at=one.at,
        expected=" ".join(filter(None, (one.state, one.level)))
        + (f", value {text(one.value)}" if one.value is not None else ""),
        was=(f"{status.state} {status.level}" if one.level and status.level else str(status)) + value,
        hints=tuple(_hints(case, one) if status.state == "inactive" else _standing(case, one, status)),
    )


def _standing(case: Case, one: Expectation, status: Status) -> Iterator[str]:
    """`firing warning (value 350000, resolves above 350000)`: what an alert stands by, as far as one amount tells."""
    rule = next((rule for rule in case.rules if rule.alert == one.alert), None)
    if rule is None or rule.worse is None:
        return
    if status.value is None or status.threshold is None or status.level is None:
        return
    bad, good = ("below", "above") if rule.worse == "lower" else ("above", "below")
    limit = f"{bad} {text(status.threshold)} is {status.level}"
    if status.state == "pending":
        limit = f"{bad} {text(status.threshold)} for {duration_text(rule.wait)} fires"
    if status.state == "firing":
        back = rule.recoveries().get(status.level)
        ends = "resolves" if status.level == rule.mildest else f"is no longer {status.level}"
        keep = f" for {duration_text(rule.keep_firing_for)}" if rule.keep_firing_for else ""
        limit = f"{ends} {'at' if back is None else good} {text(status.threshold if back is None else back)}{keep}"
    yield f"{status.state} {status.level} (value {text(status.value)}, {limit})"


def _named(what: str, one: Meant) -> str:
    """What an expectation is about, as far as it says so itself."""
    labels = (f"{name}={value}" for name, value in one.labels.items())
    return " ".join(filter(None, (what, one.account, one.asset, *labels)))


def _worst(story: Story, one: Expectation) -> Status:
    """The status an expectation speaks of: of all alerts it may mean, the one that stands worst."""
    meant = (story.status(name, one.at) for name, about in story.alerts.items() if about.is_meant_by(one))
    return max(meant, key=_seriousness, default=INACTIVE)


def _seriousness(status: Status) -> tuple[int, int]:
    return _SERIOUS.index(status.state), ("info", "warning", "critical").index(status.level) if status.level else -1


def _news(case: Case, story: Story, news: ExpectedNews, line: int) -> Failure | None:
    told = [
        heard.kind
        for _, heard in story.heard
        if heard.channel == news.channel
        and story.alerts[heard.fingerprint].is_meant_by(news)
        # How often one is reminded is the route's affair, not the rule's: it counts only where it is asked for.
        and (heard.kind != "reminder" or "reminder" in news.kinds)
    ]
    if tuple(told) == news.kinds:
        return None
    return Failure(
        line=line,
        what=_named(f"{news.channel} about {news.alert}", news),
        at=None,
        expected=_listed(news.kinds),
        was=_listed(told),
        hints=() if told else tuple(_hints(case, news)),
    )


def _listed(kinds: Sequence[str]) -> str:
    return ", ".join(kinds) or "nothing"


def _hints(case: Case, one: Meant) -> Iterator[str]:
    """Why a rule may have had nothing to say at all."""
    meant = [member for member in case.members if one.account in (None, member.account.name)]
    for rule in case.rules:
        if rule.alert == one.alert:
            members = [member for member in meant if _matches(rule, member)]
            if members:
                yield from _hints_of(case, rule, members)
            elif len(meant) == 1:
                yield f"its `match` does not select the account {meant[0].account.name}"
            else:
                yield "its `match` selects none of the accounts"


def _hints_of(case: Case, rule: RuleBase, members: Sequence[Member]) -> Iterator[str]:
    if not rule.judges_provider and not any(rule.watches(asset) for member in members for asset in member.assets):
        yield f"its `assets` ({', '.join(rule.assets)}) are not among the test's"
    measures = {split_key(key)[1] for member in members for key in member.story.series}
    without = any(not member.nature.ledger for member in members)
    infers = without and (rule.flow() is not None or rule.about() == "event")
    read = dict.fromkeys((*rule.measures(), *(("total",) if infers else ())))
    for measure in read:
        if measure not in measures:
            why = "movements are inferred from" if infers and measure == "total" else "it reads"
            yield f"{why} {measure!r}, which the test has no series of{suggestion(measure, measures)}"
    told = case.test.prices or any(isinstance(source, Static) for source in case.policy.book.sources)
    if rule.in_usd and not told:
        yield "it judges worths, and neither the test nor the configuration has `prices`"


def _matches(rule: RuleBase, member: Member) -> bool:
    if rule.judges_provider:
        return rule.matches({"provider": member.account.provider})
    return rule.matches(match_labels(member.account))


def timeline(story: Story, failed: Sequence[Failure]) -> list[Row | None]:
    """What happened, instant by instant, with what went wrong at its place; None stands for rows left out."""
    rows = list(_rows(story, failed))
    if len(rows) <= ROWS_WHOLE:
        return list(rows)
    anchors = [place for place, row in enumerate(rows) if row.wrong]
    if not anchors:
        anchors = [place for place, row in enumerate(rows) if row.happened]
    near = {place for anchor in anchors for place in range(anchor - _BEFORE, anchor + _AFTER + 1)}
    kept = [place for place in range(len(rows)) if place == 0 or place in near][:ROWS_MAX]
    shown: list[Row | None] = []
    for before, place in zip([-1, *kept], kept, strict=False):
        shown += [None, rows[place]] if place > before + 1 else [rows[place]]
    return shown + ([None] if not kept or kept[-1] < len(rows) - 1 else [])


def _rows(story: Story, failed: Sequence[Failure]) -> Iterator[Row]:
    happened: dict[timedelta, list[str]] = {}
    for at, moved in story.movements:
        happened.setdefault(at, []).append(moved)
    for fingerprint, states in story.states.items():
        was = INACTIVE
        for at, status in states:
            if (status.state, status.level) != (was.state, was.level):
                name = story.alerts[fingerprint].name
                happened.setdefault(at, []).append(f"{name}: {was} → {status}")
            was = status
    for at, heard in story.heard:
        name = story.alerts[heard.fingerprint].name
        happened.setdefault(at, []).append(f"{heard.channel} hears: {heard.kind} {name}")
    wrong: dict[timedelta, list[str]] = {}
    for one in failed:
        if one.at is not None:
            wrong.setdefault(one.at, []).append(f"{one.what}: expected {one.expected}, was {one.was}")
    read = dict(story.readings)
    latest: tuple[str, ...] = ()
    for at in sorted({*read, *happened, *wrong}):
        latest = read.get(at, latest)
        yield Row(at, latest, tuple(happened.get(at, ())), tuple(wrong.get(at, ())))
