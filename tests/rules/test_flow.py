"""large_outflow and large_inflow: over a window, and movement by movement."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from monitor.model.alert import EventVerdict, Verdict
from monitor.model.record import Need
from monitor.model.window import flow, record_flow, record_opening
from tests.builders import NOON, minutes
from tests.facts import blindness, event, rule, sighting

HOUR = timedelta(hours=1)
SMALL, LARGE = event("60", at=NOON - minutes(5)), event("110", at=NOON - minutes(5))
LEVELS = {"warning": {"above": 100}, "critical": {"above": 1000}}


def rings(watching, events, *, now=NOON, opening=None):
    """The rings as the engine keeps them: every counted event in, the total at some time remembered."""
    spec = watching.flow()
    kept = {}
    for asset in {each.asset for each in events} | set(opening or {}):
        ring = flow(spec.within)
        if opening and asset in opening:
            total, at = opening[asset]
            ring = record_opening(ring, Decimal(total), at)
        counted = [each for each in events if each.asset == asset and spec.counts(each)]
        kept[spec.key(asset)] = record_flow(ring, counted, now)
    return kept


def judged(watching, events, **settings):
    opening = settings.pop("opening", None)
    facts = sighting(flows=rings(watching, events, opening=opening), **settings)
    return list(watching.judge(facts))


def bad(verdicts):
    return [(verdict.subject, verdict.bad, verdict.value) for verdict in verdicts]


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        pytest.param([], (None, 0), id="nothing moved"),
        pytest.param(["100"], (None, 100), id="on the threshold is not above it"),
        pytest.param(["100.000000000000000001"], ("warning", Decimal("100.000000000000000001")), id="a wei over"),
        pytest.param(["60", "40.01"], ("warning", Decimal("100.01")), id="small ones add up"),
    ],
)
def test_a_window_is_breached_by_the_sum_of_what_went_out(amounts, expected):
    watching = rule("large_outflow", above=100, within="1h")
    events = [event(a, name=f"e{i}", at=NOON - minutes(5 + i)) for i, a in enumerate(amounts)]

    assert bad(judged(watching, events)) == [("USDT", *expected)]


@pytest.mark.parametrize(
    ("moved", "value"),
    [
        pytest.param({"direction": "in"}, 0, id="money that came in"),
        pytest.param({"direction": None}, 0, id="money whose way is not known"),
        pytest.param({"kind": "trade"}, 0, id="a trading result"),
        pytest.param({"kind": "funding"}, 0, id="funding"),
        pytest.param({"kind": "market_liquidation"}, 0, id="a liquidation"),
        pytest.param({"kind": "fee"}, 0, id="a fee"),
        pytest.param({"kind": "unheard_of"}, 0, id="a kind nobody documented"),
        pytest.param({"kind": "withdraw"}, 10, id="a withdrawal counts"),
        pytest.param({"kind": "transfer"}, 10, id="a transfer counts"),
        pytest.param({"kind": "payout"}, 10, id="a payout counts"),
        pytest.param({"kind": "subaccount_transfer"}, 10, id="a transfer to a subaccount counts"),
        pytest.param({"kind": "inferred"}, 10, id="a fall of the total counts where there is no ledger"),
    ],
)
def test_only_money_that_somebody_moved_counts(moved, value):
    watching = rule("large_outflow", above=1_000, within="1h")

    [verdict] = judged(watching, [event("10", at=NOON - minutes(5), **moved)])

    assert verdict.value == value


def test_kinds_name_exactly_what_counts_instead():
    watching = rule("large_outflow", above=1_000, within="1h", kinds=["funding"])
    events = [event("1", kind="withdraw"), event("20", kind="funding", name="e2")]

    assert bad(judged(watching, events)) == [("USDT", None, 20)]


def test_inflow_is_the_same_the_other_way_round():
    watching = rule("large_inflow", above=100, within="1h")
    events = [event("500", "in"), event("7", "out", name="e2")]

    assert bad(judged(watching, events)) == [("USDT", "warning", 500)]


def test_levels_say_how_bad_a_sum_is():
    watching = rule("large_outflow", within="1h", levels={"warning": {"above": 10}, "critical": {"above": 100}})

    assert bad(judged(watching, [event("11")])) == [("USDT", "warning", 11)]
    assert bad(judged(watching, [event("101")])) == [("USDT", "critical", 101)]


def test_net_subtracts_what_came_back():
    watching = rule("large_outflow", above=100, within="1h", net=True)
    events = [event("500", "out"), event("450", "in", name="e2", kind="deposit")]

    assert bad(judged(watching, events)) == [("USDT", None, 50)]


def straddling(watching, amount, now=NOON):
    """An event in the one bucket that the window's start cuts: nobody knows on which side."""
    return event(amount, at=now - HOUR + timedelta(seconds=1), name="old")


