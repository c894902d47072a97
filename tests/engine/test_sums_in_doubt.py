"""Sums over accounts when a reading, a process or the store is not what it was: a sum is never surer than its parts."""

from decimal import Decimal
from pathlib import Path

import pytest

from monitor.engine import portfolio
from monitor.errors import ProviderUnreachable
from monitor.store import summing
from tests.builders import NOON, minutes, seconds
from tests.facts import account, answer, event, rule, snapshot
from tests.office import COLD, HOT, HOT2, Office, drain, low


@pytest.fixture
def office(open_store, clock):
    async def open_office(*rules, accounts=(HOT, HOT2, COLD)):
        return Office(await open_store(), clock, rules, accounts)

    return open_office


@pytest.fixture(params=["valkey"])
def open_store(open_store):
    return open_store


@pytest.fixture(autouse=True)
def nothing_mended(monkeypatch):
    """What is told of changes must do, without reading members in turn."""
    monkeypatch.setattr(portfolio, "IN_TURN", 0)


def told(amounts, **settings):
    return lambda now: answer(amounts, at=now, **settings)


TOO_MUCH = rule("high_balance", above=35, aggregate={"by": ["asset"]}, match={"role": "hot"})


async def both_hot(one, first="10", second="30"):
    await one.reads("hot-1", {"USDT": first})
    await one.reads("hot-2", {"USDT": second})


async def data(one):
    [alert] = await one.alerts()
    return alert.data


class TestGaps:
    """A ledger that is not read to its end may hide movements: nothing that is above zero is over."""

    async def test_a_flow_alert_holds_while_a_member_has_a_gap_and_resolves_once_that_is_closed(self, office, clock):
        one = await office(drain(kinds=["withdraw"], match={"role": "hot"}))
        await one.reads("hot-1", ({"USDT": "1000"}, ()))
        await one.reads("hot-2", ({"USDT": "1000"}, ()))
        await one.reads("hot-1", ({"USDT": "800"}, (event("200"),)))
        assert await one.judges() == [("firing", "USDT", 200)]

        clock.now += minutes(61)
        await one.reads("hot-1", ({"USDT": "800"}, ()))
        await one.reads("hot-2", told({"USDT": "1000"}, events=(), gap="page 7: timed out"))
        assert await one.judges() == []
        assert await data(one) == "unknown"

        await one.reads("hot-2", ({"USDT": "1000"}, ()))
        assert await one.judges() == [("resolved", "USDT", 0)]

    async def test_what_is_net_of_the_other_way_cannot_be_told_while_a_member_is_not_known(self, office, clock):
        one = await office(drain(kinds=["withdraw", "deposit"], match={"role": "hot"}, net=True))
        await one.reads("hot-1", ({"USDT": "1000"}, ()))
        await one.reads("hot-2", told({"USDT": "1000"}, events=(), gap="page 7: timed out"))
        await one.reads("hot-1", ({"USDT": "800"}, (event("200"),)))
        assert await one.judges() == []

        came = (event("150", "in", kind="deposit", name="e2"),)
        await one.reads("hot-2", ({"USDT": "1150"}, came))
        assert await one.judges() == []


class TestTime:
    """What is stale, and what has come back, is noticed whatever else happens meanwhile."""

    async def test_a_first_look_that_was_cut_short_still_notices_who_goes_stale(self, office, clock):
        one = await office(low())
        await both_hot(one)
        # Written before anybody summed them up.
        for where in one.store.partitions:
            await one.store._calls.command("DEL", where.seen)
        loads, whole = one.store.load_many, []

        async def cut_short(names):
            whole.append(names)
            if len(whole) == 1:
                raise TimeoutError
            return await loads(names)

        one.store.load_many = cut_short
        with pytest.raises(AssertionError, match="no answer within"):
            await one.judges()
        assert await one.judges() == [("firing", "USDT", 40)]

        clock.now += minutes(4)
        await one.judges()
        assert await data(one) == "unknown"

    async def test_an_asset_that_left_an_account_is_unknown_in_time_and_the_account_is_not_read_for_ever(
        self, office, clock
    ):
        one = await office(low())
        await one.reads("hot-1", {"USDT": "10"})
        await one.reads("hot-2", {"USDT": "30", "BTC": "1"})
        assert ("firing", "USDT", 40) in await one.judges()

        for _ in range(4):
            clock.now += minutes(1)
            await one.reads("hot-1", {"USDT": "10"})
            await one.reads("hot-2", {"BTC": "1"})
            await one.judges()
        [alert] = [alert for alert in await one.alerts() if alert.subject == "USDT"]
        assert (alert.data, alert.details["missing"]) == ("unknown", "hot-2")

        changed = [await one.store._calls.command("ZRANGE", where.changed, 0, -1) for where in one.store.partitions]
        for where in one.store.partitions:
            await one.store._calls.command("DEL", where.changed)
        await one.reads("hot-2", {"BTC": "1"})
        again = [await one.store._calls.command("ZRANGE", where.changed, 0, -1) for where in one.store.partitions]
        assert any(changed)
        assert not any(again)

        await one.reads("hot-1", {"USDT": "10"})
        await one.reads("hot-2", {"USDT": "30", "BTC": "1"})
        await one.judges()
        [alert] = [alert for alert in await one.alerts() if alert.subject == "USDT"]
        assert (alert.data, alert.value) == ("ok", 40)

    async def test_an_account_that_was_stale_for_a_moment_between_two_looks_counts(self, office, clock):
        one = await office(low())
        await both_hot(one)
        await one.judges()
        clock.now += minutes(3)
        await one.judges()
        assert await data(one) == "unknown"
        await both_hot(one)
        clock.now += minutes(3)
        await both_hot(one)
        await one.judges()

        assert await data(one) == "ok"


