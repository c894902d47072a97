"""What an unchanged poll leaves out changes nothing."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.calm import is_calm, judged_by, nobody_stirs
from monitor.model.event import Ledger
from monitor.model.record import Answer, Record
from tests.builders import NOON, minutes
from tests.facts import Watched, answer, event, outage, rule, snapshot
from tests.lives import RULES as CATALOGUE
from tests.lives import WAYS, Life, Moved, Poll, catalogue, lives, named, some_lives
from tests.lives import watched as watched_life

RULES = (
    rule("low_balance", alert="Low", below=50, resolve_above=60, for_="2m", on_no_data="resolve"),
    rule("low_balance", alert="Levels", levels={"warning": {"below": 80}, "critical": {"below": 20}}),
    rule("low_balance", alert="Blind", below=10, on_no_data="fire", for_="1m"),
    rule("high_balance", alert="High", above=90, keep_firing_for="3m"),
    rule("low_balance", alert="Sum", below=100, aggregate={"by": ["asset"]}, match={"role": "none"}),
    rule("low_balance", alert="OwnSum", below=30, aggregate={"by": ["account", "asset"]}),
    rule("large_outflow", alert="Out", above=40),
    rule("large_outflow", alert="OutWithin", above=40, within="5m"),
    rule("balance_change", alert="Fell", falls_by="50%", within="5m"),
    rule("expression", alert="Odd", expression="available < 0.5 * total or total > 95"),
    rule("expression", alert="Jump", expression="total > previous.total + 30"),
    rule("runway", alert="Runs", below="10m", history="1h", min_history="3m", floor=15),
    rule("stale", alert="Stale", after="3m"),
    rule("event", alert="Event", above=30),
)
OWN = tuple(each for each in RULES if not each.spans)
words = st.sampled_from(["0", "5", "40", "55", "70", "85", "97", "error", "_", "same", "same", "same"])


class Forgetful(Watched):
    """The same, but no poll knows how the last one was judged."""

    def see(self, reading, now):
        self.record = replace(self.record, judged=None)
        return super().see(reading, now)


def lived(history, rules, kind):
    watched, last = kind(rules), "55"
    for place, word in enumerate(history):
        now = NOON + minutes(place)
        last = last if word in ("same", "error", "_") else word
        if word == "error":
            watched.see(outage(now), now)
            continue
        known, missing = ({}, ("USDT",)) if word == "_" else ({"USDT": last, "BTC": "33"}, ())
        watched.see(answer(snapshot(known, at=now, missing=missing)), now)
    return watched


@given(st.lists(words, max_size=30), st.sets(st.sampled_from(OWN)))
def test_a_poll_that_leaves_out_what_cannot_have_changed_owes_what_every_rule_would_say(history, rules):
    rules = tuple(each for each in OWN if each in rules)

    quick, whole = lived(history, rules, Watched), lived(history, rules, Forgetful)

    assert quick.told == whole.told
    assert quick.record == whole.record


QUIET = st.sampled_from(["same", "same", "same", "same", "same", "97", "130", "_"])
PRICES = st.sampled_from([1, 2, 3, None])


STILL = lives(
    30,
    words=st.tuples(QUIET, QUIET),
    price=PRICES,
    moved=st.sampled_from([(), (), (), (), (Moved("BTC", -3),), (Moved("USDT", 21, delay=1), Moved("USDT", -21))]),
)


@some_lives
@given(STILL, WAYS, st.sets(st.sampled_from([each.alert for each in CATALOGUE]), max_size=4))
def test_nor_does_it_under_moving_prices_a_ledger_and_expected_transfers(life, ways, names):
    quick, whole = watched_life(named(catalogue(ways), names)), watched_life(named(catalogue(ways), names))
    for now, reading in life.readings():
        quick.see(reading, now)
        whole.record = replace(whole.record, judged=None)
        whole.see(reading, now)

    assert quick.told == whole.told
    assert quick.record == whole.record


def test_the_lives_above_have_calm_polls():
    """Else the comparison would compare nothing."""
    rules = named(CATALOGUE, {"High", "HighUsd", "Fell", "Odd", "Out"})
    one, calm = watched_life(rules), []
    for now, reading in Life(
        [Poll(), Poll(), Poll(price=3), Poll(words=("130", "same")), Poll()], ledger=True
    ).readings():
        calm.append(isinstance(reading, Answer) and is_calm(one.record, reading, rules))
        one.see(reading, now)

    assert calm == [False, True, True, False, False]


def calm_after(first, second, *, rules=OWN, events=None):
    watched = Watched(rules)
    watched.see(answer(first), NOON)
    now = NOON + minutes(1)
    return is_calm(watched.record, answer(snapshot(second, at=now), events=events), rules)


def test_an_unchanged_poll_is_calm_and_only_restless_rules_judge_it():
    assert calm_after({"USDT": "85"}, {"USDT": "85"})
    restless = judged_by(Record("hot-usdt"), OWN).restless
    assert {each.alert for each in restless} == {"Jump", "Runs", "Stale"}


def stirs_nobody(rules, *, as_of=None):
    watched, found = Watched(rules), []
    for minute in range(2):
        now = NOON + minutes(minute)
        reading = answer(snapshot({"USDT": "85"}, at=now, as_of=as_of))
        found.append(is_calm(watched.record, reading, rules) and nobody_stirs(watched.record, reading))
        watched.see(reading, now)
    return found[-1]


def test_a_calm_poll_is_judged_only_where_a_rule_goes_by_time_or_prices():
    steady = tuple(each for each in OWN if each.steady)
    stale, runs = (next(each for each in OWN if each.alert == name) for name in ("Stale", "Runs"))

    assert stirs_nobody((*steady, stale))
    assert not stirs_nobody((*steady, stale), as_of=NOON)
    assert not stirs_nobody((*steady, stale, runs))


def test_old_news_of_a_provider_that_dates_them_go_stale_though_nothing_else_changes():
    watched = Watched((rule("stale", alert="Stale", after="3m"),))
    for minute in range(5):
        now = NOON + minutes(minute)
        watched.see(answer(snapshot({"USDT": "85"}, at=now, as_of=NOON)), now)

    assert [(minute, news) for minute, news, _ in watched.told] == [(4, "firing")]


def test_what_has_ended_is_forgotten_though_nothing_changes():
    watched = Watched((rule("low_balance", alert="Low", below=50, flap={"max": 3, "within": "5m"}),))
    for minute, amount in enumerate(("40", "85", "85", "85", "85", "85", "85", "85")):
        watched.see(answer(snapshot({"USDT": amount}, at=NOON + minutes(minute))), NOON + minutes(minute))
        assert bool(watched.record.lately) == (1 <= minute < 6)


@pytest.mark.parametrize(
    ("first", "second", "settings"),
    [
        ({"USDT": "85"}, {"USDT": "86"}, {}),
        ({"USDT": "85"}, {"USDT": "85", "BTC": "1"}, {}),
        ({"USDT": "40"}, {"USDT": "40"}, {}),
        ({"USDT": "85"}, {"USDT": "85"}, {"events": (event(),)}),
    ],
)
def test_a_poll_that_brings_anything_or_an_account_with_an_alert_is_not_calm(first, second, settings):
    assert not calm_after(first, second, **settings)


def test_what_a_ledger_explains_that_no_total_shows_is_not_calm():
    """A row that moved nothing we can see, without an event of its own."""
    watched = Watched((rule("unexplained_change", alert="Odd", above=1, within="1m"),))
    told = {"events": (), "ledgers": {"history": Ledger(1)}}
    for minute, moved in enumerate(("0", "30", "0", "0")):
        shot = snapshot({"USDT": "100"}, at=NOON + minutes(minute))
        watched.see(answer(shot, **told, explained={"USDT": Decimal(moved)}), NOON + minutes(minute))

    assert [(minute, news) for minute, news, _ in watched.told] == [(1, "firing"), (2, "resolved")]


def test_rules_that_were_reloaded_judge_what_the_others_had_judged():
    watched = Watched(OWN)
    watched.see(answer({"USDT": "85"}), NOON)

    assert not is_calm(watched.record, answer({"USDT": "85"}), (*OWN[:-1], rule("event", alert="Event", above=1)))
