"""One provider's polls: rhythm, room, quota, and what goes wrong. Hours pass in no time."""

import asyncio
import itertools
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import fakeredis
import pytest
from structlog.testing import capture_logs

from monitor.engine.poll import Polling
from monitor.engine.poller import STORE_PAUSE, STRANGER_PAUSE, Poller
from monitor.engine.ports import Claims
from monitor.engine.refused import REFUSED_PAUSE
from monitor.engine.watch import Watch
from monitor.errors import ProviderRefused, ProviderThrottled, ProviderUnreachable, StoreUnavailable
from monitor.model.standing import Standing
from monitor.schedule import Every, next_due
from monitor.store.redis import RedisStore
from tests.builders import NOON, minutes, seconds
from tests.facts import account, answer, policy, rule
from tests.fakes import FakeLine, loop_clock, virtual_time

#: Timers of the loop are late by its resolution.
ABOUT = seconds(0.01)


@dataclass
class Bank:
    """Answers each account after its `delay`, or says its `word`: an error is raised."""

    delay: float = 0
    words: dict = field(default_factory=dict)
    delays: dict = field(default_factory=dict)
    cost: int = 1
    asked: list = field(default_factory=list)
    answered: list = field(default_factory=list)
    inside: int = 0
    most: int = 0

    async def poll(self, account, record, budget, now):
        await budget.spend(self.cost)
        self.asked.append((account.name, loop_clock()))
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await asyncio.sleep(self.delays.get(account.name, self.delay))
        finally:
            self.inside -= 1
        word = self.words.get(account.name, self.words.get("*", "100"))
        if isinstance(word, BaseException):
            raise word
        self.answered.append(account.name)
        return answer({"USDT": word}, at=now)

    def times(self, name):
        return [at for asked, at in self.asked if asked == name]


async def new_store(server):
    store = RedisStore(FakeLine(server))
    await store.open(4)
    store.clock_override = loop_clock
    return store


@dataclass
class Office:
    """Pollers of one store, and what they observed."""

    store: RedisStore
    observed: list = field(default_factory=list)
    pollers: list = field(default_factory=list)
    running: list = field(default_factory=list)

    async def hire(self, bank, *accounts, provider="casino", room=20, windows=(), timeout=10, rules=(), **more):
        watch = Watch(policy(), rules, lambda one, now: next_due(Every(one.interval, 0), one.name, now))
        store, name = more.pop("store", self.store), f"configuration-{len(self.pollers)}"
        poller = Poller(
            Polling(provider, bank, seconds(timeout), store, watch, loop_clock, standing=Standing(name=name)),
            {one.name: one for one in accounts},
            concurrency=room,
            windows=windows,
            cost=more.pop("cost", 1),
            observe=lambda one, claim, polled: self.observed.append((one.name, polled)),
            moved=lambda: None,
            follow=lambda now: None,
            claimed=more.pop("claimed", lambda took: None),
        )
        await store.enrol(provider, {one.name: loop_clock() for one in accounts})
        self.pollers.append(poller)
        self.running.append(asyncio.create_task(poller.run()))
        return poller

    def outages(self, name):
        return [p.reading.kind for who, p in self.observed if who == name and hasattr(p.reading, "kind")]


@asynccontextmanager
async def office():
    server = fakeredis.FakeServer()
    it = Office(await new_store(server))
    it.server = server
    yield it
    for poller in it.pollers:
        poller.stop()
    await asyncio.gather(*it.running)
    await it.store.close()


class Slow:
    """A store that takes its time to say what is due."""

    def __init__(self, store, delay):
        self.store, self.delay = store, delay

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def claim(self, *asked):
        await asyncio.sleep(self.delay)
        return await self.store.claim(*asked)


def accounts(count, **settings):
    return [account(f"acc-{number}", **settings) for number in range(count)]


