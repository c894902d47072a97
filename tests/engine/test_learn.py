"""What one reading teaches: changes, movements, rings, points."""

from dataclasses import replace
from decimal import Decimal

import pytest

from monitor.engine.learn import learn, overtaken, points
from monitor.model.event import Ledger
from monitor.model.record import Confirm, Record
from monitor.rules.facts import Blindness, Sighting
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, event, outage, rule, snapshot

LATER = NOON + minutes(1)


def learned(record, reading, *rules, now=LATER, recorded=None):
    found = learn(record, reading, account(), rules, now, recorded)
    if isinstance(found, Confirm):
        found = learn(record, reading, account(), rules, now, recorded, doubts=found.doubts)
    return found


def known(amounts, **settings):
    return Record(account="hot-usdt", version=7, snapshot=snapshot(amounts), **settings)


class TestInferred:
    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            pytest.param("100", "60", [("out", "40", "60")], id="fell"),
            pytest.param("60", "100", [("in", "40", "100")], id="grew"),
            pytest.param("100", "100.00", [], id="equal in value"),
            pytest.param("0.1", "0.30000000000000000001", [("in", "0.20000000000000000001", None)], id="exact"),
        ],
    )
    def test_a_provider_without_a_ledger_moves_what_its_totals_moved(self, before, after, expected):
        _, facts = learned(known({"USDT": before}), answer({"USDT": after}, at=LATER))

        found = [(e.direction, str(e.amount), str(e.balance_after)) for e in facts.events]
        assert [f[:2] for f in found] == [one[:2] for one in expected]
        assert all(e.kind == "inferred" and e.occurred_at == LATER for e in facts.events)

    def test_only_totals_count_so_that_moving_funds_between_buckets_is_no_movement(self):
        before = known({"USDT": {"available": "100", "held": "0", "total": "100"}})

        _, facts = learned(before, answer({"USDT": {"available": "60", "held": "40", "total": "100"}}))

        assert facts.events == ()
        assert {change.measure for change in facts.changes} == {"available", "held"}

    def test_the_first_observation_is_no_movement(self):
        _, facts = learned(Record(account="hot-usdt"), answer({"USDT": "100"}))

        assert (facts.events, facts.changes, facts.previous) == ((), (), None)

    def test_the_id_is_the_same_when_decided_again_and_new_with_the_next_version(self):
        before, reading = known({"USDT": "100"}), answer({"USDT": "60"})

        ids = [
            learned(record, reading, now=now)[1].events[0].id
            for record, now in (
                (before, LATER),
                (before, LATER + seconds(9)),
                (replace(before, version=8), LATER),
            )
        ]

        assert ids[0] == ids[1] != ids[2]

    def test_a_drained_asset_that_vanishes_where_zero_rows_are_dropped_went_out(self):
        """The adapter says zero; the difference is the movement."""
        before = known({"USDT": "100"})

        _, facts = learned(before, answer(snapshot({"USDT": "0"}, absent_is_zero=True)))

        assert [(e.direction, e.amount) for e in facts.events] == [("out", 100)]

    def test_a_provider_with_a_ledger_is_taken_at_its_word(self):
        _, facts = learned(known({"USDT": "100"}), answer({"USDT": "60"}, events=()))

        assert facts.events == ()


class TestPartial:
    def test_what_could_not_be_read_keeps_its_last_good_value_and_its_time(self):
        before = known({"USDT": "100", "BTC": "2"})

        after, facts = learned(before, answer(snapshot({"USDT": "90"}, at=LATER, missing=("BTC",))))

        assert after.snapshot.of("BTC", "total") == 2
        assert after.snapshot.seen == {"BTC": NOON}
        assert "BTC" not in facts.snapshot.amounts, "rules judge only what this answer said"

    def test_what_moved_meanwhile_is_found_when_it_can_be_read_again(self):
        watched = Watched(())
        watched.see(answer({"USDT": "100", "BTC": "2"}), NOON)
        watched.see(answer(snapshot({"USDT": "100"}, at=LATER, missing=("BTC",))), LATER)

        commit = watched.see(answer({"USDT": "100", "BTC": "1.5"}), LATER + minutes(1))

        assert [(e.asset, e.direction, e.amount) for e in commit.events] == [("BTC", "out", Decimal("0.5"))]

    def test_an_outage_between_two_equal_readings_changes_no_money(self):
        watched = Watched((rule("event"),)).reads("100 error error 100")

        assert watched.told == []
        assert watched.record.failing_since is None

    def test_a_walk_that_stopped_half_way_leaves_the_cursor_where_it_was(self):
        ledgers = {"main": Ledger(checkpoint=5, known={"k": 5})}
        before = known({"USDT": "100"}, ledgers=ledgers)

        after, _ = learned(before, answer({"USDT": "100"}, events=(), ledgers=ledgers, gap="page 3 failed"))

        assert after.ledgers is before.ledgers