class TestStore:
    """The store may lose everything, or the last second."""

    async def test_after_the_store_was_emptied_nothing_is_known_until_it_is_read_again(self, office, clock):
        one = await office(low())
        await both_hot(one)
        assert await one.judges() == [("firing", "USDT", 40)]

        await one.store._calls.command("FLUSHALL")
        await one.store.seed_epochs()
        await one.store.load_functions()
        clock.now += seconds(1)
        await one.reads("hot-1", {"USDT": "10"})

        # hot-2 may have anything.
        assert await one.judges() == []
        await one.reads("hot-2", {"USDT": "31"})
        assert await one.judges() == [("firing", "USDT", 41)]

    async def test_a_change_that_a_failover_lost_is_forgotten(self, office, clock, monkeypatch):
        monkeypatch.setattr(portfolio, "IN_TURN", 1)
        one = await office(low())
        await both_hot(one)
        await one.judges()
        where = one.store.partition("hot-2")
        before = await one.store._calls.command("DUMP", where.record("hot-2"))
        await one.reads("hot-2", {"USDT": "35"})
        await one.judges()
        assert (await one.alerts())[0].value == 45

        await one.store._calls.command("RESTORE", where.record("hot-2"), 0, before, "REPLACE")
        for _ in range(2):
            clock.now += seconds(1)
            await one.judges()

        assert (await one.alerts())[0].value == 40

    async def test_a_rule_whose_record_is_gone_counts_again_what_is_kept_and_no_movement_twice(self, office, clock):
        one = await office(drain())
        for name in ("hot-1", "hot-2", "cold-1"):
            await one.reads(name, {"USDT": "1000"})
        await one.reads("hot-1", {"USDT": "800"})
        assert await one.judges() == [("firing", "USDT", 200)]

        where = one.store.partition("aggregate:Tested")
        await one.store._calls.command("DEL", where.record("aggregate:Tested"))
        await one.reads("hot-2", {"USDT": "950"})

        assert await one.judges() == [("firing", "USDT", 250)]


class TestTooManyMovements:
    """The movements kept for sums are bounded: what was lost may have been anything."""

    async def test_a_sum_that_missed_movements_resolves_only_once_they_could_not_count_any_more(
        self, office, clock, monkeypatch
    ):
        monkeypatch.setattr(summing, "MOVES_MAX", 1)
        one = await office(drain(kinds=["withdraw"]))
        for name in ("hot-1", "hot-2", "cold-1"):
            await one.reads(name, ({"USDT": "1000"}, ()))
        await one.reads("hot-1", ({"USDT": "800"}, (event("200"),)))
        assert await one.judges() == [("firing", "USDT", 200)]

        monkeypatch.setattr(summing, "MOVES_MAX", 100_000)
        told = []
        for _ in range(3):
            clock.now += minutes(61)
            for name in ("hot-1", "hot-2", "cold-1"):
                await one.reads(name, ({"USDT": "800"}, ()))
            told.append((await one.judges(), [alert.data for alert in await one.alerts()]))
        assert told == [([], ["unknown"]), ([("resolved", "USDT", 0)], []), ([], [])]

    def test_the_store_keeps_as_many_as_it_is_thought_to_keep(self):
        lua = (Path(summing.__file__).parent / "lua/poll.lua").read_text()

        assert f"local MOVES_MAX = {summing.MOVES_MAX}\n" in lua

    async def test_a_movement_that_is_kept_no_more_still_counts_where_it_was_counted(self, office, clock):
        one = await office(drain(kinds=["withdraw"]))
        for name in ("hot-1", "hot-2", "cold-1"):
            await one.reads(name, ({"USDT": "1000"}, ()))
        await one.reads("hot-1", ({"USDT": "940"}, (event("60", at=NOON),)))
        clock.now += seconds(70)
        await one.reads("hot-2", ({"USDT": "950"}, (event("50", at=clock.now, name="e2"),)))
        assert await one.judges() == [("firing", "USDT", 110)]
        for where in one.store.partitions:
            await one.store._calls.command("DEL", where.moves)

        # The first movement is in the bucket that leaves the window.
        clock.now += minutes(59)
        for name in ("hot-1", "hot-2", "cold-1"):
            await one.reads(name, ({"USDT": "940"}, ()))
        assert await one.judges() == []
        assert await data(one) == "unknown"


