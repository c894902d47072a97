"""Routes that tell nothing at times: nights, weekends, and what the clocks do to them."""

from datetime import UTC, datetime

import pytest

from monitor.engine.calendar import TimeInterval, stretch
from monitor.engine.mutes import Mutes
from monitor.engine.route import Route, compile_route, tree
from monitor.model.group import Hush
from tests.builders import entry, group

CHANNELS = ("ops", "chat")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def interval(**says):
    return (TimeInterval.model_validate(says),)


NIGHTS = interval(times=["22:00-07:00"], location="Europe/Malta")
WEEK = interval(times=["09:00-17:00"], weekdays=["mon-fri"])
INTERVALS = {"nights": NIGHTS, "office": WEEK, "weekend": interval(weekdays=["sat-sun"]), "always": interval()}


@pytest.mark.parametrize(
    ("name", "now", "inside", "since", "until"),
    [
        ("nights", "2026-11-20T23:30", True, "2026-11-20T21:00", "2026-11-21T06:00"),
        ("nights", "2026-11-21T05:59", True, "2026-11-20T21:00", "2026-11-21T06:00"),
        ("nights", "2026-11-21T06:00", False, "2026-11-21T06:00", "2026-11-21T21:00"),
        # Clocks forward at 01:00Z on 29 March 2026, and back at 01:00Z on 25 October.
        ("nights", "2026-03-29T02:00", True, "2026-03-28T21:00", "2026-03-29T05:00"),
        ("nights", "2026-10-25T02:00", True, "2026-10-24T20:00", "2026-10-25T06:00"),
        ("office", "2026-11-21T12:00", False, "2026-11-20T17:00", "2026-11-23T09:00"),
        # Two days that follow each other are one time.
        ("weekend", "2026-11-22T12:00", True, "2026-11-21T00:00", "2026-11-23T00:00"),
        # What never changes has no end, and nobody looks for its beginning further than eight days back.
        ("always", "2026-11-20T12:00", True, "2026-11-12T12:00", None),
    ],
)
def test_case_08_since_when_and_until_when_across_midnight_and_summer_time(name, now, inside, since, until):
    assert stretch(INTERVALS[name], at(now)) == (inside, at(since), until and at(until))


def mutes(*routes):
    route = Route.model_validate({"channels": ["ops"], "routes": list(routes)})
    return route, Mutes.of(tree(route, CHANNELS), INTERVALS)


async def said(route, found, now, labels):
    """What mutes an alert with these labels, per channel."""
    one = entry()
    answers = {}
    for target in compile_route(route, CHANNELS)(labels):
        hushed = await found(group(channel=target.channel, route=target.route), [one], at(now))
        answers[target.channel] = hushed.get(one.id)
    return answers


INFO = {"severity": "info"}


async def test_case_08_a_route_is_muted_at_night_by_the_clock_of_its_place():
    route, found = mutes({"match": INFO, "mute": ["nights", "weekend"]})

    assert await said(route, found, "2026-11-19T23:00", INFO) == {
        "ops": Hush("muted", at("2026-11-19T21:00"), at("2026-11-20T06:00"), why="nights")
    }
    assert await said(route, found, "2026-11-19T12:00", INFO) == {"ops": None}
    assert await said(route, found, "2026-11-19T23:00", {"severity": "critical"}) == {"ops": None}


async def test_several_times_that_overlap_are_one():
    route, found = mutes({"match": INFO, "mute": ["nights", "weekend"]})

    hush = (await said(route, found, "2026-11-20T23:00", INFO))["ops"]
    assert (hush.since, hush.until) == (at("2026-11-20T21:00"), at("2026-11-23T06:00"))


async def test_a_route_that_is_active_at_times_is_muted_at_all_others():
    route, found = mutes({"match": INFO, "active": ["office"]})

    assert await said(route, found, "2026-11-21T12:00", INFO) == {
        "ops": Hush("muted", at("2026-11-20T17:00"), at("2026-11-23T09:00"), why="outside of office")
    }
    assert await said(route, found, "2026-11-20T12:00", INFO) == {"ops": None}


async def test_times_are_not_inherited():
    below = {"match": {"rule": "Low"}}
    route, found = mutes({"match": INFO, "mute": ["always"], "routes": [below]})

    assert await said(route, found, "2026-11-20T12:00", {**INFO, "rule": "Low"}) == {"ops": None}
    assert (await said(route, found, "2026-11-20T12:00", {**INFO, "rule": "High"}))["ops"] is not None


async def test_a_route_that_is_gone_mutes_nothing():
    _, found = mutes()

    assert await found(group(route="gone"), [entry()], at("2026-11-20T23:00")) == {}