@pytest.mark.parametrize(
    ("recent", "old", "answer"),
    [
        pytest.param("101", "50", "warning", id="the certain part alone is too much"),
        pytest.param("10", "50", None, id="even with all of the doubtful part it is not"),
        pytest.param("90", "50", Need, id="it depends: the events must be read"),
    ],
)
def test_stored_events_are_asked_for_only_when_the_threshold_lies_between_the_bounds(recent, old, answer):
    watching = rule("large_outflow", above=100, within="1h")
    now = NOON + timedelta(seconds=30)
    facts = sighting(
        now=now,
        flows=rings(watching, [event(recent, at=NOON), straddling(watching, old, now)], now=now),
    )

    [verdict] = watching.judge(facts)

    assert isinstance(verdict, Need) if answer is Need else verdict.bad == answer


def test_a_need_names_the_windows_start():
    watching = rule("large_outflow", above=100, within="1h")
    now = NOON + timedelta(seconds=30)
    facts = sighting(now=now, flows=rings(watching, [event("90"), straddling(watching, "50", now)], now=now))

    assert list(watching.judge(facts)) == [Need(since=now - HOUR)]


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        pytest.param(timedelta(minutes=59, seconds=59), ("warning", 140), id="within the window"),
        pytest.param(HOUR, (None, 90), id="on its start, which is outside"),
        pytest.param(timedelta(minutes=60, seconds=20), (None, 90), id="outside"),
    ],
)
def test_with_the_events_the_sum_is_exact_and_each_counts_once(age, expected):
    watching = rule("large_outflow", above=100, within="1h")
    now = NOON + timedelta(seconds=30)
    stored = [
        event("50", at=now - age, name="old"),
        event("40", at=now - minutes(2), name="e1"),
        event("7", "in", name="other-way"),
        event("7000", asset="BTC", name="other-asset"),
        event("7000", kind="trade", name="other-kind"),
    ]
    # The newest was stored meanwhile and is fresh too; another is only fresh.
    fresh = (event("40", at=now - minutes(2), name="e1"), event("50", at=now, name="e2"))
    kept = rings(watching, [*stored, fresh[1]], now=now)
    facts = sighting(now=now, flows=kept, events=fresh, recorded=tuple(stored))

    verdicts = {verdict.subject: verdict for verdict in watching.judge(facts)}

    assert (verdicts["USDT"].bad, verdicts["USDT"].value) == expected


def test_what_is_told_of_bounds_is_what_is_certain():
    watching = rule("large_outflow", above=100, within="1h")
    now = NOON + timedelta(seconds=30)
    facts = sighting(now=now, flows=rings(watching, [event("101"), straddling(watching, "50", now)], now=now))

    [verdict] = watching.judge(facts)

    assert verdict.value == 101
    assert verdict.details == {"at_least": "101", "at_most": "151"}


@pytest.mark.parametrize(
    ("settings", "events", "expected"),
    [
        pytest.param({"above": "25%"}, ["249.99"], [None], id="less than a quarter"),
        pytest.param({"above": "25%"}, ["250"], [None], id="a quarter is not above it"),
        pytest.param({"above": "25%"}, ["250.01"], ["warning"], id="more than a quarter"),
        pytest.param({"above": 25, "unit": "percent"}, ["250.01"], ["warning"], id="written as a unit"),
        pytest.param({"above": "33.3333%"}, ["333.333"], [None], id="periodic shares stay exact"),
    ],
)
def test_a_percentage_is_of_the_total_at_the_windows_start(settings, events, expected):
    watching = rule("large_outflow", within="1h", **settings)
    moved = [event(amount, name=f"e{i}", at=NOON - minutes(1)) for i, amount in enumerate(events)]

    verdicts = judged(watching, moved, opening={"USDT": ("1000", NOON - HOUR)})

    assert [verdict.bad for verdict in verdicts] == expected