class TestRhythm:
    @pytest.mark.parametrize(
        ("interval", "count"), [(timedelta(milliseconds=100), 50), (seconds(1), 50), (minutes(1), 10)]
    )
    @virtual_time
    async def test_an_account_is_polled_each_interval_and_no_more(self, interval, count):
        bank = Bank()
        async with office() as it:
            await it.hire(bank, account(interval=interval))
            await asyncio.sleep(interval.total_seconds() * (count + 0.5))

        times = bank.times("hot-usdt")
        assert len(times) == count + 1
        assert all(abs(later - earlier - interval) <= ABOUT for earlier, later in itertools.pairwise(times))

    @virtual_time
    async def test_a_poll_that_takes_longer_than_the_interval_is_not_made_up_for(self):
        bank = Bank(delay=2.5)
        async with office() as it:
            await it.hire(bank, account(interval=seconds(1)))
            await asyncio.sleep(30.1)

        assert all(
            abs(later - earlier - seconds(3)) <= ABOUT for earlier, later in itertools.pairwise(bank.times("hot-usdt"))
        )

    @virtual_time
    async def test_how_long_the_store_takes_to_say_what_is_due_is_measured(self):
        told = []
        async with office() as it:
            await it.hire(Bank(), account(interval=seconds(1)), store=Slow(it.store, 0.2), claimed=told.append)
            await asyncio.sleep(3.1)

        assert len(told) >= 3
        assert all(seconds(0.2) <= took < seconds(0.3) for took in told)

    @virtual_time
    async def test_poll_now_is_now(self):
        bank = Bank()
        async with office() as it:
            poller = await it.hire(bank, account(interval=minutes(10)))
            await asyncio.sleep(60.5)
            await it.store.poll_now("casino", "hot-usdt")
            poller.wake()
            await asyncio.sleep(0.01)

            assert len(bank.asked) == 2

    @virtual_time
    async def test_poll_now_in_another_process_is_found_within_two_seconds(self):
        bank = Bank()
        async with office() as it:
            await it.hire(bank, account(interval=minutes(10)))
            await asyncio.sleep(60.5)
            await (await new_store(it.server)).poll_now("casino", "hot-usdt")
            await asyncio.sleep(2.1)

            assert len(bank.asked) == 2


class TestRoom:
    @virtual_time
    async def test_no_more_are_polled_at_once_than_there_is_room_for_and_none_waits_for_long(self):
        bank = Bank(delay=1)
        async with office() as it:
            await it.hire(bank, *accounts(50), room=5)
            await asyncio.sleep(10.5)

            assert bank.most == 5
            assert len(bank.answered) == 50

    @virtual_time
    async def test_a_crowd_that_is_due_at_once_is_let_in_by_groups(self):
        """Beginning them all in one go would hold up everything else that the process does."""
        bank = Bank()
        async with office() as it:
            await it.hire(bank, *accounts(400), room=1_000)
            await asyncio.sleep(0.5)

            assert len(bank.answered) == 400
            assert max(Counter(at for _, at in bank.asked).values()) <= 50

    @virtual_time
    async def test_a_slow_account_delays_no_other(self):
        bank = Bank(delays={"acc-0": 9})
        async with office() as it:
            await it.hire(bank, *accounts(5, interval=seconds(1)), room=5)
            await asyncio.sleep(20.5)

        asked = Counter(name for name, _ in bank.asked)
        assert asked == {"acc-0": 3} | dict.fromkeys(["acc-1", "acc-2", "acc-3", "acc-4"], 21)

    @virtual_time
    async def test_a_slow_provider_delays_no_other(self):
        slow, quick = Bank(delay=9), Bank()
        async with office() as it:
            await it.hire(slow, *accounts(50, interval=seconds(1), provider="slow"), provider="slow", room=5)
            await it.hire(quick, account(interval=seconds(1)))
            await asyncio.sleep(20.5)

        assert len(quick.answered) == 21

    @virtual_time
    async def test_case_48_two_processes_share_the_accounts_and_each_is_polled_once_an_interval(self):
        one, two = Bank(delay=0.1), Bank(delay=0.1)
        async with office() as it:
            everybody = accounts(30, interval=seconds(10))
            await it.hire(one, *everybody, room=3)
            await it.hire(two, *everybody, room=3, store=await new_store(it.server))
            await asyncio.sleep(25)

        assert Counter(one.answered + two.answered) == dict.fromkeys([a.name for a in everybody], 3)
        assert min(len(one.answered), len(two.answered)) > 20

    @virtual_time
    async def test_what_a_dead_process_had_claimed_is_polled_when_its_lease_ends(self):
        bank = Bank()
        async with office() as it:
            await it.store.enrol("casino", {"hot-usdt": loop_clock()})
            dead = await it.store.claim("casino", 1, seconds(25))
            await it.hire(bank, account())
            await asyncio.sleep(26.5)

        assert [claim.account for claim in dead.claims] == ["hot-usdt"]
        assert bank.times("hot-usdt")[0] - NOON >= seconds(25)
        assert len(bank.answered) == 1


