"""What is wrong with a rule test that can be read, held against its rules and its configuration. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from monitor.config.mistakes import Steps
from monitor.fields import duration_text, suggestion
from monitor.model.asset import bare, selects
from monitor.model.snapshot import MEASURES
from monitor.rules.base import RuleBase
from monitor.rules.self_alert import SELF_ALERTS
from monitor.ruletest import AccountStory, Expectation, ExpectedNews, Meant, RuleTest, split_key

#: Ten years: whatever is added to its times is still a date.
STORY_MAX = timedelta(days=3650)
#: What a provider that is still to be chosen is taken to have.
OVERLAP = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Nature:
    """What a test needs to know of an account's provider. `kinds` is empty where any will do.

    What is found after more than `overlap` without a reading is late.
    """

    measures: tuple[str, ...] = MEASURES
    kinds: tuple[str, ...] = ()
    ledger: bool = False
    drops_zero: bool = False
    overlap: timedelta = OVERLAP


@dataclass(frozen=True, slots=True)
class Known:
    """What tests may speak of: `names` also are of rules that are wrong in themselves. `channels` None: any."""

    rules: Mapping[str, RuleBase]
    names: Collection[str]
    providers: Sequence[str]
    channels: Sequence[str] | None


def mistakes_of(
    test: RuleTest, natures: Sequence[Nature], interval: timedelta, known: Known
) -> Iterator[tuple[Steps, str]]:
    """Everything that is wrong, with its place in the test. `natures` are those of its accounts, in order."""
    end = interval * (test.polls - 1)
    for place, (story, nature) in enumerate(zip(test.stories, natures, strict=True)):
        for (part, *rest), what in _of_story(story, nature, end, known):
            yield test.path(place, str(part), *rest), what
    if end > STORY_MAX:
        where: Steps = ("series",) if test.series else ("accounts",)
        yield where, f"lasts {duration_text(end)}, a story is shorter than {duration_text(STORY_MAX)}"
    for place, one in enumerate(test.expect):
        for path, what in _of_expectation(one, test, end, known):
            yield ("expect", place, *path), what
    for place, news in enumerate(test.expect_notifications):
        for path, what in _of_news(news, test, known):
            yield ("expect_notifications", place, *path), what


def assets_of(story: AccountStory) -> dict[str, None]:
    """Every asset that is told of an account, in its order."""
    told = (event.asset for event in story.events)
    return dict.fromkeys((*(split_key(key)[0] for key in story.series), *story.assets, *told))


def _of_story(story: AccountStory, nature: Nature, end: timedelta, known: Known) -> Iterator[tuple[Steps, str]]:
    if story.provider not in known.providers and (near := suggestion(story.provider, known.providers)):
        # Another name may be a provider that is still to be configured; this one is a slip.
        yield ("provider",), f"there is no provider {story.provider!r}{near}"
    for key in story.series:
        asset, measure = split_key(key)
        if not asset or not measure:
            yield ("series", key), "write measure/asset, for example available/USDT"
        elif measure not in nature.measures:
            what = f"{story.provider} never offers {measure!r}, only {', '.join(nature.measures)}"
            yield ("series", key), what + suggestion(measure, nature.measures)
    yield from _of_events(story, nature, end)


def _of_events(story: AccountStory, nature: Nature, end: timedelta) -> Iterator[tuple[Steps, str]]:
    if story.events and not nature.ledger:
        yield ("events",), f"{story.provider} has no ledger: movements are inferred from differences of total"
        return
    for place, event in enumerate(story.events):
        if event.at > end:
            yield ("events", place, "at"), f"is after the last sample, at {duration_text(end)}"
        if nature.kinds and event.kind not in nature.kinds:
            what = f"{story.provider} reports no {event.kind!r} ({', '.join(nature.kinds)})"
            yield ("events", place, "kind"), what + suggestion(event.kind, nature.kinds)


def _of_expectation(one: Expectation, test: RuleTest, end: timedelta, known: Known) -> Iterator[tuple[Steps, str]]:
    yield from _of_meant(one, test, known)
    if one.at > end:
        yield ("at",), f"is after the last sample, at {duration_text(end)}"
    if one.state == "inactive" and (one.level or one.value is not None):
        yield ("level" if one.level else "value",), "an inactive alert has none"
    rule = known.rules.get(one.alert)
    if rule is not None and rule.about() == "event":
        what = "tells events, which have no state: expect_notifications says what is told, with kinds: [event]"
        yield ("alert",), f"{one.alert} {what}"


def _of_news(news: ExpectedNews, test: RuleTest, known: Known) -> Iterator[tuple[Steps, str]]:
    yield from _of_meant(news, test, known)
    if known.channels is not None and news.channel not in known.channels:
        there = ", ".join(known.channels) or "none is configured"
        what = f"there is no channel {news.channel!r} ({there}){suggestion(news.channel, known.channels)}"
        yield ("channel",), what


def _of_meant(meant: Meant, test: RuleTest, known: Known) -> Iterator[tuple[Steps, str]]:
    if meant.alert in SELF_ALERTS and meant.alert not in known.names:
        yield ("alert",), f"{meant.alert} is about the monitor itself: such alerts are left out of tests"
    elif meant.alert not in known.names:
        yield ("alert",), f"no rule of that name is in the rule files{suggestion(meant.alert, known.names)}"
    assets = {asset: None for story in test.stories for asset in assets_of(story)}
    if meant.asset is not None and not any(selects(meant.asset, other) for other in assets):
        yield ("asset",), f"the test has no {meant.asset!r}{suggestion(meant.asset, assets)}"
    names = [story.name for story in test.stories]
    if meant.account is not None and meant.account not in names:
        yield ("account",), f"the test has no account {meant.account!r}{suggestion(meant.account, names)}"
    rule = known.rules.get(meant.alert)
    if rule is not None:
        yield from _of_labels(meant, rule, test)


def _of_labels(meant: Meant, rule: RuleBase, test: RuleTest) -> Iterator[tuple[Steps, str]]:
    """What no alert of this rule can be told apart by."""
    for name in ("account", "asset"):
        if getattr(meant, name) is not None and (why := _has_none(rule, name)):
            yield (name,), f"{rule.alert} {why}: its alerts have no `{name}`"
    can_have = _labels(rule, test)
    for name, value in meant.labels.items():
        if name not in can_have:
            yield ("labels", name), f"no alert of {rule.alert} has this label{suggestion(name, can_have)}"
        elif value not in can_have[name]:
            yield ("labels", name), f"none of the accounts has {name}={value}{suggestion(value, can_have[name])}"


def _has_none(rule: RuleBase, name: str) -> str:
    """Why alerts of a rule lack this label, if they do."""
    if (rule.spans or rule.summed_by) and name not in rule.summed_by:
        return f"adds up by {', '.join(rule.summed_by)}" if rule.summed_by else "adds up everything"
    if rule.judges_provider and name == "account":
        return "judges a provider as a whole"
    return "judges accounts as a whole" if name == "asset" and rule.about() == "account" else ""


def _labels(rule: RuleBase, test: RuleTest) -> dict[str, set[str]]:
    """Every label that alerts of a rule can have in a test, but for what they are all called by, and its values."""
    found = {"provider": {story.provider for story in test.stories}}
    if not rule.judges_provider:
        found["account"] = {story.name for story in test.stories}
        found["asset"] = {name for story in test.stories for one in assets_of(story) for name in (one, bare(one))}
        own = {*rule.summed_by, *(name for story in test.stories for name in story.labels)} - found.keys()
        found |= {name: {story.labels.get(name, "") for story in test.stories} for name in own}
    if rule.spans and "account" not in rule.summed_by:
        found = {name: values for name, values in found.items() if name in rule.summed_by}
    return {**found, **{name: {value} for name, value in rule.labels.items()}}
