"""Rules need not speak of what is clear and has no alert: nothing comes out differently for that."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.record import Answer
from monitor.model.snapshot import Outage, Snapshot
from monitor.rules import RULES
from monitor.rules.facts import Sighting
from tests.builders import NOON, minutes
from tests.facts import Watched, policy

SET = [
    {"alert": "Low", "type": "low_balance", "below": 100, "resolve_above": 200, "for": "1m"},
    {"alert": "LowUsd", "type": "low_balance", "assets": ["BTC"], "below": 100, "unit": "usd"},
    {
        "alert": "High",
        "type": "high_balance",
        "levels": {"warning": {"above": 150}, "critical": {"above": 400, "resolve_below": 200}},
        "keep_firing_for": "2m",
    },
    {"alert": "Out", "type": "large_outflow", "above": 250},
    {"alert": "OutHour", "type": "large_outflow", "above": "150", "within": "5m"},
    {"alert": "OutShare", "type": "large_outflow", "above": "50%", "within": "10m"},
    {"alert": "Old", "type": "stale", "after": "3m"},
]
TERSE = tuple(RULES[rule["type"]].model_validate(rule) for rule in SET)


class Everything:
    """Holds every subject, so a rule told of it leaves none out."""

    def __contains__(self, _subject):
        return True


def wordy(settings):
    """The same rule, naming every subject."""
    kind = RULES[settings["type"]]

    def judge(self, facts):
        told = facts._replace(alerting=Everything()) if isinstance(facts, Sighting) else facts
        return kind.judge(self, told)

    return type(f"Wordy{kind.__name__}", (kind,), {"judge": judge}).model_validate(settings)


WORDY = tuple(map(wordy, SET))

amounts = st.dictionaries(
    st.sampled_from(("USDT@TRX", "BTC", "ETH")),
    st.sampled_from((0, 40, 60, 99, 120, 180, 250, 500)).map(Decimal),
)
readings = st.one_of(st.none(), st.tuples(amounts, st.none() | st.integers(0, 6).map(minutes)))


def read(said, now):
    if said is None:
        return Outage(at=now, kind="unreachable", why="down")
    held, age = said
    measured = {asset: {"available": value, "total": value} for asset, value in held.items()}
    as_of = None if age is None else now - age
    return Answer(Snapshot(observed_at=now, amounts=measured, as_of=as_of, absent_is_zero=True))


def story(rules, said):
    """Every commit of an account that is polled once a minute."""
    watched = Watched(rules, policy=policy(prices={"BTC": Decimal(2)}))
    return [watched.see(read(each, now), now) for each, now in zip(said, map(after, range(len(said))), strict=True)]


def after(polls):
    return NOON + minutes(polls)


@settings(max_examples=150, deadline=None)
@given(st.lists(readings, min_size=1, max_size=12))
def test_terse_rules_decide_what_wordy_ones_decide(said):
    assert story(TERSE, said) == story(WORDY, said)


def test_the_story_above_has_alerts_that_open_rise_and_end():
    """Else the comparison would compare nothing."""
    said = [({"BTC": Decimal(held)}, None) for held in (120, 40, 40, 250, 500, 120, 40, 120, 120, 120, 120)]

    news = {row.news for commit in story(TERSE, said) for row in commit.rows}

    assert news == {"firing", "updated", "resolved", "event"}
