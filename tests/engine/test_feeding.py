"""What a reading tells the guard: only what was read, and what of it nobody may spend."""

from dataclasses import replace
from decimal import Decimal

import pytest

from monitor.engine.decide import decide
from monitor.engine.feeding import fed, feed_of
from monitor.model.feed import Fed
from monitor.model.record import Account, Answer, PriceWatch, Record
from monitor.model.snapshot import Outage, Snapshot
from tests.builders import NOON, minutes, seconds
from tests.facts import policy

ACCOUNT = Account("hot", "casino", minutes(1), minutes(3))
KNOWN = Record(
    "hot",
    1,
    Snapshot(NOON, {"BTC": {"available": Decimal(7)}, "USDT": {"available": Decimal(7)}}, as_of=NOON),
    provider="casino",
)


def read(amounts, **more):
    return Answer(Snapshot(NOON + minutes(1), amounts, **more))


def told(answer, *, record=KNOWN, ours=None, account=ACCOUNT, trusted=False):
    return feed_of(answer, account, record, ours or record, trusted=trusted)


def measures(**amounts):
    return {name: Decimal(amount) for name, amount in amounts.items()}


def test_only_what_was_really_read_is_told():
    feed = told(read({"USDT": measures(available="12.50", total=20), "MARGIN": measures(equity=5)}))

    assert feed.assets == {"USDT": Fed(Decimal("12.50"), Decimal(0))}
    assert (feed.as_of, feed.whole) == (None, False)


def test_a_reading_says_of_which_money_it_is():
    answer = read({"USDT": measures(available=12)})
    moved = [replace(ACCOUNT, target=("wallet", name)) for name in "ab"] + [replace(ACCOUNT, provider="custody")]

    told_of = {told(answer, account=account).whose for account in (ACCOUNT, *moved)}

    assert len(told_of) == 4
    assert told(answer, account=replace(moved[0], interval=minutes(5))).whose in told_of, "the same money"


def test_a_decision_tells_the_guard_what_was_read_and_not_what_is_remembered():
    answer = read({"USDT": measures(available=12)}, as_of=NOON + seconds(50))

    commit = decide(KNOWN, answer, ACCOUNT, (), policy(trusting=frozenset(["casino"])), NOON + minutes(1))

    assert "BTC" in commit.record.snapshot.amounts
    assert commit.feed.assets.keys() == {"USDT"}
    assert commit.feed.as_of == NOON + seconds(50)


@pytest.mark.parametrize(
    "reading",
    [
        Outage(NOON, "unreachable", "no answer"),
        read({}, missing=("USDT",)),
        read({"USDT": measures(available=1)}, as_of=NOON - seconds(1)),
    ],
    ids=["an outage", "nothing that could be read", "an answer older than what is known"],
)
def test_what_teaches_nothing_tells_nothing(reading):
    assert told(reading) is None


def test_a_source_of_prices_has_no_wallets():
    assert told(read({}), account=replace(ACCOUNT, target=PriceWatch("cex"))) is None


def test_an_account_that_has_nothing_was_read_all_the_same():
    assert told(read({})).assets == {}


def test_the_providers_time_counts_only_where_it_is_trusted():
    answer = read({"USDT": measures(available=1)}, as_of=NOON + seconds(9))

    assert told(answer, trusted=True).as_of == NOON + seconds(9)
    assert told(answer, trusted=False).as_of is None


def test_a_complete_answer_that_leaves_out_what_is_empty_is_all_there_is():
    assert told(read({}, absent_is_zero=True)).whole
    assert not told(read({"USDT": measures(available=1)}, absent_is_zero=True, missing=("BTC",))).whole


def test_of_an_account_that_came_from_another_provider_nothing_else_is_known_any_more():
    assert told(read({"USDT": measures(available=1)}), ours=Record("hot")).whole


def test_a_name_that_does_not_print_is_no_asset():
    assert told(read({"US\nDT": measures(available=1), "BTC": measures(available=2)})).assets.keys() == {"BTC"}


@pytest.mark.parametrize(
    ("amounts", "contained", "apart"),
    [
        (measures(available=60, held=10, locked=30, total=100), 0, 30),
        (measures(available=0, held=0, locked=100, total=100), 0, 100),
        (measures(available=100, locked=30, total=100), 30, 0),
        (measures(available=100, locked=30), 30, 0),
        (measures(available=100, locked=30, pending=40, total=140), 30, 0),
        (measures(available=100, locked=0, total=100), 0, 0),
        (measures(available=100, locked=-3, total=100), 0, 0),
    ],
    ids=["apart", "all of it", "within", "no total", "pending is no room for it", "none", "less than none"],
)
def test_case_60_what_is_locked_is_taken_off_unless_the_total_shows_that_it_is_off_already(amounts, contained, apart):
    assert fed(amounts) == Fed(amounts["available"], Decimal(contained), Decimal(apart))
