"""Accounts as configured, in YAML or CSV, as the small values that a hundred thousand of them must be."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from monitor.config.mistakes import Mistake, Steps, dotted, translated
from monitor.config.settings import NAME, NAMING, Defaults, polled
from monitor.engine.calendar import zone
from monitor.errors import ConfigError
from monitor.fields import Context, suggestion
from monitor.model.record import Account
from monitor.providers.base import AccountSettings, ProviderSettings, Timetable
from monitor.rules.base import RESERVED_LABELS
from monitor.schedule import Cron, Every, parse_cron, usual_gap
from monitor.schedule import Timetable as Plan

#: Of a file with a hundred thousand bad rows, the first are enough to understand why.
MAX_MISTAKES = 50
MAX_CSV_BYTES = 256 * 1024 * 1024
_SEVERAL = ("assets", "addresses")

#: Where a column's value goes in an account's settings, and whether it holds several.
_Column = tuple[tuple[str, ...], bool]


@dataclass(slots=True)
class Roster:
    """Collects accounts; equal labels, asset lists and timetables are kept once."""

    defaults: Defaults
    accounts: dict[str, Account] = field(default_factory=dict)
    timetables: dict[str, Plan] = field(default_factory=dict)
    #: account → where it was first configured.
    origins: dict[str, str] = field(default_factory=dict)
    _shared: dict[Any, Any] = field(default_factory=dict)

    def add(self, name: str, provider: str, spec: ProviderSettings, account: AccountSettings, where: str) -> None:
        """Take an account over; ValueError says what is wrong with it as a whole."""
        if not NAME.fullmatch(name):
            raise ValueError(NAMING)
        if name in self.accounts:
            raise ValueError(f"there is already an account of this name, in {self.origins[name]}")
        if taken := RESERVED_LABELS & account.labels.keys():
            raise ValueError(f"every alert has its own label `{min(taken)}`, an account cannot set it")
        plan = self.share(timetable(account, spec, self.defaults))
        interval = self.share(usual_gap(plan))
        labels = dict(account.labels)
        self.accounts[name] = Account(
            name=name,
            provider=provider,
            interval=interval,
            stale_after=self.share(interval * self.defaults.stale_after),
            assets=self.share(account.assets),
            labels=self._shared.setdefault(("labels", *sorted(labels.items())), labels),
            target=account.target(),
            wallet=account.wallet(),
            origin=self.share(spec.origin()),
        )
        self.timetables[name] = plan
        self.origins[name] = where

    def share(self, value: Any) -> Any:
        """The first of all equal values."""
        return self._shared.setdefault((type(value), value), value)


class Untimely(ValueError):
    """What is wrong with a timetable; `key` is the setting at fault."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(what)
        self.key = key


def timetable(account: Timetable, provider: Timetable, defaults: Defaults) -> Plan:
    """When to poll an account: what it says, else what its provider says, else the default."""
    for level in (account, provider):
        if level.interval is not None and level.cron is not None:
            raise Untimely("cron", "give interval or cron, not both")
    location, spread = (
        getattr(account if name in account.model_fields_set else provider, name) for name in ("location", "jitter")
    )
    percent = int(spread.rstrip("%"))
    for level in (account, provider):
        if level.cron is not None:
            return _cron(level.cron, location, percent)
        if level.interval is not None:
            return _every(level.interval, percent)
    return _every(defaults.interval, percent)


def _every(interval: timedelta, percent: int) -> Every:
    try:
        polled(interval)
    except ValueError as error:
        raise Untimely("interval", str(error)) from None
    return Every(interval, percent)


def _cron(line: str, location: str, percent: int) -> Cron:
    try:
        parse_cron(line)
    except ValueError as error:
        raise Untimely("cron", str(error)) from None
    try:
        zone(location)
    except ValueError as error:
        raise Untimely("location", str(error)) from None
    return Cron(line, location, percent)


def account_model(spec: ProviderSettings) -> type[AccountSettings]:
    """The settings class of a provider's accounts, from the annotation of its `accounts`."""
    for argument in get_args(type(spec).model_fields["accounts"].annotation):
        if isinstance(argument, type) and issubclass(argument, AccountSettings):
            return argument
    raise AssertionError(f"{type(spec).__name__}.accounts must be Mapping[str, its account settings]")


