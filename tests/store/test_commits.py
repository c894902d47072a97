"""Commits: a poll is written whole, once, by the newest claimant."""

from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from monitor.model.alert import Verdict, advance, opened
from monitor.model.damping import Timing
from monitor.model.event import Event, Ledger
from monitor.model.extremes import Step
from monitor.model.record import Commit, Point, Record
from monitor.model.residual import Open
from monitor.model.snapshot import Outage, Snapshot
from monitor.model.transfers import Leg
from monitor.model.window import Coverage, Flow, flow, micros, record_flow, record_opening
from monitor.store import codec
from tests.builders import NOON, commit, entry, minutes, row, seconds, snapshot

LEASE = seconds(30)


async def claim(store, account="hot"):
    await store.enrol("casino", {account: NOON})
    claims = (await store.claim("casino", 100, LEASE)).claims
    return next(one for one in claims if one.account == account)


async def again(store, account="hot"):
    await store.poll_now("casino", account)
    return await claim(store, account)


def full_record(account="hot"):
    """A record with something in every field."""
    firing = opened("Low", "low_balance", account, "USDT", 1, "critical", NOON)
    verdict = Verdict("USDT", "critical", "critical", Decimal("1.50"), None, {"critical": Decimal(80)}, "total", "USDT")
    firing, _ = advance(firing, verdict, Timing(seconds(0), seconds(0), minutes(60)), NOON)
    paced = flow(minutes(7), 24, since=1)
    move = Event("e1", "USDT", "withdraw", "out", Decimal("0.1"), NOON, Decimal(3), "0xäß🎰")
    ring = record_opening(record_flow(flow(minutes(60)), [move], NOON), Decimal(12), NOON)
    return Record(
        account,
        0,
        Snapshot(
            NOON,
            {"USDT": {"total": Decimal("1E-18"), "available": Decimal("-0.50")}},
            as_of=NOON,
            missing=("BTC",),
        ),
        Outage(NOON, "throttled", "slow down", wait=seconds(2.5)),
        NOON + seconds(0.000001),
        (firing,),
        {"main": Ledger(17, {"k1": 16, "k2": 17}), "empty": Ledger(0)},
        {"USDT|1|": ring, "BTC|7||24": paced},
        {"USDT|total|high|1": (Step(Decimal("1E-18"), 17), Step(Decimal("-0.50"), 18))},
        {"f1": (NOON, NOON + seconds(0.25))},
        {"|1||": Coverage(17), "|7||24|USDT,BTC": Coverage(0, whole=False)},
        residuals={"USDT|unexplained|7": (Open(Decimal("-1E-18"), Decimal("0.50"), 17),)},
        transfers={
            "|7||net1": (Leg(17, "hot", "e1", "USDT", "inferred", "out", Decimal("0.50"), "0xä", Decimal(0), 18),)
        },
    )


async def test_what_was_committed_is_loaded_digit_for_digit(open_store):
    ours, theirs = await open_store(), await open_store()
    record = full_record()

    answer = await ours.commit("casino", Commit(Record("hot"), record), await claim(ours), NOON + minutes(1))
    loaded = await theirs.load("hot")

    assert answer == "written"
    assert loaded == Record(**{**{name: getattr(record, name) for name in record.__slots__}, "version": loaded.version})
    assert str(loaded.snapshot.of("USDT", "available")) == "-0.50"


async def test_an_account_never_written_has_version_zero(store):
    assert await store.load("nobody") == Record("nobody")


async def test_versions_are_store_time_in_microseconds_and_only_rise(store, clock):
    versions = []
    for step in (seconds(0), seconds(0), minutes(-60), seconds(0.000001)):
        clock.pass_(step)
        [mine] = (await store.claim("casino", 1, LEASE)).claims or [await again(store)]
        await store.commit("casino", commit(await store.load("hot")), mine, clock())
        versions.append((await store.load("hot")).version)

    start = micros(NOON)
    assert versions == [start, start + 1, start + 2, start + 3]