class TestQuota:
    @virtual_time
    async def test_never_more_is_asked_than_the_quota_allows_whoever_asks(self):
        banks = Bank(), Bank()
        async with office() as it:
            for bank, store in zip(banks, (it.store, await new_store(it.server)), strict=True):
                await it.hire(bank, *accounts(100, interval=seconds(1)), windows=((10, seconds(1)),), store=store)
            await asyncio.sleep(10)

        times = sorted(at for bank in banks for _, at in bank.asked)
        assert len(times) >= 90
        assert all(later - earlier >= seconds(1) for earlier, later in zip(times, times[10:], strict=False))

    @virtual_time
    async def test_who_has_nothing_to_poll_holds_no_quota_that_others_need(self):
        bank = Bank(cost=2)
        async with office() as it:
            idle = await new_store(it.server)

            async def nothing_due_and_slow_to_say_so(*_):
                await asyncio.sleep(0.5)
                return Claims(loop_clock(), (), None)

            idle.claim = nothing_due_and_slow_to_say_so
            await it.hire(Bank(), windows=((10, minutes(1)),), store=idle)
            await asyncio.sleep(0.2)
            await it.hire(bank, *accounts(4, interval=minutes(1)), windows=((10, minutes(1)),))
            await asyncio.sleep(30)

        assert len(bank.asked) == 4
        assert [it.outages(f"acc-{n}") for n in range(4)] == [[]] * 4

    @virtual_time
    async def test_what_the_quota_does_not_pay_for_is_left_to_who_can(self):
        bank = Bank()
        async with office() as it:
            await it.hire(bank, *accounts(5, interval=seconds(30)), windows=((2, seconds(4)),))
            await asyncio.sleep(29)

        assert sorted(at - NOON < seconds(3 * 4.5) for _, at in bank.asked) == [True] * 5
        assert [it.outages(f"acc-{n}") for n in range(5)] == [[]] * 5

    @virtual_time
    async def test_a_poll_that_costs_less_gives_the_rest_back(self):
        bank = Bank(cost=1)
        async with office() as it:
            await it.hire(bank, account(interval=seconds(5)), windows=((10, minutes(1)),), cost=5)
            await asyncio.sleep(24)

        assert len(bank.answered) == 5
        assert it.outages("hot-usdt") == []

    @virtual_time
    async def test_what_was_not_needed_is_still_there(self):
        bank = Bank()
        async with office() as it:
            await it.hire(bank, account(interval=seconds(10)), windows=((20, minutes(1)),), room=20)
            await asyncio.sleep(59)

        assert len(bank.answered) == 6
        assert it.outages("hot-usdt") == []

    @virtual_time
    async def test_case_16_a_429_stops_every_account_of_the_provider_and_staleness_is_judged(self):
        bank = Bank(words={"acc-0": ProviderThrottled("429", seconds(300))})
        async with office() as it:
            stale = rule("stale", after="3m")
            await it.hire(bank, *accounts(5, interval=seconds(30)), rules=(stale,), windows=((99, seconds(1)),))
            await asyncio.sleep(299)

            after = [name for name, at in bank.asked if at > NOON + seconds(5)]
            told = {name for name, polled in it.observed for row in polled.commit.rows if row.news == "firing"}
            assert after == []
            assert set(it.outages("acc-1")) == {"throttled"}
            assert told == {f"acc-{n}" for n in range(5)}

    @virtual_time
    async def test_it_goes_on_when_the_wait_is_over(self):
        bank = Bank(words={"acc-0": ProviderThrottled("429", seconds(60))})
        async with office() as it:
            await it.hire(bank, *accounts(2, interval=seconds(10)), windows=((99, seconds(1)),))
            await asyncio.sleep(1)
            bank.words.clear()
            await asyncio.sleep(75)

            assert "acc-0" in bank.answered
            assert it.outages("acc-1")[:1] == ["throttled"]
            assert not hasattr(it.observed[-1][1].reading, "kind")

    @virtual_time
    async def test_a_short_wait_is_a_pause_and_nobodys_outage(self):
        bank = Bank(words={"acc-0": ProviderThrottled("429", seconds(3))})
        async with office() as it:
            await it.hire(bank, *accounts(3, interval=seconds(1)), room=3)
            await asyncio.sleep(0.5)
            bank.words.clear()
            await asyncio.sleep(10)

        assert all(not NOON < at < NOON + seconds(3) for _, at in bank.asked)
        assert [it.outages(f"acc-{n}") for n in range(3)] == [["throttled"], [], []]

    @virtual_time
    async def test_other_providers_do_not_wait_with_it(self):
        throttled, free = Bank(words={"*": ProviderThrottled("429", seconds(300))}), Bank()
        async with office() as it:
            await it.hire(throttled, account("a", provider="slow"), provider="slow")
            await it.hire(free, account(interval=seconds(1)))
            await asyncio.sleep(10.5)

        assert len(free.answered) == 11

    @virtual_time
    async def test_a_reading_that_is_taken_again_is_paid_for_again(self):
        bank = Bank()
        async with office() as it:
            await it.hire(bank, account(interval=seconds(10)), windows=((3, minutes(60)),))
            await asyncio.sleep(9)
            bank.words["*"] = "0"
            await asyncio.sleep(30)

            assert len(bank.times("hot-usdt")) == 3
            assert [p.doubt for _, p in it.observed][:2] == [None, "confirmed"]
            assert it.outages("hot-usdt")[0] == "throttled"

    @virtual_time
    async def test_a_poll_that_costs_more_takes_the_rest_from_the_shared_quota(self):
        bank = Bank(cost=5)
        async with office() as it:
            await it.hire(bank, *accounts(4, interval=minutes(1)), windows=((10, minutes(1)),), cost=1)
            await asyncio.sleep(30)

        # Four were claimed for one each; one of them found the four more that it needed.
        assert len(bank.asked) == 1
        assert sum(len(it.outages(f"acc-{n}")) for n in range(4)) >= 3