def test_a_percentage_says_in_amounts_what_it_means():
    watching = rule("large_outflow", above="25%", within="1h")

    [verdict] = judged(watching, [event("300")], opening={"USDT": ("1000", NOON - HOUR)})

    assert (verdict.value, verdict.thresholds, verdict.unit) == (300, {"warning": 250}, "USDT")
    assert verdict.details == {"of": "1000"}


def test_a_percentage_of_an_unknown_total_is_no_verdict():
    watching = rule("large_outflow", above="25%", within="1h")

    assert judged(watching, [event("300")]) == []


@pytest.mark.parametrize("total", ["0", "-50"], ids=["of nothing", "of a debt"])
def test_of_nothing_or_of_a_debt_any_movement_is_too_large_a_share(total):
    watching = rule("large_outflow", above="25%", within="1h")

    [verdict] = judged(watching, [event("0.01")], opening={"USDT": (total, NOON - HOUR)})

    assert (verdict.bad, verdict.thresholds) == ("warning", {"warning": 0})


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        pytest.param({"USDT": Decimal(2)}, [("USDT", "warning", 120)], id="valued at today's price"),
        pytest.param({"USDT": Decimal("0.5")}, [("USDT", None, 30)], id="or found small"),
        pytest.param({}, [], id="without a price it is unknown"),
    ],
)
def test_in_usd_a_sum_is_worth_what_it_is_worth_now(prices, expected):
    watching = rule("large_outflow", above=100, within="1h", unit="usd")

    assert bad(judged(watching, [event("60")], prices=prices)) == expected


def test_an_asset_that_left_with_its_last_coin_is_still_judged():
    watching = rule("large_outflow", above=100, within="1h")
    drained = event("500", asset="BTC")
    facts = sighting({"USDT": "1"}, events=(drained,), flows=rings(watching, [drained]))

    assert bad(watching.judge(facts)) == [("USDT", None, 0), ("BTC", "warning", 500)]


def test_but_an_asset_the_answer_does_not_name_is_never_said_to_be_fine():
    watching = rule("large_outflow", above=100, within="1h")
    small = event("5", asset="BTC")
    facts = sighting({}, events=(small,), flows=rings(watching, [small]))

    assert list(watching.judge(facts)) == []


class TestWhileEventsMayBeMissing:
    """The ledger could not be read to its end: a sum is known to be at least as much, and no more."""

    def test_case_36_nothing_is_said_to_be_over(self):
        watching = rule("large_outflow", above=100, within="1h")

        assert judged(watching, [SMALL], gap="2 pages left") == []

    def test_case_36_what_is_too_much_already_is_told(self):
        watching = rule("large_outflow", above=100, within="1h")

        assert bad(judged(watching, [LARGE], gap="2 pages left")) == [("USDT", "warning", 110)]

    def test_case_36_and_no_alert_becomes_milder_for_what_is_not_known(self):
        watching = rule("large_outflow", levels=LEVELS, within="1h")

        [open_eyed] = judged(watching, [LARGE])
        [blinkered] = judged(watching, [LARGE], gap="2 pages left")

        assert (open_eyed.bad, open_eyed.held) == ("warning", "warning")
        assert (blinkered.bad, blinkered.held) == ("warning", "critical")

    def test_case_36_a_sum_over_assets_may_be_anything_above_what_is_known(self):
        watching = rule("large_outflow", above=100, within="1h", aggregate={"by": ["account"], "unit": "usd"})
        prices = {"USDT": Decimal(1)}

        [small] = judged(watching, [SMALL], gap="2 pages left", prices=prices)
        [large] = judged(watching, [LARGE], gap="2 pages left", prices=prices)

        assert (small.bad, small.data) == (None, "unknown"), "so it is held, not resolved"
        assert large.bad == "warning"

    def test_case_36_a_net_sum_is_not_known_at_all(self):
        watching = rule("large_outflow", above=100, within="1h", net=True)

        assert judged(watching, [LARGE], gap="2 pages left") == []


def test_an_outage_says_nothing_about_flows():
    assert list(rule("large_outflow", above=1, within="1h").judge(blindness())) == []
    assert list(rule("large_outflow", above=1).judge(blindness())) == []


