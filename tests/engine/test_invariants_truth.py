"""No alert lies: it fires on what is bad, and resolves on what is good, by a count that knows nothing of the engine."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from monitor.model.event import MONEY_KINDS
from monitor.model.record import Answer
from monitor.model.snapshot import Snapshot
from tests.builders import minutes
from tests.facts import Watched
from tests.lives import ASSETS, WAYS, catalogue, lives, some_lives, watched

STALE_AFTER = minutes(3)
NO_LAG = st.none()


@dataclass
class Diary:
    """What was read of an account, and what follows from that for each rule of the catalogue."""

    watched: Watched
    pages: list[tuple[datetime, Snapshot]] = field(default_factory=list)

    def known(self, asset, measure, upto):
        """The values of a measure by then, each with when it was read."""
        return [(at, shot.amounts[asset][measure]) for at, shot in self.pages if at <= upto and asset in shot.amounts]

    def read(self, asset, at):
        """When an asset was last read."""
        return max((when for when, _ in self.known(asset, "total", at)), default=None)

    def value(self, asset, measure, at):
        """What was read at that moment; None if nothing was."""
        return dict(self.known(asset, measure, at)).get(at)

    def worth(self, asset, amount, at):
        """An amount in USD, None without a price: that of BTC is as old as the last reading that told it."""
        if amount is None or asset == "USDT" or not amount:
            return amount
        prices = [
            shot.usd[asset] / shot.amounts[asset]["total"]
            for when, shot in self.pages
            if at - minutes(5) <= when <= at and shot.usd.get(asset)
        ]
        return amount * prices[-1] if prices else None

    def swing(self, asset, at, within, end):
        """How far the amount is from its highest or lowest of a window, and that one."""
        known = self.known(asset, "available", at)
        if self.value(asset, "available", at) is None or len(known) < 2:
            return None, None
        before = [each for each in known if each[0] <= at - within]
        extreme = end(amount for _, amount in known[max(len(before) - 1, 0) :])
        return abs(extreme - known[-1][1]), abs(extreme)

    def flow(self, asset, direction, at, within):
        """What went one way over a window, as the ledger says; what was expected of it is in no rule's sum."""
        events = [one for one in self.watched.stored if one.asset == asset and one.kind in MONEY_KINDS]
        moved = [(one, one.unexpected if direction == "out" else one.amount) for one in events]
        return sum(
            amount for one, amount in moved if one.direction == direction and at - within < one.occurred_at <= at
        )


def between(value, bad, good):
    """`bad`, `good`, or neither for what has not recovered; None when it is not known."""
    return None if value is None else "bad" if bad(value) else "good" if good(value) else "neither"


def sum_of_all(diary, at):
    """What is not known may be anything above nothing; what has no price is at least worth its sign."""
    known = [asset for asset in ASSETS if (read := diary.read(asset, at)) and at - read < STALE_AFTER]
    amounts = {asset: diary.known(asset, "available", at)[-1][1] for asset in known}
    worths = {asset: diary.worth(asset, amount, at) for asset, amount in amounts.items()}
    unpriced = [amounts[asset] for asset, worth in worths.items() if worth is None]
    whole = sum(worth for worth in worths.values() if worth is not None)
    if whole >= 150 and not any(amount < 0 for amount in unpriced):
        return "good"
    return "bad" if whole < 150 and len(known) == len(ASSETS) and not any(amount > 0 for amount in unpriced) else None


def fell(diary, asset, at):
    change, base = diary.swing(asset, at, minutes(10), max)
    return None if change is None else "bad" if change > base * Decimal("0.3") else "good"


def jumped(diary, asset, at):
    known = diary.known(asset, "total", at)
    if len(known) < 2 or diary.value(asset, "total", at) is None:
        return None
    return "bad" if known[-1][1] > known[-2][1] + 30 else "good"


