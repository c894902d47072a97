"""How long an account may be left alone in a backtest: until then, polls that read the same change nothing.

A month at a poll a minute is 43 200 decisions an account, nearly all of them about nothing. Left out are those that
provably change no alert; a test holds that leaving them out tells the same as not.
"""

from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime

from monitor.model.alert import State
from monitor.model.record import Record
from monitor.model.window import MICROSECOND, NEVER, micros
from monitor.virtual import Virtual

#: Later than everything.
#: What a record holds that two equal readings leave alone, or that is looked at below.
_LOOKED_AT = frozenset({
    "account", "version", "snapshot", "outage", "failing_since", "ledgers", "provider", "began_at",
    "alerts", "lately", "flows", "coverage", "extremes", "valued", "reported", "budgets", "judged",
})  # fmt: skip
#: Whatever it holds besides: nobody here knows what time does to it.
_OTHERS = tuple(one.name for one in fields(Record) if one.name not in _LOOKED_AT)


def unmoved_until(virtual: Virtual, now: datetime) -> datetime:
    """The first instant at which a poll that reads the same may change something; `now`: the very next one.

    Timers run while an alert is pending, calm or flapping, or its data flag has paused them. The sum of a window
    changes when a bucket enters or leaves the part that is known only within bounds, an extreme when it falls out.
    """
    record = virtual.record
    if virtual.needed or any(getattr(record, name) for name in _OTHERS):
        return now
    if any(one.state is State.PENDING or one.calm or one.flapping for one in record.alerts):
        return now
    now_us = micros(now)
    upcoming = min((at for at in (*_turns(virtual, now_us), *_ripens(virtual)) if at > now_us), default=None)
    return NEVER if upcoming is None else now + (upcoming - now_us) * MICROSECOND


def _ripens(virtual: Virtual) -> Iterator[int]:
    """When what is watched has been watched for long enough to be judged, and for all of the window."""
    record = virtual.record
    begun = {*(cover.since for cover in record.coverage.values()), *(ring.since for ring in record.flows.values())}
    dated = [(rule, spec) for rule in virtual.rules if (spec := rule.flow()) and spec.dated]
    for needed in {span // MICROSECOND for rule, spec in dated for span in (rule.watched_for(), spec.within)}:
        yield from (since + needed for since in begun)


def _turns(virtual: Virtual, now_us: int) -> Iterator[int]:
    """Every instant (microseconds since 1970) at which what is in a window moves on in it."""
    record = virtual.record
    for spec in {spec for rule in virtual.rules if (spec := rule.flow())}:
        within, suffix = spec.within // MICROSECOND, spec.suffix
        for key, ring in record.flows.items():
            if key.endswith(suffix):
                if spec.dated:
                    # What happened per bucket is known when the bucket is over.
                    yield (now_us // ring.width + 1) * ring.width
                for bucket in ring.sums:
                    yield bucket * ring.width + within
                    yield (bucket + 1) * ring.width + within
                yield from (bucket * ring.width + within for bucket in ring.opening)
    for extreme in {extreme for rule in virtual.rules if (extreme := rule.extreme())}:
        within, suffix = extreme.within // MICROSECOND, extreme.key("")
        for key, steps in record.extremes.items():
            if key.endswith(suffix):
                yield from (step.until + within for step in steps)
