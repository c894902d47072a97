"""What a store may lose of what it acknowledged: then nobody gets the money until the lost bets can be no more."""

import asyncio
import itertools
import os
import signal
import sys
import textwrap
import time
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from monitor.errors import StoreUnavailable
from monitor.store import datadir
from monitor.store.embedded import EmbeddedServer
from monitor.store.redis import RedisStore
from monitor.store.session import Session
from tests.builders import seconds
from tests.farm import PATIENCE_S, Cluster, Node, Watched, until
from tests.guard.asks import ask, fed, terms
from tests.guard.readings import reads

#: A quarantine of three seconds: the longest hold, the posting delay and the lag of reads together.
TERMS = terms(hold_max=seconds(2), posting_delay=seconds(0.5), read_lag=seconds(0.5))
AOF = ("--appendonly", "yes")


async def deposit(store, account="player-7"):
    """A reading shows a hundred."""
    await reads(store, {"USDT": fed("100")}, account)


async def bets(store, amount, name, account="player-7"):
    """The reason that a bet is answered with."""
    found = await store.hold(ask(amount, name, account=account, ttl=seconds(2)), TERMS)
    return found.reason


async def as_soon_as_answered(call):
    """The answer of a call, repeated until the store gives one."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await call()
        except StoreUnavailable:
            assert time.monotonic() < ends
            await asyncio.sleep(0.02)


async def first_allowed(store, started):
    """Bet until one is allowed, with a new reading each time; after how long that was, and what was said before."""
    said = set()
    for number in range(1_000):
        await as_soon_as_answered(lambda: deposit(store))
        name = f"later-{number}"
        reason = await as_soon_as_answered(lambda name=name: bets(store, "70", name))
        if reason == "OK":
            return time.monotonic() - started, said
        said.add(reason)
        await asyncio.sleep(0.1)
    raise AssertionError("never again")


async def tended(store):
    """One round of the janitor: the partitions that people are told of as quarantined."""
    now = await store.time()
    found = [await store.tend(number, now, TERMS) for number in range(len(store.partitions))]
    return [number for number, one in enumerate(found) if one.bound is not None]


# A failover


@pytest.mark.parametrize("watching", [True, False])
async def test_i16_after_a_failover_that_lost_a_hold_nobody_else_gets_its_money(farm, connect, monkeypatch, watching):
    if not watching:  # without what this is about a hundred and seventy are promised on a hundred
        monkeypatch.setattr(Session, "life", lambda _: ("", "1"))
    watched = farm(Watched, 1, *AOF)
    ours, theirs = await connect(watched.url), await connect(watched.url)
    await deposit(ours)
    assert await bets(theirs, "1", "early") == "OK"
    await theirs.release_hold("casino", "early", TERMS)
    watched.cut()
    assert await bets(ours, "100", "lost") == "OK"

    watched.fail_over()
    started = time.monotonic()
    await as_soon_as_answered(lambda: deposit(theirs))
    said = await as_soon_as_answered(lambda: bets(theirs, "70", "second"))

    if not watching:
        assert said == "OK"
        return
    assert said == "STATE_QUARANTINED"
    after, before = await first_allowed(theirs, started)
    assert after > TERMS.quarantine.total_seconds() - 0.5
    assert before == {"STATE_QUARANTINED"}


async def test_a_cluster_that_replaces_one_primary_quarantines_its_partitions_alone(farm, connect):
    cluster = farm(Cluster, 3, 1, *AOF)
    store = await connect(cluster.url, partitions=16)
    players = [f"player-{number}" for number in range(40)]
    await asyncio.gather(*(deposit(store, one) for one in players))
    assert set(await asyncio.gather(*(bets(store, "1", f"a-{one}", one) for one in players))) == {"OK"}
    victim = cluster.primaries[0]
    gone = {one for one in players if victim.owns(store.partition(one).tag)}
    assert 0 < len(gone) < len(players)

    victim.kill()
    said = {}
    for one in players:
        # Another bet each time: one of which only the index was not answered may have expired until then.
        tries = itertools.count()
        said[one] = await as_soon_as_answered(
            lambda one=one, tries=tries: bets(store, "1", f"b-{one}-{next(tries)}", one)
        )

    assert {one for one in players if said[one] == "STATE_QUARANTINED"} == gone
    assert {said[one] for one in players if one not in gone} == {"OK"}


# One server


@pytest.mark.parametrize("kept", [AOF, ("--save", "")])
async def test_a_server_that_was_killed_may_have_lost_holds(farm, connect, kept):
    server = farm(Node, *kept)
    store = await connect(f"redis://127.0.0.1:{server.port}")
    await deposit(store)
    assert await bets(store, "1", "first") == ("OK" if kept == AOF else "STATE_QUARANTINED")

    server.kill()
    server.start()
    await as_soon_as_answered(store.ping)
    await store.seed_epochs()
    await as_soon_as_answered(lambda: deposit(store))

    assert await as_soon_as_answered(lambda: bets(store, "70", "second")) == "STATE_QUARANTINED"


async def test_a_replica_that_comes_or_goes_is_no_loss_for_those_connected_before_nor_for_those_after(farm, connect):
    server, replica = farm(Node, *AOF), farm(Node)
    url = f"redis://127.0.0.1:{server.port}"
    stores = [await connect(url)]
    await deposit(stores[0])

    async def bet_by_all(name):
        stores.append(await connect(url))
        said = [await bets(store, "1", f"{name}-{number}") for number, store in enumerate(stores)]
        return said + [await bets(store, "1", f"again-{name}-{number}") for number, store in enumerate(stores)]

    assert set(await bet_by_all("alone")) == {"OK"}
    replica.ask("REPLICAOF", "127.0.0.1", server.port)
    until(lambda: server.client().info("replication")["connected_slaves"] == 1)
    assert set(await bet_by_all("replicated")) == {"OK"}

    with server.client() as client:
        known = client.info("replication")["master_replid"]
        server.ask("CONFIG", "SET", "repl-backlog-ttl", "1")
        replica.kill()
        until(lambda: client.info("replication")["master_replid"] != known)
    assert set(await bet_by_all("without")) == {"OK"}


async def test_a_primary_that_was_not_the_primary_for_a_while_may_have_lost_holds(farm, connect):
    server, other = farm(Node, *AOF), farm(Node, *AOF)
    url = f"redis://127.0.0.1:{server.port}"
    store = await connect(url)
    await deposit(store)
    assert await bets(store, "1", "first") == "OK"
    await store.close()

    for primary, copy in ((server, other), (other, server)):
        copy.ask("REPLICAOF", "127.0.0.1", primary.port)
        until(lambda copy=copy: copy.client().info("replication").get("master_link_status") == "up")
        copy.ask("REPLICAOF", "NO", "ONE")
    after = await connect(url)
    await deposit(after)

    assert await bets(after, "1", "second") == "STATE_QUARANTINED"


async def test_a_loss_is_noticed_where_nobody_bets_any_more_and_nowhere_else(farm, connect):
    server = farm(Node, *AOF)
    store = await connect(f"redis://127.0.0.1:{server.port}")
    await deposit(store)
    await store.check(ask("1"), TERMS)

    assert await tended(store) == []
    server.kill()
    server.start()
    await as_soon_as_answered(store.ping)

    assert await as_soon_as_answered(lambda: tended(store)) == [store.partition("player-7").number]


def what_is_kept(server):
    """The append-only file that grows, as it is now: what follows is lost when the machine loses its power."""
    file = next((server.folder / "appendonlydir").glob("*.incr.aof"))
    return file, file.stat().st_size


@pytest.mark.parametrize("looked", [True, False], ids=["seen by a janitor before", "at once"])
async def test_the_first_bet_of_a_partition_is_missed_though_all_who_knew_of_it_are_gone_too(farm, connect, looked):
    server = farm(Node, *AOF)
    url = f"redis://127.0.0.1:{server.port}"
    ours = await connect(url)
    await deposit(ours)
    assert await tended(ours) == []
    file, size = what_is_kept(server)
    assert await bets(ours, "70", "lost") == "OK"
    await ours.close()

    server.kill()
    os.truncate(file, size)
    server.start()
    started = time.monotonic()
    theirs = await connect(url)
    await deposit(theirs)
    if looked:
        assert await tended(theirs) == await theirs.quarantines(await theirs.time()) == [], "nobody was refused yet"

    assert await bets(theirs, "70", "second") == "STATE_QUARANTINED"
    assert await tended(theirs) == [theirs.partition("player-7").number]
    after, before = await first_allowed(theirs, started)
    assert after > TERMS.quarantine.total_seconds() - 0.5
    assert before == {"STATE_QUARANTINED"}


async def test_where_nobody_bet_before_a_restart_bets_are_refused_for_no_longer_after_it_than_anywhere(farm, connect):
    server = farm(Node, *AOF)
    store = await connect(f"redis://127.0.0.1:{server.port}")
    await tended(store)
    server.kill()
    server.start()
    await as_soon_as_answered(store.ping)
    assert await as_soon_as_answered(lambda: tended(store)) == []

    await asyncio.sleep(TERMS.quarantine.total_seconds())
    await deposit(store)
    with server.client() as client:
        written = client.info("persistence")["rdb_changes_since_last_save"]
        assert await tended(store) == []
        assert client.info("persistence")["rdb_changes_since_last_save"] == written, "what is known is not said again"

    assert await bets(store, "70", "first") == "OK"


async def test_a_primary_that_was_a_replica_for_a_moment_is_not_the_same_though_nobody_hung_up(farm, connect):
    server = farm(Node, *AOF)
    store = await connect(f"redis://127.0.0.1:{server.port}")
    await deposit(store)
    assert await bets(store, "1", "first") == "OK"

    server.ask("REPLICAOF", "127.0.0.1", "1")
    server.ask("REPLICAOF", "NO", "ONE")

    ends = time.monotonic() + PATIENCE_S
    while await as_soon_as_answered(lambda: bets(store, "1", f"later-{time.monotonic()}")) != "STATE_QUARANTINED":
        assert time.monotonic() < ends, "nobody has noticed"
        await asyncio.sleep(0.1)


async def test_an_append_only_file_makes_a_new_store_a_store_that_has_lost_nothing(farm, connect):
    server = farm(Node, *AOF)
    store = await connect(f"redis://127.0.0.1:{server.port}")
    await deposit(store)

    assert await bets(store, "70", "first") == "OK"


def without_info(server):
    """A user as a managed service has them."""
    server.ask("ACL", "SETUSER", "guard", "on", ">pw", "~*", "&*", "+@all", "-@dangerous")
    return f"redis://guard:pw@127.0.0.1:{server.port}"


async def test_a_server_that_may_not_be_asked_whose_life_it_is_is_known_by_what_it_remembers(farm, connect):
    server = farm(Node, *AOF)
    url = without_info(server)
    ours = await connect(url)
    await deposit(ours)
    assert await bets(ours, "1", "first") == "STATE_QUARANTINED", "it may have lost everything before"
    assert (await first_allowed(ours, time.monotonic()))[1] == {"STATE_QUARANTINED"}

    theirs = await connect(url)
    assert [await bets(one, "1", f"{number}") for number, one in enumerate((theirs, ours))] == ["OK", "OK"]

    server.kill()
    server.start()
    without_info(server)
    assert await as_soon_as_answered(lambda: bets(theirs, "1", "after")) == "STATE_QUARANTINED"


async def test_a_server_that_does_not_say_whose_life_it_is_is_never_taken_for_the_same(farm, connect):
    server = farm(Node, *AOF)
    url = without_info(server)
    forgetful = "redis.register_function('bm_life', function() return redis.call('TIME')[2] end)"
    server.ask("FUNCTION", "LOAD", f"#!lua name=balance_monitor_life\n{forgetful}")
    with capture_logs() as logs:
        ours = await connect(url)
        await deposit(ours)
        assert await bets(ours, "1", "first") == "STATE_QUARANTINED"
        assert (await first_allowed(ours, time.monotonic()))[1] == {"STATE_QUARANTINED"}

        theirs = await connect(url)

        assert await bets(theirs, "1", "theirs") == "STATE_QUARANTINED"
    assert [line["event"] for line in logs].count("guard.life_unknown") == 2


# The embedded server

DAEMON = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from monitor.store.embedded import EmbeddedServer
    from tests.store import test_lost_holds as lost

    async def main():
        server = EmbeddedServer(Path(sys.argv[1]), fsync=sys.argv[2])
        store = await lost.RedisStore.connect(await server.start(), life=server.life)
        await lost.deposit(store)
        print(await lost.bets(store, "60", "kept"), flush=True)
        await asyncio.sleep(120)

    asyncio.run(main())
""")