def told(verdicts):
    verdicts = list(verdicts)
    assert all(isinstance(verdict, EventVerdict) for verdict in verdicts)
    return [(verdict.event.id, verdict.severity, verdict.value) for verdict in verdicts]


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        pytest.param("100", [], id="on the threshold"),
        pytest.param("100.01", [("e1", "warning", Decimal("100.01"))], id="above it"),
        pytest.param("1000", [("e1", "warning", 1000)], id="on the next"),
        pytest.param("1000.01", [("e1", "critical", Decimal("1000.01"))], id="above the next"),
    ],
)
def test_without_a_window_each_large_movement_is_told(amount, expected):
    watching = rule("large_outflow", levels={"warning": {"above": 100}, "critical": {"above": 1_000}})

    assert told(watching.judge(sighting(events=(event(amount),)))) == expected


def test_every_fresh_movement_is_told_by_itself_and_the_others_are_not():
    watching = rule("large_outflow", above=100, assets=["USDT"])
    events = (
        event("101", name="a"),
        event("101", name="b"),
        event("101", "in", name="wrong-way"),
        event("101", None, name="no-way"),
        event("101", kind="trade", name="no-movement"),
        event("101", asset="BTC", name="other-asset"),
        event("99", name="small"),
    )

    assert [each.event.id for each in watching.judge(sighting(events=events))] == ["a", "b"]


@pytest.mark.parametrize(
    ("previous", "now", "events", "expected"),
    [
        pytest.param("1000", "700", [event("300")], ["e1"], id="of what was there before"),
        pytest.param("1000", "750", [event("250")], [], id="a quarter is not more than a quarter"),
        pytest.param(
            "1000", "900",
            [event("240", name="a", at=NOON - minutes(2)), event("240", name="b", at=NOON - minutes(1)),
             event("380", "in", name="c", kind="deposit")],
            ["b"], id="each of what the one before it left",
        ),
        pytest.param(None, "700", [event("300")], ["e1"], id="reckoned back when there was no reading"),
        pytest.param(None, "1700", [event("300")], [], id="reckoned back to a larger total"),
    ],
)  # fmt: skip
def test_a_movement_is_a_share_of_the_total_just_before_it(previous, now, events, expected):
    watching = rule("large_outflow", above="25%")
    before = None if previous is None else {"USDT": previous}

    verdicts = watching.judge(sighting({"USDT": now}, previous=before, events=tuple(events)))

    assert [each.event.id for each in verdicts] == expected


def test_the_ledgers_own_balance_helps_when_no_total_is_known():
    watching = rule("large_outflow", above="25%")
    known = event("300", balance_after=Decimal(700))
    unknown = event("300", name="e2", asset="BTC")

    assert [each.event.id for each in watching.judge(sighting({}, events=(known, unknown)))] == ["e1"]


def test_a_movement_in_usd_needs_a_price():
    watching = rule("large_outflow", above=100, unit="usd")
    events = (event("60"), event("60", asset="BTC", name="e2"))

    [verdict] = watching.judge(sighting(events=events, prices={"USDT": Decimal(2)}))

    assert (verdict.event.id, verdict.value, verdict.threshold, verdict.unit) == ("e1", 120, 100, "USD")


def test_a_window_gives_states_and_a_movement_an_event():
    assert rule("large_outflow", above=1, within="1h").about() == "asset"
    assert rule("large_outflow", above=1).about() == "event"
    assert rule("large_outflow", above=1).flow() is None
    assert isinstance(next(rule("large_outflow", above=1, within="1h").judge(sighting())), Verdict)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="no threshold"),
        pytest.param({"above": -1}, id="a negative threshold"),
        pytest.param({"above": "25%", "unit": "usd"}, id="a percentage in dollars"),
        pytest.param({"above": "25%", "unit": "asset"}, id="a percentage in coins"),
        pytest.param({"above": 1, "net": True}, id="net of a single movement"),
        pytest.param({"above": 1, "within": "0s"}, id="a window of no length"),
        pytest.param({"above": 1, "within": "10000d"}, id="a window longer than any ledger"),
        pytest.param({"above": 1, "kinds": []}, id="no kind at all"),
        pytest.param({"above": 1, "for_": "5m"}, id="a duration for what happens once"),
        pytest.param({"above": 1, "keep_firing_for": "5m"}, id="the same afterwards"),
        pytest.param(
            {"levels": {"warning": {"above": "5%"}, "critical": {"above": 100}}}, id="amounts and percentages"
        ),
        pytest.param({"levels": {"warning": {"above": 5}, "critical": {"above": 5}}}, id="two equal levels"),
    ],
)
def test_settings_that_contradict_each_other_are_mistakes(settings):
    with pytest.raises(ValidationError):
        rule("large_outflow", **settings)
