"""The first time an account is read: what is low is low, and nothing has changed."""

from datetime import timedelta

import pytest

from monitor.model.event import Ledger
from tests.builders import NOON
from tests.facts import Watched, answer, event, rule

RULES = (
    rule("low_balance", alert="Low", below=100),
    rule("high_balance", alert="High", above=5),
    rule("balance_change", alert="Changed", falls_by="1%", within="1h"),
    rule("balance_change", alert="Risen", rises_by="1%", within="1h"),
    rule("large_inflow", alert="In", above=1, within="1h"),
    rule("large_outflow", alert="Out", above="1%", within="1h"),
    rule("large_inflow", alert="Deposit", above=1),
    rule("runway", alert="Lasts", below="1000d", floor=1_000, min_history="1d"),
    rule("unexplained_change", alert="Unexplained", above=0),
)


@pytest.mark.parametrize("ledger", [{"events": None}, {"events": (), "ledgers": {"main": Ledger(1)}}])
def test_case_26_levels_are_judged_and_what_was_there_before_is_no_news(ledger):
    watched = Watched(RULES)

    watched.see(answer({"USDT": "40", "BTC": "1000000"}, **ledger), NOON)

    assert sorted((entry.rule, entry.asset) for _, _, entry in watched.told) == [
        ("High", "BTC"),
        ("High", "USDT"),
        ("Low", "USDT"),
    ]


def test_case_26_with_history_every_rule_speaks():
    watched = Watched(RULES)
    for hour in range(30):
        now = NOON + timedelta(hours=hour)
        rows = () if hour < 29 else (event("3", at=now),)
        amounts = {"USDT": str(40 if hour < 29 else 36)}
        watched.see(answer(amounts, at=now, events=rows, ledgers={"main": Ledger(1)}), now)

    first = [entry.rule for minute, _, entry in watched.told if minute == 0]
    last = [entry.rule for minute, _, entry in watched.told if minute == 29 * 60]
    assert (sorted(first), sorted(last)) == (["High", "Low"], ["Changed", "Out", "Unexplained"])
    assert [entry.rule for minute, _, entry in watched.told if 0 < minute < 29 * 60] == ["Lasts"]
