"""What an alert went through: one chapter per change, none for a poll that changed nothing of it."""

from dataclasses import replace
from datetime import timedelta

from monitor.model.story import chapters, of_alert
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, answer, outage, policy, rule, snapshot


def low(**settings):
    return Watched((rule("low_balance", alert="Low", below=100, resolve_above=120, **settings),), policy=policy("ops"))


def read(watched, total, at):
    return chapters(watched.see(answer(snapshot({"USDT": total}), at=at), at))


def told(found):
    return [(one.what, None if one.value is None else str(one.value)) for one in found]


def test_an_alert_is_pending_then_fires_then_resolves():
    watched = low(for_="2m")
    story = [read(watched, total, NOON + minutes(at)) for at, total in enumerate(("500", "90", "80", "70", "200"))]

    assert [told(found) for found in story] == [
        [], [("pending", "90")], [], [("firing", "70")], [("resolved", "200")],
    ]  # fmt: skip
    [firing], [resolved] = story[3], story[4]
    assert (firing.threshold, firing.row, firing.owed[0][0], firing.note) == (100, 0, "ops", "")
    assert (resolved.reason, resolved.subject, resolved.record) == ("recovered", "USDT", "hot-usdt")


def test_a_poll_that_reads_the_same_or_another_amount_tells_nothing():
    watched = low()
    read(watched, "90", NOON)

    assert [read(watched, total, NOON + minutes(at)) for at, total in ((1, "90"), (2, "85"), (3, "85"))] == [()] * 3


def test_case_01_a_pending_alert_that_begins_again_after_a_gap_says_so():
    watched = low(for_="5m")
    read(watched, "90", NOON)
    [again] = read(watched, "90", NOON + timedelta(hours=2))

    assert (again.what, again.note) == ("pending", "began again after a gap of 2:00:00")


def test_what_ends_before_it_fired_is_dropped():
    watched = low(for_="5m")
    read(watched, "90", NOON)

    assert told(read(watched, "500", NOON + minutes(1))) == [("dropped", "90")]


def test_an_outage_while_it_fires_is_a_chapter_and_so_is_its_end():
    watched = low()
    read(watched, "90", NOON)
    during = [chapters(watched.see(outage(at=NOON + seconds(at)), NOON + seconds(at))) for at in (60, 90)]
    after = read(watched, "90", NOON + minutes(2))

    assert [[(one.what, one.data) for one in found] for found in (*during, after)] == [
        [("data", "error")], [], [("data", "ok")],
    ]  # fmt: skip


def test_case_51_a_rule_that_is_removed_while_it_fires_is_in_the_history():
    watched = low()
    read(watched, "90", NOON)
    watched.rules = ()

    [gone] = read(watched, "90", NOON + minutes(1))
    assert (gone.what, gone.reason) == ("resolved", "rule_removed")


def test_a_worse_level_says_what_it_was_before():
    watched = Watched(
        (rule("low_balance", alert="Low", levels={"warning": {"below": 100}, "critical": {"below": 50}}),),
        policy=policy("ops"),
    )
    read(watched, "90", NOON)
    [worse] = read(watched, "40", NOON + minutes(1))

    assert (worse.what, worse.severity, worse.note) == ("updated", "critical", "was warning")


def test_channels_that_a_route_adds_later_are_told_and_said():
    watched = low()
    read(watched, "90", NOON)
    watched.policy = policy("ops", "chat")
    [routed] = read(watched, "90", NOON + minutes(1))

    assert (routed.what, [channel for channel, _ in routed.owed]) == ("routed", ["chat"])


def test_a_chapter_nobody_is_told_of_names_no_place_where_an_alert_is_kept():
    watched = low()
    read(watched, "90", NOON)
    summed = replace(watched.record.alerts[0], subject='["hot","USDT"]', labels={"role": "hot", "asset": "USDT"})

    one = of_alert("data", "aggregate:Sum", summed)

    assert (one.record, one.account, one.asset) == ("aggregate:Sum", "", "USDT")
