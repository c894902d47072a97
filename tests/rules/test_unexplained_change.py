"""`unexplained_change`: a total moved by more than its ledger tells."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from monitor.model.event import Correction, Ledger
from monitor.model.snapshot import Snapshot
from tests.builders import NOON, minutes
from tests.facts import Watched, answer, blindness, event, outage, policy, rule, sighting

STREAM = {"balance": Ledger(1)}


def theft(**settings):
    written = {"above": 1, **settings}
    return rule("unexplained_change", **{key: value for key, value in written.items() if value is not None})


def row(signed, name, at=NOON, kind="withdraw", asset="BTC"):
    amount = Decimal(signed)
    return event(str(abs(amount)), "in" if amount > 0 else "out", at=at, name=name, kind=kind, asset=asset)


def watched(*rules, polls, **settings):
    """An account through polls: (total, rows by their signed amounts), or with more settings of the answer."""
    seen = Watched(rules or (theft(),), **settings)
    tell(seen, polls)
    return seen


def tell(seen, polls, *, start=0):
    for place, (total, rows, *more) in enumerate(polls, start):
        now = NOON + minutes(place)
        if total == "error":
            seen.see(outage(now), now)
            continue
        events = tuple(row(signed, f"{place}.{n}", now) for n, signed in enumerate(rows))
        amounts = {} if total == "_" else {"BTC": total}
        reading = answer(amounts, at=now, events=events, **{"ledgers": STREAM, **(more[0] if more else {})})
        if total == "_":
            reading = reading._replace(snapshot=Snapshot(now, {}, missing=("BTC",)))
        seen.see(reading, now)


@pytest.mark.parametrize(
    ("polls", "told"),
    [
        pytest.param([("10", []), ("7", ["-3"])], [], id="the ledger tells of it"),
        pytest.param([("10", []), ("9", [])], [], id="no more than the threshold"),
        pytest.param([("10", []), ("8.99", [])], [(1, "firing", Decimal("1.01"))], id="a withdrawal nobody booked"),
        pytest.param([("10", []), ("12", [])], [(1, "firing", 2)], id="money from nowhere"),
        pytest.param([("10", []), ("10", ["-2"])], [(1, "firing", 2)], id="a booking of what did not happen"),
        pytest.param([("10", []), ("6.8", ["-0.2"])], [(1, "firing", 3)], id="explained in part"),
        pytest.param(
            [("10", []), ("9.5", []), ("9", []), ("8.5", [])], [(3, "firing", Decimal("1.5"))], id="bit by bit"
        ),
        pytest.param([("10", ["-3"]), ("10", [])], [], id="rows of the first poll are history"),
        pytest.param([("_", []), ("10", [])], [], id="the first total is no movement"),
        pytest.param([("10", []), ("error", []), ("7", ["-3"])], [], id="both come together after an outage"),
        pytest.param([("10", []), ("error", []), ("7", [])], [(2, "firing", 3)], id="an outage explains nothing"),
        pytest.param([("10", []), ("_", ["-3"]), ("7", [])], [], id="the row came while the total was not known"),
        pytest.param([("10", []), ("_", []), ("7", [])], [(2, "firing", 3)], id="a missing total explains nothing"),
        pytest.param([("10", []), ("7", []), ("7", ["-3"])], [(1, "firing", 3), (2, "resolved", 0)], id="a late row"),
    ],
)
def test_bad_is_what_no_row_explains(polls, told):
    assert [(minute, news, entry.value) for minute, news, entry in watched(polls=polls).told] == told


def test_all_kinds_of_rows_explain():
    seen = Watched((theft(),))
    seen.see(answer({"USDC": "100"}, events=(), ledgers=STREAM), NOON)
    rows = [
        row(amount, kind, kind=kind, asset="USDC") for kind, amount in (("trade", -30), ("fee", -1), ("funding", 4))
    ]

    seen.see(answer({"USDC": "73"}, events=tuple(rows), ledgers=STREAM), NOON + minutes(1))

    assert seen.news == []


@pytest.mark.parametrize("first", ["total", "row"])
def test_two_halves_settle_each_other_whichever_leaves_the_window_first(first):
    """With sums over a window the later half would be a ghost of its own, an hour after the earlier one."""
    halves = [("7", []), ("7", ["-3"])] if first == "total" else [("10", ["-3"]), ("7", [])]
    seen = watched(theft(for_="10m"), polls=[("10", []), *halves])

    for hour in (10, 59, 60, 61, 62, 63, 120, 121, 122):
        tell(seen, [("7", [])], start=hour)

    assert seen.news == []


def test_what_stays_open_counts_for_as_long_as_the_rule_says():
    seen = watched(theft(within="30m"), polls=[("10", []), ("7", [])])

    tell(seen, [("7", [])], start=30)
    assert seen.news == [(1, "firing")]
    tell(seen, [("7", [])], start=31)
    assert seen.news == [(1, "firing"), (31, "resolved")]


def test_case_26_the_first_observation_is_no_news():
    seen = watched(polls=[("1000000", ["-5"])])

    assert (seen.news, seen.record.residuals) == ([], {})
    assert list(theft().judge(sighting({"BTC": "1000000"}))) == []


def test_a_stream_that_begins_is_history():
    """A new address brings its balance with it, and no rows."""
    seen = watched(polls=[("10", [])])

    tell(seen, [("25", [], {"ledgers": {**STREAM, "more": Ledger(1)}})], start=1)
    tell(seen, [("25", [], {"ledgers": {**STREAM, "more": Ledger(1)}})], start=2)

    assert (seen.news, seen.record.residuals) == ([], {})


def test_a_stream_that_begins_does_not_forget_what_was_stolen_before():
    seen = watched(polls=[("10", []), ("7", [])])

    tell(seen, [("25", [], {"ledgers": {**STREAM, "more": Ledger(1)}})] * 3, start=2)

    assert seen.news == [(1, "firing")]


def test_rows_told_while_the_total_was_not_known_are_history_with_it_when_a_stream_begins():
    """An address fails when it is added: the others' rows come first, and the sum of all only later."""
    more = {"ledgers": {**STREAM, "more": Ledger(1)}}
    seen = watched(polls=[("10", []), ("_", ["-3"], {"gap": "more: timed out"}), ("25", [], more), ("25", [], more)])

    assert (seen.news, seen.record.residuals) == ([], {})