class TestStrangers:
    @virtual_time
    async def test_two_configurations_keep_neither_from_what_only_it_has(self):
        """Both claim what the other one has; the older one also what the newer one has judged."""
        older, newer = Bank(), Bank()
        async with office() as it:
            often = {"interval": seconds(1)}
            await it.hire(older, account("hot", **often), account("mine", **often))
            theirs = await it.hire(
                newer, account("hot", **often), account("theirs", **often), store=await new_store(it.server)
            )
            theirs.polling.standing.generation = 2
            await asyncio.sleep(120)

        assert len(older.times("mine")) > 40
        assert len(newer.times("theirs")) > 40
        assert len(newer.times("hot")) > 40

    @virtual_time
    async def test_what_an_older_configuration_always_comes_to_first_is_soon_the_newest_ones(self):
        """Two that wait for one moment may come in the same order for ever."""
        first, later = Bank(), Bank()
        async with office() as it:
            one = account(interval=seconds(0.2))
            older = await it.hire(first, one)
            await it.hire(later, one, store=Slow(await new_store(it.server), 0.005))
            await asyncio.sleep(20.05)
            assert len(later.asked) < 5

            older.polling.standing.newest = False
            await asyncio.sleep(5)
            before = len(first.asked)
            await asyncio.sleep(20)

        assert len(first.asked) == before
        assert len(later.asked) > 100

    @virtual_time
    async def test_an_account_nobody_configured_here_is_left_to_who_did(self):
        ours, theirs = Bank(), Bank()
        async with office() as it:
            await it.hire(ours, account("known"))
            await it.store.enrol("casino", {"stranger": loop_clock()})
            await asyncio.sleep(3)
            claim, turns = it.store.claim, itertools.count()

            async def late_at_times(*args):
                await asyncio.sleep(0.001 * (next(turns) % 2))
                return await claim(*args)

            it.store.claim = late_at_times
            await it.hire(theirs, account("stranger"), store=await new_store(it.server))
            await asyncio.sleep(4 * STRANGER_PAUSE.total_seconds())

        assert {name for name, _ in ours.asked} == {"known"}
        assert theirs.answered[:1] == ["stranger"]

    @virtual_time
    async def test_it_costs_nothing_of_the_quota(self):
        bank = Bank()
        async with office() as it:
            await it.store.enrol("casino", dict.fromkeys((f"gone-{n}" for n in range(50)), loop_clock()))
            await it.hire(bank, account(interval=seconds(1)), windows=((2, seconds(1)),), room=20)
            await asyncio.sleep(60)

        assert len(bank.answered) >= 58


