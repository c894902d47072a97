"""Accounts read anew for whoever waits: first in line, one call for all, and never at the schedule's expense."""

import asyncio
from collections import Counter

import pytest

from monitor.engine.lane import Lane
from monitor.engine.refresher import FOLD, TRY_AGAIN, Refresher
from monitor.errors import ProviderRefused, ProviderThrottled, ProviderUnreachable, StoreUnavailable
from monitor.model.record import Answer
from tests.builders import minutes, seconds
from tests.engine.test_poller import Bank, accounts, new_store, office
from tests.facts import account
from tests.fakes import loop_clock, virtual_time

IN_TIME = seconds(0.3)
HOT = account(interval=minutes(10))


class Desk:
    """A process that polls (or only asks), with a refresher of its own. `seen` is what the guard's feed would say."""

    def __init__(self, it, store, windows=(), seen=None):
        self.it, self.store, self.seen = it, store, {} if seen is None else seen
        self.calls, self.pollers, self.told = Counter(), {}, []
        lanes = {"casino": Lane.of(self, "casino", windows, 1)}
        self.refresher = Refresher(self, lanes, self.wake, loop_clock)

    def __getattr__(self, name):
        self.calls[name] += 1
        return getattr(self.store, name)

    async def seen_at(self, name):
        return self.seen.get(name), loop_clock()

    def wake(self, provider):
        if provider in self.pollers:
            self.pollers[provider].wake()

    def observe(self, one, claim, polled):
        if isinstance(polled.reading, Answer):
            self.seen[one.name] = claim.claimed_at
        self.refresher.observe(one, claim, polled)

    async def poll(self, bank, *them, windows=(), **more):
        poller = await self.it.hire(bank, *them, windows=windows, store=self.store, **more)
        heard = poller.observe
        poller.observe = lambda *what: (heard(*what), self.observe(*what))
        poller.lane = Lane.of(self.store, "casino", windows, 1)
        self.pollers["casino"] = poller
        return poller

    def soon(self, one):
        self.refresher.soon(one, self.told.append)

    async def now(self, one=HOT, within=IN_TIME, **more):
        return await self.refresher.now(one, within, **more)


async def polled_once(it, bank, *them, windows=(), **more):
    """A process whose accounts have had their first poll."""
    desk = Desk(it, it.store, windows)
    await desk.poll(bank, *(them or (HOT,)), windows=windows, **more)
    await asyncio.sleep(5.5)
    return desk


class TestNow:
    @virtual_time
    async def test_an_account_is_read_at_once(self):
        bank = Bank(delay=0.1)
        async with office() as it:
            desk = await polled_once(it, bank)
            began = loop_clock()

            assert await desk.now() == "read"
            assert loop_clock() - began < seconds(0.15)
            assert len(bank.asked) == 2

    @virtual_time
    async def test_a_reading_that_began_before_the_call_does_not_count(self):
        bank = Bank(delay=0.1)
        async with office() as it:
            desk = await polled_once(it, bank)
            first = asyncio.create_task(desk.now())
            await asyncio.sleep(0.05)
            began = loop_clock()
            second = asyncio.create_task(desk.now())

            assert [await first, await second] == ["read", "read"]
            assert len(bank.asked) == 3
            assert bank.asked[-1][1] >= began

    @virtual_time
    async def test_whoever_takes_an_older_reading_joins_the_poll_under_way(self):
        bank = Bank(delay=0.1)
        async with office() as it:
            desk = await polled_once(it, bank)
            first = asyncio.create_task(desk.now())
            await asyncio.sleep(0.05)

            assert await desk.now(since=loop_clock() - minutes(1) / 60) == "read"
            assert await first == "read"
            assert len(bank.asked) == 2

    @pytest.mark.parametrize("join", [False, True])
    @virtual_time
    async def test_a_thousand_callers_at_once_cause_one_poll(self, join):
        bank = Bank(delay=0.1)
        async with office() as it:
            desk = await polled_once(it, bank, windows=((10, seconds(1)),))
            since = loop_clock() - seconds(1) if join else None

            outcomes = await asyncio.gather(*(desk.now(since=since) for _ in range(1_000)))

            assert set(outcomes) == {"read"}
            assert len(bank.asked) == 2

    @virtual_time
    async def test_an_answer_that_takes_too_long_is_late_and_nobody_waits_for_it_any_more(self):
        bank = Bank(delay=0.5)
        async with office() as it:
            desk = await polled_once(it, bank)
            began = loop_clock()

            assert await desk.now() == "late"
            assert loop_clock() - began <= IN_TIME + seconds(0.01)
            await asyncio.sleep(1)
            assert not desk.refresher._waiting
            assert not desk.refresher._tasks

    @virtual_time
    async def test_a_poll_that_fails_is_told_at_once(self):
        bank = Bank(delay=0.05)
        async with office() as it:
            desk = await polled_once(it, bank)
            bank.words["*"] = ProviderUnreachable("down")
            began = loop_clock()

            assert await desk.now(within=seconds(5)) == "failing"
            assert loop_clock() - began < seconds(0.1)

    @virtual_time
    async def test_what_another_process_polls_is_seen_in_the_store(self):
        bank = Bank(delay=0.1)
        async with office() as it:
            theirs = await polled_once(it, bank)
            ours = Desk(it, await new_store(it.server), seen=theirs.seen)
            ours.wake = theirs.wake
            ours.refresher.wake = theirs.wake

            assert await ours.now() == "read"
            assert len(bank.asked) == 2

    @virtual_time
    async def test_two_processes_that_want_it_at_once_cause_one_poll_and_pay_once(self):
        bank, quota = Bank(delay=0.1), ((5, minutes(1)),)
        async with office() as it:
            ours = await polled_once(it, bank, windows=quota)
            theirs = Desk(it, await new_store(it.server), quota, seen=ours.seen)
            theirs.refresher.wake = ours.wake

            assert await asyncio.gather(ours.now(), theirs.now()) == ["read", "read"]
            assert len(bank.asked) == 2
            lane = ours.refresher.lanes["casino"]
            assert [await lane.take() for _ in range(4)] == [True, True, True, False]

    @virtual_time
    async def test_without_a_store_it_is_said(self):
        async with office() as it:
            desk = await polled_once(it, Bank())

            async def gone(*_, **__):
                raise StoreUnavailable("gone")

            desk.poll_first = gone
            with pytest.raises(StoreUnavailable):
                await desk.now()

    @virtual_time
    async def test_a_provider_that_is_not_configured_is_not_asked(self):
        async with office() as it:
            assert await Desk(it, it.store).now(account(provider="gone")) == "failing"