def test_before_the_ledger_was_ever_read_nothing_is_counted():
    blind = {"ledgers": {}, "gap": "timed out"}

    seen = watched(polls=[("10", [], blind), ("7", [], blind), ("6", [], blind), ("6", [])])

    assert (seen.news, seen.record.residuals) == ([], {})


def test_while_rows_may_be_missing_there_is_no_verdict_and_they_settle_it_when_they_come():
    gap = {"gap": "page 3 failed"}
    seen = watched(theft(within="5m"), polls=[("10", []), *[("7", [], gap)] * 20, ("7", ["-3"])])
    assert seen.news == []

    tell(seen, [("4", [], gap), ("4", [])], start=30)
    assert seen.news == [(31, "firing")]


@pytest.mark.parametrize("said", ["restated", "lost"])
def test_a_provider_that_corrects_or_loses_its_rows_explains_what_moves_with_them(said):
    settings = {"restated": ("a row was taken back",)} if said == "restated" else {"lost": "more than 5000 rows"}

    seen = watched(polls=[("10", []), ("7", [], settings), ("7", [])])

    assert seen.news == []


def test_what_waited_for_rows_that_are_lost_is_given_up():
    seen = watched(polls=[("10", []), ("7", [], {"gap": "more rows"}), ("7", [], {"lost": "too many rows"}), ("7", [])])

    assert seen.news == []


def test_assets_that_the_ledger_does_not_cover_are_not_judged():
    seen = Watched((theft(),))
    for minute, sol in enumerate(["50", "20", "90"]):
        amounts = {"USDC": "100", "SOL": sol}
        reading = answer(amounts, events=(), ledgers=STREAM, explained={"USDC": Decimal(0)})
        seen.see(reading, NOON + minutes(minute))

    assert (seen.news, seen.record.residuals) == ([], {})


def test_the_provider_knows_best_what_its_rows_did_to_the_total():
    seen = Watched((theft(),))
    seen.see(answer({"USDC": "100"}, events=(), ledgers=STREAM), NOON)

    # A deposit that is pending has an amount, and is not in the balance yet.
    pending = (row("50", "e1", kind="deposit", asset="USDC"),)
    seen.see(answer({"USDC": "100"}, events=pending, ledgers=STREAM, explained={"USDC": Decimal(0)}), NOON + minutes(1))

    assert seen.news == []


def test_a_provider_without_a_ledger_explains_everything_by_itself():
    seen = Watched((theft(),)).reads("10 7 3 90")

    assert (seen.news, seen.record.residuals) == ([], {})


@pytest.mark.parametrize(
    ("settings", "bad", "value", "unit"),
    [
        pytest.param({"above": "30%"}, None, 3, "BTC", id="three of the ten there should be are not more"),
        pytest.param({"above": "29.9%"}, "warning", 3, "BTC", id="of what there should be"),
        pytest.param({"above": 150_000, "unit": "usd"}, "warning", 180_000, "USD", id="worth"),
        pytest.param({"above": 180_000, "unit": "usd"}, None, 180_000, "USD", id="worth no more"),
        pytest.param(
            {"above": None, "levels": {"info": {"above": 1}, "critical": {"above": 2}}},
            "critical",
            3,
            "BTC",
            id="levels",
        ),
    ],
)
def test_thresholds_in_every_unit(settings, bad, value, unit):
    judge = theft(**settings)
    opens = watched(judge, polls=[("10", []), ("7", [])]).record.residuals
    facts = sighting({"BTC": "7"}, previous={"BTC": "7"}, residuals=opens, prices={"BTC": Decimal(60_000)})

    [verdict] = judge.judge(facts)

    assert (verdict.bad, verdict.value, verdict.unit, verdict.measure) == (bad, value, unit, "total")


