"""The price book: which source tells an asset's price, and when none does."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.pricing import Feed, PriceBook, Reported, Static
from monitor.model.price import Quote
from tests.builders import NOON, minutes
from tests.facts import Watched, answer, policy, rule, snapshot

REPORTED = Reported(minutes(5))
STATIC = Static({"USDT": Decimal(1), "USDT@TRX": Decimal(3)})


def feed(*, old=0, max_age=15, **prices):
    """Prices that were fetched so many minutes ago."""
    quotes = {asset: Quote(Decimal(price), NOON - minutes(old)) for asset, price in prices.items()}
    return Feed("market", minutes(max_age), quotes=quotes)


def priced(*sources, asset="USDT", amounts=None, before=None, **settings):
    """What the book says of one asset of an account that holds 40 USDT."""
    shot = snapshot(amounts or {"USDT": "40", "USDT@TRX": "7"}, **settings)
    return PriceBook(sources).prices(shot, NOON, before or {}).get(asset)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param([], None, id="without a source nothing has a price"),
        pytest.param([REPORTED, STATIC], 2, id="the first source that has one tells it"),
        pytest.param([STATIC, REPORTED], 1, id="in the order of the configuration"),
        pytest.param([Static({"BTC": Decimal(9)}), feed(USDT="4")], 4, id="one that lacks the asset is passed over"),
        pytest.param([feed(USDT="4", old=15), STATIC], 4, id="on the edge of its age it still holds"),
        pytest.param([feed(USDT="4", old=15.1), STATIC], 1, id="an expired one is passed over"),
        pytest.param([feed(USDT="4", old=16)], None, id="and where no other has one it is unknown"),
        pytest.param([feed(USDT="4", old=-1)], 4, id="a clock that is ahead makes a price no older"),
        pytest.param([Reported(minutes(5)), feed(USDT="4")], 2, id="a reading of now is not old"),
    ],
)
def test_an_asset_costs_what_the_first_source_says_that_is_not_too_old(sources, expected):
    assert priced(*sources, usd={"USDT": Decimal(80)}) == expected


@pytest.mark.parametrize(
    ("asset", "source", "expected"),
    [
        pytest.param("USDT@ETH", STATIC, 1, id="a bare price holds on every network"),
        pytest.param("USDT@TRX", STATIC, 3, id="an exact one wins"),
        pytest.param("USDT@TRX", feed(USDT="1", **{"USDT@TRX": "3"}), 3, id="of a feed too"),
        pytest.param("USDT@ETH", feed(USDT="1"), 1, id="and a feed's bare price holds on every network"),
        pytest.param("stETH", feed(STETH="5"), 5, id="feeds write capitals as they like"),
        pytest.param("USDTX", STATIC, None, id="another asset's price is none"),
        pytest.param("USDT", Static({"USDT@TRX": Decimal(3)}), None, id="one network's price is not the asset's"),
    ],
)
def test_prices_and_networks(asset, source, expected):
    assert priced(source, asset=asset) == expected


BEFORE = {"USDT": Quote(Decimal("0.5"), NOON - minutes(5))}
LONG_BEFORE = {"USDT": Quote(Decimal("0.5"), NOON - minutes(6))}


@pytest.mark.parametrize(
    ("amounts", "usd", "before", "expected"),
    [
        pytest.param({"USDT": "40"}, "80", BEFORE, 2, id="a worth divided by the total"),
        pytest.param({"USDT": "0"}, "0", BEFORE, Decimal("0.5"), id="of what is empty now, what was told before"),
        pytest.param({"USDT": "0"}, "0", LONG_BEFORE, None, id="but not long before"),
        pytest.param({"USDT": "40"}, None, BEFORE, Decimal("0.5"), id="and of what is told without a worth"),
        pytest.param({"BTC": "1"}, None, BEFORE, Decimal("0.5"), id="and of what is not told at all"),
        pytest.param({"USDT": "40"}, "0", None, None, id="a worth of zero is a price that is lacking, not zero"),
        pytest.param({"USDT": "-40"}, "-80", None, 2, id="a debt has a price too"),
        pytest.param({"USDT": "40"}, "-80", None, None, id="a price is never below zero"),
    ],
)
def test_what_a_provider_says_its_balances_are_worth(amounts, usd, before, expected):
    told = {} if usd is None else {"USDT": Decimal(usd)}
    assert priced(REPORTED, amounts=amounts, before=before, usd=told) == expected


def test_a_carried_worth_ages_with_its_balance():
    known = snapshot({"USDT": "40"}, at=NOON, usd={"USDT": Decimal(80)}, seen={"USDT": NOON - minutes(4)})
    book = PriceBook([REPORTED])

    assert book.prices(known, NOON + minutes(1)).get("USDT") == 2
    assert book.prices(known, NOON + minutes(2)).get("USDT") is None


def test_an_unpriced_asset_is_not_among_the_prices_and_says_why():
    known = PriceBook([feed(BTC="9", old=20), STATIC]).prices(snapshot({"BTC": "1", "ETH": "1", "USDT": "1"}), NOON)

    assert dict(known) == {"USDT": 1}
    assert len(known) == 1
    assert "BTC" not in known
    assert known.why_not("ETH") == "no source has it"
    assert known.why_not("BTC") == "the newest is 20m old"


# What an alert compares a worth with


LOW_USD = rule("low_balance", unit="usd", below=50, assets=["BTC"])


def reading(amount, price, at):
    usd = Decimal(amount) * Decimal(price)
    return answer(snapshot({"BTC": amount, "ETH": "1"}, at=at, usd={"BTC": usd, "ETH": Decimal(1)}))


def reads(watched, *series):
    for minute, (amount, price) in enumerate(series):
        at = NOON + minutes(minute)
        watched.see(reading(amount, price, at), at)
    return watched


def test_what_was_last_good_is_remembered_of_assets_that_rules_judge_in_usd():
    watched = reads(Watched((LOW_USD,)), ("1", "60"), ("2", "50"))

    [(asset, then)] = watched.record.valued.items()

    assert (asset, then.amounts["available"], then.price, then.at) == ("BTC", 2, 50, NOON + minutes(1))


def test_without_rules_in_usd_nothing_is_remembered():
    watched = reads(Watched((LOW_USD,)), ("1", "60"))
    watched.rules = (rule("low_balance", below=1),)

    assert reads(watched, ("1", "60")).record.valued == {}


def test_while_the_alert_is_open_the_reading_before_it_is_kept():
    watched = reads(Watched((LOW_USD,)), ("1", "60"), ("1", "40"), ("1", "30"))

    assert watched.record.valued["BTC"].price == 60


# Cases


def told(watched):
    return [(minute, news, entry.annotations["summary"]) for minute, news, entry in watched.told]


@pytest.mark.parametrize(
    ("settings", "good", "bad", "then"),
    [
        pytest.param({"type": "low_balance", "below": 50}, "60", "40", "60", id="low_balance"),
        pytest.param({"type": "high_balance", "above": 50}, "40", "60", "40", id="high_balance"),
        # What has not moved needs no price to be good.
        pytest.param({"type": "balance_change", "rises_by": 10, "within": "1h"}, "40", "60", "41", id="balance_change"),
    ],
)
def test_case_19_a_price_that_expires_holds_the_alert_and_another_rule_is_untouched(settings, good, bad, then):
    in_usd = rule(settings.pop("type"), unit="usd", **settings)
    market = feed(USDT="1", max_age=2)
    plain = rule("low_balance", alert="Plain", below=1)
    watched = Watched((in_usd, plain), policy=policy(book=PriceBook([market])))

    watched.reads(f"{good} {bad}")
    [alert] = watched.record.alerts
    assert (alert.rule, alert.state, alert.data) == ("Tested", "firing", "ok")

    watched.reads(f"{then} {then} {then}", start=NOON + minutes(3))
    [alert] = watched.record.alerts
    assert (alert.state, alert.data) == ("firing", "unknown")

    market.quotes = {"USDT": Quote(Decimal(1), NOON + minutes(6))}
    watched.reads("0.5", start=NOON + minutes(6))
    assert [entry.rule for _, news, entry in watched.told if news == "firing"][1:] == ["Plain"]


def test_case_19_an_unknown_price_is_never_a_low_balance():
    watched = Watched((rule("low_balance", unit="usd", below=50),), policy=policy()).reads("40 30 1")

    assert watched.told == []
    assert watched.record.alerts == ()


def test_case_19_an_outflow_is_held_while_its_asset_has_no_price_and_over_when_nothing_moved():
    out = rule("large_outflow", unit="usd", above=50, within="5m")
    market = feed(USDT="1", max_age=2)
    watched = Watched((out,), policy=policy(book=PriceBook([market])))

    watched.reads("100 20 20 20 20 20")
    [alert] = watched.record.alerts
    assert (alert.state, alert.data) == ("firing", "unknown")

    # What left is out of the window: nothing is worth nothing at any price.
    watched.reads("20 20 20", start=NOON + minutes(6))
    assert watched.record.alerts == ()
    assert watched.news == [(1.0, "firing"), (7.0, "resolved")]


def test_who_takes_all_of_it_took_it_at_the_price_before():
    out = rule("large_outflow", unit="usd", above=50, within="1h")
    watched = Watched((out,))
    for minute, (amount, usd) in enumerate([("100", "200"), ("0", "0"), ("0", "0")]):
        at = NOON + minutes(minute)
        watched.see(answer(snapshot({"USDT": amount}, at=at, usd={"USDT": Decimal(usd)})), at)

    assert [(news, entry.value) for _, news, entry in watched.told] == [("firing", 200)]


def test_case_24_a_low_worth_says_how_much_of_the_fall_is_price_and_how_much_is_quantity():
    watched = reads(Watched((rule("low_balance", unit="usd", below=50_000),)), ("1", "60000"), ("0.9", "40000"))

    [(_, _, entry)] = [one for one in watched.told if one[2].asset == "BTC"]

    assert (entry.value, entry.previous, entry.unit) == (36_000, 60_000, "USD")
    assert entry.annotations["summary"] == (
        "hot-usdt BTC available 36000.0 USD is below 50000 USD (0.9 at 40000; "
        "at 2026-11-20T12:00:00Z 1 at 60000, so by price -20000 USD, by quantity -4000 USD)"
    )


def test_case_24_the_fall_is_told_from_the_last_good_reading_however_long_the_alert_was_pending():
    low = rule("low_balance", unit="usd", below=50_000, assets=["BTC"], for_="2m")
    watched = reads(Watched((low,)), ("1", "60000"), ("1", "40000"), ("1", "30000"), ("1", "30000"))

    [(minute, news, entry)] = watched.told

    assert (minute, news, entry.value, entry.previous) == (3.0, "firing", 30_000, 60_000)
    assert "by price -30000 USD, by quantity 0 USD" in entry.annotations["summary"]


@pytest.mark.parametrize(
    "settings",
    [
        {"type": "large_outflow", "above": 10, "within": "1h"},
        {"type": "large_outflow", "above": 10},
        {"type": "balance_change", "falls_by": 10, "within": "1h"},
    ],
)
def test_case_24_a_crash_is_not_a_theft(settings):
    in_usd = rule(settings.pop("type"), unit="usd", **settings)

    still = reads(Watched((in_usd,)), ("1", "60000"), ("1", "20000"), ("1", "1"))
    # What left is worth what it is worth now: 8 of the 40 008 USD that are missing.
    a_little_less = reads(Watched((in_usd,)), ("1", "60000"), ("0.9996", "20000"))

    assert still.told + a_little_less.told == []


def test_a_worth_at_a_periodic_price_is_what_the_provider_says():
    low = rule("low_balance", unit="usd", below=100, measure="total")
    watched = Watched((low,)).see(answer(snapshot({"USDT": "3"}, usd={"USDT": Decimal(100)})), NOON)

    # 33.33… times 3 is not 99.99…, and on the threshold is still good.
    assert watched.rows == ()


AMOUNTS = st.lists(st.integers(0, 400).map(lambda cents: Decimal(cents) / 4), min_size=2, max_size=8)


@given(amounts=AMOUNTS, power=st.integers(-12, 12), price=st.integers(1, 999).map(lambda it: Decimal(it) / 7))
def test_scaling_all_amounts_and_thresholds_changes_no_verdict(amounts, power, price):
    def news(scale):
        limit = 50 * scale
        rules = (
            rule("low_balance", alert="Low", unit="usd", below=limit, resolve_above=2 * limit),
            rule("high_balance", alert="High", above=limit),
            rule("large_outflow", alert="Out", unit="usd", above=limit, within="3m"),
            rule("balance_change", alert="Fell", unit="usd", falls_by=limit, within="3m"),
        )
        watched = Watched(rules, policy=policy(prices={"USDT": price}))
        for minute, amount in enumerate(amounts):
            at = NOON + minutes(minute)
            watched.see(answer({"USDT": amount * scale}, at=at), at)
        return [(minute, told, entry.rule) for minute, told, entry in watched.told]

    assert news(Decimal(1).scaleb(power)) == news(Decimal(1))