class TestOutages:
    def test_the_first_failure_dates_the_outage_and_the_last_good_reading_stays(self):
        watched = Watched(()).reads("100 error error")

        assert watched.record.failing_since == NOON + minutes(1)
        assert watched.record.outage.at == NOON + minutes(2)
        assert watched.record.snapshot.of("USDT", "total") == 100

    def test_blindness_knows_how_long(self):
        _, facts = learned(known({"USDT": "1"}, failing_since=LATER), outage(NOON + minutes(9)))

        assert isinstance(facts, Blindness)
        assert (facts.since, facts.last_good_at) == (LATER, NOON)


class TestEvents:
    def test_case_07_a_reading_from_the_future_is_taken_to_be_of_now_and_none_after_it_is_older(self):
        ahead, right = NOON + minutes(90), LATER + minutes(1)
        record, _ = learned(known({"USDT": "1"}), answer(snapshot({"USDT": "2"}, as_of=ahead)))
        following, facts = learned(record, answer(snapshot({"USDT": "3"}, as_of=right)), now=right)

        assert record.snapshot.as_of == LATER
        assert (facts.snapshot.of("USDT", "total"), following.snapshot.as_of) == (3, right)

    def test_case_07_an_event_from_the_future_is_taken_to_be_of_now(self):
        _, facts = learned(known({}), answer({}, events=(event(at=NOON + minutes(90)), event(name="e2"))))

        assert [e.occurred_at for e in facts.events] == [LATER, NOON]

    def test_case_37_a_late_event_counts_in_the_window_it_belongs_to(self):
        out = rule("large_outflow", above=100, within="1h")
        watched = Watched((out,))
        watched.see(answer({"USDT": "500"}, events=()), NOON)
        watched.see(answer({"USDT": "500"}, events=(event("70", at=NOON, name="e1"),)), NOON + minutes(10))

        late = event("60", at=NOON - minutes(30), name="e2", late=True)
        watched.see(answer({"USDT": "500"}, events=(late,)), NOON + minutes(13))
        watched.see(answer({"USDT": "500"}, events=()), NOON + minutes(35))

        # Half an hour old when it was found: the sum of one hour holds it for seventeen minutes more.
        assert [(minute, news, e.value) for minute, news, e in watched.told] == [
            (13, "firing", 130),
            (35, "resolved", 70),
        ]

    def test_an_event_of_an_asset_that_the_answer_does_not_name_counts_too(self):
        out = rule("large_outflow", above=100, within="1h")
        watched = Watched((out,))
        watched.see(answer({"USDT": "500"}, events=()), NOON)

        watched.see(answer({"USDT": "500"}, events=(event("150", asset="BTC"),)), LATER)

        assert [(news, e.asset) for _, news, e in watched.told] == [("firing", "BTC")]


class TestPoints:
    @staticmethod
    def drawn(before, after):
        facts = Sighting(now=LATER, account=account(), snapshot=snapshot(after, at=LATER))
        return {(p.asset, p.measure): str(p.value) for p in points(before and snapshot(before), facts)}

    def test_every_measure_of_a_first_reading_is_a_point(self):
        assert self.drawn(None, {"USDT": "4"}) == {("USDT", "available"): "4", ("USDT", "total"): "4"}

    def test_then_only_what_took_a_new_value(self):
        after = {"USDT": {"available": "3", "total": "4.0"}, "BTC": {"total": "1"}}

        assert self.drawn({"USDT": "4"}, after) == {("USDT", "available"): "3", ("BTC", "total"): "1"}

    def test_an_outage_draws_nothing(self):
        _, facts = learned(known({"USDT": "1"}), outage(LATER))

        assert list(points(snapshot(), facts)) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        pytest.param(NOON, NOON - seconds(1), True, id="older than what we know"),
        pytest.param(NOON, NOON, False, id="the same again"),
        pytest.param(NOON, None, False, id="it does not say"),
        pytest.param(None, NOON, False, id="we do not know"),
    ],
)
def test_case_21_only_the_providers_own_time_tells_what_is_older(ours, theirs, expected):
    record = Record(account="hot-usdt", snapshot=snapshot(as_of=ours))

    assert overtaken(record, snapshot(as_of=theirs)) is expected
