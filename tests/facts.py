"""What rules and the model are given in tests: defaults for everything a test is not about."""

from decimal import Decimal

from pydantic import TypeAdapter

from monitor.model.event import Event
from monitor.model.record import Account, Health
from monitor.model.snapshot import Outage, Snapshot
from monitor.rules import AnyRule
from monitor.rules.base import Blindness, Checkup, Sighting
from tests.builders import NOON, minutes

MINUTE = minutes(1)
_RULE = TypeAdapter(AnyRule)


def rule(rule_type, **settings):
    """A rule as its file would say it; `for_` stands for the keyword."""
    if "for_" in settings:
        settings["for"] = settings.pop("for_")
    return _RULE.validate_python({"alert": "Tested", "type": rule_type, **settings})


def account(name="hot-usdt", **settings):
    defaults = {"provider": "casino", "interval": minutes(1), "stale_after": minutes(3)}
    return Account(name=name, **{**defaults, **settings})


def snapshot(amounts=None, *, at=NOON, **settings):
    """`{"USDT": "40"}` is 40 available and in total; `{"USDT": {"held": "3"}}` says which measure."""
    written = {"USDT": "40"} if amounts is None else amounts
    full = {
        asset: said if isinstance(said, dict) else {"available": said, "total": said}
        for asset, said in written.items()
    }
    exact = {asset: {name: Decimal(value) for name, value in said.items()} for asset, said in full.items()}
    return Snapshot(observed_at=at, amounts=exact, **settings)


def event(amount="10", direction="out", *, at=NOON, name="e1", asset="USDT", kind="withdraw", **settings):
    return Event(
        id=name,
        asset=asset,
        kind=kind,
        direction=direction,
        amount=Decimal(amount),
        occurred_at=at,
        **settings,
    )


def sighting(amounts=None, *, now=NOON, previous=None, **settings):
    """A good poll. `previous` is written like `amounts`."""
    before = None if previous is None else snapshot(previous, at=now - minutes(1))
    shot = amounts if isinstance(amounts, Snapshot) else snapshot(amounts, at=now)
    settings.setdefault("account", account())
    return Sighting(now=now, snapshot=shot, previous=before, **settings)


def blindness(*, now=NOON, good=None, since=NOON, kind="unreachable", why="timed out"):
    outage = Outage(at=now, kind=kind, why=why)
    return Blindness(now=now, account=account(), since=since, last_good_at=good, outage=outage)


def checkup(*, now=NOON, interval=MINUTE, **health):
    """A provider's health; noted just now unless the test says otherwise."""
    health.setdefault("noted_at", now)
    return Checkup(now=now, provider="casino", interval=interval, health=Health(at=now, **health))
