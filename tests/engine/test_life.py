"""The keys of an alert's life, case by case of the semantics: flapping, worse and worse, and no data."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOON, minutes
from tests.facts import Watched, answer, event, outage, policy, rule, snapshot

LOW = {"below": 50, "resolve_above": 60}
LEVELS = {"warning": {"below": 100, "resolve_above": 120}, "critical": {"below": 50, "resolve_above": 60}}


def low(**settings):
    return rule("low_balance", **{**LOW, **settings})


def watched(**settings):
    return Watched((low(**settings),))


def said(watched):
    return [(minute, news, entry.reason) for minute, news, entry in watched.told]


class TestCase2And3And4Restarts:
    """A restart is a decision on what the record holds; nothing else is left of the past."""

    def test_case_02_a_restart_while_flapping_goes_on_holding_it(self):
        flapping = watched().reads("40 100 40 100 40 100 40 100")
        again = Watched(flapping.rules, record=flapping.record).reads("40 100 100", start=NOON + minutes(8))

        assert flapping.record.alerts[0].flapping
        assert again.news == []

    def test_case_02_what_was_told_is_remembered_so_worse_means_worse_than_that(self):
        before = watched(renotify_every="25%").reads("40 31")
        after = Watched(before.rules, record=before.record).reads("31 30", start=NOON + minutes(90))

        assert before.news == [(0, "firing")]
        assert after.news == [(91, "updated")]

    def test_case_03_recovered_meanwhile_is_one_resolved_also_after_it_flapped(self):
        flapping = watched().reads("40 100 40 100 40 100 40 100")
        after = Watched(flapping.rules, record=flapping.record).reads("100 100", start=NOON + minutes(90))

        assert said(after) == [(90, "resolved", "recovered")]

    def test_case_04_a_restart_within_the_band_holds_it_firing(self):
        one = watched().reads("40").reads("55 60 61", start=NOON + minutes(90))

        assert one.news == [(0, "firing"), (92, "resolved")]


class TestCase5WhileWeWereDown:
    def test_case_05_what_became_bad_meanwhile_fires_and_what_was_bad_is_not_told_again(self):
        before = Watched((low(), rule("low_balance", alert="Lower", below=20))).reads("40")
        after = Watched(before.rules, record=before.record).reads("10 10", start=NOON + minutes(500))

        assert [(minute, news, entry.rule) for minute, news, entry in before.told + after.told] == [
            (0, "firing", "Tested"), (500, "firing", "Lower"),
        ]  # fmt: skip

    def test_case_05_pending_counts_from_the_first_reading_after_the_start(self):
        before = watched(for_="3m").reads("100")
        after = Watched(before.rules, record=before.record).reads("40 40 40 40", start=NOON + minutes(30))

        assert after.news == [(33, "firing")]
        assert after.record.alerts[0].pending_since == NOON + minutes(30)


class TestCase11And12And13Outages:
    def test_case_11_a_firing_alert_holds_through_an_outage_and_says_how_old_its_facts_are(self):
        one, flags = watched(), []
        for minute, word in enumerate(["40", "error", "error", "error", "error", "error"]):
            one.reads(word, start=NOON + minutes(minute))
            flags.append(one.record.alerts[0].data)

        assert flags == ["ok", "error", "error", "error", "stale", "stale"]
        assert one.news == [(0, "firing")]
        assert one.record.alerts[0].observed_at == NOON
        assert one.record.alerts[0].value == 40

    def test_case_11_it_is_the_last_good_value_that_stays_also_when_nobody_was_told_of_it(self):
        one = watched(renotify_every="50%").reads("40 38 error error 38 error")
        [alert] = one.record.alerts

        assert one.news == [(0, "firing")]
        assert (alert.value, alert.observed_at, alert.data) == (38, NOON + minutes(4), "error")

    def test_case_11_what_a_partial_answer_lacks_ages_like_an_outage(self):
        one, flags = watched(), []
        for minute, word in enumerate(["40", "_", "_", "_", "_", "40"]):
            one.reads(word, start=NOON + minutes(minute))
            flags.append(one.record.alerts[0].data)

        assert flags == ["ok", "error", "error", "error", "stale", "ok"]

    def test_a_reading_without_a_price_makes_the_alert_unknown_and_not_stale(self):
        priced, unpriced = policy(prices={"USDT": Decimal(1)}), policy()
        one = Watched((low(unit="usd"),), policy=priced).reads("40")
        one.policy = unpriced

        one.reads("100 100 100 100 100 100", start=NOON + minutes(1))

        assert one.record.alerts[0].data == "unknown"
        assert one.news == [(0, "firing")]

    def test_case_12_for_pauses_in_an_outage_however_long_it_is(self):
        one = watched(for_="3m").reads("40 40 error error error error error error error 40 40 40")

        assert one.news == [(11, "firing")]

    def test_case_13_an_outage_while_all_is_well_is_no_money_alert(self):
        one = Watched((low(), rule("stale", alert="Silent"))).reads("100 error error error error error error 100")

        assert [(minute, news, entry.rule) for minute, news, entry in one.told] == [
            (4, "firing", "Silent"),
            (7, "resolved", "Silent"),
        ]


class TestOnNoData:
    """The account's `stale_after` is three minutes: the fourth minute without a reading is stale."""

    @pytest.mark.parametrize("blind", ["error", "_"])
    @pytest.mark.parametrize(
        ("settings", "series", "expected"),
        [
            pytest.param({}, "40 ? ? ? ? ?", [(0, "firing", None)], id="keep_state: held"),
            pytest.param({"on_no_data": "fire"}, "100 ? ? ?", [], id="fire: not before it is stale"),
            pytest.param({"on_no_data": "fire"}, "100 ? ? ? ? ? ?", [(4, "firing", None)], id="fire: none, as bad"),
            pytest.param(
                {"on_no_data": "fire", "for_": "2m"}, "100 ? ? ? ? ? ?", [(6, "firing", None)], id="fire: for counts"
            ),
            pytest.param(
                {"on_no_data": "fire", "for_": "3m"},
                "40 40 ? ? ? ? ? ? ?",
                [(7, "firing", None)],
                id="fire: pending, paused until it is stale, goes on as bad",
            ),
            pytest.param({"on_no_data": "fire"}, "40 ? ? ? ? ? ?", [(0, "firing", None)], id="fire: firing stays"),
            pytest.param(
                {"on_no_data": "fire", "keep_firing_for": "2m"},
                "40 100 100 ? ? ? ? ? ? 100 100",
                [(0, "firing", None), (10, "resolved", "recovered")],
                id="fire: keep-firing stays, its timer paused",
            ),
            pytest.param(
                {"on_no_data": "fire"},
                "100 ? ? ? ? ? 100",
                [(4, "firing", None), (6, "resolved", "recovered")],
                id="fire: over with a good reading",
            ),
            pytest.param(
                {"on_no_data": "fire"}, "100 ? ? ? ? ? 40", [(4, "firing", None)], id="fire: goes on when it is bad"
            ),
            pytest.param(
                {"on_no_data": "resolve"},
                "40 ? ? ? ? ? ?",
                [(0, "firing", None), (4, "resolved", "no_data")],
                id="resolve: as good once stale, and it says why",
            ),
            pytest.param(
                {"on_no_data": "resolve", "keep_firing_for": "2m"},
                "40 ? ? ? ? ? ? ?",
                [(0, "firing", None), (6, "resolved", "no_data")],
                id="resolve: keep_firing_for counts",
            ),
            pytest.param(
                {"on_no_data": "resolve", "for_": "2m"},
                "40 ? ? ? ? 40 40 40",
                [(7, "firing", None)],
                id="resolve: pending is forgotten",
            ),
            pytest.param({"on_no_data": "resolve"}, "100 ? ? ? ? ? ?", [], id="resolve: nothing comes of nothing"),
            pytest.param(
                {"on_no_data": "resolve"},
                "40 ? ? ? ? ? 40",
                [(0, "firing", None), (4, "resolved", "no_data"), (6, "firing", None)],
                id="resolve: bad again is a new episode",
            ),
        ],
    )
    def test_what_is_unknown_for_too_long_is_as_the_rule_says(self, blind, settings, series, expected):
        assert said(watched(**settings).reads(series.replace("?", blind))) == expected

    def test_an_alert_without_data_tells_the_last_reading_and_that_it_is_old(self):
        one = watched(on_no_data="fire").reads("100 error error error error")

        [(_, _, entry)] = one.told
        assert (entry.value, entry.unit, entry.observed_at) == (100, "USDT", NOON)
        assert entry.annotations["summary"] == (
            "hot-usdt USDT available could not be read since 2026-11-20T12:00:00Z, last read as 100"
        )
        assert one.record.alerts[0].data == "stale"

    def test_a_summary_of_ones_own_is_followed_by_a_caveat(self):
        one = watched(on_no_data="fire", annotations={"summary": "too low"}).reads("100 error error error error")

        [(_, _, entry)] = one.told
        assert entry.annotations["summary"] == "too low"
        assert "could not be read since" in entry.annotations["caveat"]

    @pytest.mark.parametrize(("settings", "ends"), [({}, 5), ({"keep_firing_for": "2m"}, 7)])
    def test_what_only_fired_for_no_data_is_read_again_and_was_never_below(self, settings, ends):
        one = watched(on_no_data="fire", **settings).reads("3000 error error error error 3000 3000 3000 3000")

        assert one.news == [(4, "firing"), (ends, "resolved")]
        assert one.told[-1][2].annotations["summary"] == (
            "hot-usdt USDT available is being read again, for the first time since 2026-11-20T12:00:00Z, as 3000"
        )

    def test_what_was_bad_meanwhile_has_recovered_like_any_other(self):
        one = watched(on_no_data="fire").reads("3000 error error error error 40 3000")

        assert one.told[-1][2].annotations["summary"] == ("hot-usdt USDT available 3000 has recovered, it was below 50")

    def test_fire_speaks_of_the_assets_last_known_that_the_rule_watches(self):
        one = Watched((low(on_no_data="fire", assets=["USDT", "BTC", "ETH"]),))
        one.see(answer({"USDT": "100", "BTC": "100", "DOGE": "100"}), NOON)

        one.reads("error", start=NOON + minutes(5))

        assert [entry.asset for _, _, entry in one.told] == ["USDT", "BTC"]

    def test_fire_without_anything_ever_read_has_nothing_to_speak_of(self):
        assert watched(on_no_data="fire").reads("error error error error error error").news == []

    def test_fire_tells_the_mildest_level(self):
        one = Watched((rule("low_balance", levels=LEVELS, on_no_data="fire"),)).reads("200 error error error error")

        assert [(news, entry.severity) for _, news, entry in one.told] == [("firing", "warning")]

    def test_only_what_is_missing_fires(self):
        one = Watched((low(on_no_data="fire"),))
        one.see(answer({"USDT": "100", "BTC": "100"}), NOON)
        for minute in range(1, 7):
            now = NOON + minutes(minute)
            one.see(answer(snapshot({"BTC": "100"}, at=now, missing=("USDT",))), now)

        assert [(minute, entry.asset) for minute, _, entry in one.told] == [(4, "USDT")]

    def test_a_measure_that_is_missing_counts_and_another_one_does_not(self):
        one = Watched((low(on_no_data="fire"), rule("low_balance", alert="Total", measure="total", **LOW)))
        one.see(answer({"USDT": "100"}), NOON)
        for minute in range(1, 7):
            now = NOON + minutes(minute)
            one.see(answer(snapshot({"USDT": {"total": "100"}}, at=now)), now)

        assert [(minute, entry.rule) for minute, _, entry in one.told] == [(4, "Tested")]

    def test_an_expression_that_can_tell_without_all_it_reads_is_not_without_data(self):
        one = Watched((rule("expression", expression="available < 50 and held > 5", on_no_data="fire"),))
        one.see(answer({"USDT": {"available": "100", "held": "9"}}), NOON)
        for minute in range(1, 7):
            now = NOON + minutes(minute)
            one.see(answer(snapshot({"USDT": {"available": "100"}}, at=now)), now)

        assert one.news == []

    def test_a_sum_over_a_window_fires_too_when_nothing_is_known_of_it(self):
        out = rule("large_outflow", above=5, within="1h", on_no_data="fire")

        assert Watched((out,)).reads("100 error error error error").news == [(4, "firing")]


