"""What holds whatever happens to an account: the same news, however it is restarted, repeated, disturbed or scaled."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from hashlib import blake2b

from hypothesis import given
from hypothesis import strategies as st

from monitor.model.record import Record
from monitor.model.snapshot import Outage
from monitor.store import codec
from tests.builders import minutes
from tests.facts import outage
from tests.lives import (
    LEVEL,
    RULES,
    WAYS,
    Life,
    Moved,
    Poll,
    again,
    catalogue,
    lives,
    named,
    some_lives,
    watched,
)
from tests.store.test_life_survives import restarted


def lived(readings, rules=RULES, *, restart=False, scale=Decimal(1)):
    """An account after all of that; restarted after every poll if asked to."""
    one = watched(rules, scale)
    for now, reading in readings:
        one.see(reading, now)
        if restart:
            one.record = restarted(one.record)
    return one


def owed(one):
    """The news in their order, each with what it says but for its words. An episode is called by its first news."""
    episodes = {}
    for place, (_, _, entry) in enumerate(one.told):
        episodes.setdefault(entry.id, place)
    assert len({entry.fingerprint + entry.id for _, _, entry in one.told}) == len(episodes)
    return [
        (news, entry.rule, entry.asset, entry.severity, entry.value, entry.reason, episodes[entry.id])
        for _, news, entry in one.told
    ]


@some_lives
@given(lives(), WAYS)
def test_a_restart_after_every_poll_changes_nothing(life, ways):
    rules = catalogue(ways)

    steady, shaken = lived(life.readings(), rules), lived(life.readings(), rules, restart=True)

    assert shaken.told == steady.told
    assert shaken.record == steady.record
    assert shaken.stored == steady.stored


@some_lives
@given(lives(), WAYS, st.data())
def test_a_poll_that_is_made_twice_at_once_owes_no_more_than_one(life, ways, data):
    # What a rule says of the reading before it says of another reading then. What a ledger tells too late for its
    # window is bad in the poll that finds it, and no longer in the next. And an answer that lacks an asset has told
    # what moved of it the first time, and knows nothing of it the second: `for` pauses.
    other = {"Jump", "OutWithin", "OutShare", "NetIn"} if life.ledger else {"Jump"}
    rules = tuple(each for each in catalogue(ways) if each.alert not in other)
    once = life.readings()
    twice = []
    for now, reading in once:
        whole = isinstance(reading, Outage) or not reading.snapshot.missing
        twice += [(now, reading), *[(now, again(reading))] * (data.draw(st.integers(0, 2)) if whole else 0)]

    assert owed(lived(twice, rules)) == owed(lived(once, rules))


@some_lives
@given(lives(words=st.tuples(*[st.sampled_from(["same", "15", "55", "130"])] * 2)), st.data())
def test_outages_between_two_equal_readings_change_no_alert_about_money(life, data):
    """For rules that need not be bad or good for long: to those an outage is no time."""
    rules = tuple(each for each in RULES if each.alert != "Stale")
    quiet, disturbed, last = [], [], None
    for now, reading in life.readings():
        quiet.append((now, reading))
        if last is not None and same_again(last[1], reading):
            gap = (now - last[0]) / 4
            times = data.draw(st.integers(0, 3))
            disturbed += [(last[0] + gap * place, outage(last[0] + gap * place)) for place in range(1, times + 1)]
        disturbed.append((now, reading))
        last = now, reading

    assert owed(lived(disturbed, rules)) == owed(lived(quiet, rules))


def same_again(before, after):
    if isinstance(before, Outage) or isinstance(after, Outage) or after.events or before.gap or after.gap:
        return False
    return (before.snapshot.amounts, before.snapshot.usd) == (after.snapshot.amounts, after.snapshot.usd)


@some_lives
@given(
    lives(price=st.sampled_from([1, 2, 3]), lag=st.none()),
    WAYS,
    st.lists(st.tuples(st.integers(0, 13), st.integers(1, 100)), max_size=4),
)
def test_an_outage_that_ends_as_it_began_only_delays_what_rules_on_levels_owe(life, ways, outages):
    """`for` and `keep_firing_for` pause in it: all that follows comes later by as long as it was.

    Prices grow old meanwhile; and between two polls there is never more time than `outage_tolerance`.
    """
    ways = {**ways, "on_no_data": "keep_state", "flap": {"max": 100}}
    rules = named(catalogue(ways), LEVEL)
    quiet, delayed, delay = life.readings(), [], minutes(0)
    for place, (now, reading) in enumerate(quiet):
        delayed.append((now + delay, later(reading, delay)))
        for _, lasted in (each for each in outages if each[0] == place and not isinstance(reading, Outage)):
            delayed.append((now + delay + minutes(lasted) / 2, outage(now + delay + minutes(lasted) / 2)))
            delay += minutes(lasted)
            delayed.append((now + delay, later(again(reading), delay)))

    assert owed(lived(delayed, rules)) == owed(lived(quiet, rules))


def later(reading, delay):
    """The same reading, made so much later."""
    if isinstance(reading, Outage):
        return replace(reading, at=reading.at + delay)
    shot = reading.snapshot
    as_of = None if shot.as_of is None else shot.as_of + delay
    shot = replace(shot, observed_at=shot.observed_at + delay, as_of=as_of)
    events = reading.events and tuple(replace(row, occurred_at=row.occurred_at + delay) for row in reading.events)
    return reading._replace(snapshot=shot, events=events)


@some_lives
@given(lives(), WAYS, st.integers(-12, 12))
def test_the_unit_of_money_is_no_matter(life, ways, power):
    scale = Decimal(1).scaleb(power)

    plain, scaled = (
        lived(life.readings(), catalogue(ways)),
        lived(life.readings(scale), catalogue(ways, scale), scale=scale),
    )

    assert [(*said(row), row[2].id) for row in scaled.told] == [(*said(row), row[2].id) for row in plain.told]
    amounts = {"Stale", "Runs"}
    for (_, _, large), (_, _, small) in zip(scaled.told, plain.told, strict=True):
        if small.value is not None:
            assert large.value == small.value * (1 if small.rule in amounts else scale)


def said(row):
    minute, news, entry = row
    return minute, news, entry.rule, entry.asset, entry.severity, entry.reason


@some_lives
@given(lives(), WAYS, st.sampled_from(["1", "1.25", "2", "5"]))
def test_a_tighter_threshold_never_yields_fewer_alerts(life, ways, strict):
    # What flaps more is held back more, and then is let go later.
    ways = {**ways, "flap": {"max": 100}}
    # An alert that was critical, then milder, then good falls in two steps, each of `keep_firing_for`.
    steps = {"Levels", "High", "Fell", "Odd"} if ways["keep_firing_for"] != "0s" else set()
    names = {each.alert for each in RULES} - steps
    rules = (catalogue(ways), catalogue(ways, strict=Decimal(strict)))
    loose, tight = (watched(named(each, names)) for each in rules)

    for now, reading in life.readings():
        for one in (loose, tight):
            one.see(reading, now)

        assert firing(loose) <= firing(tight)
        assert movements(loose) <= movements(tight)


def firing(one):
    return {(alert.rule, alert.subject) for alert in one.record.alerts if alert.state == "firing"}


def movements(one):
    return {entry.id for _, news, entry in one.told if news == "event"}


def other_way_round(reading):
    """The same answer, its assets told in the other order."""
    if isinstance(reading, Outage):
        return reading
    shot = reading.snapshot
    amounts, usd = (dict(reversed(each.items())) for each in (shot.amounts, shot.usd))
    return reading._replace(snapshot=replace(shot, amounts=amounts, usd=usd, missing=shot.missing[::-1]))


@some_lives
@given(lives(), WAYS)
def test_in_which_order_assets_are_told_is_no_matter_but_for_the_order_of_news_of_one_poll(life, ways):
    rules = catalogue(ways)

    plain = lived(life.readings(), rules)
    turned = lived([(now, other_way_round(reading)) for now, reading in life.readings()], rules)

    def key(row):
        return row[0], row[2].rule, row[2].asset or "", row[2].id

    assert sorted(turned.told, key=key) == sorted(plain.told, key=key)


SOME = ["same", "15", "same", "97", "_", "same", "55", "130", "0", "same", "40"]


def everything_told():
    """Lives without chance, and all that comes of them: rows, stored movements, documents but for their order."""
    moved = (Moved("USDT", -30), Moved("BTC", 20, "deposit"), Moved("USDT", -3, "fee", 2, 7))
    ways = {"for_": "1m", "keep_firing_for": "2m", "flap": {"max": 2, "within": "10m"}, "on_no_data": "fire"}
    for step in range(1, 8):
        words = [(SOME[place * step % 11], SOME[place * (step + 3) % 11]) for place in range(40)]
        life = [
            Poll(words=each, moved=moved[: place % 4], price=1 + place % 3, failed=place % 9 == 8)
            for place, each in enumerate(words)
        ]
        one = lived(Life(life, ledger=step % 2 == 0).readings(), catalogue(ways))
        documents = codec.changed(Record(one.record.account), one.record)
        yield repr((one.told, one.stored)), [json.dumps(json.loads(it), sort_keys=True) for it in documents if it]


def name(told):
    return blake2b(repr(told).encode()).hexdigest()


def test_another_process_that_hashes_otherwise_tells_the_same_under_the_same_ids():
    said = [name(each) for each in everything_told()]
    script = (
        "from tests.engine.test_invariants import everything_told as told, name\n[print(name(one)) for one in told()]"
    )

    for seed in ("1", "2"):
        settings = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", script], env=settings, capture_output=True, text=True, check=True)
        assert done.stdout.split() == said
