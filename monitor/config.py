"""From files to a configuration that can be run, or to the list of everything that is wrong with them."""

import glob
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from monitor import accounts, crosscheck, yamlfile
from monitor.channels.base import ChannelSettings
from monitor.egress import Egress
from monitor.engine.route import Route
from monitor.errors import ConfigError
from monitor.fields import Context
from monitor.mistakes import Mistake, Steps, clip, dotted, suggestion, translated
from monitor.model.record import Account
from monitor.providers.base import ProviderSettings
from monitor.rules import AnyRule
from monitor.rules.base import RuleBase
from monitor.schedule import Timetable
from monitor.settings import Defaults, History, HttpApi, Log, Settings, Store, without
from monitor.yamlfile import Document

#: More rule files than this are a glob gone wrong.
MAX_RULE_FILES = 1_000
#: In one file; beyond, nobody reads them.
MAX_SHOWN = 500
_RULE: TypeAdapter[Any] = TypeAdapter(AnyRule)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration, checked. `digest` differs whenever anything in it does, secrets included."""

    path: Path
    store: Store
    log: Log
    egress: Egress
    http: HttpApi
    reporting_currency: str
    defaults: Defaults
    static_prices: Mapping[str, Decimal]
    provider_prices: bool
    #: Without their accounts: those are `accounts`, with when to poll them in `timetables`.
    providers: Mapping[str, ProviderSettings]
    accounts: Mapping[str, Account]
    timetables: Mapping[str, Timetable]
    channels: Mapping[str, ChannelSettings]
    route: Route | None
    history: History
    rules: tuple[RuleBase, ...]
    shutdown_timeout: timedelta
    digest: str
    warnings: tuple[str, ...] = ()


def load(path: Path, *, secrets: bool = True, environment: Mapping[str, str] | None = None) -> Config:
    """Read a configuration with everything it refers to. ConfigError names every mistake of every file.

    Without `secrets`, environment variables and secret files are not read: for `check --no-secrets`.
    """
    context = Context(path.parent, secrets, os.environ if environment is None else environment)
    reader = _Reader(path, context)
    config = reader.read()
    if config is None or reader.wrong():
        raise ConfigError(reader.lines())
    return config


@dataclass(slots=True)
class _Reader:
    """Reads file after file, and goes on as long as anything can be said about the rest."""

    path: Path
    context: Context
    unread: list[str] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    warnings: list[Mistake] = field(default_factory=list)
    order: dict[str, int] = field(default_factory=dict)
    digest: Any = field(default_factory=hashlib.sha256)

    def wrong(self) -> bool:
        return bool(self.unread or self.mistakes)

    def lines(self) -> list[str]:
        """All mistakes, file by file in the order of reading, then by line."""
        shown = self._sorted(self.mistakes)
        more = [f"and {len(shown) - MAX_SHOWN} more mistakes"] if len(shown) > MAX_SHOWN else []
        return [*self.unread, *shown[:MAX_SHOWN], *more]

    def _sorted(self, found: Iterable[Mistake]) -> list[str]:
        first: dict[tuple[str, int, str], Mistake] = {}
        for one in found:
            first.setdefault((one.file, one.line, one.path), one)
        return [str(one) for one in sorted(first.values(), key=lambda m: (self.order.get(m.file, 0), m.line))]

    def read(self) -> Config | None:
        document = self.document(self.path, str(self.path))
        if document is None:
            return None
        settings = self.settings(document)
        patterns = settings.rules if settings else _patterns(document.value)
        files = [
            found for path in self.rule_files(document, patterns) if (found := self.document(path, str(path)))
        ]
        located = [rule for file in files for rule in self.rules(file)]
        if settings is None:
            return None
        roster = self.roster(document, settings)
        findings = crosscheck.check(settings, roster, located, document)
        self.mistakes += findings.mistakes
        self.warnings += findings.warnings
        return self.config(settings, roster, tuple(rule.rule for rule in located))

    def document(self, path: Path, shown: str) -> Document | None:
        """One YAML file; None when nothing in it can be used."""
        self.order.setdefault(shown, len(self.order))
        try:
            raw = yamlfile.read(path, shown)
            found = yamlfile.parse(raw, shown)
        except ConfigError as error:
            self.unread += error.mistakes
            return None
        self._digest(path.name, raw)
        self.mistakes += found.mistakes
        if not isinstance(found.value, dict):
            self.say(found, (), "the file is empty" if found.value is None else "must be a mapping")
            return None
        return found

    def _digest(self, *parts: str | bytes) -> None:
        for part in parts:
            raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self.digest.update(len(raw).to_bytes(8, "big") + raw)

    def say(self, document: Document, path: Steps, what: str) -> None:
        self.mistakes.append(Mistake(document.file, document.line(path), dotted(path), what))

    def settings(self, document: Document) -> Settings | None:
        """The validated settings. Wrong parts are reported and left out, so that the rest is checked too."""
        value = document.value
        for _ in range(3):
            try:
                return Settings.model_validate(value, context=self.context)
            except ValidationError as error:
                for path, what in translated(error, "", _settings_schema()):
                    known = _shown(document, path, what)
                    self.say(document, known, what)
                    value = without(value, _part(known))
                value = {**value, "version": 1}
        return None

    def rule_files(self, document: Document, patterns: Iterable[str]) -> list[Path]:
        """The rule files that the patterns name, each once, in order."""
        found: dict[Path, None] = {}
        for index, pattern in enumerate(patterns):
            matched = sorted(glob.glob(pattern, root_dir=self.path.parent, recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
            written = "rules" in document.value
            if not matched and written:
                note = Mistake(
                    document.file,
                    document.line(("rules", index)),
                    f"rules[{index}]",
                    f"no file is named {clip(pattern)!r}",
                )
                (self.warnings if glob.has_magic(pattern) else self.mistakes).append(note)
            found.update(dict.fromkeys(self.path.parent / name for name in matched))
        if len(found) > MAX_RULE_FILES:
            self.say(document, ("rules",), f"{len(found)} rule files are more than {MAX_RULE_FILES}")
        return list(found)[:MAX_RULE_FILES]

    def rules(self, document: Document) -> list[crosscheck.Located]:
        """The good rules of one file, each with where it stands."""
        for key in document.value.keys() - {"rules"}:
            self.say(document, (key,), f"unknown setting{suggestion(key, ['rules'])}")
        written = document.value.get("rules")
        if not isinstance(written, list):
            self.say(document, ("rules",) if written else (), "a rule file is a list of rules under `rules:`")
            return []
        found = []
        for index, item in enumerate(written):
            name = item.get("alert") if isinstance(item, dict) else None
            title = clip(name) if isinstance(name, str) and name else f"rules[{index}]"
            try:
                rule = _RULE.validate_python(item, context=self.context)
                found.append(crosscheck.Located(rule, document, ("rules", index), title))
            except ValidationError as error:
                for path, what in translated(error, "rules", _rule_schema()):
                    known = _shown(document, ("rules", index, *path), what)
                    self.mistakes.append(
                        Mistake(document.file, document.line(known), dotted((title, *known[2:])), what)
                    )
        return found

    def roster(self, document: Document, settings: Settings) -> accounts.Roster:
        """Every account of the file and of its CSV files."""
        roster = accounts.Roster(settings.defaults)
        for name, spec in settings.providers.items():
            found = accounts.enlist(roster, name, spec, lambda path: f"{document.file}:{document.line(path)}")
            for path, what in found:
                self.say(document, path, what)
            if spec.accounts_from is not None:
                self.csv(roster, name, spec, document)
        return roster

    def csv(self, roster: accounts.Roster, name: str, spec: ProviderSettings, document: Document) -> None:
        assert spec.accounts_from is not None
        path = self.path.parent / spec.accounts_from
        shown = str(path)
        self.order.setdefault(shown, len(self.order))
        try:
            text = accounts.read_csv(path, shown)
        except ConfigError as error:
            where = ("providers", name, "accounts_from")
            self.say(document, where, error.mistakes[0])
            return
        self._digest(path.name, text)
        self.mistakes += accounts.enlist_csv(roster, name, spec, text, shown, self.context)

    def config(self, settings: Settings, roster: accounts.Roster, rules: tuple[RuleBase, ...]) -> Config:
        self._digest(*(secret for _, secret in crosscheck.secrets(settings)))
        return Config(
            path=self.path,
            store=settings.store.below(self.path.parent),
            log=settings.log,
            egress=settings.egress,
            http=settings.http,
            reporting_currency=settings.reporting_currency,
            defaults=settings.defaults,
            static_prices=settings.static_prices,
            provider_prices=settings.provider_prices,
            providers={name: accounts.leaner(spec) for name, spec in settings.providers.items()},
            accounts=roster.accounts,
            timetables=roster.timetables,
            channels=settings.channels,
            route=settings.route,
            history=settings.history,
            rules=rules,
            shutdown_timeout=settings.shutdown_timeout,
            digest=self.digest.hexdigest()[:32],
            warnings=tuple(self._sorted(self.warnings)),
        )


def _patterns(value: Mapping[str, Any]) -> list[str]:
    """The rule files a broken configuration means, so that they are checked all the same."""
    written = value.get("rules", Settings.model_fields["rules"].default)
    return [item for item in written if isinstance(item, str)] if isinstance(written, list | tuple) else []


def _shown(document: Document, path: Steps, what: str) -> Steps:
    """A validator's path as the file has it; a setting that is missing keeps its name."""
    known = document.located(path)
    if what == "is required" and path and known[-1:] != path[-1:]:
        return (*known, path[-1])
    return known


def _part(path: Steps) -> Steps:
    """What to leave out so that the rest can be checked: an account, a provider, a channel, a section."""
    if path[:1] == ("providers",) and path[2:3] == ("accounts",) and len(path) > 3:
        return path[:4]
    return path[:2] if path[:1] in (("providers",), ("channels",)) else path[:1]


@cache
def _settings_schema() -> Mapping[str, Any]:
    return Settings.model_json_schema(mode="validation")


@cache
def _rule_schema() -> Mapping[str, Any]:
    return _RULE.json_schema(mode="validation")