class TestCase25Flapping:
    """By default more than six changes within ten minutes are too many, and three are calm again."""

    def test_case_25_it_fires_below_and_resolves_only_above_the_band(self):
        assert watched().reads("40 55 60 61").news == [(0, "firing"), (3, "resolved")]

    def test_case_25_what_flaps_is_held_and_on_calm_told_as_it_is_then(self):
        one = watched().reads("40 100 40 100 40 100 40 100 40 100" + " 100" * 10)

        told = [(minute, news) for minute, news, _ in one.told]
        assert told == [
            (0, "firing"),
            (1, "resolved"),
            (2, "firing"),
            (3, "resolved"),
            (4, "firing"),
            (5, "resolved"),
            (6, "firing"),
            (16, "resolved"),
        ]
        flapping, calm = one.told[6][2], one.told[7][2]
        assert flapping.annotations["summary"] == (
            "hot-usdt USDT available is flapping (more than 6 changes within 10m) and held as firing, last read as 40"
        )
        assert (calm.id, calm.value, calm.reason) == (flapping.id, 100, "recovered")

    def test_case_25_one_update_says_that_it_flaps_when_it_would_have_resolved(self):
        one = watched(flap={"max": 1, "within": "5m"}).reads("40 100 40 100 100 100 100 100 100")

        assert one.news == [(0, "firing"), (1, "updated"), (8, "resolved")]
        assert one.told[1][2].status == "firing"
        assert "is flapping (more than 1 changes within 5m)" in one.told[1][2].annotations["summary"]

    def test_case_25_calm_while_still_bad_is_told_as_firing(self):
        one = watched(flap={"max": 2, "within": "5m"}).reads("40 100 40 100" + " 40" * 6)

        assert one.news == [(0, "firing"), (1, "resolved"), (2, "firing"), (8, "updated")]
        assert one.told[3][2].annotations["summary"] == (
            "hot-usdt USDT available has stopped flapping and is still firing, last read as 40"
        )
        assert not one.record.alerts[0].flapping

    def test_case_25_levels_that_go_up_and_down_flap_too_and_the_worst_is_held(self):
        one = Watched((rule("low_balance", levels=LEVELS),))

        one.reads("90 40 90 40 90 40 90 40 90 40 90 90 90 90 90 90 90 90")

        assert [(minute, news, entry.severity) for minute, news, entry in one.told] == [
            (0, "firing", "warning"),
            (1, "updated", "critical"),
            (2, "updated", "warning"),
            (3, "updated", "critical"),
            (4, "updated", "warning"),
            (5, "updated", "critical"),
            (6, "updated", "critical"),
            (17, "updated", "warning"),
        ]

    def test_case_25_worse_than_it_was_is_told_at_once_although_it_flaps(self):
        one = Watched((rule("low_balance", levels=LEVELS, flap={"max": 2, "within": "10m"}),))

        one.reads("90 200 90 200 40")

        assert [(news, entry.severity) for _, news, entry in one.told[2:]] == [
            ("firing", "warning"),
            ("updated", "critical"),
        ]

    def test_case_25_keep_firing_for_still_counts_after_calm(self):
        settings = {"keep_firing_for": "4m", "flap": {"max": 1, "within": "3m"}}
        one = Watched((rule("low_balance", levels=LEVELS, **settings),)).reads("90 40 90 40 200 200 200 200 200")

        assert [(minute, news, entry.severity) for minute, news, entry in one.told] == [
            (0, "firing", "warning"),
            (1, "updated", "critical"),
            (7, "updated", "critical"),
            (8, "resolved", "critical"),
        ]

    def test_case_25_calm_for_all_of_keep_firing_for_before_it_flapped_is_calm_for_long_enough(self):
        settings = {"keep_firing_for": "3m", "flap": {"max": 2, "within": "6m"}}
        one = Watched((rule("low_balance", levels=LEVELS, **settings),)).reads("90 40 90 90 90 90 90 90 90")

        assert [(minute, news, entry.severity) for minute, news, entry in one.told] == [
            (0, "firing", "warning"),
            (1, "updated", "critical"),
            (5, "updated", "critical"),
            (7, "updated", "warning"),
        ]

    @pytest.mark.parametrize(
        ("keep", "series", "over"),
        [
            pytest.param("0s", "40 90 200 200 200 200 200 200", 6, id="at once"),
            pytest.param(
                "2m", "40 90 90 90 200 200 200 200 200 200 200", 8, id="good for all of keep_firing_for by then"
            ),
            pytest.param("2m", "40 90 90 200 200 200 200 200 200 200", 7, id="good when it began to flap"),
        ],
    )
    def test_case_25_what_is_good_by_the_time_it_is_calm_is_over_and_not_first_told_as_milder(self, keep, series, over):
        settings = {"keep_firing_for": keep, "flap": {"max": 1, "within": "4m"}}
        one = Watched((rule("low_balance", levels=LEVELS, **settings),)).reads(series)

        assert one.news[-1] == (over, "resolved")
        assert {entry.severity for _, _, entry in one.told} == {"critical"}

    def test_case_25_slow_changes_do_not_flap(self):
        one = watched().reads("40 100 " * 10, every=minutes(2))

        assert [news for _, news in one.news] == ["firing", "resolved"] * 10

    def test_case_25_a_limit_of_ones_own(self):
        one = watched(flap={"max": 20, "within": "10m"}).reads("40 100 " * 5)

        assert [news for _, news in one.news] == ["firing", "resolved"] * 5

    def test_case_25_what_was_pending_only_does_not_flap(self):
        one = watched(for_="1m").reads("40 100 " * 10 + "40 40 100")

        assert [news for _, news in one.news] == ["firing", "resolved"]

    def test_case_07_a_clock_that_was_ahead_does_not_hold_what_flapped_until_it_has_caught_up(self):
        one = watched().reads("40 100 40 100 40 100 40 100")

        one.reads("100 " * 12, start=NOON - minutes(600))

        assert one.news[-1] == (-590, "resolved")
        assert one.record.lately == {}

    def test_case_07_changes_of_a_clock_that_was_ahead_are_forgotten_with_the_alert(self):
        one = watched().reads("40 100")

        one.reads("100", start=NOON - minutes(600))

        assert one.record.lately == {}

    def test_the_changes_of_an_alert_that_ended_are_forgotten_in_time(self):
        one = watched().reads("40 100")
        assert len(one.record.lately) == 1

        one.reads("100 100", start=NOON + minutes(9), every=minutes(2))

        assert one.record.lately == {}

    def test_events_have_no_state_that_could_flap(self):
        one = Watched((rule("large_outflow", above=5),))
        for minute in range(20):
            moved = event(name=f"e{minute}", at=NOON + minutes(minute))
            one.see(answer({"USDT": "100"}, at=NOON + minutes(minute), events=(moved,)), NOON + minutes(minute))

        assert [news for _, news in one.news] == ["event"] * 20


