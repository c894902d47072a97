"""An account that moves to another provider keeps its name and its people, not its record."""

import asyncio
from dataclasses import fields, replace

import pytest

from monitor.engine.origin import of_provider
from monitor.errors import ProviderUnreachable
from monitor.model.event import Ledger
from monitor.model.record import Record
from tests.builders import NOON, minutes
from tests.facts import Watched, account, answer, rule, snapshot
from tests.fakes import virtual_time
from tests.scenes import scene

LOW = rule("low_balance", alert="Low", below=50)
OUT = rule("large_outflow", alert="Out", above=10)
DRAINED = rule("large_outflow", alert="Drained", above=50, within="1h")
FELL = rule("balance_change", alert="Fell", falls_by=45, within="1h")
SILENT = rule("stale", alert="Silent")
MOVED = account(provider="custody")


def watched(*rules, series="100"):
    """An account at `casino` up to noon."""
    return Watched(rules).reads(series, start=NOON - minutes(len(series.split())))


def move(one, provider="custody"):
    one.account, one.told = account(provider=provider), []
    return one


def told(one):
    return [(minute, entry.rule, news, entry.reason) for minute, news, entry in one.told]


#: What outlives a move; everything else is of the old provider's money.
KEPT = {"account", "version", "outage", "failing_since", "alerts", "lately", "budgets", "provider", "wallet"}


def test_each_field_of_a_record_is_of_the_account_or_of_its_provider():
    filled = Record(**{one.name: object() for one in fields(Record)})

    moved = of_provider(filled, MOVED, NOON)

    assert moved == Record(began_at=NOON, **{name: getattr(filled, name) for name in KEPT})
    assert of_provider(replace(filled, provider="custody"), MOVED, NOON).flows is filled.flows


class TestMoving:
    def test_the_difference_between_two_providers_is_no_movement(self):
        one = move(watched(OUT, DRAINED, FELL)).reads("5 5")

        assert told(one) == []
        assert one.stored == []

    def test_nor_is_that_between_two_wallets_of_one_provider(self):
        one = Watched((OUT, DRAINED, FELL, LOW))
        one.account = account(wallet="rich")
        one.reads("1000 1000", start=NOON - minutes(2))
        one.account, one.told = account(wallet="poor"), []
        one.reads("60 45")

        assert told(one) == [(1, "Low", "firing", None), (1, "Out", "event", None)]
        assert one.record.wallet == "poor"
        assert [event.amount for event in one.stored] == [15]

    @pytest.mark.parametrize(("before", "now"), [("", "w-1"), ("w-1", ""), ("w-1", "w-1")])
    def test_what_is_not_said_to_be_another_wallet_is_the_same(self, before, now):
        one = Watched((OUT,))
        one.account = account(wallet=before)
        one.reads("100", start=NOON - minutes(1))
        one.account = account(wallet=now)

        assert told(one.reads("60")) == [(0, "Out", "event", None)]

    def test_what_left_at_the_old_provider_does_not_count_at_the_new_one(self):
        one = move(watched(DRAINED, FELL, series="100 70 60")).reads("60 45")

        assert told(one) == []

    def test_nor_does_what_a_rule_could_load_of_it(self):
        """A new rule reads the stored movements of its window, as far as they are the new provider's."""
        one = move(watched(OUT, series="100 60")).reads("60 55")
        one.rules = (OUT, DRAINED)
        one.reads("55", start=NOON + minutes(2))

        assert one.needs[-1].since == NOON
        assert told(one) == []

    def test_from_then_on_the_new_provider_is_judged_as_ever(self):
        one = move(watched(OUT, DRAINED)).reads("200 190 130")

        assert told(one) == [(2, "Drained", "firing", None), (2, "Out", "event", None)]

    def test_its_zero_is_a_first_observation_and_not_doubted(self):
        one = move(watched(LOW)).reads("0")

        assert told(one) == [(0, "Low", "firing", None)]
        assert one.record.doubts == {}

    def test_a_ledger_begins_anew(self):
        one = Watched((OUT,))
        one.see(answer({"USDT": "100"}, events=(), ledgers={"main": Ledger(5, {"k": 5})}), NOON)
        move(one).see(answer({"USDT": "5"}, events=None), NOON + minutes(1))

        assert one.record.ledgers == {}

    def test_a_history_of_both_has_the_first_value_of_the_new_one(self):
        commit = move(watched(LOW)).see(answer({"USDT": "100"}), NOON)

        assert [(point.measure, point.value) for point in commit.points] == [("available", 100), ("total", 100)]

    def test_a_record_of_a_release_that_did_not_say_whose_it_is_is_taken_as_the_same(self):
        one = watched(OUT)
        one.record = replace(one.record, provider="")
        move(one).reads("60")

        assert told(one) == [(0, "Out", "event", None)]
        assert one.record.provider == "custody"


