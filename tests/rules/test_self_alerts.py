"""Alerts about the monitor itself: what judges them is built in, and lives like every alert."""

from decimal import Decimal

import pytest

from monitor.engine.pricing import Feed, PriceBook
from monitor.engine.route import Route
from monitor.engine.watch import Watch, account_of_monitor
from monitor.model.price import Quote
from monitor.model.record import Record
from monitor.model.report import Report, Reports
from monitor.rules.event_gap import LEDGER_RULES
from monitor.rules.price_missing import PriceMissing
from monitor.rules.reported import REPORTED_RULES
from monitor.rules.self_alert import SELF_ALERTS
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, event, outage, policy, rule, snapshot

WORTH = {"alert": "Worth", "unit": "usd", "below": 100}


def report(name="ConfigReloadFailed", why="rules.yaml:2: oops", process="web-1:7", **settings):
    return Report(name=name, process=process, since=NOON, until=NOON + minutes(60), why=why, **settings)


def priced(word, now):
    """An answer with 40 DOGE and 5 USDT; `yes`: the provider reports a worth of the DOGE, `no`: it does not."""
    usd = {"DOGE": Decimal(4)} if word == "yes" else {}
    return answer(snapshot({"DOGE": "40", "USDT": "5"}, at=now, usd=usd))


class Life:
    """An account through many polls, a minute apart."""

    def __init__(self, rules, **settings):
        self.watched = Watched(tuple(rules), **settings)

    def sees(self, readings):
        for minute, reading in enumerate(readings):
            now = NOON + minutes(minute)
            self.watched.see(reading(now) if callable(reading) else reading, now)
        return self.watched


def built_in(*rules, ledgers=False):
    """The built-in rules of an account that these rules match."""
    watch = Watch(policy(), rules, lambda one, now: now + one.interval, ledgers=ledgers)
    return [one for one in watch.rules_for(account()) if one not in rules]


class TestWhichAccountsHaveThem:
    def test_only_rules_in_usd_need_prices(self):
        worth, low = rule("low_balance", **WORTH), rule("low_balance", alert="Low", below=1)

        assert [one.alert for one in built_in(worth, low)] == ["PriceMissing"]
        assert built_in(low, rule("low_balance", **WORTH, match={"account": "other"})) == []

    def test_only_a_ledger_can_have_gaps(self):
        assert {one.alert for one in built_in(ledgers=True)} == {"EventGap"}
        assert built_in(ledgers=False) == []

    def test_the_monitor_itself_is_judged_by_what_processes_report_and_by_no_rule_of_the_user(self):
        watch = Watch(policy(), (rule("low_balance", below=1),), lambda one, now: now + one.interval)

        assert watch.rules_for(account_of_monitor()) == REPORTED_RULES

    def test_every_built_in_name_is_reserved_and_of_the_type_that_routes_know(self):
        found = [*REPORTED_RULES, *LEDGER_RULES, PriceMissing(rules=())]

        assert {one.alert for one in found} <= SELF_ALERTS
        assert {one.type for one in found} == {"self"}


class TestPriceMissing:
    def life(self, *rules):
        return Life([PriceMissing(rules=rules or (rule("low_balance", **WORTH, assets=["DOGE"]),))])

    def test_case_19_a_missing_price_is_told_after_five_minutes_and_its_return_at_once(self):
        words = ["yes", *["no"] * 7, "yes"]

        told = self.life().sees([lambda now, word=word: priced(word, now) for word in words]).told

        assert [(minute, news, entry.rule, entry.asset) for minute, news, entry in told] == [
            (6, "firing", "PriceMissing", "DOGE"), (8, "resolved", "PriceMissing", "DOGE"),
        ]  # fmt: skip
        assert [entry.annotations["summary"] for _, _, entry in told] == [
            "hot-usdt DOGE has no price (no source has it); judged without it, or not at all: Worth",
            "hot-usdt DOGE has a price again, or there is none of it left",
        ]

    def test_case_19_a_price_that_has_expired_is_missing_and_one_without_a_network_is_not(self):
        quotes = {"DOGE": Quote(Decimal(1), NOON), "USDT": Quote(Decimal(1), NOON + minutes(60))}
        feed = Feed("f", minutes(15), quotes=quotes)
        life = Life([PriceMissing(rules=(rule("low_balance", **WORTH),))], policy=policy(book=PriceBook((feed,))))

        told = life.sees([lambda now: answer({"DOGE": "4", "USDT@ETH": "4"}, at=now)] * 22).told

        assert [(minute, entry.asset) for minute, _, entry in told] == [(21, "DOGE")]
        assert "(the newest is 21m old)" in told[0][2].annotations["summary"]

    def test_case_19_an_account_whose_worth_is_only_added_up_needs_its_prices_too(self):
        summed = rule("low_balance", alert="Sum", below=9, aggregate={"by": ["asset"], "unit": "usd"})

        assert [one.alert for one in built_in(summed)] == ["PriceMissing"]

    def test_one_missed_beat_is_no_news(self):
        words = ["yes", "no", "yes", "no", "no", "yes"]

        assert self.life().sees([lambda now, word=word: priced(word, now) for word in words]).told == []

    def test_an_asset_that_no_rule_in_usd_watches_needs_no_price(self):
        usdt = rule("low_balance", **WORTH, assets=["USDT"])

        watched = self.life(usdt).sees([lambda now: priced("no", now)])

        assert [alert.subject for alert in watched.record.alerts] == ["USDT"]

    def test_nothing_is_worth_nothing_at_any_price(self):
        empty = answer({"DOGE": "0"})

        assert self.life().sees([empty]).record.alerts == ()

    def test_an_outage_does_not_find_a_price(self):
        words = ["no"] * 7
        life = self.life()
        life.sees([*[lambda now, word=word: priced(word, now) for word in words], outage])

        [alert] = life.watched.record.alerts
        assert (alert.state, alert.subject) == ("firing", "DOGE")


