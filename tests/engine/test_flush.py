from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.flush import after_bury, after_settle, flush
from monitor.model.group import MESSAGE_MAX, Message, Told
from tests.builders import NOON, entry, event_entry, group, item, minutes, seconds
from tests.fakes import news_of

HOURS4 = timedelta(hours=4)


def told(one, sequence=1, at=NOON, heard=True):
    return {one.fingerprint: Told(one, sequence, at, heard)}


def said(one, now=NOON, **settings):
    """(type, [(id, status, sequence)]) of the message, or what flush answered instead."""
    message = flush(one, now, **settings)
    return (message.type, news_of([message])) if isinstance(message, Message) else message


FIRING = item("firing", entry())
UPDATED = item("updated", entry(value=None))
RESOLVED = item("resolved", entry(status="resolved"))
AGAIN = item("firing", entry(episode=2))
AGAIN_OVER = item("resolved", entry(status="resolved", episode=2))
OPEN = told(entry())


@pytest.mark.parametrize(
    ("known", "news", "kind", "heard"),
    [
        pytest.param({}, [FIRING], "firing", [("alr_a1", "firing", 1)], id="first heard of"),
        pytest.param({}, [UPDATED], "firing", [("alr_a1", "firing", 1)], id="27: first hears of it at a higher level"),
        pytest.param(
            {},
            [FIRING, UPDATED],
            "firing",
            [("alr_a1", "firing", 1)],
            id="an untold firing takes the update in",
        ),
        pytest.param(OPEN, [UPDATED], "updated", [("alr_a1", "firing", 2)], id="a level has changed"),
        pytest.param(
            OPEN,
            [UPDATED, UPDATED],
            "updated",
            [("alr_a1", "firing", 2)],
            id="an update supersedes the older",
        ),
        pytest.param(OPEN, [RESOLVED], "resolved", [("alr_a1", "resolved", 2)], id="told firing, now over"),
        pytest.param(
            OPEN, [UPDATED, RESOLVED], "resolved", [("alr_a1", "resolved", 2)], id="over supersedes an update"
        ),
        pytest.param(
            {},
            [FIRING, RESOLVED],
            "resolved",
            [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2)],
            id="40: fired and resolved untold is one combined message",
        ),
        pytest.param(
            {},
            [RESOLVED],
            "resolved",
            [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2)],
            id="resolved is never told before firing",
        ),
        pytest.param(
            OPEN,
            [RESOLVED, AGAIN],
            "firing",
            [("alr_a1", "resolved", 2), ("alr_a2", "firing", 3)],
            id="46: fired again",
        ),
        pytest.param(
            {},
            [FIRING, RESOLVED, AGAIN],
            "firing",
            [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2), ("alr_a2", "firing", 3)],
            id="46: both episodes untold, both ids told",
        ),
        pytest.param(
            OPEN,
            [RESOLVED, AGAIN, AGAIN_OVER],
            "resolved",
            [("alr_a1", "resolved", 2), ("alr_a2", "firing", 3), ("alr_a2", "resolved", 4)],
            id="the told episode ends before the untold one is told whole",
        ),
        pytest.param(
            {},
            [FIRING, RESOLVED, AGAIN, AGAIN_OVER],
            "resolved",
            [("alr_a2", "firing", 1), ("alr_a2", "resolved", 2)],
            id="40: the present state, not sixty repeats",
        ),
        pytest.param(
            told(entry(), heard=False),
            [RESOLVED],
            "resolved",
            [("alr_a1", "firing", 2), ("alr_a1", "resolved", 3)],
            id="after its firing was buried the end is told with its beginning",
        ),
    ],
)
def test_untold_news_of_one_alert_fold_into_what_the_channel_must_hear(known, news, kind, heard):
    assert said(group(*news, open=known)) == (f"alert.{kind}", heard)


def test_the_newest_entry_is_told():
    message = flush(group(FIRING, item("updated", entry(severity="info"))), NOON)

    assert message.alerts[0].entry.severity == "info"
    assert set(message.keys) == {"firing/alr_a1", "updated/alr_a1"}


def test_a_message_holds_one_kind_and_the_rest_follows_at_once():
    calm = entry("b", "resolved", severity="critical")
    first = group(item("resolved", calm), item("firing", entry("c", severity="info")), open=told(entry("b")))

    message = flush(first, NOON)
    known, due_at = after_settle(first, message, NOON + seconds(1))
    rest = replace(first, news=first.news[:1], waiting=1, open={**first.open, **known}, version=9)

    assert message.type == "alert.firing", "what is wrong comes before what is over"
    assert due_at == NOON + seconds(1)
    assert said(rest) == ("alert.resolved", [("alr_b1", "resolved", 2)])


