"""Reads a configuration and all it refers to, going on as long as anything can be said about the rest."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from glob import has_magic
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from monitor.config import accounts, crosscheck, yamlfile
from monitor.config.mistakes import Mistake, Steps, clip, dotted, properties, translated
from monitor.config.settings import Settings, without
from monitor.config.sources import Sources
from monitor.config.yamlfile import Document
from monitor.errors import ConfigError
from monitor.fields import Context, suggestion
from monitor.providers.base import ProviderSettings
from monitor.rules import AnyRule
from monitor.rules.base import RuleBase
from monitor.rules.self_alert import SELF_ALERTS

#: More rule files than this are a glob gone wrong.
MAX_RULE_FILES = 1_000
#: What concerns one process alone: others may have it otherwise, and judge alike.
OWN = frozenset({"store", "log", "http", "egress", "history", "shutdown_timeout", "heartbeats", "connectivity"})
#: Of mistakes; nobody reads more.
MAX_SHOWN = 500
_RULE: TypeAdapter[Any] = TypeAdapter(AnyRule)


@dataclass(frozen=True, slots=True)
class Found:
    """What was read when nothing was wrong."""

    settings: Settings
    roster: accounts.Roster
    rules: tuple[RuleBase, ...]


@dataclass(slots=True)
class Reader:
    """Reads file after file, and goes on as long as anything can be said about the rest."""

    path: Path
    context: Context
    sources: Sources = field(default_factory=Sources)
    #: File → why it cannot be read at all.
    unreadable: dict[str, list[str]] = field(default_factory=dict)
    wrong: list[Mistake] = field(default_factory=list)
    doubtful: list[Mistake] = field(default_factory=list)
    order: dict[str, int] = field(default_factory=dict)
    #: Rule name → where it was first used, in good rules and bad ones.
    names: dict[str, str] = field(default_factory=dict)
    hashed: Any = field(default_factory=hashlib.sha256)
    meant: Any = field(default_factory=hashlib.sha256)

    def read(self) -> Found | None:
        """Everything, or None when something is wrong; then `mistakes` tells."""
        document = self.document(self.path, str(self.path))
        if document is None:
            return None
        settings = self.settings(document)
        paths = self.rule_files(document, settings.rules if settings else _patterns(document.value))
        files = [found for path in paths if (found := self.document(path, str(path)))]
        rules = [rule for file in files for rule in self.rules(file)]
        if settings is None:
            return None
        roster = self.roster(document, settings)
        findings = crosscheck.check(settings, roster, rules, document)
        self.wrong += findings.mistakes
        self.doubtful += findings.warnings
        if self.unreadable or self.wrong:
            return None
        return Found(settings, roster, tuple(each.rule for each in rules))

    def mistakes(self) -> list[str]:
        """All mistakes, file by file in the order of reading, then by line."""
        # What the YAML itself gets wrong (010) is not said again by the setting that expected a number.
        first: dict[tuple[str, int, str], Mistake] = {}
        for one in self.wrong:
            first.setdefault((one.file, one.line, one.path), one)
        shown: list[str] = []
        for file in self.order:
            shown += self.unreadable.get(file, [])
            shown += self._sorted(one for one in first.values() if one.file == file)
        more = [f"and {len(shown) - MAX_SHOWN} more mistakes"] if len(shown) > MAX_SHOWN else []
        return shown[:MAX_SHOWN] + more

    def warnings(self) -> list[str]:
        """All doubts, in the same order."""
        return self._sorted(self.doubtful)

    def _sorted(self, found: Iterable[Mistake]) -> list[str]:
        return [str(one) for one in sorted(found, key=lambda one: (self.order.get(one.file, 0), one.line))]

    def digest(self, *more: str) -> str:
        """A name for all that was read and `more`: it differs whenever anything does."""
        self._hash(*more)
        return str(self.hashed.hexdigest())[:32]

    def meaning(self) -> str:
        """A name for what is judged and how: the same in processes that differ in what is theirs alone."""
        return str(self.meant.hexdigest())[:32]

    def _mean(self, value: Any, path: Path) -> None:
        if path == self.path and isinstance(value, dict):
            value = {key: item for key, item in value.items() if key not in OWN}
        self.meant.update(json.dumps([path.name, value], sort_keys=True, default=str).encode())

    def _hash(self, *parts: str | bytes) -> None:
        for part in parts:
            raw = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
            self.hashed.update(len(raw).to_bytes(8, "big") + raw)

    def document(self, path: Path, shown: str) -> Document | None:
        """One YAML file; None when nothing in it can be used."""
        self.order.setdefault(shown, len(self.order))
        self.sources.note(path)
        try:
            raw = yamlfile.read(path, shown)
            found = yamlfile.parse(raw, shown)
        except ConfigError as error:
            self.unreadable[shown] = error.mistakes
            return None
        self._hash(path.name, raw)
        self._mean(found.value, path)
        self.wrong += found.mistakes
        if isinstance(found.value, dict):
            return found
        if found.value is not None:
            self.say(found, (), "must be a mapping")
        elif path == self.path:
            self.say(found, (), "the file is empty")
        else:  # every rule in it may be commented out, for now
            self.doubtful.append(Mistake(shown, 1, "", "the file is empty"))
        return None

    def say(self, document: Document, path: Steps, what: str) -> None:
        self.wrong.append(document.mistake(path, what))

    def settings(self, document: Document) -> Settings | None:
        """The validated settings. Wrong parts are reported and left out, so that the rest is checked too."""
        value = document.value
        for _ in range(3):
            try:
                return Settings.model_validate(value, context=self.context)
            except ValidationError as error:
                for path, what in translated(error, "", _settings_schema(), value):
                    self.say(document, path, what)
                    value = without(value, _part(path))
                value = {**value, "version": 1}
        return None

    def rule_files(self, document: Document, patterns: Iterable[str]) -> list[Path]:
        """The rule files that the patterns name, each once, in order."""
        found: dict[Path, None] = {}
        for index, pattern in enumerate(patterns):
            matched = self.sources.matching(self.path.parent, pattern)
            written = "rules" in document.value
            if not matched and written:
                note = document.mistake(("rules", index), f"no file is named {clip(pattern)!r}")
                (self.doubtful if has_magic(pattern) else self.wrong).append(note)
            for folder in filter(Path.is_dir, matched):
                name = clip(pattern.rstrip("/"))
                better = f"{name}.yaml" if name.endswith("*") else f"{name}/*.yaml"
                self.say(document, ("rules", index), f"{clip(str(folder))} is a directory, write {better}")
            found.update(dict.fromkeys(path for path in matched if not path.is_dir()))
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
            self.named(document, ("rules", index, "alert"), title)
            try:
                rule = _RULE.validate_python(item, context=self.context)
                self.wrong += crosscheck.miscounted(rule, document, ("rules", index))
                found.append(crosscheck.Located(rule, document, ("rules", index), title))
            except ValidationError as error:
                for path, what in (*translated(error, "rules", _rule_schema(), item), *_lacking(error, item)):
                    line = document.line(("rules", index, *path))
                    self.wrong.append(Mistake(document.file, line, dotted((title, *path)), what))
        return found

    def named(self, document: Document, path: Steps, title: str) -> None:
        """Names are unique over all files: they are the identity of alerts."""
        here = f"{document.file}:{document.line(path)}"
        first = self.names.setdefault(title, here)
        if title in SELF_ALERTS:
            what = "is the name of a built-in alert about the monitor itself, choose another"
            self.wrong.append(Mistake(document.file, document.line(path), f"{title}.alert", what))
        if first != here and not title.startswith("rules["):
            what = f"there is already a rule of this name, in {first}"
            self.wrong.append(Mistake(document.file, document.line(path), f"{title}.alert", what))

    def roster(self, document: Document, settings: Settings) -> accounts.Roster:
        """Every account of the file and of its CSV files."""
        roster = accounts.Roster(settings.defaults)
        for name, spec in settings.providers.items():
            found = accounts.enlist(roster, name, spec, lambda path: f"{document.file}:{document.line(path)}")
            for path, what in found:
                self.say(document, path, what)
            # A timetable that is wrong for all of them is not said again by every row.
            if spec.accounts_from is not None and all("accounts" in path for path, _ in found):
                self.csv(roster, name, spec, document)
        return roster

    def csv(self, roster: accounts.Roster, name: str, spec: ProviderSettings, document: Document) -> None:
        assert spec.accounts_from is not None
        path = self.path.parent / spec.accounts_from
        shown = str(path)
        self.order.setdefault(shown, len(self.order))
        self.sources.note(path)
        try:
            text = accounts.read_csv(path, shown)
        except ConfigError as error:
            where = ("providers", name, "accounts_from")
            self.say(document, where, error.mistakes[0])
            return
        self._hash(path.name, text)
        self._mean(text, path)
        self.wrong += accounts.enlist_csv(roster, name, spec, text, shown, self.context)


def _patterns(value: Mapping[str, Any]) -> list[str]:
    """The rule files a broken configuration means, so that they are checked all the same."""
    written = value.get("rules", Settings.model_fields["rules"].default)
    return [item for item in written if isinstance(item, str)] if isinstance(written, list | tuple) else []


def _lacking(error: ValidationError, item: Any) -> list[tuple[Steps, str]]:
    """What a rule lacks besides the settings that it has too many, like a threshold by another name.

    Its settings are judged together only where each is known. A name that is nearly right lacks nothing more.
    """
    known = properties(_rule_schema(), (str(item.get("type")),)) if isinstance(item, dict) else set()
    extra = [each["loc"][-1] for each in error.errors() if each["type"] == "extra_forbidden" and len(each["loc"]) == 2]
    if len(extra) != error.error_count() or any(suggestion(str(name), known) for name in extra):
        return []
    rest = {key: value for key, value in item.items() if key not in extra}
    try:
        _RULE.validate_python(rest)
    except ValidationError as lacking:
        return translated(lacking, "rules", _rule_schema(), rest)
    return []


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