def read_csv(path: Path, shown: str) -> str:
    """The text of a CSV file; ConfigError when it cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_CSV_BYTES + 1)
        if len(raw) > MAX_CSV_BYTES:
            raise ConfigError([f"{shown}:1: larger than {MAX_CSV_BYTES // 1024 // 1024} MB"])
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{shown}:{line}: not valid UTF-8"]) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError([f"{shown}: cannot be read: {why}"]) from None


def enlist_csv(
    roster: Roster, provider: str, spec: ProviderSettings, text: str, shown: str, context: Context
) -> list[Mistake]:
    """Add every good row of `id,wallet_id,interval,label.tier,…`; what is wrong with the first bad ones."""
    model = account_model(spec)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, skipinitialspace=True)
    found: list[Mistake] = []
    bad = 0
    try:
        columns = _columns(next(reader, []))
        # Said once, of the header, not of each of a hundred thousand rows.
        found += [Mistake(shown, 1, ".".join(steps), what) for steps, what in _unknown(columns, model)]
        columns = [(steps, several) if _known(steps, model) else ((), False) for steps, several in columns]
        for cells in reader:
            try:
                _enlist_row(roster, provider, spec, model, columns, cells, f"{shown}:{reader.line_num}", context)
            except (ValidationError, ValueError) as error:
                bad += 1
                if bad <= MAX_MISTAKES:
                    found += _row_mistakes(error, cells, columns, model, Mistake(shown, reader.line_num, "", ""))
    except csv.Error as error:
        found.append(Mistake(shown, reader.line_num, "", f"not valid CSV: {error}"))
    except _Header as error:
        return [Mistake(shown, 1, "", str(error))]
    if bad > MAX_MISTAKES:
        found.append(Mistake(shown, reader.line_num, "", f"{bad - MAX_MISTAKES} more rows are wrong"))
    return found


class _Header(Exception):
    """The columns cannot be understood, so no row can."""


def _enlist_row(
    roster: Roster,
    provider: str,
    spec: ProviderSettings,
    model: type[AccountSettings],
    columns: Sequence[_Column],
    cells: Sequence[str],
    where: str,
    context: Context,
) -> None:
    if not any(cell.strip() for cell in cells):
        return
    if len(cells) != len(columns):
        raise ValueError(f"{len(cells)} cells under {len(columns)} columns")
    row = _row(columns, cells)
    roster.add(str(row.pop("id", "")), provider, spec, model.model_validate(row, context=context), where)


def _row_mistakes(
    error: ValueError,
    cells: Sequence[str],
    columns: Sequence[_Column],
    model: type[AccountSettings],
    at: Mistake,
) -> list[Mistake]:
    place = next((index for index, (steps, _) in enumerate(columns) if steps == ("id",)), 0)
    name = cells[place].strip() if place < len(cells) else "?"
    if not isinstance(error, ValidationError):
        key = (error.key,) if isinstance(error, Untimely) else ()
        return [replace(at, path=dotted((name, *key)), what=str(error))]
    schema, row = model.model_json_schema(mode="validation"), _row(columns, cells)
    return [
        replace(at, path=dotted((name, *path)), what=what) for path, what in translated(error, "providers", schema, row)
    ]


def _columns(header: Sequence[str]) -> list[_Column]:
    names = [name.strip() for name in header]
    if "id" not in names:
        hint = ", with commas between them" if len(names) == 1 and ";" in names[0] else ""
        raise _Header(f"the first line must name the columns, one of them id{hint}")
    columns = [_column(name) for name in names]
    known = [steps for steps, _ in columns]
    for steps in known:
        if known.count(steps) > 1 or any(steps != other and steps == other[: len(steps)] for other in known):
            raise _Header(f"the column {'.'.join(steps)!r} is there twice")
    return columns


def _known(steps: Steps, model: type[AccountSettings]) -> bool:
    return steps == ("id",) or steps[0] in model.model_fields


def _unknown(columns: Sequence[_Column], model: type[AccountSettings]) -> Iterator[tuple[tuple[str, ...], str]]:
    names = {"id", *model.model_fields}
    for steps, _ in columns:
        if not _known(steps, model):
            near = suggestion(".".join(steps), names) or f"; a label of your own is label.{steps[0]}"
            yield steps, f"there is no such setting{near}" if steps[0] else "a column has no name"


def _column(name: str) -> _Column:
    first, _, rest = name.partition(".")
    if first == "label" and rest:
        return ("labels", rest), False
    return tuple(name.split(".")), name in _SEVERAL


def _row(columns: Sequence[_Column], cells: Sequence[str]) -> dict[str, Any]:
    """The settings of a row. Empty cells are absent; `;` or `|` separate several values."""
    row: dict[str, Any] = {}
    for (steps, several), cell in zip(columns, cells, strict=True):
        if steps and (said := cell.strip()):
            inner = row
            for step in steps[:-1]:
                inner = inner.setdefault(step, {})
            inner[steps[-1]] = _split(said) if several else said
    return row


def _split(cell: str) -> list[str]:
    return [part for part in (part.strip() for part in cell.replace("|", ";").split(";")) if part]


def enlist(
    roster: Roster, provider: str, spec: ProviderSettings, where: Callable[[Steps], str]
) -> list[tuple[Steps, str]]:
    """Add the accounts of the file itself; what is wrong, with the path below the configuration."""
    try:
        # Said once, of the provider, not of each of its accounts.
        timetable(spec, spec, roster.defaults)
    except Untimely as error:
        return [(("providers", provider, error.key), str(error))]
    found: list[tuple[Steps, str]] = []
    written: Mapping[str, AccountSettings] = getattr(spec, "accounts", {})
    for name, account in written.items():
        path = ("providers", provider, "accounts", name)
        try:
            roster.add(name, provider, spec, account, where(path))
        except Untimely as error:
            found.append(((*path, error.key), str(error)))
        except ValueError as error:
            found.append((path, str(error)))
    return found


def leaner(spec: ProviderSettings) -> ProviderSettings:
    """A provider's settings without its accounts, which live on as `Account` values."""
    return spec.model_copy(update={"accounts": {}}) if "accounts" in type(spec).model_fields else spec