WORDS = st.lists(st.sampled_from(["100", "55", "40", "error", "_"]), max_size=40)


@given(WORDS, st.integers(1, 8))
def test_case_25_however_it_goes_few_messages_tell_it_and_none_is_a_lie(words, most):
    one = watched(flap={"max": most, "within": "10m"}).reads(" ".join(words))

    at = [minute for minute, _ in one.news]
    # Flapping ends only when half of the changes have left the window: one message says so, one how it ended.
    assert all(sum(minute <= other < minute + 10 for other in at) <= most + most // 2 + 3 for minute in at)
    for minute, news, entry in one.told:
        if news == "resolved":
            assert (words[int(minute)], entry.value) == ("100", 100)
    last = next((word for word in reversed(words) if word in ("40", "100")), None)
    if last == "40":
        assert one.record.alerts[0].state == "firing"


class TestCase26And27:
    def test_case_26_a_first_reading_that_is_bad_is_told_and_a_good_one_is_no_news(self):
        assert watched(renotify_every="25%", on_no_data="fire").reads("40").news == [(0, "firing")]
        assert watched(renotify_every="25%", on_no_data="fire").reads("100").news == []

    def test_case_27_up_at_once_down_after_keep_firing_for_under_one_id(self):
        one = Watched((rule("low_balance", levels=LEVELS, keep_firing_for="3m"),)).reads(
            "90 40 90 90 90 90 200 200 200 200"
        )

        assert [(minute, news, entry.severity) for minute, news, entry in one.told] == [
            (0, "firing", "warning"),
            (1, "updated", "critical"),
            (5, "updated", "warning"),
            (9, "resolved", "warning"),
        ]
        assert len({entry.id for _, _, entry in one.told}) == 1


class TestCase28WorseAndWorse:
    @pytest.mark.parametrize(
        ("settings", "series", "expected"),
        [
            pytest.param({"renotify_every": "25%"}, "48 40 36 30 27", [0, 2, 4], id="of the value told each time"),
            pytest.param({"renotify_every": 10}, "48 40 38 29 29", [0, 2], id="by an amount"),
            pytest.param({"renotify_every": "25%"}, "48 48 48 48", [0], id="not because time passes"),
            pytest.param({"renotify_every": "25%"}, "48 37 48 37 48 36", [0, 5], id="not better and back"),
            pytest.param({"renotify_every": "25%"}, "40 error error 30", [0, 3], id="through an outage"),
            pytest.param({"renotify_every": "50%"}, "0 0 -1 -2", [0, 2, 3], id="of nothing, anything is worse"),
            pytest.param({}, "48 20 1", [0], id="unasked, nothing"),
        ],
    )
    def test_case_28_each_time_it_is_that_much_worse_than_what_was_told(self, settings, series, expected):
        one = watched(**settings).reads(series)

        assert [minute for minute, _ in one.news] == expected
        assert [news for _, news in one.news] == ["firing"] + ["updated"] * (len(expected) - 1)

    def test_case_28_high_is_the_bad_side_of_a_ceiling(self):
        one = Watched((rule("high_balance", above=100, renotify_every="50%"),)).reads("120 60 101 179 180")

        assert one.news == [(0, "firing"), (1, "resolved"), (2, "firing"), (3, "updated")]

    def test_case_28_a_worth_at_a_periodic_price_gets_worse_too(self):
        one = Watched((low(unit="usd", below=5000, resolve_above=6000, renotify_every="25%"),))
        for minute, (available, worth) in enumerate([("3001", "4000.1"), ("1", "20")]):
            now = NOON + minutes(minute)
            amounts = {"USDT": {"available": available, "total": "3007"}}
            one.see(answer(snapshot(amounts, at=now, usd={"USDT": Decimal(worth)})), now)

        assert one.news == [(0, "firing"), (1, "updated")]

    def test_case_28_a_level_told_is_a_value_told(self):
        one = Watched((rule("low_balance", levels=LEVELS, renotify_every="50%"),)).reads("90 46 44 23 22")

        assert [(minute, news) for minute, news in one.news] == [(0, "firing"), (1, "updated"), (3, "updated")]

    def test_case_28_what_is_within_the_band_is_not_worse_enough_to_be_told(self):
        one = watched(renotify_every="1%", resolve_above=100).reads("40 60 59 58")

        assert one.news == [(0, "firing")]

    def test_case_28_what_is_good_is_not_worse_however_little_of_it_is_left(self):
        one = watched(renotify_every="25%", flap={"max": 1, "within": "9m"}).reads("40 200 110 59")

        # The update at the first minute says that it flaps, and told 200; 110 is good, 59 is not.
        assert one.news == [(0, "firing"), (1, "updated"), (3, "updated")]

    def test_an_alert_stored_before_there_was_a_value_told_counts_from_now(self):
        one = watched(renotify_every="25%").reads("40")
        [alert] = one.record.alerts
        one.record = replace(one.record, alerts=(replace(alert, told=None),))

        one.reads("20 16 15", start=NOON + minutes(1))

        assert one.news == [(0, "firing"), (3, "updated")]


@given(st.lists(st.integers(0, 49), min_size=1, max_size=30), st.integers(1, 60))
def test_case_28_what_is_told_gets_worse_by_that_much_every_time(values, percent):
    one = watched(renotify_every=f"{percent}%").reads(" ".join(map(str, values)))

    told = [entry.value for _, _, entry in one.told]
    assert all(after <= before * (100 - percent) / 100 for before, after in pairwise(told))
    assert min(values) > told[-1] * (100 - percent) / 100 or min(values) == told[-1]


@pytest.mark.parametrize(
    ("rule_type", "settings", "why"),
    [
        ("large_outflow", {"above": 5, "flap": {"max": 2}}, "an event is told once"),
        ("event", {"on_no_data": "fire"}, "an event is told once"),
        ("liquidation", {"renotify_every": "25%"}, "an event is told once"),
        ("stale", {"on_no_data": "fire"}, "stale judges missing data itself"),
        ("provider_down", {"on_no_data": "resolve"}, "provider_down judges missing data itself"),
        ("stale", {"renotify_every": 5}, "stale has no amount that gets worse"),
        ("low_balance", {"below": 5, "renotify_every": "0%"}, "must be more than 0"),
        ("low_balance", {"below": 5, "flap": {"max": 0}}, "greater than or equal to 1"),
        ("low_balance", {"below": 5, "flap": {"within": "0s"}}, "greater than 0"),
        ("low_balance", {"below": 5, "on_no_data": "ignore"}, "keep_state"),
    ],
)
def test_keys_that_make_no_sense_for_a_rule_are_refused(rule_type, settings, why):
    with pytest.raises(ValueError, match=why):
        rule(rule_type, **settings)


def test_an_outage_of_an_account_is_decided_the_same_twice():
    one = watched(on_no_data="fire").reads("100")
    now = NOON + minutes(5)

    assert one.decided(outage(now), now) == one.decided(outage(now), now)
