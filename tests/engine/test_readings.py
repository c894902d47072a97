"""Readings that say less than they seem to: what is missing, and what is older than what is known."""

import asyncio
import json
from decimal import Decimal

import fakeredis
import pytest

from monitor.channels.webhook import render
from monitor.engine.decide import decide
from monitor.model.record import Confirm
from monitor.model.snapshot import Outage
from monitor.providers import cryptofuse_shapes, kuna_rows
from monitor.store.redis import RedisStore
from tests.builders import NOON, message, minutes, seconds
from tests.facts import Watched, account, answer, policy, restarted, rule, snapshot
from tests.fakes import FakeLine, loop_clock, virtual_time
from tests.scenes import scene

LOW = rule("low_balance", alert="Low", below=50)
OUT = rule("large_outflow", alert="Out", above=10)
LATER = NOON + minutes(1)
#: A complete answer in which USDT is not named any more.
FUSE = b'{"wallet_id":"w","balances":{"btc":{"available":2,"pending":0,"total":2,"blockchain":"BTC"}}}'
KUNA = b'{"data":[{"asset":"BTC","balance":"2","holdBalance":"0","lockBalance":"0"}]}'


def news(watched):
    return [(entry.rule, entry.asset, kind) for _, kind, entry in watched.told]


class TestCase17MissingAssets:
    """USDT was there, and a complete answer names it no more."""

    def after(self, shot):
        watched = Watched((LOW, OUT))
        watched.see(answer({"USDT": "100", "BTC": "2"}), NOON)
        watched.told.clear()
        watched.see(answer(shot), LATER)
        return watched

    def test_case_17_it_is_zero_where_the_provider_is_known_to_drop_zero_rows(self):
        before = snapshot({"USDT": "100", "BTC": "2"})

        watched = self.after(cryptofuse_shapes.snapshot(cryptofuse_shapes.parse(FUSE), before, (), LATER))

        assert ("Low", "USDT", "firing") in news(watched)
        assert ("Out", "USDT", "event") in news(watched)
        assert watched.record.snapshot.of("USDT", "total") == 0

    @pytest.mark.parametrize("declared", [("USDT",), ()], ids=["declared", "only seen before"])
    def test_case_17_it_is_unknown_everywhere_else(self, declared):
        watched = self.after(kuna_rows.parse(KUNA, declared, LATER).snapshot)

        assert [one for one in news(watched) if one[1] == "USDT"] == []
        assert watched.record.snapshot.of("USDT", "total") == 100
        assert watched.record.snapshot.seen == {"USDT": NOON}

    def test_case_17_it_is_unknown_in_a_partial_answer_even_where_zero_rows_are_dropped(self):
        watched = self.after(snapshot({"BTC": "2"}, missing=("USDT",), absent_is_zero=True))

        assert [one for one in news(watched) if one[1] == "USDT"] == []
        assert watched.record.snapshot.of("USDT", "total") == 100

    def test_case_17_a_zero_for_what_held_money_is_read_again_before_it_is_judged(self):
        before = Watched((LOW, OUT)).see(answer({"USDT": "100", "BTC": "2"}), NOON).record
        shot = cryptofuse_shapes.snapshot(cryptofuse_shapes.parse(FUSE), before.snapshot, (), LATER)

        doubted = decide(before, answer(shot), account(), (LOW, OUT), policy(), LATER)

        assert isinstance(doubted, Confirm)
        assert doubted.doubts == {"USDT": LATER}

    def test_case_17_what_was_declared_and_never_seen_is_zero_where_zero_rows_are_dropped(self):
        watched = Watched((LOW,))
        shot = cryptofuse_shapes.snapshot(cryptofuse_shapes.parse(FUSE), None, ("USDT", "BTC"), NOON)

        watched.see(answer(shot), NOON)

        assert news(watched) == [("Low", "BTC", "firing"), ("Low", "USDT", "firing")]

    def test_case_17_what_was_neither_seen_nor_declared_is_no_zero(self):
        shot = cryptofuse_shapes.snapshot(cryptofuse_shapes.parse(FUSE), snapshot({"BTC": "2"}), (), LATER)

        assert list(shot.amounts) == ["BTC"]