class TestMembers:
    """Members come, go and change what they are."""

    async def test_what_another_provider_said_of_an_account_is_not_counted(self, office, clock):
        one = await office(low())
        await both_hot(one, "10", "500")
        assert await one.judges() == []

        moved = account("hot-2", labels={"role": "hot"}, provider="bank")
        other = await office(low(), accounts=(HOT, moved, COLD))
        assert await other.judges() == []
        clock.now += seconds(1)
        await other.reads("hot-2", {"USDT": "500"})
        await other.reads("hot-1", {"USDT": "11"})
        assert await other.judges() == []
        assert not other.reader._portfolios["Tested"].unknown
        await other.reads("hot-2", {"USDT": "5"})
        assert await other.judges() == [("firing", "USDT", 16)]

    async def test_an_empty_wallet_is_empty_and_one_that_cannot_be_read_any_more_is_unknown(self, office, clock):
        one = await office(drain(match={"role": "hot"}), low(alert="Low"))
        await one.reads("hot-1", {"USDT": "1000"})
        await one.reads("hot-2", lambda now: answer(snapshot({}, at=now, absent_is_zero=True)))
        await one.judges("Low")
        await one.reads("hot-1", {"USDT": "80"})
        assert await one.judges("Low") == [("firing", "USDT", 80)]
        assert await one.judges() == [("firing", "USDT", 920)]

        clock.now += minutes(61)
        await one.reads("hot-1", {"USDT": "80"})
        await one.judges("Low")
        [alert] = await one.alerts("Low")
        assert (alert.data, alert.details["missing"]) == ("unknown", "hot-2")
        assert await one.judges() == []

        await one.reads("hot-2", lambda now: answer(snapshot({}, at=now, absent_is_zero=True)))
        assert await one.judges() == [("resolved", "USDT", 0)]

    async def test_a_declared_bare_asset_may_be_on_any_network(self, office):
        declared = account("hot-2", labels={"role": "hot"}, assets=("USDT",))
        one = await office(low(), accounts=(HOT, declared))
        await one.reads("hot-1", {"USDT@ETH": "10"})
        assert await one.judges() == []

        await one.reads("hot-2", {"USDT@ETH": "20"})
        assert await one.judges() == [("firing", "USDT@ETH", 30)]


