"""What `check` and `schema` print: a configuration on one screen, and JSON Schemas for editors."""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.json_schema import GenerateJsonSchema

from monitor.config import Config
from monitor.config.settings import Settings
from monitor.fields import Section, Threshold, duration_text
from monitor.model.money import text
from monitor.rules import AnyRule
from monitor.ruletest import RuleTests

DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Doubts beyond these are counted.
WARNINGS_MAX = 20


class RuleFile(Section):
    """A rule file: `rules:` and a list."""

    model_config = ConfigDict(title="balance-monitor rules")

    rules: tuple[AnyRule, ...] = Field(description="each with `alert`, its name, and `type`")


def summary(config: Config, now: datetime) -> str:
    """A sound configuration on one screen, warnings last."""
    rate = sum(1 / account.interval.total_seconds() for account in config.accounts.values())
    lines = [
        f"{config.path}: fine",
        f"accounts   {len(config.accounts)} at {counted(len(config.providers), 'provider')}, {rate:.3g} polls a second",
        *_providers(config),
        f"rules      {_counted(rule.type for rule in config.rules)}",
        f"channels   {_listed(config.channels)}",
        f"routes     {_routes(config)}",
        f"store      {_store(config)}, history {duration_text(config.history.keep)}",
        f"api        {config.http.listen}, {counted(len(config.http.tokens), 'token')}",
    ]
    warnings = [*config.warnings, *_ended(config, now)]
    shown = [f"warning: {warning}" for warning in warnings[:WARNINGS_MAX]]
    if len(warnings) > WARNINGS_MAX:
        shown.append(f"and {len(warnings) - WARNINGS_MAX} more warnings")
    return "\n".join([*lines, *shown])


def _ended(config: Config, now: datetime) -> list[str]:
    return [
        f"silences: that of {one.author} ({one.comment}) ended at {one.ends_at:%Y-%m-%dT%H:%M:%SZ}, remove it"
        for one in config.silences
        if one.state(now) == "expired"
    ]


def counted(count: int, noun: str) -> str:
    """`1 account`, `2 accounts`, `no accounts`."""
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _providers(config: Config) -> list[str]:
    counts = Counter(account.provider for account in config.accounts.values())
    lines = [
        f"  {name:<20} {getattr(spec, 'type', ''):<12} {counted(counts[name], 'account')}"
        for name, spec in list(config.providers.items())[:20]
    ]
    return lines + ([f"  and {len(config.providers) - 20} more"] if len(config.providers) > 20 else [])


def _counted(words: Any) -> str:
    counts = Counter(words)
    listed = ", ".join(f"{count} {word}" for word, count in counts.most_common())
    return f"{counts.total()}: {listed}" if counts else "none"


def _listed(channels: Any) -> str:
    named = [f"{name} ({getattr(spec, 'type', '')})" for name, spec in list(channels.items())[:10]]
    return ", ".join(named) + (f" and {len(channels) - 10} more" if len(channels) > 10 else "") or "none"


def _routes(config: Config) -> str:
    if config.route is None:
        return "every alert to every channel"
    count, waiting = 0, [config.route]
    while waiting:
        node = waiting.pop()
        count += 1
        waiting += node.routes
    return str(count)


def _store(config: Config) -> str:
    """Where state is kept, without the password a URL may hold."""
    if config.store.embedded:
        return f"embedded in {config.store.directory}"
    scheme, _, rest = config.store.url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


class _ForEditors(GenerateJsonSchema):
    """Defaults as people write them, and no titles that repeat the names."""

    def encode_default(self, dft: Any) -> Any:
        match dft:
            case timedelta():
                return duration_text(dft)
            case Decimal():
                return text(dft)
            case Threshold():
                return str(dft)
            case SecretStr():
                return dft.get_secret_value()
            case BaseModel():
                return self.encode_default(
                    {field.alias or name: getattr(dft, name) for name, field in type(dft).model_fields.items()}
                )
            case dict():
                return {key: self.encode_default(item) for key, item in dft.items()}
            case tuple() | list():
                return [self.encode_default(item) for item in dft]
        return super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the base class's signature
        return False


def schema(what: Literal["config", "rules", "tests"]) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a configuration, of a rule file, or of a file of rule tests."""
    models: dict[str, type[BaseModel]] = {"config": Settings, "rules": RuleFile, "tests": RuleTests}
    model = models[what]
    return {"$schema": DIALECT, **model.model_json_schema(mode="validation", schema_generator=_ForEditors)}
