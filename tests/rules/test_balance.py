"""low_balance and high_balance."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from tests.facts import blindness, checkup, rule, sighting, snapshot

LEVELS = {
    "warning": {"below": 250_000, "resolve_above": 300_000},
    "critical": {"below": 80_000, "resolve_above": 100_000},
}


def judged(judge, facts):
    return [(verdict.subject, verdict.bad, verdict.held) for verdict in judge.judge(facts)]


@pytest.mark.parametrize(
    ("available", "bad"),
    [
        pytest.param("50.01", None, id="above the threshold"),
        pytest.param("50", None, id="on the threshold is not below it"),
        pytest.param("50.000", None, id="however it is written"),
        pytest.param("49.99", "warning", id="one cent under"),
        pytest.param("0", "warning", id="nothing left"),
        pytest.param("-3.00", "warning", id="a negative balance is legal, and low"),
        pytest.param("49.999999999999999999", "warning", id="a wei under"),
        pytest.param("50.000000000000000001", None, id="a wei over"),
    ],
)
def test_low_is_only_what_lies_below_the_threshold(available, bad):
    low = rule("low_balance", below=50)

    [verdict] = low.judge(sighting({"USDT": {"available": available}}))

    assert (verdict.bad, verdict.held) == (bad, bad)


@pytest.mark.parametrize(
    ("equity", "bad"),
    [
        pytest.param("-10.01", "critical", id="below a negative threshold"),
        pytest.param("-10", None, id="on it"),
        pytest.param("-9.99", None, id="less in debt"),
    ],
)
def test_a_threshold_may_be_negative(equity, bad):
    low = rule("low_balance", measure="equity", below=-10, severity="critical")

    [verdict] = low.judge(sighting({"USDC": {"equity": equity}}))

    assert verdict.bad == bad


@pytest.mark.parametrize(
    ("total", "bad"),
    [
        pytest.param("99.99", None, id="below the threshold"),
        pytest.param("100", None, id="on the threshold is not above it"),
        pytest.param("100.000000000000000001", "warning", id="a wei over"),
    ],
)
def test_high_is_only_what_lies_above_the_threshold(total, bad):
    high = rule("high_balance", above=100, measure="total")

    [verdict] = high.judge(sighting({"USDT": total}))

    assert verdict.bad == bad


@pytest.mark.parametrize(
    ("available", "bad", "held"),
    [
        pytest.param("300000.01", None, None, id="above both bands: all is well"),
        pytest.param("300000", None, "warning", id="on resolve_above has not passed it"),
        pytest.param("250000", None, "warning", id="in the warning's band: good, but not recovered"),
        pytest.param("249999", "warning", "warning", id="below the warning"),
        pytest.param("100000", "warning", "critical", id="a warning, and the critical one has not recovered"),
        pytest.param("79999", "critical", "critical", id="below both"),
    ],
)
def test_each_level_has_its_own_recovery(available, bad, held):
    low = rule("low_balance", levels=LEVELS)

    assert judged(low, sighting({"USDT": available})) == [("USDT", bad, held)]


@pytest.mark.parametrize(
    ("available", "bad", "held"),
    [
        pytest.param("899", None, None, id="below the band"),
        pytest.param("900", None, "warning", id="on resolve_below has not passed it"),
        pytest.param("1000", None, "warning", id="in the band"),
        pytest.param("1001", "warning", "warning", id="above"),
    ],
)
def test_a_high_balance_recovers_below_its_band(available, bad, held):
    high = rule("high_balance", above=1000, resolve_below=900)

    assert judged(high, sighting({"USDT": available})) == [("USDT", bad, held)]


@pytest.mark.parametrize(
    "amounts",
    [
        pytest.param({}, id="the asset is missing"),
        pytest.param({"USDT": {"total": "1"}}, id="the measure is missing"),
        pytest.param({"BTC": "1"}, id="another asset"),
        pytest.param({"USDTX": "1"}, id="an asset whose name begins alike"),
    ],
)
def test_what_is_not_known_gets_no_verdict(amounts):
    low = rule("low_balance", below=50, assets=["USDT"])

    assert judged(low, sighting(amounts)) == []


@pytest.mark.parametrize(
    ("assets", "subjects"),
    [
        pytest.param([], ["BTC", "USDT", "USDT@ETH"], id="none named: every asset"),
        pytest.param(["USDT"], ["USDT", "USDT@ETH"], id="a bare name: on every network"),
        pytest.param(["USDT@ETH"], ["USDT@ETH"], id="with its network: that one"),
        pytest.param(["BTC", "USDT@TRX"], ["BTC"], id="a list: those of it that are there"),
    ],
)
def test_assets_choose_the_subjects(assets, subjects):
    low = rule("low_balance", below=50, assets=assets)
    facts = sighting({"BTC": "1", "USDT": "1", "USDT@ETH": "1"})

    assert sorted(verdict.subject for verdict in low.judge(facts)) == subjects
    assert [asset for asset in ("BTC", "USDT", "USDT@ETH") if low.watches(asset)] == subjects


@pytest.mark.parametrize("facts", [blindness(), checkup()], ids=["an outage", "a provider's health"])
def test_nothing_but_a_good_poll_says_anything_about_money(facts):
    assert judged(rule("low_balance", below=50), facts) == []


def test_a_verdict_carries_what_people_are_told():
    low = rule("low_balance", levels=LEVELS)

    [verdict] = low.judge(sighting({"USDT@TRX": "412.50"}, previous={"USDT@TRX": "90210.00"}))

    assert (verdict.value, verdict.previous) == (Decimal("412.50"), Decimal("90210.00"))
    assert verdict.thresholds == {"warning": 250_000, "critical": 80_000}
    assert (verdict.measure, verdict.unit) == ("available", "USDT")


def test_the_first_observation_is_judged_and_has_no_previous():
    [verdict] = rule("low_balance", below=50).judge(sighting({"USDT": "1"}))

    assert (verdict.bad, verdict.previous) == ("warning", None)


@pytest.mark.parametrize(
    ("amount", "prices", "expected"),
    [
        pytest.param("0.5", {"BTC": "60000"}, [("warning", Decimal("30000.0"))], id="worth less"),
        pytest.param("2", {"BTC": "60000"}, [(None, Decimal(120000))], id="worth more"),
        pytest.param("0.5", {}, [], id="without a price it is unknown, not zero"),
        pytest.param("0.5", {"ETH": "1"}, [], id="another asset's price is none"),
        pytest.param("0", {}, [("warning", Decimal(0))], id="of nothing the price does not matter"),
    ],
)
def test_in_usd_the_worth_at_the_current_price_is_judged(amount, prices, expected):
    low = rule("low_balance", below=50_000, unit="usd")
    facts = sighting({"BTC": amount}, prices={asset: Decimal(price) for asset, price in prices.items()})

    assert [(verdict.bad, verdict.value) for verdict in low.judge(facts)] == expected


def test_in_usd_both_readings_are_valued_at_one_price_and_the_quantity_is_told():
    low = rule("low_balance", below=50_000, unit="usd")
    facts = sighting({"BTC": "0.5"}, previous={"BTC": "0.6"}, prices={"BTC": Decimal(60_000)})

    [verdict] = low.judge(facts)

    assert (verdict.value, verdict.previous, verdict.unit) == (30_000, 36_000, "USD")
    assert verdict.details == {"amount": "0.5", "price": "60000"}


def test_a_worth_is_not_rounded():
    low = rule("low_balance", below="1", unit="usd")
    facts = sighting({"ETH": "0.333333333333333333"}, prices={"ETH": Decimal("3.000000000000000003")})

    [verdict] = low.judge(facts)

    assert verdict.value == Decimal("0.999999999999999999999999999999999999")
    assert verdict.bad == "warning"


def test_an_asset_carried_over_from_an_older_reading_is_not_in_this_one():
    partial = snapshot({"BTC": "1"}, missing=("USDT",))

    assert judged(rule("low_balance", below=50), sighting(partial)) == [("BTC", "warning", "warning")]


def mistakes_in(rule_type, **settings):
    with pytest.raises(ValidationError) as caught:
        rule(rule_type, **settings)
    return [(error["loc"][1:], error["msg"].removeprefix("Value error, ")) for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("settings", "where", "what"),
    [
        pytest.param(
            {"below": 80_000, "resolve_above": 70_000}, (),
            "resolve_above 70000 is not above below 80000", id="recovery below the threshold",
        ),
        pytest.param(
            {"below": 5, "resolve_above": 5}, (),
            "resolve_above 5 is not above below 5", id="a band of no width",
        ),
        pytest.param(
            {"levels": {"critical": {"below": 80_000, "resolve_above": 70_000}}}, ("levels", "critical"),
            "resolve_above 70000 is not above below 80000", id="the same inside a level",
        ),
        pytest.param(
            {"levels": {"warning": {"below": 80}, "critical": {"below": 90}}}, ("levels", "critical"),
            "below 90 is not below the 80 of warning", id="a worse level that is laxer",
        ),
        pytest.param(
            {"levels": {"warning": {"below": 80}, "critical": {"below": 80}}}, ("levels", "critical"),
            "below 80 is not below the 80 of warning", id="two levels at one threshold",
        ),
        pytest.param(
            {"levels": {"warning": {"below": 80}, "critical": {"below": 10, "resolve_above": 81}}},
            ("levels", "critical"),
            "resolve_above 81 is past the point where warning has recovered, 80",
            id="a worse level that recovers later",
        ),
        pytest.param({}, (), "a threshold is missing: write `below`, or `levels`", id="no threshold"),
        pytest.param(
            {"below": 1, "levels": {"info": {"below": 2}}}, (),
            "`below` stands inside `levels` here, not beside it", id="a threshold beside levels",
        ),
        pytest.param(
            {"severity": "info", "levels": {"info": {"below": 2}}}, (),
            "`severity` stands inside `levels` here, not beside it", id="a severity beside levels",
        ),
    ],
)  # fmt: skip
def test_thresholds_that_make_no_sense_are_mistakes(settings, where, what):
    assert mistakes_in("low_balance", **settings) == [(where, what)]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"above": 5, "resolve_below": 5}, id="a band of no width"),
        pytest.param({"levels": {"warning": {"above": 9}, "critical": {"above": 8}}}, id="a laxer worse level"),
        pytest.param({"levels": {}}, id="no level at all"),
        pytest.param({"levels": {"urgent": {"above": 9}}}, id="a severity that does not exist"),
        pytest.param({"above": 0.5}, id="a float has lost digits already"),
        pytest.param({"above": "25%"}, id="a percentage of nothing in particular"),
        pytest.param({"above": 5, "measure": "cash"}, id="a measure that does not exist"),
        pytest.param({"above": 5, "unit": "eur"}, id="a unit that does not exist"),
        pytest.param({"above": 5, "below": 3}, id="the other rule's key"),
    ],
)
def test_so_are_those_of_a_high_balance(settings):
    assert mistakes_in("high_balance", **settings)