class TestEventGap:
    def gap(self, text="2 pages left"):
        return lambda now: answer({"USDT": "5"}, at=now, events=(), gap=text)

    def whole(self, now):
        return answer({"USDT": "5"}, at=now, events=())

    def test_case_36_a_gap_that_lasts_is_told_and_over_when_the_ledger_is_read_whole_again(self):
        told = Life(LEDGER_RULES).sees([*[self.gap()] * 7, *[self.whole] * 11]).told

        assert [(minute, news) for minute, news, _ in told] == [(5, "firing"), (17, "resolved")]
        assert [entry.annotations["summary"] for _, _, entry in told] == [
            "hot-usdt may have events not yet judged, its ledger cannot be read to the end: 2 pages left",
            "hot-usdt: its ledger is being read to the end again",
        ]

    def test_case_36_a_walk_that_needs_a_few_polls_is_no_news(self):
        assert Life(LEDGER_RULES).sees([self.whole, *[self.gap()] * 4, *[self.whole] * 3]).told == []

    def test_case_36_events_that_were_given_up_are_told_at_once_and_once(self):
        lost = answer({"USDT": "5"}, events=(), lost="those before 03:00 are skipped")

        told = Life(LEDGER_RULES).sees([self.whole, *[self.gap()] * 2, lost, *[self.whole] * 12]).told

        assert [(minute, news, entry.severity) for minute, news, entry in told] == [
            (3, "firing", "critical"), (14, "resolved", "critical"),
        ]  # fmt: skip
        assert told[0][2].annotations["summary"] == (
            "hot-usdt has events that will never be judged: those before 03:00 are skipped"
        )

    def test_an_outage_fills_no_gap(self):
        life = Life(LEDGER_RULES).sees([*[self.gap()] * 7, *[outage] * 20])

        assert [news for _, news, _ in life.told] == ["firing"]

    def test_case_36_a_sum_that_may_miss_events_ends_no_alert(self):
        out = rule("large_outflow", above=100, within="10m")
        moved = answer({"USDT": "5"}, events=(event("150"),))

        held = Life([out]).sees([self.whole, moved, *[self.gap()] * 30])
        over = Life([out]).sees([self.whole, moved, *[self.whole] * 30])

        assert [news for _, news, _ in held.told] == ["firing"]
        assert [news for _, news, _ in over.told] == ["firing", "resolved"]


