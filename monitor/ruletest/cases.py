"""Reads rule test files with the rules and the configuration they name, or says everything that is wrong with them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from monitor.config import Config
from monitor.config import load as load_config
from monitor.config.gather import Reader
from monitor.config.mistakes import translated
from monitor.config.settings import Defaults
from monitor.config.yamlfile import Document
from monitor.engine.policy import Policy
from monitor.engine.route import compile_route
from monitor.errors import ConfigError
from monitor.fields import Context
from monitor.model.record import Account
from monitor.providers import PROVIDERS
from monitor.rules.base import RuleBase
from monitor.ruletest import AccountStory, RuleTest, RuleTests
from monitor.ruletest.checks import OVERLAP, Known, Nature, assets_of, mistakes_of
from monitor.staff import policy as policy_of

#: What `config.yaml` beside or above a test file is called.
CONFIG_NAME = "config.yaml"


@dataclass(frozen=True, slots=True)
class Member:
    """An account of a test: what is told of it, and as what it is judged."""

    story: AccountStory
    account: Account
    nature: Nature

    @property
    def assets(self) -> dict[str, None]:
        """Every asset that is told of, in its order."""
        return assets_of(self.story)


@dataclass(frozen=True, slots=True)
class Case:
    """One test, ready to run. `rules` are those of the file, whether they match an account or not."""

    file: str
    test: RuleTest
    interval: timedelta
    start: datetime
    members: tuple[Member, ...]
    rules: tuple[RuleBase, ...]
    policy: Policy
    send_resolved: Mapping[str, bool]
    config: Config | None
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
                for path, what in mistakes_of(test, self._natures(test), tests.interval, self._known()):
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

    def _natures(self, test: RuleTest) -> list[Nature]:
        return [self._nature(story) for story in test.stories]

    def _nature(self, story: AccountStory) -> Nature:
        """Of a configured provider or a provider type; any other is what the test makes of it."""
        spec: Any = self.config.providers.get(story.provider) if self.config else None
        spec = spec or PROVIDERS.get(story.provider)
        if spec is None:
            return Nature(ledger=bool(story.events))
        ledger = spec.tells_events()
        return Nature(spec.MEASURES, spec.KINDS if ledger else (), ledger, spec.DROPS_ZERO, _overlap(spec))

    def _known(self) -> Known:
        """What the tests may speak of."""
        return Known(
            rules={rule.alert: rule for rule in self.rules},
            names=self.names,
            providers=tuple(dict.fromkeys((*(self.config.providers if self.config else ()), *PROVIDERS))),
            channels=tuple(self.config.channels) if self.config else None,
        )

    def _case(self, document: Document, tests: RuleTests, channels: Sequence[str], index: int) -> Case:
        test, config = tests.tests[index], self.config
        defaults = config.defaults if config else Defaults()
        members = tuple(
            Member(story, _account(story, tests.interval, defaults), self._nature(story)) for story in test.stories
        )
        return Case(
            file=document.file,
            test=test,
            interval=tests.interval,
            start=test.start or tests.start,
            members=members,
            rules=self.rules,
            policy=policy_of(config) if config else Policy(compile_route(None, channels), defaults.outage_tolerance),
            send_resolved={name: spec.send_resolved for name, spec in config.channels.items()} if config else {},
            config=config,
            document=document,
            index=index,
        )


def nearest(folder: Path) -> Path | None:
    """The nearest `config.yaml`, in this folder or above it."""
    here = folder.resolve()
    return next((path for each in (here, *here.parents) if (path := each / CONFIG_NAME).is_file()), None)


def _overlap(spec: Any) -> timedelta:
    """How far back a provider's ledger is read again; of a mere type only the fields are known."""
    if isinstance(spec, type):
        field = spec.model_fields.get("overlap")  # type: ignore[attr-defined]  # a type of providers
        return OVERLAP if field is None else field.default
    return getattr(spec, "overlap", OVERLAP)


def _account(story: AccountStory, interval: timedelta, defaults: Defaults) -> Account:
    return Account(
        name=story.name,
        provider=story.provider,
        interval=interval,
        stale_after=interval * defaults.stale_after,
        assets=story.assets,
        labels=story.labels,
    )


def _channels(tests: RuleTests) -> tuple[str, ...]:
    """Without a configuration every alert goes to every channel that some test names."""
    return tuple(dict.fromkeys(news.channel for test in tests.tests for news in test.expect_notifications))


@cache
def _schema() -> Mapping[str, Any]:
    return RuleTests.model_json_schema(mode="validation")
