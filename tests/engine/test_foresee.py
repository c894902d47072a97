"""What a reload would make of what is known: nothing is supposed to be read that was not."""

from dataclasses import replace

import pytest

from monitor.engine.foresee import foresee
from tests.builders import NOON, minutes
from tests.facts import Watched, account, answer, policy, rule, snapshot

LOW = rule("low_balance", alert="Low", below=50)
EASIER = rule("low_balance", alert="Low", below=10)


def firing():
    watched = Watched((LOW,))
    watched.see(answer({"USDT": "40", "BTC": "70"}), NOON)
    return watched


def told(record, rules, where=None):
    names = frozenset(each.alert for each in rules)
    found = foresee(record, where or account(), rules, policy(rules=names), NOON + minutes(3))
    return [(change.kind, change.subject, change.detail) for change in found]


def test_an_alert_that_the_new_threshold_ends_is_foreseen():
    assert told(firing().record, (EASIER,)) == [("closes", "USDT", "recovered")]


def test_case_52_an_asset_that_the_last_answer_lacked_is_not_foreseen_to_recover():
    watched = firing()
    watched.see(answer(snapshot({"BTC": "70"}, at=NOON + minutes(1), missing=("USDT",))), NOON + minutes(1))

    assert told(watched.record, (EASIER,)) == []
    watched.see(answer(snapshot({"BTC": "70"}, at=NOON + minutes(2), missing=("USDT",))), NOON + minutes(2))
    assert [news for _, news, _ in watched.told] == ["firing"], "as it happens"


@pytest.mark.parametrize("rules", [(EASIER,), (LOW,)])
def test_what_another_provider_said_foretells_nothing_of_an_account_that_moves(rules):
    assert told(firing().record, rules, replace(account(), provider="custody")) == []


def test_a_rule_that_is_gone_is_foreseen_to_close_wherever_the_account_is():
    gone = [("closes", "USDT", "rule_removed")]
    assert told(firing().record, ()) == gone
    assert told(firing().record, (), replace(account(), provider="custody")) == gone
