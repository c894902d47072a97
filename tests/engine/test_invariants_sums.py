"""Nothing is counted twice or forgotten: what moved is explained or is not, and windows hold what the ledger does."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.pricing import PriceBook, Static
from monitor.engine.watch import aggregates
from monitor.model.record import Record
from monitor.model.residual import unexplained
from monitor.model.window import exact_flow, flow_bounds
from monitor.virtual import Shelf, VirtualSum
from tests.builders import NOON
from tests.facts import Watched, account, rule
from tests.lives import ASSETS, RULES, lives, named, some_lives, watched, world
from tests.store.test_life_survives import restarted

EVERYTHING = (rule("unexplained_change", alert="Odd", above=0, within="366d"),)


@some_lives
@given(lives(30), st.booleans())
def test_what_moved_is_what_the_ledger_explains_and_what_it_does_not(life, restart):
    one, first, told = watched(EVERYTHING), {}, dict.fromkeys(ASSETS, Decimal(0))
    for now, reading in life.readings():
        before = one.record.snapshot
        one.see(reading, now)
        after = one.record.snapshot
        if restart:
            one.record = restarted(one.record)
        if after is before:
            # An outage, or an answer that is older than what is known: it teaches nothing.
            continue
        for event in reading.events or ():
            # A row that comes before its asset was ever read is part of what was read first.
            if event.asset in first:
                told[event.asset] += event.signed
        for asset in reading.snapshot.amounts:
            first.setdefault(asset, reading.snapshot.of(asset, "total"))
        if reading.events is None:
            assert one.record.residuals == {}
            continue
        for asset, began in first.items():
            opens = one.record.residuals.get(EVERYTHING[0].residual().key(asset), ())
            assert after.of(asset, "total") - began == told[asset] + unexplained(opens)


@some_lives
@given(lives(30), st.booleans())
def test_windows_hold_each_movement_once_and_for_as_long_as_they_are(life, restart):
    rules = named(RULES, ("OutWithin", "NetIn", "OutShare"))
    one = watched(rules)
    for now, reading in life.readings():
        one.see(reading, now)
        if restart:
            one.record = restarted(one.record)
        assert len({event.id for event in one.stored}) == len(one.stored)
        for each in rules:
            for asset in ASSETS:
                holds_what_happened(one, each.flow(), asset, now)


def holds_what_happened(one, spec, asset, now):
    ring = one.record.flows.get(spec.key(asset))
    for direction in ("in", "out"):
        moved = tuple(spec.counted(asset, one.stored))
        exact = exact_flow(moved, direction, spec.within, now)
        low, high = flow_bounds(ring, direction, spec.within, now) if ring else (0, 0)
        assert low <= exact <= high


ACROSS = (
    rule("low_balance", alert="Float", below=200, resolve_above=240, aggregate={"unit": "usd"}, for_="1m"),
    rule("low_balance", alert="FloatOfAsset", below=70, aggregate={"by": ["asset"]}, keep_firing_for="2m"),
    rule("high_balance", alert="Concentrated", above=150, unit="usd", aggregate={"by": ["role"]}),
    rule("large_outflow", alert="OutOfAll", above=40, within="10m", aggregate={"by": ["asset"]}),
    rule("large_outflow", alert="OutOfAllUsd", above=60, within="1h", aggregate={"unit": "usd"}),
    rule("large_outflow", alert="OutNet", above=20, within="30m", aggregate={"by": ["asset"]}, net_internal=True),
)
ACCOUNTS = {
    name: account(name, assets=ASSETS, labels={"role": role}) for name, role in (("hot", "hot"), ("cold", "cold"))
}


#: What members report of prices is remembered by the process that read them; these are written down.
PRICED = replace(world(), book=PriceBook([Static({"USDT": Decimal(1), "BTC": Decimal(2)})]))


class Group:
    """Accounts that live side by side, and the rules over them; restarted after every poll if asked to."""

    def __init__(self, *, restart):
        self.restart, self.shelf, self.told = restart, Shelf(NOON), []
        self.members = {name: Watched((), one, PRICED, Record(name)) for name, one in ACCOUNTS.items()}
        self.sums = {each.alert: self._sum(each) for each in ACROSS}

    def _sum(self, each):
        return VirtualSum(aggregates(ACROSS, ACCOUNTS)[f"aggregate:{each.alert}"], each, PRICED, self.shelf)

    def see(self, name, reading, now):
        member = self.members[name]
        self.shelf.write(member.account, member.see(reading, now), now)
        for each in ACROSS:
            one = self.sums[each.alert]
            self.told += [(now, row) for row in one.decide(one.read(now), now).rows]
            if self.restart:
                # What a process remembers of sums is gone, what is stored is not.
                self.sums[each.alert] = self._sum(each)
                self.sums[each.alert].record = restarted(one.record)


@some_lives
@given(lives(8), lives(8))
def test_a_restart_after_every_poll_changes_nothing_that_several_accounts_owe(hot, cold):
    history = sorted(
        [(now, name, reading) for name, life in (("hot", hot), ("cold", cold)) for now, reading in life.readings()],
        key=lambda each: each[:2],
    )
    steady, shaken = Group(restart=False), Group(restart=True)
    for now, name, reading in history:
        for one in (steady, shaken):
            one.see(name, reading, now)

    assert shaken.told == steady.told
    assert {n: one.record for n, one in shaken.sums.items()} == {n: one.record for n, one in steady.sums.items()}