class TestEdits:
    """Cases 52 and 54: what becomes of a sum when the configuration is another."""

    async def test_case_54_who_was_told_of_a_sum_is_told_once_that_an_account_left_it(self, office):
        first = await office(low())
        await both_hot(first)
        assert await first.judges() == [("firing", "USDT", 40)]

        second = await office(low(), accounts=(HOT, COLD))
        polled = await second.judged()
        [row] = polled.commit.rows
        assert (row.news, row.entry.value) == ("updated", 10)
        assert "no longer counted: hot-2 30 USDT" in row.entry.annotations["summary"]
        assert await second.judges() == []

    async def test_case_54_a_sum_that_is_good_without_the_account_that_left_says_so(self, office):
        first = await office(TOO_MUCH)
        await both_hot(first)
        assert await first.judges() == [("firing", "USDT", 40)]

        second = await office(TOO_MUCH, accounts=(HOT, COLD))
        [row] = (await second.judged()).commit.rows
        assert (row.news, row.entry.reason, row.entry.value) == ("resolved", "recovered", 10)

    async def test_case_52_the_same_word_as_another_label_is_another_sum(self, office):
        accounts = [account(f"a{n}", labels={"role": "vip", "tier": "vip"}) for n in range(2)]
        usd = {"unit": "usd", "match": {}}
        first = await office(low(**usd, aggregate={"by": ["role"]}), accounts=accounts)
        for one in accounts:
            await first.reads(one.name, TestPrices().usd(BTC="20"))
        assert await first.judges() == [("firing", None, 40)]

        edited = await office(low(**usd, aggregate={"by": ["tier"]}), accounts=accounts)
        rows = (await edited.judged()).commit.rows
        said = [(row.news, row.entry.reason, dict(row.entry.labels)) for row in rows]
        assert said == [("resolved", "superseded", {"role": "vip"}), ("firing", None, {"tier": "vip"})]
        assert len({row.entry.id for row in rows}) == 2

    async def test_a_sum_whose_asset_nobody_has_any_more_is_superseded_while_its_accounts_are_there(self, office):
        one = await office(low())
        for name in ("hot-1", "hot-2"):
            await one.reads(name, lambda now: answer(snapshot({"USDT": "1"}, at=now, absent_is_zero=True)))
        assert await one.judges() == [("firing", "USDT", 2)]
        for name in ("hot-1", "hot-2"):
            await one.reads(name, lambda now: answer(snapshot({"USDT@ETH": "500"}, at=now, absent_is_zero=True)))

        [row] = (await one.judged()).commit.rows
        assert (row.news, row.entry.reason, row.entry.asset) == ("resolved", "superseded", "USDT")

    @pytest.mark.parametrize("role", ["|hot", '["a", "b"]', "\x1etransfers", "a\x1fb", ""])
    async def test_movements_are_remembered_whatever_the_labels_of_their_accounts_say(self, office, clock, role):
        one = account("hot-1", labels={"role": role})
        tested = drain(kinds=["withdraw"], unit="usd", aggregate={"by": ["role"]})
        first = await office(tested, accounts=(one,))
        await first.reads(
            "hot-1", lambda now: answer(snapshot({"BTC": "9"}, at=now, usd={"BTC": Decimal(900)}), events=())
        )
        await first.reads(
            "hot-1",
            lambda now: answer(
                snapshot({"BTC": "7"}, at=now, usd={"BTC": Decimal(700)}), events=(event("2", asset="BTC"),)
            ),
        )
        assert await first.judges() == [("firing", None, 200)]

        second = await office(tested, accounts=(one,))
        clock.now += seconds(1)
        assert await second.judges() == []
        [alert] = await second.alerts()
        assert (alert.value, dict(alert.labels)) == (200, {"role": role})


class TestPrices:
    """Prices that the members' providers tell."""

    def usd(self, **amounts):
        worths = {asset: Decimal(worth) for asset, worth in amounts.items()}
        return lambda now: answer(snapshot(dict.fromkeys(amounts, "1"), at=now, usd=worths))

    async def test_a_price_is_as_old_as_the_reading_that_told_it(self, office, clock):
        slow = [
            account(name, labels={"role": "hot"}, interval=minutes(60), stale_after=minutes(180))
            for name in ("hot-1", "hot-2")
        ]
        one = await office(low(unit="usd", aggregate={"by": []}), accounts=slow)
        await one.reads("hot-1", self.usd(BTC="20"))
        await one.reads("hot-2", self.usd(BTC="20"))
        assert await one.judges() == [("firing", None, 40)]

        clock.now += minutes(6)
        await one.judges()
        assert await data(one) == "unknown"

    async def test_a_price_goes_on_being_told_by_others_when_the_one_who_told_it_fails(self, office, clock):
        one = await office(low(unit="usd", aggregate={"by": []}))
        await one.reads("hot-1", self.usd(BTC="20"))
        await one.reads("hot-2", self.usd(BTC="20"))
        assert await one.judges() == [("firing", None, 40)]
        for _ in range(3):
            clock.now += minutes(2)
            await one.reads("hot-2", ProviderUnreachable("away"))
            await one.reads("hot-1", self.usd(BTC="20"))
            await one.judges()

        [alert] = await one.alerts()
        assert "unpriced" not in alert.details
        assert alert.details["at_least"] == "20"

    async def test_a_price_that_nobody_can_tell_any_more_is_known_to_a_process_that_starts_later(self, office, clock):
        tested = rule("large_outflow", above=50, within="1h", unit="usd", aggregate={"by": ["role"]})
        one = await office(tested, accounts=(HOT,))
        await one.reads("hot-1", lambda now: answer(snapshot({"BTC": "3"}, at=now, usd={"BTC": Decimal(90)})))
        await one.judges()
        clock.now += minutes(1)
        await one.reads("hot-1", lambda now: answer(snapshot({"BTC": "0"}, at=now)))

        other = await office(tested, accounts=(HOT,))

        assert await other.judges() == [("firing", None, 90)]