class TestTrouble:
    @virtual_time
    async def test_case_15_refused_credentials_slow_down(self):
        bank = Bank(words={"*": ProviderRefused("401", "credentials")})
        async with office() as it:
            await it.hire(bank, account(interval=seconds(1)))
            await asyncio.sleep(REFUSED_PAUSE.total_seconds() - 1)

            assert len(bank.asked) == 1
            await asyncio.sleep(2)
            assert len(bank.asked) == 2

    @pytest.mark.parametrize(
        ("wait", "told"),
        [
            pytest.param({}, 7, id="at once"),
            pytest.param({"for": "5s"}, 12, id="`for` counts too"),
        ],
    )
    @virtual_time
    async def test_case_15_what_is_refused_is_stale_as_soon_as_anything_else(self, wait, told):
        bank = Bank()
        async with office() as it:
            start = loop_clock()
            await it.hire(bank, account(interval=seconds(1)), rules=(rule("stale", after="6s", **wait),))
            await asyncio.sleep(0.5)
            bank.words["*"] = ProviderRefused("403", "credentials")
            await asyncio.sleep(REFUSED_PAUSE.total_seconds())

        assert [
            round((polled.read_at - start).total_seconds())
            for _, polled in it.observed
            for row in polled.commit.rows
            if row.news == "firing"
        ] == [told]
        assert len(bank.asked) == 2

    @virtual_time
    async def test_case_15_a_level_of_what_is_refused_fires_for_lack_of_data_when_it_is_stale(self):
        bank = Bank(words={"*": "500"})
        low = rule("low_balance", below=100, on_no_data="fire")
        async with office() as it:
            start = loop_clock()
            await it.hire(bank, account(interval=seconds(1), stale_after=seconds(3)), rules=(low,))
            await asyncio.sleep(0.5)
            bank.words["*"] = ProviderRefused("403", "credentials")
            await asyncio.sleep(30)

        news = [(round((p.read_at - start).total_seconds()), r.news) for _, p in it.observed for r in p.commit.rows]
        assert news == [(4, "firing")]
        assert len(bank.asked) == 2

    @virtual_time
    async def test_who_wants_a_poll_now_has_mended_the_credentials(self):
        bank = Bank(words={"*": ProviderRefused("401", "credentials")})
        async with office() as it:
            poller = await it.hire(bank, account(interval=seconds(30)))
            await asyncio.sleep(70)
            assert len(bank.asked) == 1

            bank.words.clear()
            await it.store.poll_now("casino", "hot-usdt")
            poller.wake()
            await asyncio.sleep(1)

        assert bank.answered == ["hot-usdt"]

    @virtual_time
    async def test_who_starts_anew_may_have_other_credentials(self):
        bank, mended = Bank(words={"*": ProviderRefused("401", "credentials")}), Bank()
        async with office() as it:
            old = await it.hire(bank, account(interval=seconds(1)))
            await asyncio.sleep(10)
            old.stop()
            await asyncio.sleep(1)
            await it.hire(mended, account(interval=seconds(1)))
            await asyncio.sleep(2)

        assert (len(bank.asked), mended.answered[:1]) == (1, ["hot-usdt"])

    @virtual_time
    async def test_while_nobody_is_asked_the_quota_is_others_and_no_news_of_the_provider_come(self):
        bank = Bank(words={"refused": ProviderRefused("401", "credentials")})
        async with office() as it:
            poller = await it.hire(
                bank,
                account("refused", interval=seconds(1)),
                account("good", interval=seconds(1)),
                windows=((70, minutes(1)),),
            )
            await asyncio.sleep(1.5)
            refused_at = poller._refused_at
            await asyncio.sleep(55)

        assert len(bank.times("good")) == 57
        assert poller._refused_at == refused_at

    @virtual_time
    async def test_a_bug_in_one_poll_is_logged_and_stops_no_other(self):
        bank = Bank()
        async with office() as it:
            load = it.store.load

            async def broken(name):
                if name == "acc-1":
                    raise ZeroDivisionError
                return await load(name)

            it.store.load = broken
            with capture_logs() as logs:
                await it.hire(bank, *accounts(3, interval=seconds(1)))
                await asyncio.sleep(5.5)

        assert Counter(bank.answered) == {"acc-0": 6, "acc-2": 6}
        assert [(line["event"], line["account"]) for line in logs] == [("poll.bug", "acc-1")]

    @virtual_time
    async def test_a_store_that_is_away_for_a_while_is_waited_for(self):
        bank = Bank()
        async with office() as it:
            claim, down = it.store.claim, [True]

            async def flaky(*args):
                if down:
                    raise StoreUnavailable("away")
                return await claim(*args)

            it.store.claim = flaky
            with capture_logs() as logs:
                await it.hire(bank, account(interval=seconds(1)))
                await asyncio.sleep(10)
                down.clear()
                await asyncio.sleep(STORE_PAUSE.total_seconds() + 0.1)

            assert bank.answered[:1] == ["hot-usdt"]
            assert 9 <= len(logs) <= 12

    @virtual_time
    async def test_a_commit_that_failed_is_polled_again_when_the_lease_ends(self):
        bank = Bank()
        async with office() as it:
            commit, down = it.store.commit, [True]

            async def flaky(*args):
                if down:
                    raise StoreUnavailable("away")
                return await commit(*args)

            it.store.commit = flaky
            poller = await it.hire(bank, account())
            await asyncio.sleep(1)
            down.clear()
            await asyncio.sleep(poller.polling.lease.total_seconds() + 1)

            assert len(bank.answered) == 2
            assert (await it.store.load("hot-usdt")).snapshot is not None