class TestLeftAlone:
    @virtual_time
    async def test_a_provider_that_fails_is_tried_for_those_who_wait_once_in_a_while(self):
        bank = Bank(words={"*": ProviderUnreachable("down")})
        async with office() as it:
            desk = await polled_once(it, bank)
            await desk.pollers["casino"].note()
            outcomes = []
            for _ in range(100):
                outcomes.append(await desk.now(within=seconds(0.1)))
                await asyncio.sleep(0.1)

            assert set(outcomes) == {"failing"}
            assert 2 <= len(bank.asked) - 1 <= 10 / TRY_AGAIN.total_seconds() + 2

    @virtual_time
    async def test_of_refused_credentials_nobody_makes_another_call(self):
        bank = Bank(words={"*": ProviderRefused("key", "credentials")})
        async with office() as it:
            desk = await polled_once(it, bank)
            await desk.pollers["casino"].note()
            for _ in range(100):
                assert await desk.now() == "failing"
                desk.soon(HOT)
                await asyncio.sleep(1)

            assert len(bank.asked) == 1
            assert set(desk.told) == {"failing"}

    @virtual_time
    @pytest.mark.parametrize("why", [ProviderUnreachable("HTTP 500"), ProviderRefused("not yours", "credentials")])
    async def test_a_wallet_that_its_provider_chokes_on_shuts_nobody_else_out(self, why):
        bank, odd = Bank(words={"odd": why}), account("odd", interval=minutes(10))
        async with office() as it:
            desk = await polled_once(it, bank, HOT)
            [poller] = desk.pollers.values()
            poller.accounts |= {odd.name: odd}
            await it.store.enrol("casino", {odd.name: loop_clock()})
            poller.wake()
            await asyncio.sleep(0.5)
            await poller.note()

            assert await desk.now(odd) == "failing"
            assert await desk.now() == "read"

    @virtual_time
    async def test_an_account_that_has_just_failed_is_left_alone_for_a_moment(self):
        bank = Bank(words={"hot-usdt": ProviderRefused("no such wallet", "account")})
        async with office() as it:
            desk = await polled_once(it, bank)
            for _ in range(50):
                assert await desk.now() == "failing"
                await asyncio.sleep(0.1)

            assert len(bank.asked) <= 1 + 5 + 1

    @virtual_time
    async def test_a_provider_that_wants_to_be_left_alone_is(self):
        bank = Bank(words={"*": ProviderThrottled("slow down", seconds(30))})
        async with office() as it:
            desk = await polled_once(it, bank)

            outcomes = [await desk.now(within=seconds(0.1)) for _ in range(20)]

            assert set(outcomes) <= {"spent", "failing"}
            assert len(bank.asked) == 1