async def test_a_repeat_of_a_commit_whose_answer_was_lost_changes_nothing(store):
    mine, record = await claim(store), await store.load("hot")
    owed = commit(record, row("firing", entry()))

    answers = [await store.commit("casino", owed, mine, NOON + minutes(1)) for _ in range(3)]

    assert answers == ["written", "already", "already"]
    assert await store.move("hot") == 1


async def test_a_commit_after_the_lease_was_given_to_another_is_lost(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    old, record = await claim(ours), await ours.load("hot")
    clock.pass_(LEASE)
    [new] = (await theirs.claim("casino", 1, LEASE)).claims

    late = await ours.commit("casino", commit(record, row("firing", entry())), old, NOON)
    good = await theirs.commit("casino", commit(await theirs.load("hot")), new, NOON)

    assert (late, good) == ("lost", "written")
    assert await ours.move("hot") == 0


async def test_a_commit_after_another_finished_the_poll_is_lost(open_store, clock):
    ours, theirs = await open_store(), await open_store()
    old, record = await claim(ours), await ours.load("hot")
    clock.pass_(LEASE)
    [new] = (await theirs.claim("casino", 1, LEASE)).claims
    await theirs.commit("casino", commit(await theirs.load("hot"), total="2"), new, NOON)

    assert await ours.commit("casino", commit(record, total="1"), old, NOON) == "lost"
    assert await ours.load("hot") == await theirs.load("hot")


async def test_a_commit_on_another_version_than_the_stored_one_says_so_and_can_be_decided_again(open_store):
    ours, theirs = await open_store(), await open_store()
    mine, record = await claim(ours), await ours.load("hot")
    stale = commit(record)
    where = theirs.partition("hot")
    await theirs._calls.command("HSET", where.record("hot"), "v", 7)  # an acknowledgement came between

    moved = await ours.commit("casino", stale, mine, NOON)
    anew = await ours.commit("casino", commit(await ours.load("hot")), mine, NOON)

    assert (moved, anew) == ("moved", "written")


async def test_a_poll_without_change_writes_its_reading_and_nothing_else(store):
    await store.commit("casino", Commit(Record("hot"), full_record()), await claim(store), NOON)
    mine, record = await again(store), await store.load("hot")
    key = store.partition("hot").record("hot")
    await store._calls.command("HSET", key, "d", "untouched", "w", "untouched", "k", "untouched")

    await store.commit("casino", commit(record, total="5"), mine, NOON)

    reading, *others = await store._calls.command("HMGET", key, "s", "d", "w", "k")
    assert b'"5"' in reading
    assert others == [b"untouched"] * 3


async def test_changed_alerts_cursors_and_rings_are_written(open_store):
    ours, theirs = await open_store(), await open_store()
    await ours.commit("casino", Commit(Record("hot"), full_record()), await claim(ours), NOON)
    mine, record = await again(ours), await ours.load("hot")
    changes = {"alerts": (), "ledgers": {"main": Ledger(18, {"k3": 18})}, "flows": {}, "extremes": {}}

    await ours.commit("casino", commit(record, **changes), mine, NOON)

    loaded = await theirs.load("hot")
    assert (loaded.alerts, loaded.ledgers, loaded.flows, loaded.extremes) == ((), changes["ledgers"], {}, {})


async def test_a_high_that_changes_is_written_and_the_sums_beside_it_stay(open_store):
    ours, theirs = await open_store(), await open_store()
    await ours.commit("casino", Commit(Record("hot"), full_record()), await claim(ours), NOON)
    mine, record = await again(ours), await ours.load("hot")
    higher = {"USDT|total|high|1": (Step(Decimal(7), 19),)}

    await ours.commit("casino", commit(record, extremes=higher), mine, NOON)

    await again(ours)
    for store in (ours, theirs):
        loaded = await store.load("hot")
        assert (loaded.extremes, loaded.flows) == (higher, full_record().flows)


async def test_what_is_left_of_an_alert_that_ended_is_written_and_kept_also_alone(open_store):
    ours, theirs = await open_store(), await open_store()
    record = full_record()
    await ours.commit("casino", Commit(Record("hot"), record), await claim(ours), NOON)
    mine, record = await again(ours), await ours.load("hot")
    later = {"f2": (NOON + minutes(1),)}

    await ours.commit("casino", commit(record, lately=later), mine, NOON)

    await again(ours)
    for store in (ours, theirs):
        assert (await store.load("hot")).lately == later


def test_an_alert_stored_by_a_release_without_the_keys_of_its_life_is_read_with_their_defaults():
    alert = full_record().alerts[0]
    known = {"told", "turns", "flapping", "swing"}
    older = {key: value for key, value in msgspec.to_builtins(alert).items() if key not in known}
    stored = msgspec.json.encode({"alerts": [older], "checkpoints": {"main": 17}})

    read = codec.record("hot", [b"1", b"1", None, stored, None, None, None])

    assert read.alerts == (replace(alert, told=None, turns=()),)
    assert read.lately == {}


def test_releases_with_and_without_highs_read_each_others_windows():
    *_, windows, _ = codec.changed(Record("hot"), full_record())
    sums_only = msgspec.json.encode(full_record().flows)

    older = msgspec.json.decode(windows, type=dict[str, Flow])
    newer = codec.record("hot", [b"1", b"1", None, None, sums_only, None, None])

    assert older["USDT|1|"] == full_record().flows["USDT|1|"]
    assert older["USDT|total|high|1"].sums == {}
    assert (newer.flows, newer.extremes) == (full_record().flows, {})


async def test_a_record_in_memory_is_used_only_while_nobody_else_has_written(open_store):
    ours, theirs = await open_store(), await open_store()
    await ours.commit("casino", commit(Record("hot"), total="1"), await claim(ours), NOON)
    other = await again(theirs)
    await theirs.commit("casino", commit(await theirs.load("hot"), total="2"), other, NOON)

    await again(ours)
    record = await ours.load("hot")

    assert record.snapshot == snapshot("2")


async def test_a_record_this_process_wrote_last_is_not_read_again(store):
    await store.commit("casino", commit(Record("hot"), total="1"), await claim(store), NOON)
    await again(store)
    await store._calls.command("DEL", store.partition("hot").record("hot"))

    assert (await store.load("hot")).snapshot == snapshot("1")


async def test_accounts_that_have_alerts_can_be_listed(store):
    await store.commit("casino", Commit(Record("hot"), full_record()), await claim(store), NOON)
    before = await store.open_accounts()
    await store.commit("casino", commit(await store.load("hot"), alerts=()), await again(store), NOON)

    assert (before, await store.open_accounts()) == (["hot"], [])


@pytest.mark.parametrize(
    "account",
    ["provider:casino", "a}{b", "{bm:0}", "ünï-🎰", "with space\nand line", "x" * 500, ""],
)
async def test_any_name_is_safe(store, account):
    owed = commit(Record(account), row("firing", entry()))
    owed = Commit(
        owed.before,
        owed.record,
        (Event("e", "US}D{T", "w", None, Decimal(1), NOON),),
        (Point("US}D{T", "total", Decimal(1), NOON),),
        owed.rows,
    )

    answer = await store.commit("casino", owed, await claim(store, account), NOON)

    assert answer == "written"
    assert (await store.load_many([account]))[0].snapshot == snapshot()
    assert await store.move(account) == 1
    assert len(await store.events(account, NOON)) == 1
    assert len(await store.history(account, "US}D{T", "total", NOON, NOON, 9)) == 1


async def test_many_commits_at_once_are_all_written(store):
    import asyncio

    accounts = [f"acc-{number}" for number in range(300)]
    await store.enrol("casino", dict.fromkeys(accounts, NOON))
    claims = (await store.claim("casino", 300, LEASE)).claims

    answers = await asyncio.gather(
        *(store.commit("casino", commit(Record(one.account)), one, NOON + minutes(1)) for one in claims)
    )

    assert answers == ["written"] * 300
    assert (await store.claim("casino", 300, LEASE)).claims == ()
