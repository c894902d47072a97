"""One reading in, everything that follows out: a whole account's life on a clock that only the test moves."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.decide import decide
from monitor.engine.route import Route
from monitor.engine.watch import checkups
from monitor.model.record import Health, Need, Record
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, event, outage, policy, rule, snapshot

LOW = {"below": 50, "resolve_above": 60}


def low(**settings):
    return rule("low_balance", **{**LOW, **settings})


@pytest.mark.parametrize(
    ("settings", "series", "expected"),
    [
        pytest.param({}, "100 40 40 100", [(1, "firing"), (3, "resolved")], id="falls, stays, recovers"),
        pytest.param({}, "40", [(0, "firing")], id="26: the first observation is judged"),
        pytest.param({}, "40 55 60 61", [(0, "firing"), (3, "resolved")], id="25: the band is still bad"),
        pytest.param({}, "50 55", [], id="the threshold itself is good"),
        pytest.param({"for_": "2m"}, "40 40 40 40", [(2, "firing")], id="waits out its for, fires once"),
        pytest.param({"for_": "2m"}, "40 40 100 40 40", [], id="a good reading starts the wait again"),
        pytest.param({"for_": "2m"}, "40 error error error 40 40 40", [(6, "firing")], id="12: an outage pauses for"),
        pytest.param({}, "40 error error 100", [(0, "firing"), (3, "resolved")], id="11: held through it"),
        pytest.param({}, "40 _ _ _ 40", [(0, "firing")], id="17: an asset not named has not recovered"),
        pytest.param({"for_": "2m"}, "40 _ _ _ 40 40 40", [(6, "firing")], id="and its for pauses"),
        pytest.param(
            {"keep_firing_for": "2m"},
            "40 100 100 100",
            [(0, "firing"), (3, "resolved")],
            id="good for all of keep_firing_for",
        ),
        pytest.param(
            {"keep_firing_for": "2m"},
            "40 100 error error error 100 100 100",
            [(0, "firing"), (7, "resolved")],
            id="which pauses in an outage too",
        ),
        pytest.param({"keep_firing_for": "2m"}, "40 100 40 100 100", [(0, "firing")], id="bad again, unsaid"),
        pytest.param({}, "error error 100 error", [], id="13: an outage while all is well says nothing"),
    ],
)
def test_a_level_is_told_as_the_semantics_say(settings, series, expected):
    assert Watched((low(**settings),)).reads(series).news == expected


def test_a_level_rises_at_once_and_falls_after_its_time_under_one_id():
    levels = {"warning": {"below": 100}, "critical": {"below": 50}}
    watched = Watched((rule("low_balance", levels=levels, keep_firing_for="2m"),))

    watched.reads("90 40 90 90 90 200 200 200")

    said = [(minute, news, entry.severity) for minute, news, entry in watched.told]
    assert said == [
        (0, "firing", "warning"),
        (1, "updated", "critical"),
        (4, "updated", "warning"),
        (7, "resolved", "warning"),
    ]
    assert len({entry.id for _, _, entry in watched.told}) == 1


WORDS = st.lists(st.sampled_from(["100", "60", "55", "50", "40", "error", "_"]), max_size=14)


@given(WORDS)
def test_firing_ends_only_with_a_good_reading_beyond_the_recovery_threshold(words):
    news = Watched((low(flap={"max": 100}),)).reads(" ".join(words)).news

    assert [kind for _, kind in news] == (["firing", "resolved"] * len(words))[: len(news)]
    assert all(words[int(minute)] == {"firing": "40", "resolved": "100"}[kind] for minute, kind in news)


@given(WORDS, st.lists(st.tuples(st.integers(0, 14), st.sampled_from(["error", "_"])), max_size=6))
def test_not_knowing_for_a_while_changes_nothing_that_is_told(words, gaps):
    blind = list(words)
    for place, word in gaps:
        blind.insert(place, word)

    # Flapping is about time, and outages take time.
    plain, interrupted = (Watched((low(flap={"max": 100}),)).reads(" ".join(series)) for series in (words, blind))

    assert [(news, entry.value) for _, news, entry in interrupted.told] == [
        (news, entry.value) for _, news, entry in plain.told
    ]
    assert interrupted.stored == [] or [e.amount for e in interrupted.stored] == [e.amount for e in plain.stored]


class TestRestart:
    """What a record says is all that is left of the past: a restart is a decision on a loaded record."""

    def test_case_01_a_gap_within_the_tolerance_counts_towards_for(self):
        watched = Watched((low(for_="30m"),)).reads("40")

        watched.reads("40", start=NOON + minutes(29))
        [pending] = watched.record.alerts
        watched.reads("40", start=NOON + minutes(31))

        assert (pending.state, pending.pending_since) == ("pending", NOON)
        assert watched.news == [(31, "firing")]

    def test_case_01_after_a_longer_gap_pending_starts_again(self):
        watched = Watched((low(for_="30m"),)).reads("40")

        watched.reads("40", start=NOON + minutes(61))

        assert watched.news == []
        assert watched.record.alerts[0].pending_since == NOON + minutes(61)

    @pytest.mark.parametrize(
        ("failed", "away", "waits"),
        [
            pytest.param(1, 61, 20, id="we were away: it starts again, though the last poll had failed"),
            pytest.param(1, 60, 10, id="we were away, and not for too long: the rest of it is waited"),
            pytest.param(99, 1, 10, id="the provider was away, for longer: the rest of it is waited"),
        ],
    )
    def test_case_01_a_gap_after_a_poll_that_failed_is_a_gap_and_an_outage_is_none(self, failed, away, waits):
        watched = Watched((low(for_="20m"),)).reads("40 " * 11 + "error " * failed)
        back = 10 + failed + away

        watched.reads("40 " * 30, start=NOON + minutes(back))

        assert watched.news == [(back + waits, "firing")]

    def test_case_01_the_time_between_two_ordinary_polls_is_no_gap_however_long_it_is(self):
        daily = account(interval=minutes(1440), stale_after=minutes(3 * 1440))
        watched = Watched((low(for_="36h"),), account=daily).reads("40 40 40", every=minutes(1440))

        assert watched.news == [(2 * 1440, "firing")]

    def test_case_02_still_firing_says_nothing_and_keeps_its_id(self):
        watched = Watched((low(for_="30m"),)).reads("40 40", every=minutes(30))

        watched.reads("40", start=NOON + minutes(600))

        assert watched.news == [(30, "firing")]
        assert watched.record.alerts[0].id == watched.told[0][2].id

    def test_case_03_recovered_meanwhile_is_exactly_one_resolved(self):
        watched = Watched((low(),)).reads("40").reads("100 100", start=NOON + minutes(600))

        assert watched.news == [(0, "firing"), (600, "resolved")]

    def test_case_07_a_clock_that_goes_back_adds_no_time(self):
        watched = Watched((low(for_="2m"),)).reads("40").reads("40 40", start=NOON - minutes(30))

        assert watched.news == []
        assert watched.record.alerts[0].waited == minutes(1)


class TestEpisodes:
    def test_two_episodes_share_a_fingerprint_and_no_id(self):
        told = [entry for _, _, entry in Watched((low(),)).reads("40 100 40 100").told]

        assert [entry.status for entry in told] == ["firing", "resolved"] * 2
        assert told[0].id == told[1].id != told[2].id == told[3].id
        assert len({entry.fingerprint for entry in told}) == 1

    def test_a_decision_taken_twice_is_equal(self):
        watched = Watched((low(), rule("event", alert="Moved"))).reads("100")

        reading = answer({"USDT": "40"}, at=NOON + minutes(1))
        assert watched.decided(reading, NOON + minutes(1)) == watched.decided(reading, NOON + minutes(1))

    def test_every_asset_has_an_alert_of_its_own(self):
        watched = Watched((low(),))

        watched.see(answer({"USDT": "40", "BTC": "1", "ETH": "80"}), NOON)
        watched.see(answer({"USDT": "70", "BTC": "1"}, at=NOON + minutes(1)), NOON + minutes(1))

        assert [(news, entry.asset) for _, news, entry in watched.told] == [
            ("firing", "USDT"), ("firing", "BTC"), ("resolved", "USDT"),
        ]  # fmt: skip
        assert [alert.subject for alert in watched.record.alerts] == ["BTC"]

    def test_only_a_change_is_owed(self):
        watched = Watched((low(),)).reads("40")

        quiet = watched.see(answer({"USDT": "40"}, at=NOON + minutes(1)), NOON + minutes(1))

        assert (quiet.rows, quiet.events, quiet.points) == ((), (), ())


class TestTargets:
    def test_case_27_resolved_goes_wherever_firing_went_though_the_route_has_changed(self):
        watched = Watched((low(),), policy=policy("ops", route=Route(group_by=["rule"]))).reads("40")
        before = watched.record.alerts[0].targets

        watched.policy = policy("chat")
        commit = watched.see(answer({"USDT": "100"}), NOON + minutes(1))

        assert [target.channel for target in before] == ["ops"]
        assert commit.rows[0].targets == before

    def test_case_27_a_worse_level_adds_the_channels_of_its_route_and_keeps_the_others(self):
        pages = Route(channels=["ops"], routes=[Route(match={"severity": "critical"}, channels=["ops", "pager"])])
        levels = {"warning": {"below": 100}, "critical": {"below": 50}}
        watched = Watched((rule("low_balance", levels=levels),), policy=policy("ops", "pager", route=pages))

        rows = [watched.see(answer({"USDT": value}), NOON).rows[0] for value in ("90", "40", "200")]

        said = [[target.channel for target in row.targets] for row in rows]
        assert said == [["ops"], ["ops", "pager"], ["ops", "pager"]]
        assert rows[0].targets[0] == rows[1].targets[0] == rows[2].targets[0]

    def test_an_alert_that_recovers_while_pending_was_nobodys(self):
        assert Watched((low(for_="5m"),)).reads("40 100").record.alerts == ()


class TestRulesChange:
    def test_case_51_a_removed_rule_closes_its_alert_with_the_reason(self):
        watched = Watched((low(),)).reads("40")

        watched.rules = ()
        watched.reads("40 40", start=NOON + minutes(1))

        assert watched.news == [(0, "firing"), (1, "resolved")]
        assert watched.told[1][2].reason == "rule_removed"
        assert watched.record.alerts == ()

    def test_it_closes_in_an_outage_as_well(self):
        watched = Watched((low(),)).reads("40")

        watched.rules = ()
        watched.reads("error", start=NOON + minutes(1))

        assert watched.told[1][2].reason == "rule_removed"

    def test_a_pending_alert_of_a_removed_rule_just_goes(self):
        watched = Watched((low(for_="5m"),)).reads("40")

        watched.rules = ()
        watched.reads("40", start=NOON + minutes(1))

        assert (watched.news, watched.record.alerts) == ([], ())

    def test_case_52_an_edited_threshold_is_judged_anew_under_the_same_id(self):
        watched = Watched((low(),)).reads("40")

        watched.rules = (rule("low_balance", below=30),)
        watched.reads("40", start=NOON + minutes(1))

        assert watched.news == [(0, "firing"), (1, "resolved")]
        assert watched.told[0][2].id == watched.told[1][2].id

    def test_case_52_a_longer_for_does_not_unfire(self):
        watched = Watched((low(),)).reads("40")

        watched.rules = (low(for_="1h"),)
        watched.reads("40 100", start=NOON + minutes(1))

        assert watched.news == [(0, "firing"), (2, "resolved")]

    def test_case_52_what_a_rule_of_another_type_has_judged_is_its_own_and_outlives_an_outage(self):
        watched = Watched((low(),)).reads("40")

        watched.rules = (rule("high_balance", above=30),)
        watched.reads("40 error 40", start=NOON + minutes(1))

        assert watched.news == [(0, "firing")]
        assert watched.record.alerts[0].rule_type == "high_balance"

    @pytest.mark.parametrize(
        "other",
        [
            pytest.param(rule("low_balance", assets=["BTC"], **LOW), id="the rule watches other assets now"),
            pytest.param(rule("stale"), id="the rule judges accounts now"),
        ],
    )
    def test_case_52_a_subject_that_no_rule_watches_any_more_is_superseded(self, other):
        watched = Watched((low(),)).reads("40")

        watched.rules = (other,)
        watched.reads("40", start=NOON + minutes(1))

        assert watched.news == [(0, "firing"), (1, "resolved")]
        assert watched.told[1][2].reason == "superseded"

    def test_case_52_an_alert_over_a_window_that_its_rule_no_longer_has_is_superseded(self):
        watched = Watched((rule("large_outflow", above=10, within="10m"),)).reads("100 50")

        watched.rules = (rule("large_outflow", above=10),)
        watched.reads("50", start=NOON + minutes(20))

        assert [news for _, news in watched.news] == ["firing", "resolved"]
        assert watched.told[1][2].reason == "superseded"


class TestEvents:
    def test_each_event_is_told_once_under_an_id_of_its_own(self):
        watched = Watched((rule("event"),)).reads("100")
        two = (event(name="e1"), event(name="e2", amount="7"))

        watched.see(answer({"USDT": "83"}, events=two), NOON + minutes(1))
        watched.see(answer({"USDT": "83"}, events=()), NOON + minutes(2))

        assert [(news, entry.event.id) for _, news, entry in watched.told] == [
            ("event", "e1"),
            ("event", "e2"),
        ]
        assert len({entry.id for _, _, entry in watched.told}) == 2
        assert watched.record.alerts == ()

    def test_two_rules_tell_one_event_under_two_ids_and_one_rule_under_one(self):
        watched = Watched((rule("event", alert="A"), rule("event", alert="B"))).reads("100")
        reading = answer({"USDT": "90"}, events=(event(),))

        [a, b] = [row.entry.id for row in watched.decided(reading, NOON).rows]
        again = [row.entry.id for row in watched.decided(reading, NOON + minutes(5)).rows]

        assert a != b
        assert again == [a, b]

    def test_events_are_recorded_whether_or_not_anybody_watches(self):
        watched = Watched(()).reads("100")

        commit = watched.see(answer({"USDT": "90"}, events=(event(),)), NOON)

        assert (commit.events, commit.rows) == ((event(),), ())

    def test_an_event_is_routed_by_what_it_says(self):
        big = Route(channels=["ops"], routes=[Route(match={"severity": "critical"}, channels=["pager"])])
        watched = Watched((rule("event", severity="critical"),), policy=policy("ops", "pager", route=big))

        commit = watched.see(answer({"USDT": "90"}, events=(event(),)), NOON)

        assert [target.channel for target in commit.rows[0].targets] == ["pager"]


class TestDataFlag:
    @pytest.mark.parametrize(
        ("readings", "flag"),
        [
            ("40", "ok"),
            ("40 error", "error"),
            ("40 error error error", "error"),
            ("40 error error error error", "stale"),
            ("40 error error error error 40", "ok"),
            ("40 _", "error"),
        ],
    )
    def test_an_alert_says_how_far_its_facts_can_be_trusted(self, readings, flag):
        [alert] = Watched((low(),)).reads(readings).record.alerts

        assert (alert.data, alert.value) == (flag, 40)

    def test_an_alert_without_a_price_is_held(self):
        priced = low(unit="usd")
        watched = Watched((priced,), policy=policy(prices={"USDT": Decimal(1)})).reads("40")

        watched.policy = policy()
        watched.reads("100", start=NOON + minutes(1))

        assert watched.news == [(0, "firing")]


class TestProviders:
    """A provider as a whole is an account that is read from the store."""

    @staticmethod
    def watched():
        [pseudo] = checkups([account()]).values()
        return Watched((rule("provider_down", after="2m"),), account=pseudo, record=Record(account=pseudo.name))

    @staticmethod
    def health(minute, **known):
        at = NOON + minutes(minute)
        return Health(at=at, noted_at=at, **known), at

    def test_it_is_down_when_it_failed_for_longer_than_after_and_up_at_the_next_good_poll(self):
        watched = self.watched()

        for minute in range(5):
            watched.see(*self.health(minute, good_at=NOON, failing_since=NOON + seconds(1), why="timed out"))
        watched.see(*self.health(5, good_at=NOON + minutes(5)))

        assert watched.news == [(3, "firing"), (5, "resolved")]
        entry = watched.told[0][2]
        assert (entry.provider, entry.account, entry.asset) == ("casino", "", None)

    def test_case_11_however_many_accounts_it_has_it_is_one_alert_and_is_said_once(self):
        [pseudo] = checkups([account(f"hot-{number}") for number in range(5)]).values()
        watched = Watched((rule("provider_down", after="2m"),), account=pseudo, record=Record(account=pseudo.name))

        for minute in range(300):
            watched.see(*self.health(minute, good_at=NOON, failing_since=NOON + seconds(1), why="timed out"))

        assert watched.news == [(3, "firing")]

    def test_case_15_refused_credentials_count_at_once(self):
        watched = self.watched()

        watched.see(*self.health(0, failing_since=NOON, refused_at=NOON, why="401"))

        assert watched.news == [(0, "firing")]

    def test_it_is_held_when_its_health_cannot_be_read(self):
        watched = self.watched()
        watched.see(*self.health(0, failing_since=NOON, refused_at=NOON, why="401"))

        watched.see(outage(NOON + minutes(1)), NOON + minutes(1))
        watched.see(Health(at=NOON + minutes(99), noted_at=NOON), NOON + minutes(99))

        assert watched.news == [(0, "firing")]


class TestOldAnswers:
    """What we know is newer than what a lagging replica says."""

    @staticmethod
    def old(total, at):
        return answer(snapshot({"USDT": total}, at=at, as_of=NOON - minutes(10)))

    @staticmethod
    def watched(*rules):
        watched = Watched(rules)
        watched.see(answer(snapshot({"USDT": "40"}, as_of=NOON)), NOON)
        return watched

    def test_an_older_answer_changes_nothing_that_is_known(self):
        watched = self.watched(low())
        before = watched.record

        commit = watched.see(self.old("100", NOON + minutes(1))._replace(events=(event(),)), NOON + minutes(1))

        assert (commit.events, commit.points, commit.rows) == ((), (), ())
        assert commit.record.snapshot == before.snapshot
        assert commit.record.ledgers == before.ledgers

    def test_it_is_not_knowing_so_timers_pause(self):
        watched = self.watched(low(for_="5m"))

        for minute in range(1, 9):
            watched.see(self.old("40", NOON + minutes(minute)), NOON + minutes(minute))
        watched.see(answer(snapshot({"USDT": "40"}, as_of=NOON + minutes(9))), NOON + minutes(9))

        assert watched.news == []

    def test_a_provider_that_says_nothing_else_is_stale(self):
        watched = self.watched(rule("stale"))

        for minute in range(1, 9):
            watched.see(self.old("40", NOON + minutes(minute)), NOON + minutes(minute))

        assert watched.news == [(4, "firing")]


class TestNeed:
    OUT = rule("large_outflow", above=100, within="1h")

    def test_a_new_rule_counts_what_was_recorded_before_it(self):
        watched = Watched(())
        watched.see(answer({"USDT": "500"}), NOON)
        watched.see(answer({"USDT": "430"}, at=NOON + minutes(1)), NOON + minutes(1))

        watched.rules = (self.OUT,)
        watched.see(answer({"USDT": "390"}, at=NOON + minutes(2)), NOON + minutes(2))

        assert watched.needs == [Need(NOON + minutes(2) - minutes(61))]
        assert [(minute, news, entry.value) for minute, news, entry in watched.told] == [(2, "firing", 110)]

    def test_the_ring_is_then_kept_and_nothing_is_loaded_again(self):
        watched = Watched((self.OUT,)).reads("500 450 400 380")

        assert watched.needs == []
        assert watched.news == [(3, "firing")]

    def test_a_threshold_within_the_doubt_of_the_oldest_bucket_is_decided_exactly(self):
        watched = Watched((self.OUT,)).reads("500 440 390", every=seconds(40))

        # The window begins between the two movements, within their bucket.
        watched.reads("390", start=NOON + minutes(60) + seconds(41))

        assert len(watched.needs) == 1
        assert [(news, entry.value) for _, news, entry in watched.told] == [("firing", 110), ("resolved", 50)]

    def test_one_loading_answers_every_rule(self):
        longer = rule("large_outflow", alert="Longer", above=100, within="3h")
        watched = Watched(()).reads("500 430")
        watched.rules = (self.OUT, longer)

        need = decide(
            watched.record,
            answer({"USDT": "390"}),
            account(),
            watched.rules,
            watched.policy,
            NOON + minutes(2),
        )

        assert need == Need(NOON + minutes(2) - minutes(183))

    def test_a_rule_that_comes_back_counts_what_happened_while_it_was_away(self):
        watched = Watched((self.OUT,)).reads("500 440")
        watched.rules = ()
        watched.reads("390", start=NOON + minutes(2))

        watched.rules = (self.OUT,)
        watched.reads("390", start=NOON + minutes(3))

        assert [(minute, news, entry.value) for minute, news, entry in watched.told] == [(3, "firing", 110)]

    def test_and_also_when_another_rule_of_the_same_window_stayed(self):
        stays = rule("large_inflow", alert="In", above=1, within="1h", kinds=["deposit"])
        watched = Watched((self.OUT, stays)).reads("500 440")
        watched.rules = (stays,)
        watched.reads("390", start=NOON + minutes(2))

        watched.rules = (self.OUT, stays)
        watched.reads("390", start=NOON + minutes(3))

        assert [(minute, news, entry.value) for minute, news, entry in watched.told] == [(3, "firing", 110)]


def test_the_decision_never_sees_a_rule_raise_for_what_an_account_lacks():
    """A measure that is missing gives no verdict, whatever the rule."""
    watched = Watched((low(measure="equity"), rule("high_balance", alert="High", above=1, measure="locked")))

    commit = watched.decided(answer({"USDT": {"available": "5"}}), NOON)

    assert commit.rows == ()
