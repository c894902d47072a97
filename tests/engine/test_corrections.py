"""A provider takes back what it told: case 23, and what must be as if it had never been."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.flush import flush
from monitor.model.event import Correction, standing
from monitor.model.group import Item
from tests.builders import NOON, group, minutes
from tests.engine.test_expected import payroll, watched
from tests.facts import Watched, answer, event, rule, snapshot
from tests.store.test_life_survives import restarted

OUT = rule("large_outflow", above=50, alert="Out")
WITHIN = rule("large_outflow", above=50, within="1h", alert="Within")
ANY = rule("event", alert="Any")


def sees(one, now, *events, corrections=()):
    return one.see(answer(snapshot(at=now), events=events, corrections=corrections), now)


def reverted(was, at=NOON):
    return Correction("reverted", was, at)


def restored(was, at=NOON):
    return Correction("restored", was, at)


def told(one):
    return [(entry.rule, news, entry.reason) for _, news, entry in one.told]


class TestCase23Reverts:
    def test_case_23_a_revert_undoes_its_contribution_to_every_window_and_sends_one_correction(self):
        one = Watched((OUT, WITHIN))
        sees(one, NOON + minutes(1), event("60", name="a"))
        sees(one, NOON + minutes(2), event("5", name="b", at=NOON + minutes(2)))

        sees(one, NOON + minutes(3), corrections=(reverted("a"),))
        sees(one, NOON + minutes(4))

        assert told(one) == [
            ("Within", "firing", None),
            ("Out", "event", None),
            ("Within", "resolved", "recovered"),
            ("Out", "event", "event_reverted"),
        ]
        [ring] = one.record.flows.values()
        assert [went for _, went in ring.sums.values()] == [5]

    def test_case_23_the_correction_has_the_id_of_the_alert_and_says_what_happened(self):
        one = Watched((OUT,))
        sees(one, NOON, event("60", name="a"))
        sees(one, NOON + minutes(1), corrections=(reverted("a"),))

        first, second = (entry for _, _, entry in one.told)
        assert (first.id, first.fingerprint, first.value) == (second.id, second.fingerprint, second.value)
        assert second.event.reverted
        assert second.annotations["summary"] == (
            "hot-usdt USDT withdraw of 60 out at 2026-11-20 12:00:00 UTC was taken back: "
            "it is no longer in the provider's ledger"
        )

    def test_beside_a_summary_of_the_rule_the_caveat_says_that_it_is_gone(self):
        one = Watched((rule("large_outflow", above=50, annotations={"summary": "{{ value }} left"}),))
        sees(one, NOON, event("60", name="a"))
        sees(one, NOON + minutes(1), corrections=(reverted("a"),))

        assert one.told[1][2].annotations["summary"] == "60 left"
        assert "was taken back" in one.told[1][2].annotations["caveat"]
        assert "caveat" not in one.told[0][2].annotations

    def test_case_23_only_who_was_told_is_told_and_as_it_was_told(self):
        critical = rule("large_outflow", levels={"info": {"above": 50}, "critical": {"above": 100}}, alert="Out")
        one = Watched((critical,))
        sees(one, NOON, event("120", name="a"), event("10", name="small"))
        one.rules = (rule("large_outflow", above=500, alert="Out"), ANY)

        sees(one, NOON + minutes(1), corrections=(reverted("a"), reverted("small")))

        [_, (_, _, correction)] = one.told
        assert (correction.rule, correction.severity, correction.value, correction.threshold) == (
            "Out", "critical", 120, 100,
        )  # fmt: skip

    def test_a_rule_that_is_gone_corrects_nothing_any_more(self):
        one = Watched((OUT,))
        sees(one, NOON, event("60", name="a"))
        one.rules = ()

        sees(one, NOON + minutes(1), corrections=(reverted("a"),))

        assert told(one) == [("Out", "event", None)]

    def test_the_ledger_keeps_the_movement_and_says_that_it_was_taken_back(self):
        one = Watched((OUT,))
        sees(one, NOON, event("60", name="a"), event("1", name="b"))
        sees(one, NOON + minutes(1), corrections=(reverted("a"),))

        assert [(each.id, each.reverted, each.revision) for each in one.stored] == [
            ("a", False, 0), ("b", False, 0), ("a", True, 1),
        ]  # fmt: skip
        assert [each.id for each in standing(one.stored)] == ["b"]

    def test_what_was_never_stored_or_is_gone_already_changes_nothing(self):
        one = Watched((OUT, WITHIN))
        sees(one, NOON, event("60", name="a"))
        sees(one, NOON + minutes(1), corrections=(reverted("a"), reverted("a"), reverted("unknown"), restored("x")))
        sees(one, NOON + minutes(2), corrections=(reverted("a"),))

        assert [reason for _, _, reason in told(one)].count("event_reverted") == 1
        assert sum(each.reverted for each in one.stored) == 1

    def test_it_is_found_by_the_key_of_its_row_too(self):
        one = Watched((OUT,))
        sees(one, NOON, event("60", name="a", key="row-7"))

        sees(one, NOON + minutes(1), corrections=(reverted("row-7"),))

        assert told(one)[-1] == ("Out", "event", "event_reverted")

    def test_what_stands_after_all_counts_again_and_is_told_again(self):
        one = Watched((OUT, WITHIN))
        sees(one, NOON, event("60", name="a"))
        before = one.record.flows
        sees(one, NOON + minutes(1), corrections=(reverted("a"),))
        sees(one, NOON + minutes(2), corrections=(restored("a"),))

        assert one.record.flows == before
        assert told(one)[3:] == [("Out", "event", "event_reverted"), ("Within", "firing", None), (
            "Out", "event", "event_restored",
        )]  # fmt: skip
        assert [each.revision for each in one.stored] == [0, 1, 2]

    def test_a_movement_that_became_another_one_is_taken_back_and_the_other_is_judged(self):
        one = Watched((OUT, WITHIN))
        sees(one, NOON, event("60", name="a"))
        smaller = Correction("replaced", "a", NOON, event("51", name="a2"))

        sees(one, NOON + minutes(1), corrections=(smaller,))

        assert [(entry.event.id, entry.reason) for _, news, entry in one.told if news == "event"] == [
            ("a", None), ("a2", None), ("a", "event_reverted"),
        ]  # fmt: skip
        assert one.record.alerts[0].value == 51

    def test_a_correction_that_changes_no_amount_is_no_news(self):
        one = Watched((OUT, WITHIN))
        sees(one, NOON, event("60", name="a"))
        same = Correction("replaced", "a", NOON, event("60.00", name="a2", balance_after=None))

        sees(one, NOON + minutes(1), corrections=(same,))

        assert len(one.stored) == 1
        assert len(one.told) == 2

    def test_an_expected_transfer_that_is_taken_back_gives_its_budget_back(self):
        one = watched(OUT, transfers=[payroll()])
        sees(one, NOON, event("100", name="a"))
        sees(one, NOON + minutes(1), corrections=(reverted("a"),))

        sees(one, NOON + minutes(2), event("100", name="b", at=NOON + minutes(2)))

        assert one.told == []
        sees(one, NOON + minutes(3), corrections=(restored("a"),))
        sees(one, NOON + minutes(4), event("60", name="c", at=NOON + minutes(4)))
        assert [entry.event.id for _, _, entry in one.told] == ["c"]

    def test_an_alert_of_a_sum_that_is_asked_for_exactly_knows_nothing_of_what_is_gone(self):
        one = Watched((WITHIN,))
        sees(one, NOON + minutes(1), event("30", name="a", at=NOON + minutes(0.5)))
        sees(one, NOON + minutes(2), event("30", name="b", at=NOON + minutes(2)))
        sees(one, NOON + minutes(3), corrections=(reverted("a"),))

        sees(one, NOON + minutes(60.4), event("25", name="c", at=NOON + minutes(60)))

        assert one.record.alerts[0].value == 55


def item(entry, place):
    return Item(f"{place}-0", "event", entry)


class TestTelling:
    def entries(self):
        one = Watched((OUT,))
        sees(one, NOON, event("60", name="a"))
        sees(one, NOON + minutes(1), corrections=(reverted("a"),))
        sees(one, NOON + minutes(2), corrections=(restored("a"),))
        return [entry for _, _, entry in one.told]

    def test_case_23_the_correction_is_an_update_with_the_next_number(self):
        first, gone, back = self.entries()

        messages = [flush(group(item(entry, n)), NOON) for n, entry in enumerate((first, gone, back))]

        assert [message.type for message in messages] == ["alert.event", "alert.updated", "alert.updated"]
        assert [message.alerts[0].sequence for message in messages] == [1, 2, 3]

    def test_a_channel_that_was_away_hears_of_the_movement_before_its_correction(self):
        waiting = [item(entry, n) for n, entry in enumerate(self.entries())]
        heard = []
        while waiting:
            message = flush(group(*waiting), NOON)
            heard += [(message.type, one.sequence) for one in message.alerts]
            waiting = [one for one in waiting if one.key not in message.keys]

        assert heard == [("alert.event", 1), ("alert.updated", 2), ("alert.updated", 3)]

    def test_several_movements_of_one_asset_stay_apart_in_a_message(self):
        first, gone, _ = self.entries()
        other = replace(first, id="alr_other", event=replace(first.event, id="other"))

        message = flush(group(item(first, 0), item(gone, 1), item(other, 2)), NOON)

        assert [one.entry.id for one in message.alerts] == [first.id, "alr_other"]


MOVES = st.lists(
    st.tuples(
        st.integers(0, 30), st.integers(1, 60), st.sampled_from(["in", "out"]), st.booleans(), st.integers(0, 20)
    ),
    max_size=8,
)


@given(MOVES)
def test_case_23_a_reverted_event_leaves_rings_as_if_it_had_never_been(moves):
    """Whatever is taken back, whenever, and restarted in between."""
    with_it, without = Watched((OUT, WITHIN)), Watched((OUT, WITHIN))
    plan = {minute: ([], [], []) for minute in range(60)}
    for number, (minute, amount, direction, gone, later) in enumerate(moves):
        moved = event(str(amount), direction, name=f"e{number}", at=NOON + minutes(minute))
        plan[minute][0].append(moved)
        plan[minute + 1 + later][1].extend([reverted(moved.id, moved.occurred_at)] if gone else [])
        plan[minute][2].extend([] if gone else [moved])

    for minute, (events, corrections, kept) in plan.items():
        now = NOON + minutes(minute)
        sees(with_it, now, *events, corrections=corrections)
        sees(without, now, *kept)
        with_it.record = restarted(with_it.record)

    assert {key: ring.sums for key, ring in with_it.record.flows.items()} == {
        key: ring.sums for key, ring in without.record.flows.items()
    }
    assert standing(with_it.stored) == tuple(replace(one, told=one.told) for one in standing(without.stored))
