"""A sudden zero is read twice before anyone is woken, and a real drain waits for that and no longer."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from monitor.engine.decide import decide
from monitor.engine.doubt import DOUBTED_FOR, PAUSE, suspects
from monitor.errors import ProviderRefused, ProviderThrottled, ProviderUnreachable
from monitor.model.record import Commit, Confirm, Record
from monitor.model.snapshot import diff
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, event, outage, policy, rule, snapshot
from tests.fakes import loop_clock, virtual_time
from tests.scenes import HOT, scene

LOW = rule("low_balance", alert="Low", below=50)
OUT = rule("large_outflow", alert="Out", above=10)
RULES = (LOW, OUT)
#: Where zero rows are dropped from a complete answer, the adapter writes the zero.
DROPPED = answer(snapshot({"USDT": "0"}, absent_is_zero=True))
#: Everywhere else what is not in the answer is unknown.
EMPTY = answer(snapshot({}, missing=("USDT",), why="not in the answer: USDT"))
LATER = NOON + minutes(1)


def known(amounts, **settings):
    return Record("hot-usdt", version=7, snapshot=snapshot(amounts), provider="casino", **settings)


def decided(record, reading, *, at=LATER, rules=RULES, **more):
    return decide(record, reading, HOT, rules, policy(), at, recorded=(), **more)


def rows(polled):
    return [(row.entry.rule, row.news) for row in polled.commit.rows]


BOTH = {"USDT": "100", "BTC": "2"}
PERPS = {"total": "100", "equity": "120", "available": "60", "margin_used": "60", "withdrawable": "60"}
CLOSED = {**PERPS, "equity": "100", "available": "100", "margin_used": "0", "withdrawable": "100"}


class TestWhatIsDoubted:
    @pytest.mark.parametrize(
        ("before", "after", "expected"),
        [
            pytest.param({"USDT": "100"}, {"USDT": "0"}, ("USDT",), id="all of it at once"),
            pytest.param({"USDT": "0.01"}, {"USDT": "0.00"}, ("USDT",), id="what is dust to whom?"),
            pytest.param({"USDT": "100"}, {"USDT": "0.01"}, (), id="nearly all of it is an amount"),
            pytest.param({"USDT": "0"}, {"USDT": "0"}, (), id="it was zero before"),
            pytest.param({"USDT": "-5"}, {"USDT": "0"}, (), id="a debt that is settled"),
            pytest.param(BOTH, {"USDT": "0", "BTC": "0"}, ("USDT", "BTC"), id="everything"),
            pytest.param(BOTH, {"USDT": "100", "BTC": "0"}, ("BTC",), id="one of two"),
            pytest.param(BOTH, {}, ("USDT", "BTC"), id="every asset is gone"),
            pytest.param({"USDT": "0"}, {}, (), id="gone, but there was nothing"),
            pytest.param(BOTH, {"USDT": "100"}, (), id="one asset is gone: unknown, and no zero"),
            pytest.param({"USDT": "100"}, {"ETH": "3"}, ("USDT",), id="none of those that were known"),
            pytest.param(
                {"USDT": "100"}, {"USDT": {"available": "0", "total": "100"}}, (), id="locked: the total is there"
            ),
            pytest.param({"USDT": {"locked": "9"}}, {"USDT": {"locked": "0"}}, (), id="a lock that is lifted"),
            pytest.param({"USDC": PERPS}, {"USDC": CLOSED}, (), id="34: a position was closed"),
            pytest.param(
                {"USDC": {**PERPS, "total": "0", "available": "0"}},
                {"USDC": {**CLOSED, "total": "0", "available": "0", "equity": "0"}},
                ("USDC",),
                id="the equity is gone",
            ),
        ],
    )
    def test_it_is_the_money_that_is_suddenly_nothing(self, before, after, expected):
        one, two = snapshot(before), snapshot(after)

        assert suspects(one, two, diff(one, two)) == expected

    def test_the_first_reading_ever_is_taken_at_its_word(self):
        assert isinstance(decided(Record("hot-usdt"), answer({"USDT": "0"})), Commit)

    def test_what_was_missing_before_may_go_on_being_missing(self):
        one = Watched(RULES)
        one.see(answer({"USDT": "100"}), NOON)
        one.see(EMPTY, NOON + minutes(1))

        assert isinstance(decided(one.record, EMPTY), Commit)

    def test_an_answer_that_was_overtaken_says_nothing_new(self):
        record = known({"USDT": "100"})
        record = replace(record, snapshot=replace(record.snapshot, as_of=NOON))

        assert isinstance(decided(record, answer(snapshot({"USDT": "0"}, as_of=NOON - seconds(1)))), Commit)


class TestDeciding:
    @pytest.mark.parametrize("reading", [answer({"USDT": "0"}), DROPPED, EMPTY], ids=["zero", "dropped", "gone"])
    def test_it_asks_for_a_second_reading_and_then_judges_that(self, reading):
        record = known({"USDT": "100"})

        first = decided(record, reading)
        second = decided(record, reading, doubts=first.doubts)

        assert isinstance(first, Confirm)
        assert first.doubts == {"USDT": NOON + minutes(1)}
        assert first.why.startswith("USDT is suddenly ")
        assert isinstance(second, Commit)
        assert second.record.doubts == {}

    def test_what_only_the_second_reading_says_is_not_known(self):
        """A provider that drops one row after the other is not believed in pieces."""
        record = known(BOTH)
        first = decided(record, answer({"USDT": "0", "BTC": "2"}))

        commit = decided(record, answer({"USDT": "0", "BTC": "0"}), doubts=first.doubts)

        assert [(event.asset, event.amount) for event in commit.events] == [("USDT", 100)]
        assert commit.record.snapshot.of("BTC", "total") == 2
        assert commit.record.snapshot.missing == ("BTC",)
        assert commit.record.snapshot.why == "not confirmed: BTC"
        assert commit.record.doubts == {"BTC": NOON + minutes(1)}

    def test_a_zero_that_could_not_be_read_again_is_doubted_for_seconds_only(self):
        record, at = known({"USDT": "100"}), NOON + minutes(1)
        failed = decided(record, outage(at), doubts=decided(record, answer({"USDT": "0"})).doubts)

        soon = decided(failed.record, answer({"USDT": "0"}), at=at + DOUBTED_FOR - seconds(1))
        later = decided(failed.record, answer({"USDT": "0"}), at=at + DOUBTED_FOR)

        assert failed.record.doubts == {"USDT": at}
        assert soon.doubts == {"USDT": at}
        assert [row.entry.rule for row in later.rows] == ["Low", "Out"]
        assert later.record.doubts == {}

    def test_a_doubt_ends_with_the_reading_that_shows_the_money(self):
        record = replace(known({"USDT": "100"}), doubts={"USDT": NOON})

        assert decided(record, answer({"USDT": "90"})).record.doubts == {}

    def test_a_doubt_of_a_clock_that_was_ahead_does_not_last_until_it_has_caught_up(self):
        record = replace(known({"USDT": "100"}), doubts={"USDT": NOON + minutes(60)})

        assert decided(record, answer({"USDT": "0"})).doubts == {"USDT": NOON + minutes(1)}


class TestCase18SuddenZero:
    @pytest.mark.parametrize("nothing", ["0", DROPPED, EMPTY], ids=["zero", "dropped", "gone"])
    @virtual_time
    async def test_case_18_a_false_zero_is_not_told(self, nothing):
        async with scene("100", nothing, "100", rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            with capture_logs() as logs:
                polled = await it.poll()

            assert await it.told() == []
            assert (await it.record()).snapshot.of("USDT", "total") == 100

        assert (polled.doubt, polled.read_at - polled.started_at) == ("refuted", PAUSE)
        assert [(line["event"], line["log_level"]) for line in logs] == [
            ("reading.doubted", "info"),
            ("reading.not_confirmed", "warning"),
        ]

    @pytest.mark.parametrize("nothing", ["0", DROPPED], ids=["zero", "dropped"])
    @virtual_time
    async def test_case_18_a_real_drain_is_told_after_seconds_not_after_an_interval(self, nothing):
        async with scene("100", nothing, rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            polled = await it.poll()

        assert polled.doubt == "confirmed"
        assert rows(polled) == [("Low", "firing"), ("Out", "event")]
        assert polled.committed_at - polled.started_at == PAUSE
        assert polled.next_at == polled.started_at + minutes(1), "in its rhythm"

    @virtual_time
    async def test_case_18_assets_that_vanish_all_at_once_are_asked_for_again_and_are_unknown_then(self):
        async with scene(BOTH, EMPTY, EMPTY, EMPTY, BOTH, rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            gone = await it.poll()
            await asyncio.sleep(60)
            still_gone = await it.poll()
            await asyncio.sleep(60)
            back = await it.poll()

            assert len(it.bank.asked) == 5, "once more, and not at every poll from then on"
            assert [rows(polled) for polled in (gone, still_gone, back)] == [[], [], []]
            assert (await it.record()).snapshot.of("BTC", "total") == 2

    @virtual_time
    async def test_case_18_the_second_reading_is_judged_whatever_it_says(self):
        async with scene("100", "0", "40", rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            polled = await it.poll()

        assert polled.doubt == "refuted"
        assert [(row.entry.rule, row.entry.value) for row in polled.commit.rows] == [("Low", 40), ("Out", 60)]

    @virtual_time
    async def test_case_18_no_account_waits_longer_than_its_interval(self):
        async with scene("100", "0", rules=RULES, hot=account(interval=seconds(0.5))) as it:
            await it.poll()
            await asyncio.sleep(0.5)
            polled = await it.poll()

        assert polled.committed_at - polled.started_at == seconds(0.5)

    @virtual_time
    async def test_a_decision_that_is_taken_again_does_not_read_a_third_time(self):
        async with scene("100", "0", rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            commit, answers = it.store.commit, []

            async def acknowledged_meanwhile(*args):
                if not answers:
                    await it.store._calls.command("HSET", it.store.partition("hot-usdt").record("hot-usdt"), "v", "77")
                answers.append(await commit(*args))
                return answers[-1]

            it.store.commit = acknowledged_meanwhile
            polled = await it.poll()

        assert answers == ["moved", "written"]
        assert len(it.bank.asked) == 3
        assert rows(polled) == [("Low", "firing"), ("Out", "event")]


class TestWhenTheSecondReadingFails:
    @virtual_time
    async def test_case_18_nothing_is_known_and_the_account_is_due_again_within_seconds(self):
        async with scene("100", "0", ProviderUnreachable("down"), "0", rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            failed = await it.poll()

            assert (failed.doubt, rows(failed)) == ("failed", [])
            assert (await it.record()).outage.why == "down"
            assert (await it.record()).snapshot.of("USDT", "total") == 100
            assert failed.next_at == loop_clock() + PAUSE

            await asyncio.sleep(PAUSE.total_seconds())
            again = await it.poll()

        assert again.doubt == "confirmed"
        assert rows(again) == [("Low", "firing"), ("Out", "event")]
        assert again.next_at == NOON + minutes(2), "in its rhythm again"

    @virtual_time
    async def test_case_18_a_drain_is_told_also_where_every_second_request_fails(self):
        down = ProviderUnreachable("down")
        async with scene("100", *["0", down] * 10, rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            begun = loop_clock()
            for _ in range(10):
                if rows(polled := await it.poll()):
                    break
                await asyncio.sleep((polled.next_at - loop_clock()).total_seconds())

            assert loop_clock() - begun <= DOUBTED_FOR + PAUSE * 2
            assert rows(polled) == [("Low", "firing"), ("Out", "event")]

    @virtual_time
    async def test_case_18_a_drain_is_told_also_where_the_quota_allows_no_second_reading(self):
        spent = ProviderThrottled("the quota is spent", minutes(1))
        async with scene("100", *["0", spent] * 2, rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            failed = await it.poll()
            await asyncio.sleep(60)
            told = await it.poll()

        assert (rows(failed), rows(told)) == ([], [("Low", "firing"), ("Out", "event")])

    @virtual_time
    async def test_an_outage_that_goes_on_is_polled_in_the_accounts_rhythm(self):
        async with scene("100", "0", ProviderUnreachable("down"), rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            waits = []
            for _ in range(8):
                polled = await it.poll()
                waits.append(polled.next_at - polled.read_at)
                await asyncio.sleep(waits[-1].total_seconds())

        assert waits[0] == PAUSE
        assert waits[-1] == minutes(1)
        assert waits == sorted(waits)

    @virtual_time
    async def test_case_18_an_account_that_is_polled_once_a_day_is_not_in_doubt_until_tomorrow(self):
        """The zero is seen, and then the provider is away for an hour."""
        daily = replace(HOT, interval=timedelta(days=1))
        down = [ProviderUnreachable("down")] * 40
        async with scene("100", "0", *down, "0", rules=RULES, hot=daily) as it:
            await it.poll()
            await asyncio.sleep(timedelta(days=1).total_seconds())
            begun = loop_clock()
            while not rows(polled := await it.poll()):
                await asyncio.sleep((polled.next_at - loop_clock()).total_seconds())
            took = loop_clock() - begun

        assert minutes(30) < took < minutes(45), "once a minute, until somebody knows"
        assert rows(polled) == [("Low", "firing"), ("Out", "event")]
        assert polled.next_at - polled.read_at > minutes(60), "in its rhythm again"

    @virtual_time
    async def test_case_15_a_refusal_slows_down_also_then(self):
        async with scene("100", "0", ProviderRefused("401", "credentials")) as it:
            await it.poll()
            for _ in range(5):
                await asyncio.sleep(60)
                await it.poll()
            assert len(it.bank.asked) == 3
            await asyncio.sleep(60)
            await it.poll()

        assert len(it.bank.asked) == 4

    @virtual_time
    async def test_a_slow_provider_is_read_twice_within_one_lease(self):
        async def slow(_):
            await asyncio.sleep(39)
            return answer({"USDT": "0"})

        async with scene("100", slow, timeout=40, rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            claim = await it.claim()
            polled = await it.poll(claim)

        assert (polled.result, polled.doubt) == ("written", "confirmed")
        assert polled.committed_at < NOON + minutes(1) + it.polling.lease

    @virtual_time
    async def test_whoever_cancels_a_poll_between_its_two_readings_is_obeyed(self):
        async with scene("100", "0", rules=RULES) as it:
            await it.poll()
            await asyncio.sleep(60)
            before = await it.record()
            task = asyncio.ensure_future(it.poll())
            await asyncio.sleep(PAUSE.total_seconds() / 2)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert await it.record() == before


class TestCase34:
    def test_case_34_a_closed_position_is_a_value_and_neither_doubted_nor_told(self):
        margin = rule("high_balance", alert="Margin", measure="margin_used", above=50)
        equity = rule("low_balance", alert="Equity", measure="equity", below=90)
        record = known({"USDC": PERPS})

        opened = decided(record, answer({"USDC": PERPS}), rules=(margin, equity))
        closed = decided(replace(opened.record, version=8), answer({"USDC": CLOSED}), rules=(margin, equity))

        assert [(row.entry.rule, row.news) for row in opened.rows] == [("Margin", "firing")]
        assert [(row.entry.rule, row.news, row.entry.reason) for row in closed.rows] == [
            ("Margin", "resolved", "recovered")
        ]

    def test_case_34_a_liquidation_that_leaves_nothing_is_read_twice_and_told_with_its_event(self):
        """The event stands by itself: the second reading tells it as the first one would have."""
        gone = {"USDC": dict.fromkeys(PERPS, "0")}
        liquidated = Watched((rule("liquidation", alert="Liquidated"), rule("low_balance", alert="Equity", below=90)))
        liquidated.see(answer({"USDC": PERPS}, events=()), NOON)
        row = event(kind="market_liquidation", direction=None, asset="USDC")
        liquidated.see(answer({"USDC": gone["USDC"]}, events=(row,)), NOON + minutes(1))

        assert {(entry.rule, news) for _, news, entry in liquidated.told} == {
            ("Liquidated", "event"),
            ("Equity", "firing"),
        }


AMOUNTS = st.lists(st.sampled_from(["100", "70", "45", "10", "0", "error"]), min_size=1, max_size=12)
EVERYTHING = (
    LOW,
    OUT,
    rule("low_balance", alert="Slowly", below=50, resolve_above=80, for_="2m", keep_firing_for="1m"),
    rule("balance_change", alert="Fell", falls_by="50%", within="5m"),
    rule("large_outflow", alert="Drained", above=60, within="5m"),
)


class TestInvariant:
    @given(AMOUNTS, st.data())
    def test_a_false_zero_that_nothing_confirms_changes_no_notification(self, series, data):
        """Wherever the first reading of a poll is nothing instead of the truth, the same is told under the same ids."""
        lies = data.draw(st.lists(st.sampled_from(["", "0", "gone"]), min_size=len(series), max_size=len(series)))
        honest, lied_to = Watched(EVERYTHING), Watched(EVERYTHING)
        for place, (word, lie) in enumerate(zip(series, lies, strict=True)):
            now = NOON + minutes(place)
            truth = outage(now) if word == "error" else answer({"USDT": word}, at=now)
            honest.see(truth, now)
            lied_to.see(truth, now, self.doubts_about(lied_to, lie, now))

        assert lied_to.told == honest.told

    def doubts_about(self, watched, lie, now):
        """What is doubted of a first reading that is nothing; two in a row that nothing contradicts are no lie."""
        money = watched.record.snapshot and watched.record.snapshot.of("USDT", "total")
        if not lie or not money or watched.record.doubts:
            return {}
        false = answer({"USDT": "0"} if lie == "0" else snapshot({}, missing=("USDT",)), at=now)
        doubted = decide(watched.record, false, HOT, EVERYTHING, policy(), now, tuple(watched.stored))
        assert isinstance(doubted, Confirm)
        return doubted.doubts