TRUTH = {
    "Low": lambda d, a, t: between(d.value(a, "available", t), lambda v: v < 50, lambda v: v > 60),
    "Levels": lambda d, a, t: between(d.value(a, "total", t), lambda v: v < 80, lambda v: v > 96),
    "LowUsd": lambda d, a, t: between(
        d.worth(a, d.value(a, "available", t), t), lambda v: v < 100, lambda v: v > 120
    ),
    "LowSum": lambda d, _, t: sum_of_all(d, t),
    "High": lambda d, a, t: between(d.value(a, "available", t), lambda v: v > 60, lambda v: v < 50),
    "HighUsd": lambda d, a, t: between(
        d.worth(a, d.value(a, "available", t), t), lambda v: v > 150, lambda v: v <= 150
    ),
    "Locked": lambda d, a, t: between(d.value(a, "locked", t), lambda v: v > 4, lambda v: v <= 4),
    "OutWithin": lambda d, a, t: between(
        d.flow(a, "out", t, minutes(5)), lambda v: v > 40, lambda v: v <= 40
    ),
    "Fell": fell,
    "RoseUsd": lambda d, a, t: between(
        d.worth(a, d.swing(a, t, timedelta(hours=4), min)[0], t), lambda v: v > 60, lambda v: v <= 60
    ),
    "Share": lambda d, a, t: between(d.value(a, "available", t), lambda v: v < 40, lambda v: v >= 40),
    "Jump": jumped,
}  # fmt: skip


@some_lives
@given(lives(lag=NO_LAG), WAYS, st.sets(st.sampled_from(sorted(TRUTH))), st.integers(0, 20))
def test_an_alert_fires_when_it_is_bad_and_resolves_when_it_is_good_or_says_why_else(life, ways, removed, when):
    rules = catalogue(ways)
    one = watched(rules)
    diary = Diary(one)
    for place, (now, reading) in enumerate(life.readings()):
        if place == when:
            one.rules = tuple(each for each in rules if each.alert not in removed)
        if isinstance(reading, Answer):
            diary.pages.append((now, reading.snapshot))
        for row in one.see(reading, now).rows:
            holds_true(row, diary, {each.alert: each for each in one.rules}, now, reading)


def holds_true(row, diary, rules, now, reading):
    """One piece of news, and whether it says what was read."""
    entry = row.entry
    if row.news == "event":
        return
    if entry.reason == "rule_removed":
        assert entry.rule not in rules
        return
    one, asset = rules[entry.rule], entry.asset or ""
    unread = not isinstance(reading, Answer) or (asset and asset not in reading.snapshot.amounts)
    if entry.reason == "no_data":
        assert one.on_no_data == "resolve"
        assert unread
        assert now - diary.read(asset, now) > STALE_AFTER
        return
    if unread and (entry.rule == "Stale" or one.on_no_data != "keep_state"):
        assert row.news != "resolved"
        return
    assert isinstance(reading, Answer)
    if row.news == "resolved":
        assert entry.reason == "recovered"
        assert entry.value is None or entry.rule in TRUTH or not beyond(one, entry)
    # What the ledger tells late is bad in the window it belongs to, however little there is in the one of now.
    found_late = entry.rule == "OutWithin" and row.news == "firing" and reading.events
    if entry.rule in TRUTH and row.news in ("firing", "resolved") and not found_late:
        judged, span = ("bad", one.wait) if row.news == "firing" else ("good", one.keep_firing_for)
        opposite = {"bad": "good", "good": "bad"}[judged]
        said = [TRUTH[entry.rule](diary, asset, at) for at, _ in diary.pages if now - span <= at]
        assert said[-1] == judged
        assert opposite not in said or entry.rule == "OutWithin", "for and keep_firing_for are times without"


def beyond(one, entry):
    """Whether a value is on the bad side of the threshold told with it."""
    return entry.value < entry.threshold if one.worse == "lower" else entry.value > entry.threshold