class TestReadingTwice:
    @virtual_time
    async def test_a_provider_that_says_zero_of_everybody_holds_up_nobody_and_is_asked_no_more_at_once(self):
        bank, all_of_them = Bank(delay=0.1), accounts(40, interval=minutes(60))
        async with office() as it:
            poller = await it.hire(bank, *all_of_them, room=2)
            await asyncio.sleep(300)
            bank.words["*"], begun = "0", loop_clock()
            for one in all_of_them:
                await it.store.poll_now("casino", one.name)
            poller.wake()
            await asyncio.sleep(60)

            assert [p.doubt for _, p in it.observed] == [None] * 40 + ["confirmed"] * 40
            # 80 readings, two at a time; had every poll kept its place while it waited, they would take 44 s.
            assert it.observed[-1][1].committed_at - begun < seconds(8)
            assert bank.most == 2


class TestStopping:
    @virtual_time
    async def test_case_49_what_is_in_flight_is_finished_and_nothing_is_begun(self):
        bank = Bank(delay=3)
        async with office() as it:
            poller = await it.hire(bank, *accounts(10), room=4)
            await asyncio.sleep(1)
            poller.stop()
            await it.running[0]

            assert loop_clock() - NOON - seconds(3) <= ABOUT
            assert len(bank.asked) == 4
            assert [p.result for _, p in it.observed] == ["written"] * 4

    @virtual_time
    async def test_case_49_a_poll_between_its_two_readings_is_finished_too(self):
        bank = Bank()
        async with office() as it:
            poller = await it.hire(bank, account())
            await asyncio.sleep(59)
            bank.words["*"] = "0"
            await asyncio.sleep(2)
            poller.stop()
            await it.running[0]

            assert [(p.doubt, p.result) for _, p in it.observed] == [(None, "written"), ("confirmed", "written")]

    @virtual_time
    async def test_one_that_is_abandoned_between_its_two_readings_commits_nothing(self):
        bank = Bank()
        async with office() as it:
            poller = await it.hire(bank, account())
            await asyncio.sleep(59)
            bank.words["*"] = "0"
            await asyncio.sleep(2)
            before = loop_clock()
            await poller.abandon()

            assert loop_clock() - before <= ABOUT
            assert (await it.store.load("hot-usdt")).snapshot.of("USDT", "total") == 100

    @virtual_time
    async def test_an_idle_poller_stops_at_once(self):
        async with office() as it:
            poller = await it.hire(Bank(), account())
            await asyncio.sleep(5)
            poller.stop()
            before = loop_clock()
            await it.running[0]

            assert loop_clock() - before <= ABOUT