class TestCase22Precision:
    #: More digits than a float or 28 significant ones hold.
    DIGITS = "1234567890123456789.012345678901234567"

    def test_case_22_every_digit_gets_from_the_providers_bytes_to_the_receivers(self):
        held = b'{"wallet_id":"w","balances":{"btc":{"available":%s,"pending":0,"total":%s,"blockchain":"BTC"}}}'
        written = self.DIGITS.encode()
        watched = Watched((rule("high_balance", above="1234567890123456789.012345678901234566"),))
        shot = cryptofuse_shapes.snapshot(cryptofuse_shapes.parse(held % (written, written)), None, (), NOON)

        watched.see(answer(shot), NOON)
        stored = restarted(watched.record)

        [(_, _, entry)] = watched.told
        body = json.loads(render(message(entry)))
        assert body["data"]["alerts"][0]["value"] == self.DIGITS
        assert (stored.alerts[0].value, stored.snapshot.of("BTC", "total")) == (Decimal(self.DIGITS),) * 2

    def test_case_22_negative_equity_is_an_amount_like_another(self):
        low = rule("low_balance", measure="equity", below="-100", resolve_above=0)
        watched = Watched((low,))

        for minute, equity in enumerate(["-99.999", "-100.001", "-1", "0.001"]):
            at = NOON + minutes(minute)
            watched.see(answer({"USDC": {"equity": equity}}, at=at), at)

        assert [(minute, kind, str(entry.value)) for minute, kind, entry in watched.told] == [
            (1, "firing", "-100.001"),
            (3, "resolved", "0.001"),
        ]


def told_at(amount, minute):
    """What the provider dates at that minute of the hour before."""
    return answer(snapshot({"USDT": amount}, as_of=NOON + minutes(minute - 60)))


class TestCase21Order:
    @virtual_time
    async def test_case_21_an_older_reading_never_overwrites_a_newer_one(self):
        async with scene(told_at("100", 5), told_at("0", 4), told_at("90", 6), rules=(LOW, OUT)) as it:
            await it.poll()
            await asyncio.sleep(60)
            overtaken = await it.poll()
            known = await it.record()
            await asyncio.sleep(60)
            await it.poll()

            assert (overtaken.commit.rows, overtaken.commit.events, overtaken.commit.points) == ((), (), ())
            assert (known.snapshot.of("USDT", "total"), known.snapshot.as_of) == (100, NOON + minutes(5 - 60))
            assert (await it.record()).snapshot.of("USDT", "total") == 90

    @virtual_time
    async def test_case_21_a_replica_that_lags_behind_confirms_no_zero(self):
        """The second reading is older than what is known: the zero stays in doubt, and is read again soon."""
        async with scene(told_at("100", 5), told_at("0", 6), told_at("70", 4), told_at("0", 7), rules=(LOW,)) as it:
            await it.poll()
            await asyncio.sleep(60)
            doubtful = await it.poll()
            await asyncio.sleep((doubtful.next_at - loop_clock()).total_seconds())
            told = await it.poll()

        assert (doubtful.commit.rows, doubtful.next_at - doubtful.read_at) == ((), seconds(2))
        assert [row.entry.value for row in told.commit.rows] == [0]

    @virtual_time
    async def test_case_21_one_poll_of_an_account_is_in_flight_also_while_it_reads_twice(self):
        """A manual poll waits for the second reading, and so does another process."""
        server = fakeredis.FakeServer()
        async with scene("100", "0", rules=(LOW, OUT), store=RedisStore(FakeLine(server))) as it:
            other = RedisStore(FakeLine(server))
            await other.open(4)
            other.clock_override = loop_clock
            await it.poll()
            await asyncio.sleep(60)
            poll = asyncio.ensure_future(it.poll())
            await asyncio.sleep(1)

            await other.poll_now("casino", "hot-usdt")
            meanwhile = (await other.claim("casino", 10, seconds(30))).claims
            polled = await poll
            afterwards = (await other.claim("casino", 10, seconds(30))).claims
            await other.close()

        assert meanwhile == ()
        assert (polled.result, [row.entry.rule for row in polled.commit.rows]) == ("written", ["Low", "Out"])
        assert [claim.account for claim in afterwards] == ["hot-usdt"]

    @virtual_time
    async def test_case_21_the_slower_of_two_polls_writes_nothing(self):
        async def slow(_):
            await asyncio.sleep(9)
            return answer({"USDT": "0"})

        async with scene("100", slow, "90", rules=(LOW, OUT)) as it:
            await it.poll()
            await asyncio.sleep(60)
            claim = await it.claim()
            slowest = asyncio.ensure_future(it.poll(claim))
            # As if this process had stood still for longer than its lease.
            where = it.store.partition("hot-usdt")
            await it.store._calls.command("ZADD", where.leased("casino"), "1", "hot-usdt")
            await asyncio.sleep(1)
            faster = await it.poll()
            lost = await slowest

            assert (faster.result, lost.result) == ("written", "lost")
            assert (await it.record()).snapshot.of("USDT", "total") == 90
            assert not isinstance(faster.reading, Outage)
