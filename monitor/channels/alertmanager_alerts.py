"""Alerts in Alertmanager's terms: labels that name them, annotations that tell of them. Pure.

Facts: github.com/prometheus/alertmanager, api/v2/openapi.yaml and docs/alerts_api.md. All of its labels are what an
alert is called, so nothing that changes while it fires may be one of them. A severity does, and a label may be edited:
`alerts_of` ends what the alert was called before.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from monitor.channels.text import clean, cut, without_numbers
from monitor.model.group import Numbered
from monitor.model.money import text
from monitor.model.record import Entry

#: A movement has no end; until then at least it is seen. Longer than the usual `group_interval` there.
EVENT_STANDS = timedelta(hours=1)
#: What we allow for the value of a label, and of an annotation.
LABEL_MAX = 1024
ANNOTATION_MAX = 8192
#: Go's zero time: what has not ended.
NEVER = "0001-01-01T00:00:00Z"

_FNV_OFFSET, _FNV_PRIME, _FNV_MASK = 0xCBF29CE484222325, 0x100000001B3, 0xFFFFFFFFFFFFFFFF


def alerts_of(one: Numbered) -> Iterator[Entry]:
    """What is to be said of one alert, in order: first the end of what it was called before, if that was otherwise."""
    before, entry = one.before, one.entry
    if before is not None and labels(before) != labels(entry):
        yield replace(before, status="resolved", resolved_at=entry.resolved_at or entry.observed_at)
    yield entry


def labels(entry: Entry) -> dict[str, str]:
    """What an alert is called. Labels of our own are not overruled by those of a rule or an account."""
    ours = {
        "alertname": clean(entry.rule) or entry.rule_type,
        "rule": entry.rule,
        "provider": entry.provider,
        "account": entry.account,
        "asset": entry.asset or "",
        "severity": entry.severity,
        # Each movement is an alert of its own.
        "event": entry.id if entry.status == "event" else "",
    }
    return named({**{name: entry.labels[name] for name in sorted(entry.labels)}, **ours}, ours)


def named(values: Mapping[str, str], first: Mapping[str, str] | None = None) -> dict[str, str]:
    """Labels as Alertmanager takes them: names of letters, digits and `_`, none without a value.

    Where two become the same name, those of `first` keep it and the others are numbered.
    """
    found: dict[str, str] = {}
    ordered = [*(first or ()), *(name for name in values if name not in (first or ()))]
    for name in ordered:
        value = cut(clean(values[name]), LABEL_MAX)
        if value:
            found[_free(label_name(name), found)] = value
    return dict(sorted(found.items()))


def label_name(name: str) -> str:
    """The nearest name that is allowed."""
    written = re.sub(r"[^a-zA-Z0-9_]", "_", name) or "_"
    return f"_{written}" if written[0].isdigit() else written


def _free(name: str, taken: Mapping[str, str]) -> str:
    number = 2
    free = name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free


def annotations(entry: Entry, *, redact: bool = False) -> dict[str, str]:
    """What is told of an alert: its rule's texts, and what is known as text."""
    told = {
        **_facts(entry, redact=redact),
        "id": entry.id,
        "fingerprint": entry.fingerprint,
        "rule_type": entry.rule_type,
        "measure": entry.measure or "",
        "unit": entry.unit or "",
        "reason": entry.reason or "",
    }
    for name, words in entry.annotations.items():
        told[label_name(name)] = without_numbers(words) if redact and not name.endswith("_url") else words
    shown = {name: cut(clean(value), ANNOTATION_MAX) for name, value in told.items()}
    return {name: value for name, value in sorted(shown.items()) if value}


def _facts(entry: Entry, *, redact: bool) -> dict[str, str]:
    found: dict[str, Decimal | None] = {
        "value": entry.value,
        "previous": entry.previous,
        "threshold": entry.threshold,
    }
    told = {}
    if entry.event is not None:
        found["amount"] = entry.event.amount
        told = {"event_kind": entry.event.kind, "reference": entry.event.reference or ""}
    amounts = {} if redact else {name: text(value) for name, value in found.items() if value is not None}
    return {**amounts, **told}


def posted(entry: Entry, now: datetime, stands: timedelta, *, redact: bool = False) -> dict[str, Any]:
    """An alert as `/api/v2/alerts` takes it; one that fires ends by itself after `stands` unless it is sent again."""
    began = entry.started_at or entry.observed_at
    if entry.status == "resolved":
        ends = min(entry.resolved_at or entry.observed_at, now)
    else:
        ends = now + (EVENT_STANDS if entry.status == "event" else stands)
    return {
        "labels": labels(entry),
        "annotations": annotations(entry, redact=redact),
        "startsAt": instant(began),
        "endsAt": instant(max(began, ends)),
    }


def received(entry: Entry, *, redact: bool = False) -> dict[str, Any]:
    """An alert as Alertmanager itself posts it to a webhook."""
    called = labels(entry)
    over = entry.status == "resolved"
    began = entry.started_at or entry.observed_at
    return {
        "status": "resolved" if over else "firing",
        "labels": called,
        "annotations": annotations(entry, redact=redact),
        "startsAt": instant(began),
        "endsAt": instant(max(began, entry.resolved_at or entry.observed_at)) if over else NEVER,
        "generatorURL": "",
        "fingerprint": fingerprint(called),
    }


def fingerprint(called: Mapping[str, str]) -> str:
    """Alertmanager's own name for a set of labels: FNV-1a over the sorted names and values."""
    number = _FNV_OFFSET
    for name in sorted(called):
        for byte in name.encode() + b"\xff" + called[name].encode() + b"\xff":
            number = (number ^ byte) * _FNV_PRIME & _FNV_MASK
    return f"{number:016x}"


def common(sets: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """What all of them have."""
    return (
        {name: value for name, value in sets[0].items() if all(one.get(name) == value for one in sets)} if sets else {}
    )


def instant(at: datetime) -> str:
    """RFC 3339 in UTC, with as much of a fraction as there is."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