class TestAlerts:
    def test_one_on_an_asset_that_both_have_is_judged_anew(self):
        still_bad, good_again = (move(watched(LOW, series="40")).reads(now) for now in ("30", "90"))

        assert (told(still_bad), len(still_bad.record.alerts)) == ([], 1)
        assert told(good_again) == [(0, "Low", "resolved", "recovered")]

    def test_one_on_an_asset_that_only_the_old_one_has_is_superseded(self):
        one = move(watched(LOW, series="40"))
        one.see(answer({"USDT@ETH": "30"}), NOON)

        assert {(entry.asset, news, entry.reason) for _, news, entry in one.told} == {
            ("USDT", "resolved", "superseded"),
            ("USDT@ETH", "firing", None),
        }

    def test_one_on_an_asset_that_the_new_one_could_not_read_yet_is_held(self):
        one = move(watched(LOW, series="40"))
        one.see(answer(snapshot({"BTC": "1000"}, missing=("USDT",))), NOON)

        assert told(one) == []
        assert [alert.subject for alert in one.record.alerts] == ["USDT"]

    def test_an_outage_at_the_new_one_says_nothing_of_the_old_alerts_and_is_no_answer(self):
        one = move(watched(LOW, series="40")).reads("error error")
        held = [alert.subject for alert in one.record.alerts]
        one.see(answer({"BTC": "1000"}), NOON + minutes(2))

        assert held == ["USDT"]
        assert told(one) == [(2, "Low", "resolved", "superseded")]

    def test_a_new_provider_that_never_answers_is_stale_in_time(self):
        one = move(watched(SILENT)).reads("error error error error error")

        assert told(one) == [(4, "Silent", "firing", None)]


class TestWholePolls:
    @virtual_time
    async def test_the_new_provider_reads_as_if_for_the_first_time_and_the_store_remembers_whose_it_is(self):
        async with scene("100", "80", "5", rules=(OUT, DRAINED)) as it:
            await it.poll()
            await asyncio.sleep(60)
            await it.poll()
            known = await it.record()
            await asyncio.sleep(60)
            it.hot = MOVED
            moved = await it.poll()
            it.store._cache.clear()
            stored = await it.record()

        assert it.bank.asked[-1][1].snapshot is None
        assert (moved.commit.rows, moved.commit.events, len(it.bank.asked)) == ((), (), 3)
        assert (known.provider, known.began_at, bool(known.flows)) == ("casino", None, True)
        assert (stored.provider, stored.began_at, bool(stored.flows)) == ("custody", NOON + minutes(2), False)

    @virtual_time
    async def test_what_is_in_doubt_survives_a_restart(self):
        async with scene("100", "0", ProviderUnreachable("down")) as it:
            await it.poll()
            await asyncio.sleep(60)
            await it.poll()
            it.store._cache.clear()

            assert (await it.record()).doubts == {"USDT": NOON + minutes(1)}