class TestReported:
    def life(self):
        return Watched(REPORTED_RULES, account=account_of_monitor(), record=Record("monitor:self"))

    def said(self, *told):
        """What is told of what processes report, every five seconds."""
        life = self.life()
        for step, reports in enumerate(told):
            now = NOON + seconds(5 * step)
            life.see(Reports(now, tuple(reports)), now)
        return life.told

    def test_a_report_fires_at_once_and_resolves_when_nobody_makes_it_any_more(self):
        told = self.said([], [report()], [report()], [], [], [])

        assert [(round(minute * 60), news) for minute, news, _ in told] == [(5, "firing"), (25, "resolved")]
        entry = told[0][2]
        assert (entry.rule, entry.rule_type, entry.severity) == ("ConfigReloadFailed", "self", "warning")
        assert (entry.provider, entry.account, entry.asset, entry.value) == ("", "", None, None)
        assert entry.annotations["summary"] == (
            "the configuration was not reloaded, the old one stays in force (web-1:7): rules.yaml:2: oops"
        )
        assert "no process runs on an older configuration" in told[1][2].annotations["summary"]

    def test_a_report_that_was_late_by_a_moment_is_no_second_alert(self):
        assert [news for _, news, _ in self.said([report()], [], [report()], [report()])] == ["firing"]

    def test_several_processes_make_one_alert_that_names_them(self):
        many = [report(process=f"web-{n}:1", why=f"oops {n}") for n in range(5)]

        [(_, _, entry)] = self.said(many)

        assert (
            "(web-0:1, web-1:1, web-2:1, and 2 more): oops 0; oops 1; oops 2; and 2 more"
            in (entry.annotations["summary"])
        )

    def test_the_same_trouble_in_several_processes_is_said_once(self):
        [(_, _, entry)] = self.said([report(process="a"), report(process="b")])

        assert entry.annotations["summary"].endswith("(a, b): rules.yaml:2: oops")

    def test_case_43_every_further_template_that_fails_is_told(self):
        first, second = (report("TemplateError", f"Low: {name}", about=f"Low {name}") for name in ("summary", "more"))

        told = self.said([first], [first], [first, second], [first, second])

        assert [(news, entry.value) for _, news, entry in told] == [("firing", 1), ("updated", 2)]

    def test_case_55_every_silence_that_is_about_to_end_is_an_alert_of_its_own(self):
        first, second = (
            report("SilenceEnding", f"the silence of maria ({name}) ends at noon", about=f"sil_{name}") for name in "ab"
        )

        told = self.said([first], [first, second], [second], [second], [second])

        assert [(round(minute), news, entry.labels["silence"]) for minute, news, entry in told] == [
            (0, "firing", "sil_a"), (0, "firing", "sil_b"), (0, "resolved", "sil_a"),
        ]  # fmt: skip
        assert told[0][2].annotations["summary"] == ("sil_a is about to end: the silence of maria (a) ends at noon")
        assert told[2][2].annotations["summary"] == "sil_a has ended, or holds nothing back any more"

    def test_a_route_finds_them_by_their_type_and_without_one_they_go_where_the_root_goes(self):
        route = Route(channels=("chat",), routes=(Route(match={"rule_type": "self"}, channels=("ops",)),))
        for given, expected in ((route, "ops"), (Route(channels=("chat",)), "chat")):
            life = self.life()
            life.policy = policy("chat", "ops", route=given)
            commit = life.see(Reports(NOON, (report(),)), NOON)

            assert [target.channel for row in commit.rows for target in row.targets] == [expected]

    @pytest.mark.parametrize(
        ("processes", "running", "everywhere"),
        [
            pytest.param(1, 1, "true", id="the only one"),
            pytest.param(1, 2, "false", id="one of two"),
            pytest.param(2, 2, "true", id="both"),
            pytest.param(1, 0, "true", id="nobody knows how many there are"),
        ],
    )
    def test_case_50_it_keeps_others_quiet_only_while_every_process_is_offline(self, processes, running, everywhere):
        offline = tuple(report("SelfOffline", process=f"web-{n}:1") for n in range(processes))
        life = self.life()
        life.policy = policy(inhibits=lambda labels: labels.get("everywhere") == "true")
        begun = life.see(Reports(NOON, offline, running=running), NOON).rows
        over = life.see(Reports(NOON + minutes(1), (), running=running), NOON + minutes(1)).rows
        ended = life.see(Reports(NOON + minutes(2), (), running=running), NOON + minutes(2)).rows

        assert [(row.news, row.entry.labels["everywhere"]) for row in begun] == [("firing", everywhere)]
        assert [row.source is not None for row in (*begun, *over, *ended)] == [everywhere == "true"] * 2

    def test_case_50_that_another_process_has_a_network_is_noticed_while_it_fires(self):
        life, offline = self.life(), (report("SelfOffline"),)
        life.policy = policy(inhibits=lambda labels: labels.get("everywhere") == "true")
        life.see(Reports(NOON, offline, running=1), NOON)
        [row] = life.see(Reports(NOON + seconds(5), offline, running=2), NOON + seconds(5)).rows

        assert (row.news, row.targets, row.source.ended_at) == ("inhibits", (), NOON + seconds(5))

    @pytest.mark.parametrize("name", sorted(one.alert for one in REPORTED_RULES))
    def test_each_condition_is_an_alert_of_its_own(self, name):
        assert [(news, entry.rule) for _, news, entry in self.said([report(name)])] == [("firing", name)]
