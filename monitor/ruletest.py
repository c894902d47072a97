"""Rule tests: what a test file may say, read and checked.

A file names rules, and for each test an account, what its polls would read, and what must come of it.
`ruletest_cases` puts a file together with its rules and its configuration, `ruletest_run` runs it.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from monitor.fields import Amount, Duration, amount
from monitor.mistakes import clip
from monitor.model.alert import News, Severity
from monitor.model.event import Direction
from monitor.rules.base import RESERVED_LABELS
from monitor.rules.mistakes import mistake
from monitor.settings import Name, polled

#: Polls in one test: ten weeks of one a minute. A test that needs more tests something else.
SAMPLES_MAX = 100_000
_AMOUNT = r"[+-]?\d[\d_]*(?:\.[\d_]*\d)?"
_WORD = re.compile(rf"(error|_|{_AMOUNT})(?:x(\d{{1,20}}))?", re.ASCII)
_HOW = "write an amount, error or _, each perhaps repeated: 70000x5"

#: What a test may say of an alert: `resolved` lasts until the next breach, `inactive` is all before the first.
State = Literal["inactive", "pending", "firing", "resolved"]


class Mark(Enum):
    """A sample that is no amount: the whole poll failed, or this was not in the answer."""

    ERROR = "error"
    ABSENT = "_"


Sample = Decimal | Mark


def series(value: object) -> tuple[Sample, ...]:
    """`300000 70000x5 errorx10 _x2` as samples; ValueError says which word is none."""
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return (amount(value),)
    found: list[Sample] = []
    for word in value.split() if isinstance(value, str) else [str(value)]:
        sample, times = _repeated(word)
        if len(found) + times > SAMPLES_MAX:
            raise ValueError(f"a test has at most {SAMPLES_MAX} samples")
        found += [sample] * times
    if not found:
        raise ValueError(f"a series needs a sample, {_HOW}")
    return tuple(found)


def _repeated(word: str) -> tuple[Sample, int]:
    match = _WORD.fullmatch(word)
    if match is None:
        raise ValueError(f"{clip(word)!r} is no sample, {_HOW}")
    what, times = match[1], int(match[2] or 1)
    if times == 0:
        raise ValueError(f"{clip(word)!r} is no sample at all: x1 is the least")
    return (Mark(what) if what in ("error", "_") else amount(what)), times


Series = Annotated[
    tuple[Sample, ...],
    BeforeValidator(series),
    WithJsonSchema({
        "anyOf": [{"type": "string", "pattern": rf"^\s*((error|_|{_AMOUNT})(x\d+)?\s*)+$"}, {"type": "number"}],
        "description": "one sample a poll: an amount, error (the poll failed) or _ (not in the answer); 5x3 is 5 5 5",
    }),
]  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WatchedAccount(_Part):
    """`{name: hot-usdt, provider: casino, labels: {role: hot}}`"""

    name: Name
    provider: str = Field(min_length=1, description="a configured provider, or a provider type")
    labels: Mapping[str, str] = Field(default_factory=dict)
    assets: tuple[str, ...] = Field(default=(), description="assets the account must have; default: the series'")

    @model_validator(mode="after")
    def _labels_are_its_own(self) -> Self:
        for name in sorted(RESERVED_LABELS & self.labels.keys()):
            raise mistake(f"every alert has its own label `{name}`, an account cannot set it", "labels", name)
        return self


class Movement(_Part):
    """`{at: 90s, kind: withdraw, asset: USDT, amount: 250_000, direction: out}`: a row of the ledger."""

    at: Duration = Field(description="when it happened; read by the next poll that succeeds")
    kind: str = Field(min_length=1, description="the provider's own word")
    asset: str = Field(min_length=1)
    amount: Annotated[Amount, Field(ge=0)]
    direction: Direction | None = None


class Expectation(_Part):
    """`{at: 3m, alert: HotWalletLow, state: firing, level: critical}`: how an alert stands then."""

    at: Duration
    alert: str
    state: State
    level: Severity | None = None
    asset: str | None = Field(default=None, description="default: whichever is worst")
    value: Amount | None = None


class ExpectedNews(_Part):
    """`{channel: ops, alert: HotWalletLow, kinds: [firing, resolved]}`: all a channel hears of an alert."""

    channel: str
    alert: str
    kinds: tuple[News, ...] = Field(description="in order, empty for nothing; reminders count only if one is named")
    asset: str | None = Field(default=None, description="default: of all assets")


class RuleTest(_Part):
    """One account's story, and what must come of it."""

    name: str = Field(min_length=1)
    account: WatchedAccount
    series: Mapping[str, Series] = Field(min_length=1, description="measure/asset → samples; all are one answer")
    events: tuple[Movement, ...] = ()
    expect: tuple[Expectation, ...] = ()
    expect_notifications: tuple[ExpectedNews, ...] = ()

    @property
    def polls(self) -> int:
        """How many there are: a shorter series goes on with its last sample."""
        return max(len(samples) for samples in self.series.values())

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not self.expect and not self.expect_notifications:
            raise ValueError("expects nothing: add `expect` or `expect_notifications`")
        return self


class RuleTests(BaseModel):
    """A whole test file."""

    model_config = ConfigDict(frozen=True, extra="forbid", title="balance-monitor rule tests")

    rules: tuple[str, ...] = Field(min_length=1, description="rule files or globs, relative to this file")
    config: str | None = Field(
        default=None, description="for routes, prices and defaults; default: the nearest config.yaml upwards"
    )
    interval: Annotated[Duration, AfterValidator(polled)] = Field(
        default=timedelta(seconds=60), description="between two polls; sample k is read at k × interval"
    )
    tests: tuple[RuleTest, ...] = Field(min_length=1)


def split_key(key: str) -> tuple[str, str]:
    """`available/USDT` as (asset, measure)."""
    measure, _, asset = key.partition("/")
    return asset, measure
