"""One poll, from the claim to the commit: what fails becomes a fact, and what is written is written once."""

import asyncio

import pytest
from structlog.testing import capture_logs

from monitor.deadlines import TICK
from monitor.engine.doubt import PAUSE
from monitor.engine.poll import LEASE_MARGIN
from monitor.errors import (
    ProviderGarbled,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnreachable,
    StoreUnavailable,
)
from monitor.model.event import Ledger
from monitor.model.record import Record
from monitor.model.snapshot import Outage
from tests.builders import NOON, minutes, seconds
from tests.facts import answer, event, rule
from tests.fakes import virtual_time
from tests.scenes import scene

LOW = rule("low_balance", below=50)


class TestReading:
    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (ProviderUnreachable("refused"), Outage(NOON, "unreachable", "refused")),
            (ProviderGarbled("HTML"), Outage(NOON, "garbled", "HTML")),
            (ProviderThrottled("429", seconds(9)), Outage(NOON, "throttled", "429", wait=seconds(9))),
            (ProviderRefused("401", "credentials"), Outage(NOON, "refused", "401", scope="credentials")),
            (ProviderRefused("404", "account"), Outage(NOON, "refused", "404", scope="account")),
        ],
    )
    @virtual_time
    async def test_a_failure_is_recorded_as_the_fact_it_is(self, error, expected):
        async with scene(error) as it:
            polled = await it.poll()

            assert polled.reading == expected
            assert (await it.record()).outage == expected
            assert (await it.record()).snapshot is None

    @virtual_time
    async def test_a_provider_that_does_not_answer_is_given_up_in_time(self):
        async with scene(lambda _: asyncio.sleep(3600), timeout=10) as it:
            polled = await it.poll()

        assert (polled.reading.kind, polled.reading.why) == ("unreachable", "no answer within 10 s")
        assert seconds(0) <= polled.committed_at - (NOON + seconds(10)) <= seconds(3 * TICK)

    @virtual_time
    async def test_a_lease_is_longer_than_the_slowest_poll_which_reads_twice(self):
        async with scene("100", timeout=40) as it:
            assert it.polling.lease == seconds(40) * 2 + PAUSE + LEASE_MARGIN

    @virtual_time
    async def test_a_bug_in_an_adapter_pages_like_an_outage_and_is_logged_with_its_place(self):
        async with scene(KeyError("s3cr3t"), "40", rules=(LOW,)) as it:
            with capture_logs() as logs:
                polled = await it.poll()

        assert (polled.reading.kind, polled.reading.why) == ("garbled", "bug in the adapter: KeyError")
        [bug] = [line for line in logs if line["event"] == "provider.bug"]
        assert bug["exc_info"]

    @virtual_time
    async def test_a_store_that_fails_within_a_poll_is_not_the_providers_fault(self):
        async def asks_for_quota(_):
            raise StoreUnavailable("no answer")

        async with scene(asks_for_quota, "100") as it:
            with pytest.raises(StoreUnavailable):
                await it.poll()

            assert await it.record() == Record("hot-usdt")

    @virtual_time
    async def test_whoever_cancels_a_poll_is_obeyed(self):
        async with scene(lambda _: asyncio.sleep(3600)) as it:
            task = asyncio.ensure_future(it.poll())
            await asyncio.sleep(1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

            assert await it.record() == Record("hot-usdt")

    @virtual_time
    async def test_the_adapter_sees_what_was_known(self):
        async with scene("100", "90") as it:
            await it.poll()
            await asyncio.sleep(60)
            await it.poll()

        records = [record for _, record, _ in it.bank.asked]
        assert [record.snapshot and record.snapshot.of("USDT", "total") for record in records] == [None, 100]


class TestCommit:
    @virtual_time
    async def test_a_breach_is_in_the_channels_group_when_the_poll_is_done(self):
        async with scene("40", rules=(LOW,)) as it:
            assert (await it.poll()).result == "written"
            assert await it.told() == ["firing"]

    @virtual_time
    async def test_moved_decides_again_on_the_new_record_with_the_same_reading(self):
        async with scene("40", rules=(LOW, rule("event", alert="Any"))) as it:
            where = it.store.partition("hot-usdt")
            commit, answers = it.store.commit, []

            async def acknowledged_meanwhile(*args):
                if not answers:
                    await it.store._calls.command("HSET", where.record("hot-usdt"), "v", "77")
                answers.append(await commit(*args))
                return answers[-1]

            it.store.commit = acknowledged_meanwhile
            polled = await it.poll()

            assert answers == ["moved", "written"]
            assert polled.commit.before.version == 77
            assert len(it.bank.asked) == 1
            assert await it.told() == ["firing"]

    @virtual_time
    async def test_it_does_not_decide_for_ever(self):
        async with scene("40") as it:

            async def always_moved(*_):
                return "moved"

            it.store.commit = always_moved
            assert (await it.poll()).result == "moved"

    @virtual_time
    async def test_lost_writes_and_tells_nothing(self):
        async def slow(_):
            await asyncio.sleep(5)
            raise ProviderUnreachable("their poll went well, so this is no news")

        async with scene(slow, "100", rules=(LOW,)) as it:
            ours = await it.claim()
            await asyncio.sleep(it.polling.lease.total_seconds())
            theirs = await it.claim()
            with capture_logs() as logs:
                lost = await it.poll(ours)
                written = await it.poll(theirs)

            assert (lost.result, written.result) == ("lost", "written")
            assert (await it.record()).snapshot.of("USDT", "total") == 100
            assert await it.told() == []
            assert logs == []

    @virtual_time
    async def test_a_commit_whose_reply_was_lost_is_taken_as_done_and_its_rows_are_moved(self):
        async with scene("40", rules=(LOW,)) as it:
            commit = it.store.commit

            async def repeated(*args):
                await commit(*args)
                return await commit(*args)

            it.store.commit = repeated
            assert (await it.poll()).result == "already"
            assert await it.told() == ["firing"]

    @virtual_time
    async def test_when_the_store_fails_the_lease_simply_ends_and_the_poll_is_repeated(self):
        async with scene("40", "40", rules=(LOW,)) as it:
            commit = it.store.commit

            async def gone(*_):
                raise StoreUnavailable("gone")

            it.store.commit = gone
            with pytest.raises(StoreUnavailable):
                await it.poll()
            it.store.commit = commit

            assert (await it.store.claim("casino", 1, seconds(1))).claims == ()
            await asyncio.sleep(it.polling.lease.total_seconds())
            assert (await it.poll()).result == "written"
            assert await it.told() == ["firing"]

    @virtual_time
    async def test_what_a_rule_needs_is_loaded_between_two_decisions(self):
        out = rule("large_outflow", above=100, within="1h")
        async with scene("500", "430", "390") as it:
            for _ in range(2):
                await it.poll()
                await asyncio.sleep(60)
            it.polling.watching.rules = (out,)
            it.polling.watching._matched.clear()
            polled = await it.poll()

        assert [(row.news, row.entry.value) for row in polled.commit.rows] == [("firing", 110)]


class TestNextPoll:
    @pytest.mark.parametrize(
        ("word", "after"),
        [
            pytest.param("100", minutes(1), id="its rhythm"),
            pytest.param(ProviderUnreachable("x"), minutes(1), id="an outage changes nothing"),
            pytest.param(ProviderThrottled("x", minutes(9)), minutes(1), id="16: staleness is still judged"),
            pytest.param(ProviderRefused("x", "credentials"), minutes(1), id="15: staleness is still judged"),
            pytest.param(ProviderRefused("x", "account"), minutes(1), id="one account's refusal is its own"),
        ],
    )
    @virtual_time
    async def test_when_it_comes(self, word, after):
        async with scene(word) as it:
            polled = await it.poll()

            assert polled.next_at == NOON + after
            assert await it.store.due_at("casino", "hot-usdt") == NOON + after


class TestAnnouncing:
    @virtual_time
    async def test_an_outage_is_logged_when_it_starts_and_when_it_ends(self):
        down = ProviderUnreachable("timed out")
        async with scene("100", down, down, down, "100", "100") as it:
            with capture_logs() as logs:
                for _ in range(6):
                    await it.poll()
                    await asyncio.sleep(60)

        assert [(line["event"], line["account"]) for line in logs] == [
            ("account.failing", "hot-usdt"),
            ("account.recovered", "hot-usdt"),
        ]
        assert logs[0]["why"] == "timed out"
        assert logs[1]["failing_since"] == NOON + minutes(1)

    @virtual_time
    async def test_the_history_before_the_first_poll_is_counted_once_and_not_told(self):
        async def old(_):
            return answer({"USDT": "1"}, events=(), ledgers={"": Ledger(checkpoint=5, known={"a": 4, "b": 5})})

        async with scene(old) as it:
            with capture_logs() as logs:
                await it.poll()
                await asyncio.sleep(60)
                await it.poll()

        [line] = logs
        assert (line["event"], line["log_level"], line["rows"]) == ("events.baseline", "info", 2)

    @virtual_time
    async def test_notes_restated_rows_and_gaps_are_said(self):
        async def odd(_):
            return answer({"USDT": "1"}, events=(event(),), notes=("odd sum",), restated=("r1", "r2"), gap="page 3")

        async with scene(odd) as it:
            with capture_logs() as logs:
                await it.poll()

        assert [line["event"] for line in logs] == ["provider.note", "events.restated", "events.incomplete"]
        assert (logs[0]["note"], logs[1]["count"], logs[2]["why"]) == ("odd sum", 2, "page 3")
