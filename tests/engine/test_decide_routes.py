"""Routes and channels that are edited while an alert fires."""

from dataclasses import replace

from monitor.engine.decide import decide
from monitor.engine.notice import entry_of_alert, labels_of_alert
from monitor.model.record import Record
from monitor.rules.templates import labels_of
from tests.builders import NOON, minutes
from tests.facts import account, answer, policy, rule

LOW = rule("low_balance", below=50, resolve_above=60, labels={"team": "a", "tier": "1"})
HOT = account(labels={"tier": "2"})


def poll(record, amount, minute, *channels):
    """One poll under a configuration with these channels: the next record, and (news, channels) of each row."""
    at = NOON + minutes(minute)
    commit = decide(record, answer({"USDT": amount}, at=at), HOT, (LOW,), policy(*channels), at)
    told = [(row.news, [target.channel for target in row.targets]) for row in commit.rows]
    return replace(commit.record, version=record.version + 1), told


def test_case_52_a_channel_that_replaces_another_hears_of_what_fires_and_both_hear_its_end():
    record, first = poll(Record("hot-usdt"), "40", 0, "old")
    record, second = poll(record, "40", 1, "new")
    record, third = poll(record, "40", 2, "new")
    _, last = poll(record, "100", 3, "new")

    assert first == [("firing", ["old"])]
    assert second == [("firing", ["new"])]
    assert third == []
    assert last == [("resolved", ["old", "new"])]


def test_an_alert_that_had_nowhere_to_go_is_told_when_there_is_a_channel():
    record, _ = poll(Record("hot-usdt"), "40", 0, "old")
    [alert] = record.alerts
    record = replace(record, alerts=(replace(alert, targets=()),))

    assert poll(record, "40", 1, "new")[1] == [("firing", ["new"])]


def test_a_recovery_is_told_to_those_who_heard_of_it_and_to_no_newcomer():
    record, _ = poll(Record("hot-usdt"), "40", 0, "old")

    assert poll(record, "100", 1, "new")[1] == [("resolved", ["old"])]


def test_an_alert_is_routed_by_the_same_labels_whether_put_into_words_or_not():
    [alert] = poll(Record("hot-usdt"), "40", 0, "old")[0].alerts

    assert labels_of_alert(LOW, HOT, alert) == labels_of(entry_of_alert(LOW, HOT, alert, NOON))
