"""Rule tests: what a test file may say, read and checked.

A file names rules, and for each test the accounts, what their polls would read, and what must come of it.
`ruletest_cases` puts a file together with its rules and its configuration, `ruletest_run` runs it.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from monitor.config.mistakes import clip
from monitor.config.settings import Name, polled
from monitor.fields import Amount, Duration, Section
from monitor.model.alert import Severity
from monitor.model.event import Direction
from monitor.rules.base import RESERVED_LABELS
from monitor.rules.mistakes import missing, mistake, mistakes
from monitor.ruletest.inbox import Kind
from monitor.ruletest.series import SAMPLES_MAX, PriceSeries, Series

#: Accounts of one test.
ACCOUNTS_MAX = 100
#: What a test may say of an alert: `resolved` lasts until the next breach, `inactive` is all before the first.
State = Literal["inactive", "pending", "firing", "resolved"]
#: When a story begins that does not say: a Thursday.
START = datetime(2026, 1, 1, tzinfo=UTC)
#: Far from where dates end, whatever is added to it.
_YEARS = range(1980, 2201)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def moment(value: object) -> datetime:
    """`2026-11-20T09:00:00Z` as a time in UTC; ValueError for what is none, or does not say where."""
    how = "write a date and time with its offset: 2026-11-20T09:00:00Z"
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value
    if not isinstance(value, str) or not _MOMENT.fullmatch(value):
        raise ValueError(f"{clip(str(value))!r} is no moment, {how}")
    try:
        found = datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"{clip(value)!r} is in no calendar, {how}") from None
    if found.year not in _YEARS:
        raise ValueError(f"{clip(value)!r} is too far from today, {how}")
    return found


Start = Annotated[
    datetime,
    BeforeValidator(moment),
    WithJsonSchema({"type": "string", "pattern": _MOMENT.pattern.replace("(?:", "(")}),
]


class WatchedAccount(Section):
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


class Movement(Section):
    """`{at: 90s, kind: withdraw, asset: USDT, amount: 250_000, direction: out}`: a row of the ledger"""

    at: Duration = Field(description="when it happened; read by the next poll that succeeds")
    kind: str = Field(min_length=1, description="the provider's own word")
    asset: str = Field(min_length=1)
    amount: Annotated[Amount, Field(ge=0)]
    direction: Direction | None = None
    reference: str | None = Field(default=None, description="the transaction's id")
    reverted_at: Duration | None = Field(default=None, description="when the provider takes it back, for good")

    @model_validator(mode="after")
    def _is_there_before_it_is_gone(self) -> Self:
        if self.reverted_at is not None and self.reverted_at <= self.at:
            raise mistake("what is taken back was there before", "reverted_at")
        return self


class AccountStory(WatchedAccount):
    """`{name: hot-1, provider: casino, series: {available/USDT: "300000 errorx5"}}`: one account of several"""

    series: Mapping[str, Series] = Field(min_length=1, description="measure/asset → samples; all are one answer")
    events: tuple[Movement, ...] = ()


class Meant(Section):
    """Which alerts of a rule are meant: all of them, or those with these labels."""

    alert: str
    account: str | None = Field(default=None, description="default: of all accounts, and of sums over them")
    asset: str | None = Field(default=None, description="default: of all assets; a bare name is on every network")
    labels: Mapping[str, str] = Field(
        default_factory=dict, description="the alert's, as routes see them: {role: hot} is the sum by role over these"
    )


class Expectation(Meant):
    """`{at: 3m, alert: HotWalletLow, state: firing, level: critical}`: how an alert stands then; of several the one
    that stands worst."""

    at: Duration
    state: State
    level: Severity | None = None
    value: Amount | None = None


class ExpectedNews(Meant):
    """`{channel: ops, alert: HotWalletLow, kinds: [firing, resolved]}`: all a channel hears of an alert."""

    channel: str
    kinds: tuple[Kind, ...] = Field(description="in order, empty for nothing; reminders count only if one is named")


def _one_of_two_forms(document: dict[str, Any]) -> None:
    one, several = ["account", "series"], ["accounts"]
    not_both = {"anyOf": [{"required": [name]} for name in (*one, "events")]}
    document["oneOf"] = [{"required": one, "not": {"required": several}}, {"required": several, "not": not_both}]


class RuleTest(Section):
    """The story of an account (`account`, `series`, `events`) or of several (`accounts`), and what must come of it."""

    model_config = ConfigDict(json_schema_extra=_one_of_two_forms)

    name: str = Field(min_length=1)
    start: Start | None = Field(default=None, description="when its first sample is read; default: the file's")
    account: WatchedAccount | None = None
    series: Mapping[str, Series] = Field(
        default_factory=dict, min_length=1, description="measure/asset → samples; all are one answer"
    )
    events: tuple[Movement, ...] = ()
    accounts: tuple[AccountStory, ...] = Field(
        default=(), min_length=1, max_length=ACCOUNTS_MAX, description="several, each polled at each interval"
    )
    prices: Mapping[str, PriceSeries] = Field(
        default_factory=dict, description="asset → prices in USD, instead of the configured ones"
    )
    expect: tuple[Expectation, ...] = ()
    expect_notifications: tuple[ExpectedNews, ...] = ()

    @cached_property
    def stories(self) -> tuple[AccountStory, ...]:
        """Every account with what is told of it, in whichever form that was written."""
        if self.account is None:
            return self.accounts
        return (AccountStory.model_construct(**dict(self.account), series=self.series, events=self.events),)

    @property
    def several(self) -> bool:
        """Whether it must be said of whom something is told."""
        return len(self.stories) > 1

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Whose samples stand in a line of its timeline, and of what: accounts' series, then prices."""
        read = (((one.name if self.several else ""), key) for one in self.stories for key in one.series)
        return (*read, *(("", f"price/{asset}") for asset in self.prices))

    @cached_property
    def polls(self) -> int:
        """How many there are of each account: a shorter series goes on with its last sample."""
        return max(
            len(samples) for told in (*(one.series for one in self.stories), self.prices) for samples in told.values()
        )

    def path(self, place: int, part: str, *rest: str | int) -> tuple[str | int, ...]:
        """Where something of an account stands in the test."""
        if self.account is None:
            return ("accounts", place, part, *rest)
        return (part, *rest) if part in ("series", "events") else ("account", part, *rest)

    @model_validator(mode="after")
    def _is_of_one_form(self) -> Self:
        told = [name for name in ("account", "series", "events") if name in self.model_fields_set]
        if self.accounts and told:
            what = "each of `accounts` says this of itself: write one form or the other"
            raise mistakes([(what, (name,)) for name in told])
        if not self.accounts and not self.series and self.account is None:
            raise ValueError("tells of no account: add `account` and `series`, or `accounts`")
        if not self.accounts and (self.account is None or not self.series):
            raise missing("series" if self.account else "account")
        return self

    @model_validator(mode="after")
    def _is_of_bounded_length(self) -> Self:
        if self.polls * len(self.stories) > SAMPLES_MAX:
            raise mistake(f"a test has at most {SAMPLES_MAX} polls, of all accounts together", "accounts")
        return self

    @model_validator(mode="after")
    def _names_each_account_once(self) -> Self:
        names = [one.name for one in self.accounts]
        twice = [place for place, name in enumerate(names) if name in names[:place]]
        if twice:
            raise mistakes(
                [(f"there is another account {names[place]!r}", ("accounts", place, "name")) for place in twice]
            )
        return self

    @model_validator(mode="after")
    def _expects_something(self) -> Self:
        if not self.expect and not self.expect_notifications:
            raise ValueError("expects nothing: add `expect` or `expect_notifications`")
        return self


class RuleTests(Section):
    """A whole test file."""

    model_config = ConfigDict(title="balance-monitor rule tests")

    rules: tuple[str, ...] = Field(min_length=1, description="rule files or globs, relative to this file")
    config: str | None = Field(
        default=None, description="for routes, prices and defaults; default: the nearest config.yaml upwards"
    )
    interval: Annotated[Duration, AfterValidator(polled)] = Field(
        default=timedelta(seconds=60), description="between two polls; sample k is read at k × interval"
    )
    start: Start = Field(
        default=START, description="when first samples are read; default: a Thursday, 2026-01-01T00:00:00Z"
    )
    tests: tuple[RuleTest, ...] = Field(min_length=1)


def split_key(key: str) -> tuple[str, str]:
    """`available/USDT` as (asset, measure)."""
    measure, _, asset = key.partition("/")
    return asset, measure