class TestHealth:
    """What many polls show of a provider as a whole, noted about once a second."""

    @staticmethod
    async def noted(it, poller):
        await poller.note()
        return await it.store.health("casino")

    @virtual_time
    async def test_good_polls_and_failures_are_merged(self):
        bank = Bank()
        async with office() as it:
            poller = await it.hire(bank, account(interval=seconds(10)))
            await asyncio.sleep(1)
            good = await self.noted(it, poller)
            bank.words["*"] = ProviderUnreachable("timed out")
            await asyncio.sleep(10)
            down = await self.noted(it, poller)

        assert (good.good_at, good.failing_since) == (NOON, None)
        assert abs(down.failing_since - NOON - seconds(10)) <= ABOUT
        assert down.why == "timed out"

    @virtual_time
    async def test_what_the_store_did_not_take_is_told_with_the_next_note(self):
        bank = Bank(words={"*": ProviderRefused("401", "credentials")})
        async with office() as it:
            poller = await it.hire(bank, account(interval=seconds(10)))
            await asyncio.sleep(1)
            note = it.store.note

            async def away(*_):
                raise StoreUnavailable("away")

            it.store.note = away
            with pytest.raises(StoreUnavailable):
                await poller.note()
            it.store.note = note
            health = await self.noted(it, poller)

        assert (health.refused_at, health.why) == (NOON, "401")

    @virtual_time
    async def test_a_failure_after_the_last_good_poll_counts_though_both_are_in_one_note(self):
        bank = Bank(words={"*": ProviderUnreachable("a")})
        async with office() as it:
            poller = await it.hire(bank, account(interval=seconds(10)))
            await asyncio.sleep(5)
            for word in ("100", ProviderUnreachable("b")):
                bank.words["*"] = word
                await asyncio.sleep(10)
            health = await self.noted(it, poller)

        assert abs(health.good_at - NOON - seconds(10)) <= ABOUT
        assert abs(health.failing_since - NOON - seconds(20)) <= ABOUT

    @virtual_time
    async def test_one_accounts_refusal_is_no_failure_of_the_provider(self):
        bank = Bank(words={"*": ProviderRefused("no such wallet", "account")})
        async with office() as it:
            poller = await it.hire(bank, account(interval=seconds(1)))
            await asyncio.sleep(9)
            health = await self.noted(it, poller)

        assert (health.failing_since, health.refused_at) == (None, None)

    @virtual_time
    async def test_refused_credentials_are_the_providers(self):
        bank = Bank(words={"*": ProviderRefused("401", "credentials")})
        async with office() as it:
            poller = await it.hire(bank, account())
            await asyncio.sleep(1)
            health = await self.noted(it, poller)

        assert (health.refused_at, health.why) == (NOON, "401")

    @virtual_time
    async def test_nobody_is_noted_as_failing_before_it_is_known_whose_doing_it_is(self):
        async with office() as it:
            poller = await it.hire(Bank(words={"*": ProviderUnreachable("timed out")}), account())
            said = {"blame": "unsure"}
            poller.blame = lambda: said["blame"]
            await asyncio.sleep(61)
            unsure = await self.noted(it, poller)
            said["blame"] = "theirs"
            theirs = await self.noted(it, poller)

        assert unsure.failing_since is None
        assert theirs.failing_since == NOON, "since it failed first"

    @virtual_time
    async def test_what_was_our_own_doing_is_never_noted(self):
        async with office() as it:
            poller = await it.hire(Bank(words={"*": ProviderUnreachable("timed out")}), account())
            said = {"blame": "ours"}
            poller.blame = lambda: said["blame"]
            await asyncio.sleep(1)
            await poller.note()
            said["blame"] = "theirs"
            ours = await self.noted(it, poller)
            await asyncio.sleep(60)
            later = await self.noted(it, poller)

        assert (ours.failing_since, ours.noted_at) == (None, None)
        assert later.failing_since >= NOON + minutes(0.9), "what fails from then on"

    @virtual_time
    async def test_nothing_new_is_noted_once(self):
        async with office() as it:
            poller = await it.hire(Bank(), account(interval=minutes(5)))
            await asyncio.sleep(1)
            await poller.note()
            await asyncio.sleep(60)

            assert (await self.noted(it, poller)).noted_at == NOON


@virtual_time
async def test_what_a_newer_configuration_has_judged_is_left_to_it_at_once():
    async with office() as it:
        older, newer = Bank(), Bank()
        await it.hire(older, account("hot", interval=seconds(1)))
        await asyncio.sleep(5)
        theirs = await it.hire(newer, account("hot", interval=seconds(1)))
        theirs.polling.standing.generation = 2
        await asyncio.sleep(60)
        before, refused = len(older.times("hot")), []
        leave_to = it.pollers[0].polling.store.pass_on
        it.pollers[0].polling.store.pass_on = lambda *given: (refused.append(given), leave_to(*given))[1]
        await asyncio.sleep(120)

        assert len(older.times("hot")) == before
        gaps = [later - earlier for earlier, later in itertools.pairwise(newer.times("hot")[-60:])]
        assert max(gaps) <= seconds(3), "it is not kept from whoever has the newer one"
        assert it.pollers[0].polling.standing.met == 2
        assert len(refused) <= 120 / STRANGER_PAUSE.total_seconds()
