"""stale and provider_down: what is said about not knowing."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from tests.builders import NOON, minutes, seconds
from tests.facts import blindness, checkup, rule, sighting, snapshot


def judged(watching, facts):
    return [(verdict.subject, verdict.bad) for verdict in watching.judge(facts)]


BAD, GOOD = [("", "warning")], [("", None)]


@pytest.mark.parametrize(
    ("settings", "good_for", "expected"),
    [
        pytest.param({}, minutes(3), [], id="on the account's limit: not yet, and nothing is known to be fine"),
        pytest.param({}, minutes(3) + seconds(1), BAD, id="beyond the account's limit"),
        pytest.param({"after": "10m"}, minutes(9), [], id="the rule's own limit is longer"),
        pytest.param({"after": "10m"}, minutes(11), BAD, id="and passed"),
        pytest.param({"after": "30s"}, seconds(31), BAD, id="or shorter"),
    ],
)
def test_an_account_is_stale_when_its_last_good_reading_is_old(settings, good_for, expected):
    assert judged(rule("stale", **settings), blindness(good=NOON - good_for)) == expected


@pytest.mark.parametrize(("failing_for", "expected"), [(minutes(2), []), (minutes(4), BAD)])
def test_an_account_never_read_is_stale_once_it_failed_for_long_enough(failing_for, expected):
    assert judged(rule("stale"), blindness(since=NOON - failing_for)) == expected


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        pytest.param(None, GOOD, id="a provider without its own time: read now is fresh"),
        pytest.param(NOON, GOOD, id="as of now"),
        pytest.param(NOON - minutes(3), GOOD, id="as old as allowed"),
        pytest.param(NOON - minutes(4), BAD, id="a provider that repeats old data"),
        pytest.param(NOON + minutes(4), GOOD, id="a provider whose clock is ahead"),
    ],
)
def test_a_good_poll_is_stale_only_if_the_providers_own_time_stands_still(as_of, expected):
    assert judged(rule("stale"), sighting(snapshot(as_of=as_of))) == expected


def test_staleness_says_for_how_long_and_why():
    [verdict] = rule("stale").judge(blindness(good=NOON - minutes(5), kind="garbled", why="no JSON"))

    assert (verdict.value, verdict.thresholds, verdict.unit) == (300, {"warning": 180}, "s")
    assert verdict.details == {"kind": "garbled", "why": "no JSON"}


def test_a_provider_as_a_whole_is_not_an_accounts_staleness():
    assert judged(rule("stale"), checkup(failing_since=NOON - minutes(60))) == []
    assert judged(rule("provider_down"), blindness(since=NOON - minutes(60))) == []
    assert judged(rule("provider_down"), sighting()) == []
    assert rule("provider_down").judges_provider
    assert not rule("stale").judges_provider


HOUR_AGO = NOON - timedelta(hours=1)


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        pytest.param({"good_at": NOON}, GOOD, id="a good poll just now"),
        pytest.param({}, [], id="noted, but neither good nor failing"),
        pytest.param({"noted_at": None}, [], id="never heard of"),
        pytest.param({"failing_since": NOON - minutes(2)}, [], id="failing, not for longer than two intervals"),
        pytest.param({"failing_since": NOON - minutes(3)}, BAD, id="failing for longer"),
        pytest.param(
            {"failing_since": NOON - minutes(3), "good_at": HOUR_AGO}, BAD, id="the last good poll was before"
        ),
        pytest.param(
            {"failing_since": HOUR_AGO, "good_at": NOON - minutes(1)},
            GOOD,
            id="a good poll ended the failures",
        ),
        pytest.param({"failing_since": NOON - seconds(1), "good_at": HOUR_AGO}, [], id="failing again: not fine"),
        pytest.param({"refused_at": NOON}, BAD, id="refused: at once"),
        pytest.param({"refused_at": NOON, "good_at": HOUR_AGO}, BAD, id="refused after a good poll"),
        pytest.param({"refused_at": HOUR_AGO, "good_at": NOON}, GOOD, id="refused once, accepted since"),
        pytest.param(
            {"failing_since": HOUR_AGO, "noted_at": NOON - minutes(4)},
            [],
            id="old notes of failure say nothing",
        ),
        pytest.param({"good_at": HOUR_AGO, "noted_at": HOUR_AGO}, [], id="old notes of health neither"),
    ],
)
def test_a_provider_is_down_up_or_unknown(health, expected):
    assert judged(rule("provider_down"), checkup(**health)) == expected


@pytest.mark.parametrize(("failing_for", "expected"), [(minutes(9), []), (minutes(11), BAD)])
def test_after_says_how_long_a_provider_may_fail(failing_for, expected):
    watching = rule("provider_down", after="10m")

    assert judged(watching, checkup(failing_since=NOON - failing_for)) == expected


def test_notes_may_be_as_old_as_a_slow_provider_makes_them():
    slow = checkup(interval=minutes(60), noted_at=NOON - minutes(170), failing_since=NOON - minutes(170))

    assert judged(rule("provider_down"), slow) == BAD


@pytest.mark.parametrize("rule_type", ["stale", "provider_down"])
@pytest.mark.parametrize("settings", [{"assets": ["USDT"]}, {"after": "0s"}, {"after": 60}, {"below": 1}])
def test_settings_that_mean_nothing_here_are_mistakes(rule_type, settings):
    with pytest.raises(ValidationError):
        rule(rule_type, **settings)