def test_without_a_price_the_worth_is_not_known():
    judge = theft(unit="usd")
    opens = watched(judge, polls=[("10", []), ("7", [])]).record.residuals
    facts = sighting({"BTC": "7"}, previous={"BTC": "7"}, residuals=opens)

    assert list(judge.judge(facts)) == []
    assert [v.value for v in judge.judge(facts._replace(residuals={}))] == [0]


def test_rules_with_other_windows_and_assets_keep_apart():
    rules = (theft(), theft(alert="Short", within="5m"), theft(alert="Other", assets=["ETH"]))

    seen = watched(*rules, polls=[("10", []), ("7", [])])
    tell(seen, [("7", [])], start=10)

    assert [(minute, news, e.rule) for minute, news, e in seen.told] == [
        (1, "firing", "Tested"), (1, "firing", "Short"), (10, "resolved", "Short"),
    ]  # fmt: skip
    seen.rules = ()
    tell(seen, [("7", [])], start=11)
    assert seen.record.residuals == {}


def test_a_quiet_poll_writes_nothing():
    seen = watched(polls=[("10", []), ("7", [])])
    before = seen.record

    tell(seen, [("7", [])], start=2)

    assert seen.record.residuals is before.residuals


def test_it_says_what_moved_and_what_explains_it():
    seen = watched(theft(), theft(alert="Worth", unit="usd"), polls=[("10", []), ("6.8", ["-0.2"])],
                   policy=policy(prices={"BTC": Decimal(60_000)}))  # fmt: skip
    tell(seen, [("9.8", [])], start=2)

    books = "hot-usdt BTC total moved by -3.2, its ledger explains -0.2"
    assert [entry.annotations["summary"] for _, _, entry in seen.told] == [
        f"{books}: -3 unexplained since 2026-11-20T12:01:00Z, more than 1",
        f"{books}: -3 (180000.0 USD) unexplained since 2026-11-20T12:01:00Z, more than 1 USD",
        "hot-usdt BTC total: nothing is unexplained any more",
        "hot-usdt BTC total: nothing is unexplained any more",
    ]


def test_an_outage_says_nothing():
    assert list(theft().judge(blindness())) == []


@given(
    st.lists(
        st.tuples(st.integers(-20, 20), st.integers(0, 3), st.sampled_from(["ok", "ok", "ok", "error", "_"])),
        max_size=30,
    )
)
def test_rows_that_come_later_than_their_money_leave_nothing_behind(steps):
    """Whatever moves, is missed or comes late: once every row has been told, nothing is open."""
    total, owed, polls = 1000, [], [("1000", [])]
    for moved, delay, how in steps:
        total += moved
        if moved:
            owed.append([delay, str(moved)])
        told = [] if how == "error" else [amount for left, amount in owed if left <= 0]
        if how != "error":
            owed = [[left, amount] for left, amount in owed if left > 0]
        owed = [[left - 1, amount] for left, amount in owed]
        polls.append((str(total) if how == "ok" else how, told))
    polls.append((str(total), [amount for _, amount in owed]))

    assert watched(theft(above=0), polls=polls).record.residuals == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"above": None}, "a threshold is missing", id="no threshold"),
        pytest.param({"above": -1}, "cannot be negative", id="a sign"),
        pytest.param({"above": "5%", "unit": "usd"}, "contradicts", id="a percentage of dollars"),
        pytest.param({"within": "0s"}, "at least 1s", id="no time"),
        pytest.param({"levels": {"info": {"above": 1}}}, "stands inside `levels`", id="twice"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(settings, said):
    with pytest.raises(ValidationError, match=said):
        theft(**settings)


def taken_back(name="1.0"):
    return {"corrections": (Correction("reverted", name, NOON),), "restated": ("1 rows were taken back",)}


class TestCase23:
    """A row that is taken back explains the way back, whenever the money takes it."""

    OUT = (("10", []), ("7", ["-3"]))

    @pytest.mark.parametrize(
        "polls",
        [
            pytest.param([*OUT, ("10", [], taken_back())], id="in the same poll"),
            pytest.param([*OUT, ("10", []), ("10", [], taken_back())], id="one poll before"),
            pytest.param([*OUT, ("7", [], taken_back()), ("10", [])], id="one poll after"),
            pytest.param([("10", []), ("10", ["-3"]), ("10", [], taken_back())], id="it never moved"),
        ],
    )
    def test_case_23_what_comes_back_is_settled(self, polls):
        seen = watched(theft(**{"for": "2m"}), polls=polls)

        assert (seen.news, seen.record.residuals) == ([], {})

    def test_case_23_what_does_not_come_back_is_unexplained(self):
        seen = watched(theft(), polls=[*self.OUT, ("7", [], taken_back()), ("7", [])])

        assert [(at, news) for at, news, *_ in seen.news] == [(2, "firing")]

    def test_what_was_history_explains_nothing(self):
        seen = watched(theft(), polls=[("10", []), ("13", [], taken_back("of old")), ("13", [])])

        assert seen.news == []
