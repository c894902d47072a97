"""A record stays small, whatever an account does; and what it has no room for is not forgotten."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.engine.room import BYTES_MAX, RINGS_MAX
from monitor.model.event import Ledger
from monitor.model.record import Record
from monitor.model.window import Coverage
from monitor.store import codec
from tests.builders import NOON, minutes
from tests.facts import Watched, answer, event, rule

BUSY = tuple(f"ASSET{n}@NETWORK" for n in range(200))
FLOWS = (
    rule("large_outflow", alert="Out", above=55, within="1h"),
    rule("large_inflow", alert="In", above="60%", within="90m"),
    rule("runway", alert="Lasts", below="5h", history="2h", min_history="10m"),
)


def written(record):
    """The document of windows as it is stored."""
    *_, windows, _ = codec.changed(Record(record.account), record)
    return len(windows)


def shaken(watched, rounds, *, every=1):
    """Two hundred assets that all move at every poll, each in its own way."""
    for place in range(rounds):
        now = NOON + minutes(place * every)
        totals = {asset: f"{100 + (place * (n + 7) * 13) % 97}.{n:018}" for n, asset in enumerate(BUSY)}
        watched.see(answer(totals, at=now), now)
    return watched


class Forgetful(Watched):
    """Remembers no ring at all: reads every event again at every poll."""

    def see(self, reading, now):
        commit = super().see(reading, now)
        since = {scope: cover._replace(whole=False) for scope, cover in self.record.coverage.items()}
        self.record = replace(self.record, flows={}, coverage=since)
        return commit


def test_two_hundred_busy_assets_under_three_rules_leave_a_small_record_and_right_verdicts():
    watched, forgetful = shaken(Watched(FLOWS), 25, every=6), shaken(Forgetful(FLOWS), 25, every=6)

    record = watched.record
    assert len(record.flows) <= RINGS_MAX
    assert written(record) <= BYTES_MAX + 1024
    assert not all(cover.whole for cover in record.coverage.values())
    assert len(watched.told) > 200
    assert told(watched) == told(forgetful)


def told(watched):
    return [(minute, news, e.rule, e.asset, e.severity) for minute, news, e in watched.told]


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(-30, 30), min_size=24, max_size=24), min_size=2, max_size=12), st.integers(1, 30))
def test_the_ledger_and_the_rings_that_had_room_say_the_same(moves, wait):
    """Twenty-four assets: some have their rings in the record, which ones changes with every poll."""
    watched, forgetful = Watched(FLOWS[:1]), Forgetful(FLOWS[:1])
    totals = [1000] * 24
    for place, changes in enumerate([[0] * 24, *moves]):
        totals = [total + change for total, change in zip(totals, changes, strict=True)]
        now = NOON + minutes(place * wait)
        for each in (watched, forgetful):
            each.see(answer({f"A{n}": str(total) for n, total in enumerate(totals)}, at=now), now)

    assert told(watched) == told(forgetful)
    assert len(watched.record.flows) <= RINGS_MAX


def test_a_crowded_account_that_is_quiet_writes_nothing_and_asks_the_ledger():
    watched = shaken(Watched(FLOWS), 5)
    before, needs = watched.record, len(watched.needs)

    now = NOON + minutes(4.5)
    commit = watched.see(quiet(before, now), now)

    assert len(watched.needs) == needs + 1
    assert (commit.record.flows, commit.record.coverage) == (before.flows, before.coverage)
    assert codec.changed(before, commit.record)[2] == b""


def quiet(record, now):
    return answer(replace(record.snapshot, observed_at=now))


def test_what_fits_again_is_kept_again():
    watched = shaken(Watched(FLOWS[:1]), 3)
    now = NOON + minutes(70)

    watched.see(quiet(watched.record, now), now)
    watched.see(quiet(watched.record, now), now + minutes(1))

    assert watched.record.flows == {}
    assert [cover.whole for cover in watched.record.coverage.values()] == [True]
    needs = len(watched.needs)
    watched.see(quiet(watched.record, now), now + minutes(2))
    assert len(watched.needs) == needs


def test_what_cannot_be_read_again_is_kept_and_only_gets_coarser():
    fell = rule("balance_change", alert="Fell", falls_by=90, within="2h")
    stolen = rule("unexplained_change", alert="Odd", above=5, within="2h")
    watched = Watched((fell, stolen, *FLOWS))
    for place in range(31):
        now = NOON + minutes(3 * place)
        # Ever lower, and no row says why.
        totals = {asset: f"{200 - 3 * place}.{n:018}" for n, asset in enumerate(BUSY)}
        rows = tuple(event("3", at=now, name=f"{place}{asset}", asset=asset) for asset in BUSY[:40])
        watched.see(answer(totals, at=now, events=rows, ledgers={"main": Ledger(1)}), now)
    assert BYTES_MAX < written(watched.record) <= 2 * BYTES_MAX
    assert {len(watched.record.extremes), len(watched.record.residuals)} == {200, 160}
    assert {entry.asset for _, _, entry in watched.told if entry.rule == "Odd"} == set(BUSY[40:])
    assert not [entry for _, _, entry in watched.told if entry.rule == "Fell"]

    now = NOON + minutes(93)
    totals = {asset: f"109.{n:018}" for n, asset in enumerate(BUSY)}
    watched.see(answer(totals, at=now, events=(), ledgers={"main": Ledger(1)}), now)

    assert {entry.asset for _, _, entry in watched.told if entry.rule == "Fell"} == set(BUSY)


def test_a_few_long_rings_are_bounded_too():
    digits = "123456789012345678901234567890.123456789012345678"
    rules = tuple(
        rule("large_outflow", alert=f"R{n}", above="100%", within=f"{n + 1}h", kinds=["withdraw"]) for n in range(12)
    )
    watched = Watched(rules)
    total = Decimal(digits) * 1000
    for place in range(200):
        now = NOON + minutes(place)
        rows = () if place == 0 else (event(digits, at=now, name=f"e{place}", asset="WEI"),)
        watched.see(answer({"WEI": str(total - place)}, at=now, events=rows), now)

    assert 0 < len(watched.record.flows) < 12
    assert written(watched.record) <= BYTES_MAX + 2048


def test_an_account_with_room_says_so():
    watched = Watched(FLOWS).reads("100 90 80")

    assert all(isinstance(cover, Coverage) and cover.whole for cover in watched.record.coverage.values())
    assert watched.needs == []
