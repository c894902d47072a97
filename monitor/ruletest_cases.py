"""Reads rule test files with the rules and the configuration they name, or says everything that is wrong with them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.config import Config
from monitor.config import load as load_config
from monitor.engine.decide import Policy
from monitor.engine.route import compile_route
from monitor.errors import ConfigError
from monitor.fields import Context, duration_text, suggestion
from monitor.gather import Reader
from monitor.mistakes import Steps, translated
from monitor.model.record import Account
from monitor.model.snapshot import MEASURES
from monitor.providers import PROVIDERS
from monitor.rules.base import RuleBase
from monitor.ruletest import Expectation, ExpectedNews, RuleTest, RuleTests, split_key
from monitor.settings import Defaults
from monitor.staff import policy as policy_of
from monitor.yamlfile import Document

#: What `config.yaml` beside or above a test file is called.
CONFIG_NAME = "config.yaml"
#: Ten years: whatever is added to its times is still a date.
STORY_MAX = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Nature:
    """What a test needs to know of its account's provider. `kinds` is empty where any will do."""

    measures: tuple[str, ...] = MEASURES
    kinds: tuple[str, ...] = ()
    ledger: bool = False
    drops_zero: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One test, ready to run. `rules` are those of the file, whether they match the account or not."""

    file: str
    test: RuleTest
    interval: timedelta
    account: Account
    rules: tuple[RuleBase, ...]
    policy: Policy
    nature: Nature
    send_resolved: Mapping[str, bool]
    document: Document
    index: int

    def line(self, *steps: str | int) -> int:
        """Where something of this test stands in its file."""
        return self.document.line(("tests", self.index, *steps))


def load(paths: Iterable[Path], config: Path | None) -> list[Case]:
    """Every test of every file. ConfigError names all mistakes.

    `config` is for files that name none themselves; None: the nearest `config.yaml` upwards, if there is one.
    """
    configs = cache(lambda path: load_config(path, secrets=False))
    found: list[Case] = []
    wrong: dict[str, None] = {}
    for path in dict.fromkeys(paths):
        file = _File(Reader(path, Context(path.parent, secrets=False)), configs, config)
        try:
            found += file.cases()
        except ConfigError as error:
            wrong |= dict.fromkeys(error.mistakes)
    if wrong:
        raise ConfigError(list(wrong))
    return found


@dataclass(slots=True)
class _File:
    """One test file while it is being read."""

    reader: Reader
    configs: Any
    config_path: Path | None
    rules: tuple[RuleBase, ...] = ()
    config: Config | None = None
    names: set[str] = field(default_factory=set)

    def cases(self) -> list[Case]:
        document = self.reader.document(self.reader.path, str(self.reader.path))
        if document is None:
            raise ConfigError(self.reader.mistakes())
        tests = self._validated(document)
        if tests is not None:
            self._read_rules(document, tests)
            self._read_config(document, tests)
            for index, test in enumerate(tests.tests):
                for path, what in self._mistakes(test, tests.interval):
                    self.reader.say(document, ("tests", index, *path), what)
        if tests is None or self.reader.mistakes():
            raise ConfigError(self.reader.mistakes())
        channels = _channels(tests)
        return [self._case(document, tests, channels, index) for index in range(len(tests.tests))]

    def _validated(self, document: Document) -> RuleTests | None:
        try:
            return RuleTests.model_validate(document.value)
        except ValidationError as error:
            for path, what in translated(error, "tests", _schema(), document.value):
                self.reader.say(document, path, what)
            return None

    def _read_rules(self, document: Document, tests: RuleTests) -> None:
        paths = self.reader.rule_files(document, tests.rules)
        files = [found for path in paths if (found := self.reader.document(path, str(path))) is not None]
        self.rules = tuple(each.rule for file in files for each in self.reader.rules(file))
        # A rule that is wrong in itself exists all the same.
        self.names = {rule.alert for rule in self.rules} | self.reader.names.keys()

    def _read_config(self, document: Document, tests: RuleTests) -> None:
        here = self.reader.path.parent
        if tests.config is not None:
            path: Path | None = here / tests.config
            if path is not None and not path.is_file():
                self.reader.say(document, ("config",), f"there is no file {tests.config}")
                return
        else:
            path = self.config_path or nearest(here)
        self.config = None if path is None else self.configs(path)

    def _nature(self, test: RuleTest) -> Nature:
        """Of a configured provider or a provider type; any other is what the test makes of it."""
        spec: Any = self.config.providers.get(test.account.provider) if self.config else None
        spec = spec or PROVIDERS.get(test.account.provider)
        if spec is None:
            return Nature(ledger=bool(test.events))
        ledger = spec.tells_events()
        return Nature(spec.MEASURES, spec.KINDS if ledger else (), ledger, spec.DROPS_ZERO)

    def _mistakes(self, test: RuleTest, interval: timedelta) -> Iterator[tuple[Steps, str]]:
        name, nature = test.account.provider, self._nature(test)
        known = [*(self.config.providers if self.config else ()), *PROVIDERS]
        if name not in known and (near := suggestion(name, known)):
            # Another name may be a provider that is still to be configured; this one is a slip.
            yield ("account", "provider"), f"there is no provider {name!r}{near}"
        yield from _of_series(test, nature)
        end = interval * (test.polls - 1)
        if end > STORY_MAX:
            yield ("series",), f"lasts {duration_text(end)}, a story is shorter than {duration_text(STORY_MAX)}"
        yield from _of_events(test, nature, end)
        for place, one in enumerate(test.expect):
            for key, what in self._of_expectation(one, test, end):
                yield ("expect", place, key), what
        for place, news in enumerate(test.expect_notifications):
            for key, what in self._of_news(news, test):
                yield ("expect_notifications", place, key), what

    def _of_expectation(self, one: Expectation, test: RuleTest, end: timedelta) -> Iterator[tuple[str, str]]:
        yield from self._of_alert(one.alert, one.asset, test)
        if one.at > end:
            yield "at", f"is after the last sample, at {duration_text(end)}"
        if one.state == "inactive" and (one.level or one.value is not None):
            yield "level" if one.level else "value", "an inactive alert has none"
        if any(rule.alert == one.alert and rule.about() == "event" for rule in self.rules):
            what = "tells events, which have no state: expect_notifications says what is told, with kinds: [event]"
            yield "alert", f"{one.alert} {what}"

    def _of_news(self, news: ExpectedNews, test: RuleTest) -> Iterator[tuple[str, str]]:
        yield from self._of_alert(news.alert, news.asset, test)
        channels = self.config.channels if self.config else {news.channel: None}
        if news.channel not in channels:
            known = ", ".join(channels) or "none is configured"
            yield "channel", f"there is no channel {news.channel!r} ({known}){suggestion(news.channel, channels)}"

    def _of_alert(self, alert: str, asset: str | None, test: RuleTest) -> Iterator[tuple[str, str]]:
        if alert not in self.names:
            yield "alert", f"no rule of that name is in the rule files{suggestion(alert, self.names)}"
        assets = assets_of(test)
        if asset is not None and not any(selects(asset, other) for other in assets):
            yield "asset", f"the test has no {asset!r}{suggestion(asset, assets)}"

    def _case(self, document: Document, tests: RuleTests, channels: Sequence[str], index: int) -> Case:
        test, config = tests.tests[index], self.config
        defaults = config.defaults if config else Defaults()
        account = Account(
            name=test.account.name,
            provider=test.account.provider,
            interval=tests.interval,
            stale_after=tests.interval * defaults.stale_after,
            assets=test.account.assets,
            labels=test.account.labels,
        )
        return Case(
            file=document.file,
            test=test,
            interval=tests.interval,
            account=account,
            rules=self.rules,
            policy=policy_of(config) if config else Policy(compile_route(None, channels), defaults.outage_tolerance),
            nature=self._nature(test),
            send_resolved={name: spec.send_resolved for name, spec in config.channels.items()} if config else {},
            document=document,
            index=index,
        )


def nearest(folder: Path) -> Path | None:
    """The nearest `config.yaml`, in this folder or above it."""
    here = folder.resolve()
    return next((path for each in (here, *here.parents) if (path := each / CONFIG_NAME).is_file()), None)


def assets_of(test: RuleTest) -> dict[str, None]:
    """Every asset that a test speaks of, in its order."""
    told = (event.asset for event in test.events)
    return dict.fromkeys((*(split_key(key)[0] for key in test.series), *test.account.assets, *told))


def selects(wanted: str, asset: str) -> bool:
    """Whether a name means an asset; a bare one means it on every network."""
    return wanted in (asset, asset.partition("@")[0])


def _channels(tests: RuleTests) -> tuple[str, ...]:
    """Without a configuration every alert goes to every channel that some test names."""
    return tuple(dict.fromkeys(news.channel for test in tests.tests for news in test.expect_notifications))


def _of_series(test: RuleTest, nature: Nature) -> Iterator[tuple[Steps, str]]:
    for key in test.series:
        asset, measure = split_key(key)
        if not asset or not measure:
            yield ("series", key), "write measure/asset, for example available/USDT"
        elif measure not in nature.measures:
            known = ", ".join(nature.measures)
            what = f"{test.account.provider} never offers {measure!r}, only {known}"
            yield ("series", key), what + suggestion(measure, nature.measures)


def _of_events(test: RuleTest, nature: Nature, end: timedelta) -> Iterator[tuple[Steps, str]]:
    if test.events and not nature.ledger:
        yield ("events",), f"{test.account.provider} has no ledger: movements are inferred from differences of total"
        return
    for place, event in enumerate(test.events):
        if event.at > end:
            yield ("events", place, "at"), f"is after the last sample, at {duration_text(end)}"
        if nature.kinds and event.kind not in nature.kinds:
            what = f"{test.account.provider} reports no {event.kind!r} ({', '.join(nature.kinds)})"
            yield ("events", place, "kind"), what + suggestion(event.kind, nature.kinds)


@cache
def _schema() -> Mapping[str, Any]:
    return RuleTests.model_json_schema(mode="validation")