def test_case_52_what_was_superseded_is_told_with_what_its_rule_tells_instead_as_far_as_there_is_room():
    closed = [item("resolved", entry(name, "resolved", reason="superseded")) for name in ("b", "c")]
    other = item("resolved", entry("d", "resolved", reason="superseded", rule="Other"))
    known = {one.fingerprint: Told(one, 1, NOON) for one in map(entry, "bcd")}
    opened = [item("firing", entry(str(number))) for number in range(MESSAGE_MAX - 1)]

    message = flush(group(*closed, other, FIRING, open=known), NOON)
    full = flush(group(*closed, *opened, open=known), NOON)

    both = [("alr_b1", "resolved", 2), ("alr_c1", "resolved", 2), ("alr_a1", "firing", 1)]
    assert (message.type, news_of([message])) == ("alert.firing", both)
    assert after_settle(group(other), message, NOON)[1] == NOON, "the other one follows at once"
    assert (len(full.alerts), full.alerts[0].entry.id, full.truncated) == (MESSAGE_MAX, "alr_b1", 0)


def test_a_combined_alert_shares_no_message_with_plain_ones():
    message = flush(group(item("resolved", entry("b", "resolved")), FIRING, RESOLVED, open=told(entry("b"))), NOON)

    assert {one.entry.fingerprint for one in message.alerts} == {"fp-a"}


def test_critical_comes_first_and_the_worst_of_it_first():
    news = [
        item("firing", entry(name, severity=level))
        for name, level in (("i", "info"), ("c", "critical"), ("w", "warning"))
    ]

    message = flush(group(*news), NOON)

    assert [one.entry.severity for one in message.alerts] == ["critical", "warning", "info"]


def test_case_32_too_many_alerts_are_counted_and_follow_and_none_is_forgotten():
    news = tuple(item("firing", entry(str(number), severity="info")) for number in range(MESSAGE_MAX))
    news = (*news[:-1], item("firing", entry("worst")))
    many = group(*news, waiting=MESSAGE_MAX + 7)

    message = flush(many, NOON)

    assert len(message.alerts) == MESSAGE_MAX
    assert message.truncated == 7
    assert message.alerts[0].entry.id == "alr_worst1"
    assert after_settle(many, message, NOON)[1] == NOON


def test_an_alert_is_never_split_over_two_messages():
    news = [
        one for n in range(60) for one in (item("firing", entry(str(n))), item("resolved", entry(str(n), "resolved")))
    ]

    message = flush(group(*news[:MESSAGE_MAX]), NOON)
    whole = flush(group(*news), NOON)

    assert len(message.alerts) == MESSAGE_MAX
    assert (len(whole.alerts), whole.truncated) == (MESSAGE_MAX, 10)
    assert [one.entry.status for one in whole.alerts] == ["firing", "resolved"] * 50


def test_case_40_events_are_never_collapsed_and_each_is_number_one():
    news = [item("event", event_entry(name), name) for name in ("e1", "e2", "e3")]

    assert said(group(*news)) == (
        "alert.event",
        [("alr_e1", "event", 1), ("alr_e2", "event", 1), ("alr_e3", "event", 1)],
    )
    assert after_settle(group(*news), flush(group(*news), NOON), NOON) == ({}, None)


def test_case_02_a_reminder_comes_at_exactly_the_repeat_interval():
    quiet = group(open=told(entry()))

    assert said(quiet, NOON + HOURS4 - seconds(0.001)) == NOON + HOURS4
    assert said(quiet, NOON + HOURS4) == ("alert.reminder", [("alr_a1", "firing", 2)])


def test_a_reminder_is_superseded_by_news_of_the_same_alert():
    assert said(group(RESOLVED, open=OPEN), NOON + HOURS4) == ("alert.resolved", [("alr_a1", "resolved", 2)])


def test_an_alert_nobody_heard_of_is_told_as_firing_when_its_reminder_is_due():
    assert said(group(open=told(entry(), heard=False)), NOON + HOURS4)[0] == "alert.firing"


def test_nothing_is_ever_due_in_a_group_without_news_or_open_alerts():
    assert flush(group(), NOON) is None


def test_a_channel_that_wants_no_resolved_is_told_none_and_the_alert_is_forgotten_all_the_same():
    silent = group(RESOLVED, open=OPEN)

    message = flush(silent, NOON, send_resolved=False)

    assert (message.alerts, message.keys) == ((), ("resolved/alr_a1",))
    assert after_settle(silent, message, NOON) == ({"fp-a": None}, None)


def test_a_channel_that_wants_no_resolved_still_hears_what_fired_and_went():
    gone = group(FIRING, RESOLVED)

    message = flush(gone, NOON, send_resolved=False)

    assert (message.type, news_of([message])) == ("alert.firing", [("alr_a1", "firing", 1)])
    assert after_settle(gone, message, NOON) == ({"fp-a": None}, None)


