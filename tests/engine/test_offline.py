"""Who is offline, step by step: it or we."""

import pytest

from monitor.engine.offline import GRACE_MAX, GRACE_MIN, LOOK_LATER, LOOK_SOON, PATIENCE_MAX, Sight
from tests.builders import NOON, minutes, seconds
from tests.facts import account

CASINO, CUSTODY = account("hot", provider="casino"), account("treasury", provider="custody")


def sight(*accounts, armed=True):
    it = Sight()
    it.expect(accounts or (CASINO, CUSTODY), armed=armed)
    return it


def at(count):
    return NOON + seconds(count)


def lost(it, since=0):
    """Both providers and the targets are out of reach."""
    it.missed("casino", "hot", at(since))
    it.missed("custody", "treasury", at(since + 1))
    it.looked(at(since + 1), reached=False)
    return it.judge(at(since + 4))


def test_case_50_everybody_out_of_reach_and_no_target_either_is_our_own_doing():
    it = sight()

    assert lost(it)
    assert {it.blame("casino"), it.blame("custody")} == {"ours"}


def test_it_takes_every_provider_and_every_target():
    one, reached = sight(), sight()
    one.missed("casino", "hot", at(0))
    one.looked(at(0), reached=False)
    for name, who in (("casino", "hot"), ("custody", "treasury")):
        reached.missed(name, who, at(0))
    reached.looked(at(0), reached=True)

    assert not one.judge(at(5))
    assert not reached.judge(at(5))
    assert (one.blame("casino"), reached.blame("casino")) == ("unsure", "theirs")


def test_nobody_is_blamed_before_it_is_known_and_any_answer_makes_it_known():
    it = sight()
    assert it.missed("casino", "hot", at(10))
    assert not it.missed("casino", "hot", at(11)), "said once"
    before = it.blame("casino")
    it.heard("custody", "treasury", at(12))

    assert (before, it.blame("casino"), it.blame("custody")) == ("unsure", "theirs", "theirs")


def test_a_look_from_before_the_last_failure_proves_nothing():
    it = sight()
    it.missed("casino", "hot", at(0))
    it.looked(at(0), reached=False)
    it.missed("custody", "treasury", at(1))

    assert not it.judge(at(1))


def test_without_targets_everybody_answers_for_himself():
    it = sight(armed=False)

    assert not lost(it)
    assert (it.blame("casino"), it.look_at(at(5))) == ("theirs", None)


def test_targets_are_tried_at_once_then_soon_while_somebody_waits_and_later_while_nobody_does():
    it = sight()
    looks = [it.look_at(at(0))]
    it.missed("casino", "hot", at(1))
    looks.append(it.look_at(at(1)))
    it.looked(at(1), reached=False)
    looks.append(it.look_at(at(1)))
    it.looked(at(2), reached=True)
    looks.append(it.look_at(at(2)))
    it.missed("custody", "treasury", at(2))
    looks.append(it.look_at(at(3)))

    assert looks == [None, at(1), at(1) + LOOK_SOON, None, at(2) + LOOK_LATER]


def test_providers_that_are_down_by_themselves_do_not_hide_that_we_go_offline_later():
    it = sight()
    it.missed("casino", "hot", at(0))
    it.missed("custody", "treasury", at(0))
    it.looked(at(0), reached=True)
    assert not it.judge(at(0))
    it.looked(at(10), reached=False)

    assert it.judge(at(10))


@pytest.mark.parametrize(("interval", "patience"), [(60, 120), (1, 10), (3600, PATIENCE_MAX.total_seconds())])
def test_a_provider_that_others_poll_is_not_waited_for_without_end(interval, patience):
    it = sight(CASINO, account("treasury", provider="custody", interval=seconds(interval)))
    it.missed("casino", "hot", at(0))
    it.looked(at(0), reached=False)

    assert not it.judge(at(patience))
    assert it.judge(at(patience + 0.1))


def test_the_return_lasts_until_everybody_was_read():
    it = sight()
    lost(it)
    it.looked(at(60), reached=True)
    states = [it.judge(at(60))]
    it.heard("casino", "hot", at(61))
    states.append(it.judge(at(61)))
    still = it.blame("custody")
    it.heard("custody", "treasury", at(62))
    states.append(it.judge(at(62)))

    assert states == [True, True, False]
    assert (still, it.blame("custody")) == ("ours", "theirs")


def test_an_account_that_was_missed_is_waited_for_although_its_provider_answers():
    it = sight(CASINO, account("cold", provider="casino", interval=minutes(4)))
    it.missed("casino", "cold", at(0))
    it.missed("casino", "hot", at(0))
    it.looked(at(0), reached=False)
    assert it.judge(at(3))
    it.heard("casino", "hot", at(60))

    assert it.judge(at(60))
    it.heard("casino", "cold", at(240))
    assert not it.judge(at(240))


def test_who_does_not_come_back_in_time_is_down_by_itself_since_the_return():
    it = sight()
    lost(it)
    it.looked(at(60), reached=True)
    it.heard("custody", "treasury", at(61))
    within = it.judge(at(60 + 119))
    after = it.judge(at(60 + 120))

    assert (within, after) == (True, False)
    assert it.blame("casino") == "theirs"


def test_a_return_that_was_none_goes_on_as_offline():
    it = sight()
    lost(it)
    it.looked(at(60), reached=True)
    it.looked(at(61), reached=False)
    it.judge(at(64))
    it.looked(at(170), reached=True)

    assert it.judge(at(60 + 125)), "the time to come back begins with the second return"
    assert not it.judge(at(170 + 120))


def test_a_configuration_without_targets_ends_it_and_one_with_others_does_not():
    it = sight()
    lost(it)
    it.expect([CASINO, CUSTODY], armed=True)
    kept = it.judge(at(5))
    it.expect([CASINO, CUSTODY], armed=False)

    assert (kept, it.judge(at(6))) == (True, False)


def test_a_provider_that_is_configured_no_longer_is_waited_for_by_nobody():
    it = sight()
    lost(it)
    it.expect([CASINO], armed=True)
    it.heard("casino", "hot", at(60))

    assert not it.judge(at(60))


@pytest.mark.parametrize(
    ("interval", "grace"), [(seconds(1), GRACE_MIN), (minutes(1), minutes(2)), (minutes(60), GRACE_MAX)]
)
def test_the_time_to_come_back_is_two_intervals_within_bounds(interval, grace):
    assert sight(account(interval=interval)).grace == grace