class TestSoon:
    @virtual_time
    async def test_it_is_read_in_the_background_however_often_that_is_wished(self):
        bank = Bank(delay=0.2)
        async with office() as it:
            desk = await polled_once(it, bank)
            for _ in range(100):
                desk.soon(HOT)
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.5)

            assert len(bank.asked) == 2
            assert desk.told == ["asked"]

    @virtual_time
    async def test_it_is_read_again_no_sooner_than_a_second_later(self):
        bank = Bank()
        async with office() as it:
            desk = await polled_once(it, bank)
            for _ in range(1_000):
                desk.soon(HOT)
                await asyncio.sleep(0.01)

            assert 9 <= len(bank.asked) - 1 <= 11
            assert seconds(1) == FOLD

    @virtual_time
    async def test_a_poll_under_way_is_enough(self):
        bank = Bank(delay=4)
        async with office() as it:
            desk = Desk(it, it.store)
            await desk.poll(bank, HOT)
            await asyncio.sleep(1)
            for _ in range(3):
                desk.soon(HOT)
                await asyncio.sleep(1.1)
            await asyncio.sleep(3)

            assert len(bank.asked) == 1

    @virtual_time
    async def test_only_half_the_lane_is_for_those_whom_nobody_waits_for(self):
        bank, many = Bank(), accounts(20, interval=minutes(10))
        async with office() as it:
            desk = await polled_once(it, bank, *many, windows=((20, minutes(1)),))
            await asyncio.sleep(60)
            for one in many:
                desk.soon(one)
            await asyncio.sleep(1)

            assert len(bank.asked) == 20 + 8
            assert Counter(desk.told) == {"asked": 8, "spent": 12}
            assert await desk.now(many[-1]) == "read"

    @virtual_time
    async def test_a_store_that_is_away_is_nobodys_trouble(self):
        async with office() as it:
            desk = await polled_once(it, Bank())

            async def gone(*_, **__):
                raise StoreUnavailable("gone")

            desk.health = gone
            desk.soon(HOT)
            await asyncio.sleep(0.1)

            assert not desk.refresher._tasks


class TestStorm:
    @virtual_time
    async def test_a_storm_of_refreshes_leaves_the_schedule_its_fifth(self):
        """The schedule alone wants four times what the quota allows, and so do a thousand players."""
        bank, quota = Bank(delay=0.05), ((10, seconds(1)),)
        routine = [account(f"house-{number}", interval=seconds(1)) for number in range(40)]
        players = [account(f"player-{number}", interval=minutes(600)) for number in range(1_000)]
        async with office() as it:
            desk = Desk(it, it.store, quota)
            await desk.poll(bank, *routine, *players, windows=quota)
            await it.store.enrol("casino", {})
            for one in players:
                await it.store.dismiss("casino", [one.name])
            await asyncio.sleep(10)
            bank.asked.clear()
            waiting = []
            for one in players:
                waiting.append(asyncio.create_task(desk.now(one)))
                await asyncio.sleep(0.02)
            outcomes = Counter(await asyncio.gather(*waiting))
            polled = Counter("house" if name.startswith("house") else "player" for name, _ in bank.asked)

        total = polled.total()
        assert outcomes["spent"] > 500
        assert polled["player"] <= 0.8 * total + 8
        assert polled["house"] >= 0.2 * total - 8
        assert polled["player"] >= 0.5 * total
        assert outcomes["read"] + outcomes["late"] >= 100

    @virtual_time
    async def test_where_there_is_no_quota_the_schedule_keeps_a_fifth_of_the_places(self):
        bank = Bank(delay=0.5)
        routine = [account(f"house-{number}", interval=seconds(1)) for number in range(40)]
        players = [account(f"player-{number}", interval=minutes(600)) for number in range(400)]
        async with office() as it:
            desk = Desk(it, it.store)
            await desk.poll(bank, *routine, *players, room=5)
            for one in players:
                await it.store.dismiss("casino", [one.name])
            await asyncio.sleep(5)
            bank.asked.clear()
            await asyncio.gather(*(desk.now(one) for one in players))
            await asyncio.sleep(20)
            polled = Counter("house" if name.startswith("house") else "player" for name, _ in bank.asked)

        assert bank.most <= 5
        assert polled["house"] >= 0.18 * polled.total()
        assert polled["player"] >= 0.7 * polled.total()

    @virtual_time
    async def test_there_is_never_more_than_one_call_for_an_account(self):
        bank = Bank(delay=0.07)
        inside, worst = Counter(), Counter()
        poll = bank.poll

        async def counted(one, *rest):
            inside[one.name] += 1
            worst[one.name] = max(worst[one.name], inside[one.name])
            try:
                return await poll(one, *rest)
            finally:
                inside[one.name] -= 1

        bank.poll = counted
        them = accounts(5, interval=seconds(1))
        async with office() as it:
            ours = Desk(it, it.store)
            theirs = Desk(it, await new_store(it.server), seen=ours.seen)
            for desk in (ours, theirs):
                await desk.poll(bank, *them)
            for turn in range(200):
                one = them[turn % 5]
                for desk in (ours, theirs):
                    desk.soon(one)
                    desk.refresher._keep(desk.now(one, since=None if turn % 2 else loop_clock() - seconds(1)))
                await asyncio.sleep(0.03)

        assert set(worst.values()) == {1}
        assert len(bank.asked) > 100