def test_what_may_have_arrived_goes_out_again_as_it_is_whatever_came_since():
    frozen = flush(group(FIRING), NOON)

    assert flush(group(RESOLVED, telling=frozen, version=9), NOON + minutes(1)) is frozen


def test_a_failed_message_stays_the_same_while_nothing_changes():
    frozen = flush(group(FIRING), NOON)
    failed = group(FIRING, telling=frozen, failed=True, version=9, attempts=1)

    assert flush(failed, NOON + minutes(1)) is frozen


def test_a_failed_message_is_composed_anew_when_there_is_news():
    frozen = flush(group(FIRING), NOON)

    message = flush(group(FIRING, RESOLVED, telling=frozen, failed=True, version=9), NOON + minutes(1))

    assert news_of([message]) == [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2)]
    assert (message.id != frozen.id, message.at) == (True, NOON + minutes(1))


def test_an_id_is_derived_from_channel_group_and_version():
    ids = {flush(group(FIRING, **changed), NOON).id for changed in ({}, {"version": 8}, {"channel": "b"}, {"id": "g2"})}

    assert len(ids) == 4
    assert all(name.startswith("ntf_") for name in ids)
    assert flush(group(FIRING), NOON + minutes(5)).id in ids


def test_what_was_told_is_remembered_with_its_number_and_its_time():
    one = group(FIRING)

    known, due_at = after_settle(one, flush(one, NOON), NOON + seconds(3))

    assert known == told(entry(), 1, NOON + seconds(3))
    assert due_at == NOON + seconds(3) + HOURS4


def test_a_buried_message_uses_its_number_up_and_leaves_the_alert_unheard():
    one = group(FIRING)
    known, _ = after_bury(one, flush(one, NOON), NOON)
    assert known == told(entry(), 1, NOON, heard=False)

    later = group(UPDATED, open=known)
    assert said(later) == ("alert.firing", [("alr_a1", "firing", 2)])


def test_a_buried_reminder_is_still_an_alert_that_was_heard():
    one = group(open=OPEN)

    known, due_at = after_bury(one, flush(one, NOON + HOURS4), NOON + HOURS4)

    assert known["fp-a"].heard
    assert due_at == NOON + 2 * HOURS4


def test_a_buried_refire_leaves_the_new_episode_unheard_although_the_old_one_was_heard():
    one = group(RESOLVED, AGAIN, open=OPEN)
    known, _ = after_bury(one, flush(one, NOON), NOON)

    after = said(group(AGAIN_OVER, open=known))

    assert after == ("alert.resolved", [("alr_a2", "firing", 4), ("alr_a2", "resolved", 5)])


STEPS = st.lists(st.sampled_from(["firing", "updated", "resolved", "event", "told", "failed", "buried"]), max_size=40)


@given(STEPS, st.booleans())
def test_no_history_lets_a_channel_hear_an_end_before_its_beginning(steps, send_resolved):
    """Random news, told, failed and buried in any order: what arrives makes sense to a receiver."""
    now, open_now, episode = group(), False, 0
    arrived = []
    for number, step in enumerate(steps):
        if step in ("told", "failed", "buried"):
            message = flush(now, NOON, send_resolved=send_resolved)
            if not isinstance(message, Message):
                continue
            news = tuple(one for one in now.news if one.key not in message.keys)
            if step == "failed":
                now = replace(now, telling=message, failed=True, version=now.version + 1)
                continue
            known, _ = (after_settle if step == "told" else after_bury)(now, message, NOON)
            kept = {name: one for name, one in {**now.open, **known}.items() if one}
            now = replace(
                now,
                news=news,
                waiting=len(news),
                open=kept,
                telling=None,
                failed=False,
                version=now.version + 1,
            )
            arrived += message.alerts if step == "told" else ()
            continue
        if step == "event":
            told_now = event_entry(f"e{number}")
        elif step == "firing":
            if open_now:
                continue
            open_now, episode = True, episode + 1
            told_now = entry(episode=episode)
        else:
            if not open_now:
                continue
            open_now = step != "resolved"
            told_now = entry(status="firing" if open_now else "resolved", episode=episode)
        news = (*now.news, item(step, told_now, str(number)))
        now = replace(now, news=news, waiting=len(news), version=now.version + 1)
    numbers = {}
    for one in arrived:
        if one.entry.status == "event":
            assert one.sequence == 1
            continue
        if one.entry.status == "resolved":
            assert one.entry.id in numbers, "an end before its beginning"
        assert one.sequence > numbers.get(one.entry.id, 0), "numbers of an alert rise"
        numbers[one.entry.id] = one.sequence


def test_what_a_channel_called_its_message_comes_back_with_the_next_news_of_that_alert():
    begun = group(FIRING)
    known, _ = after_settle(begun, flush(begun, NOON), NOON, "m-1")

    end = flush(group(RESOLVED, open=known), NOON)

    assert [one.ref for one in end.alerts] == ["m-1"]
