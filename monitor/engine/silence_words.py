"""Silences as people write them: in the configuration, in a request, at the command line."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from monitor.fields import Amount, Duration, Section, suggestion
from monitor.model.labels import ALWAYS_THERE
from monitor.model.money import text
from monitor.model.silence import TEXT_MAX, Silence, State, Unless, silence_id
from monitor.model.snapshot import MEASURES
from monitor.model.window import utc_text

#: Longer is no silence but a route that nobody reads.
LONGEST = timedelta(days=366)
#: No name of a label has what other tools write between it and its value.
_LABEL = re.compile(r"[^\s=!~<>\"{}]+")


def moment(value: object) -> datetime:
    """`2026-12-01T06:00:00Z` in UTC; ValueError when it has no zone."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{str(value)[:40]!r} is not a time with its zone, write it like 2026-12-01T06:00:00Z"
        ) from None


def _measure(value: str) -> str:
    if value not in MEASURES:
        raise ValueError(f"there is no measure {value[:40]!r} ({', '.join(MEASURES)}){suggestion(value, MEASURES)}")
    return value


Moment = Annotated[datetime, BeforeValidator(moment), WithJsonSchema({"type": "string", "format": "date-time"})]


def one_line(value: str) -> str:
    """Without line breaks and control characters, which would drive whatever shows it."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())


Words = Annotated[str, Field(min_length=1, max_length=TEXT_MAX, pattern=r"\S"), AfterValidator(one_line)]


class SilenceUnless(Section):
    """`{measure: equity, below: 50_000}`"""

    measure: Annotated[str, AfterValidator(_measure)]
    below: Amount | None = None
    above: Amount | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.below is None) == (self.above is None):
            raise ValueError("needs either `below` or `above`")
        return self

    def plain(self) -> Unless:
        """For the model."""
        return Unless(self.measure, self.below, self.above)


class _Said(Section):
    """What every silence says."""

    match: Mapping[str, str | tuple[str, ...]] = Field(
        min_length=1, description="label → value, list, or glob, as in routes"
    )
    starts_at: Moment | None = None
    author: Words
    comment: Words
    unless: SilenceUnless | None = Field(
        default=None, description="lifts it for an account while a measure of that is below, or above, an amount"
    )

    @model_validator(mode="after")
    def _narrow(self) -> Self:
        for label in self.match:
            if not _LABEL.fullmatch(label):
                what = "no alert has such a label: values are plain or globs, like {account: hedge, rule: Liq*}"
                raise ValueError(f"match: {label[:40]!r}: {what}")
        if all(wanted == "*" for wanted in self.match.values()) and not set(self.match) - ALWAYS_THERE:
            raise ValueError("this would silence everything, also the monitor itself: match something")
        return self

    def _silence(self, ends_at: datetime, *, created_at: datetime | None, filed: bool) -> Silence:
        unless = self.unless.plain() if self.unless else None
        said = (self.author, self.comment, ends_at.isoformat(), str(self.starts_at), _said(unless), str(created_at))
        return Silence(
            id=silence_id(self.match, *said),
            match=self.match,
            ends_at=ends_at,
            author=self.author,
            comment=self.comment,
            starts_at=self.starts_at or created_at,
            created_at=created_at,
            unless=unless,
            filed=filed,
        )


def _said(unless: Unless | None) -> str:
    if unless is None:
        return ""
    amounts = ("" if bound is None else text(bound) for bound in (unless.below, unless.above))
    return " ".join((unless.measure, *amounts))


class FiledSilence(_Said):
    """`{match: {account: hedge}, ends_at: 2026-12-01T06:00:00Z, author: maria, comment: key rotation}`"""

    ends_at: Moment

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.starts_at is not None and self.ends_at <= self.starts_at:
            raise ValueError("must end after it starts")
        return self


class NewSilence(_Said):
    """What `POST /v1/silences` takes: the same, or `duration` instead of `ends_at`."""

    ends_at: Moment | None = None
    duration: Duration | None = None

    def silence(self, now: datetime) -> Silence:
        """As of now; ValueError when it is over already, or endless."""
        if (self.ends_at is None) == (self.duration is None):
            raise ValueError("needs either `ends_at` or `duration`")
        start = self.starts_at or now
        ends_at = self.ends_at or start + (self.duration or timedelta(0))
        if ends_at <= max(start, now):
            raise ValueError("must end after it starts, and not before now")
        if ends_at - now > LONGEST:
            raise ValueError(f"must end within {LONGEST.days} days")
        return self._silence(ends_at, created_at=now, filed=False)


def filed(written: Iterable[FiledSilence]) -> tuple[Silence, ...]:
    """The silences of a configuration; an id changes only with what a silence says."""
    found = (one._silence(one.ends_at, created_at=None, filed=True) for one in written)  # noqa: SLF001 # of this page
    return tuple({silence.id: silence for silence in found}.values())


class SilenceShown(TypedDict):
    """A silence as the API and `--json` show it; `source` is `file` or `api`."""

    id: str
    state: State
    match: Mapping[str, str | list[str]]
    starts_at: str | None
    ends_at: str | None
    author: str
    comment: str
    unless: Mapping[str, str] | None
    created_at: str | None
    source: Literal["file", "api"]


def silence_view(silence: Silence, now: datetime) -> SilenceShown:
    """A silence for the API and for `--json`."""
    unless = silence.unless
    bounds = {} if unless is None else {"below": unless.below, "above": unless.above}
    return {
        "id": silence.id,
        "state": silence.state(now),
        "match": {
            label: wanted if isinstance(wanted, str) else list(wanted) for label, wanted in silence.match.items()
        },
        "starts_at": _stamp(silence.starts_at),
        "ends_at": _stamp(silence.ends_at),
        "author": silence.author,
        "comment": silence.comment,
        "unless": None
        if unless is None
        else {"measure": unless.measure, **{key: text(bound) for key, bound in bounds.items() if bound is not None}},
        "created_at": _stamp(silence.created_at),
        "source": "file" if silence.filed else "api",
    }


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else utc_text(at)