@pytest.fixture
def data(tmp_path):
    path = tmp_path / "data"
    yield path
    for pid in datadir.servers_in(path.resolve()):
        os.kill(pid, signal.SIGKILL)


@asynccontextmanager
async def embedded(data, fsync="everysec"):
    server = EmbeddedServer(data, fsync=fsync)
    url = await server.start()
    store = await RedisStore.connect(url, life=server.life)
    try:
        yield server, store
    finally:
        await store.close()
        await server.stop()


async def daemon_that_holds(data, fsync):
    """A daemon that acknowledges a hold of 60; it is killed then and there."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", DAEMON, str(data), fsync, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert await process.stdout.readline() == b"OK\n"
    process.kill()
    await process.communicate()


def kill_server(data):
    [pid] = datadir.servers_in(data.resolve())
    os.kill(pid, signal.SIGKILL)
    until(lambda: not datadir.servers_in(data.resolve()))


async def kept(store):
    """Whether the hold of 60 still counts, where a reading has shown a hundred again."""
    await deposit(store)
    return [await bets(store, "70", "second"), await bets(store, "40", "third")] == ["INSUFFICIENT_FUNDS", "OK"]


async def test_a_server_that_dies_under_its_daemon_goes_on_where_it_was(data):
    async with embedded(data) as (server, store):
        await deposit(store)
        assert await bets(store, "60", "kept") == "OK"

        kill_server(data)
        await server.wait_down()
        await server.restart()

        assert await as_soon_as_answered(lambda: kept(store))


async def test_a_hold_survives_its_daemon(data):
    await daemon_that_holds(data, "everysec")

    async with embedded(data) as (_, store):
        assert await kept(store)


async def test_a_stop_in_order_loses_no_hold(data):
    async with embedded(data) as (_, store):
        await deposit(store)
        assert await bets(store, "60", "kept") == "OK"

    async with embedded(data) as (_, store):
        assert await kept(store)


async def test_fsync_always_a_hold_survives_server_and_daemon(data):
    await daemon_that_holds(data, "always")
    kill_server(data)

    async with embedded(data, "always") as (_, store):
        assert await kept(store)


@pytest.mark.parametrize("written", [True, False])
async def test_without_it_a_hold_may_be_lost_when_both_are_killed(data, written):
    await daemon_that_holds(data, "everysec")
    kill_server(data)
    [file] = (data / "appendonlydir").glob("*.incr.aof")
    if not written:
        # Nothing had reached the disk: neither the hold, nor that there ever was one.
        os.truncate(file, 0)

    async with embedded(data) as (_, store):
        await deposit(store)
        assert await bets(store, "1", "second") == "STATE_QUARANTINED"
