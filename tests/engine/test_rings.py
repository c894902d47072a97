"""The rolling sums of an account: only what moved is remembered, and nothing is missed."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.learn import learn
from monitor.engine.rings import longest
from monitor.model.record import Need, Record
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, event, rule

LATER = NOON + minutes(1)
OUT = rule("large_outflow", above=100, within="1h")
SHARE = rule("large_outflow", alert="Share", above="50%", within="1h")


def learned(record, reading, *rules, now=LATER, recorded=None):
    return learn(record, reading, account(), rules, now, recorded)


def test_rules_with_equal_needs_share_one():
    other = rule("large_outflow", alert="Other", above=900, within="1h")

    assert len(Watched((OUT, other)).reads("500 440").record.flows) == 1


def test_a_quiet_poll_writes_nothing():
    watched = Watched((OUT, SHARE)).reads("100 40")

    before, now = watched.record, NOON + minutes(2)
    after, _ = learned(before, answer({"USDT": "40"}, at=now), OUT, SHARE, now=now)

    assert after.flows is before.flows
    assert after.coverage is before.coverage


def test_an_asset_that_never_moved_has_no_ring():
    watched = Watched((OUT, SHARE))
    for minute in range(3):
        watched.see(answer({f"A{n}": "5" for n in range(200)}, at=NOON + minutes(minute)), NOON + minutes(minute))

    assert (watched.record.flows, watched.needs) == ({}, [])


def test_what_has_left_the_window_is_forgotten():
    watched = Watched((OUT, SHARE)).reads("500 100")
    assert len(watched.record.flows) == 2

    watched.reads("100 100", start=NOON + minutes(63))

    assert watched.record.flows == {}
    assert watched.needs == []
    assert watched.news == [(1, "firing"), (1, "firing"), (63, "resolved"), (63, "resolved")]


def test_a_ring_stays_when_its_asset_is_not_named_for_once():
    watched = Watched((OUT,)).reads("500 440 _ 390")

    assert watched.needs == []
    assert watched.news == [(3, "firing")]


def test_a_ring_that_no_rule_reads_is_dropped():
    watched = Watched((OUT,)).reads("500 440")

    watched.rules = ()
    watched.reads("440")

    assert (watched.record.flows, watched.record.coverage) == ({}, {})


def test_the_account_that_was_never_read_needs_nothing():
    assert not isinstance(learned(Record(account="hot-usdt"), answer({"USDT": "1"}), OUT), Need)


def test_the_longest_window_answers_all():
    rules = (OUT, rule("large_inflow", above=1, within="2h"), rule("stale"))

    assert longest(rules, Record("hot-usdt"), NOON) == Need(NOON - minutes(122))


@pytest.mark.parametrize(
    "edited",
    [
        pytest.param(rule("large_outflow", above=100, within="2h"), id="another window"),
        pytest.param(rule("large_outflow", above=100, within="1h", kinds=["inferred"]), id="other kinds"),
        pytest.param(rule("large_outflow", above="20%", within="1h"), id="a share of what was there"),
        pytest.param(rule("large_outflow", above=100, within="1h", assets=["USDT", "BTC"]), id="more assets"),
    ],
)
def test_a_rule_that_is_edited_knows_what_moved_before(edited):
    narrow = rule("large_outflow", above=10_000, within="1h", assets=["BTC"])
    watched = Watched((narrow,)).reads("500 440 390")

    watched.rules = (edited,)
    watched.reads("390", start=NOON + minutes(3))

    assert [(news, entry.value) for _, news, entry in watched.told] == [("firing", 110)]
    assert len(watched.needs) == 1


def test_a_new_rule_takes_percentages_of_what_was_there_when_its_window_began():
    watched = Watched(()).reads("1000 900 800 700 600")

    watched.rules = (rule("large_outflow", above="40%", within="1h"),)
    watched.reads("599", start=NOON + minutes(5))

    [(_, _, entry)] = watched.told
    assert (entry.value, entry.threshold) == (401, 400)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["USDT", "BTC"]),
            st.decimals("-40", "40", places=2),
            st.integers(0, 1500),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_rings_and_the_events_themselves_agree_whatever_moves(steps):
    """A rule judged from rings says what the same rule says that reads every event again at each poll."""
    net = rule("large_inflow", alert="Net", above=20, within="20m", net=True)
    ringed, naive = Watched((OUT, net)), Watched((OUT, net))
    totals, now = {"USDT": Decimal(100), "BTC": Decimal(100)}, NOON
    for asset, moved, wait, named in [("USDT", Decimal(0), 0, True), *steps]:
        now += timedelta(seconds=wait)
        totals[asset] += moved
        shown = {name: str(value) for name, value in totals.items() if named or name == asset}
        for watched in (ringed, naive):
            missing = () if named else tuple({"USDT", "BTC"} - shown.keys())
            reading = answer(shown, at=now)
            watched.see(reading._replace(snapshot=_missing(reading.snapshot, missing)), now)
        naive.record = _forgotten(naive.record)

    assert [(m, n, e.rule, e.asset) for m, n, e in ringed.told] == [(m, n, e.rule, e.asset) for m, n, e in naive.told]


def _missing(snapshot, names):
    return type(snapshot)(snapshot.observed_at, snapshot.amounts, missing=names)


def _forgotten(record):
    return type(record)(record.account, record.version, record.snapshot, alerts=record.alerts, ledgers=record.ledgers)


def test_a_late_event_after_seconds_is_no_news():
    watched = Watched((OUT,))
    watched.see(answer({"USDT": "500"}, events=()), NOON)

    watched.see(answer({"USDT": "500"}, events=(event("5", at=NOON - minutes(90)),)), NOON + seconds(5))

    assert watched.record.flows == {}
