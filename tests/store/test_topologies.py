"""A cluster of three nodes and a primary with sentinels: calls find their primary, whatever happens to it."""

import asyncio
import time

import pytest

from monitor.errors import StoreUnavailable, StoreUnusable
from monitor.store import cluster as clusters
from monitor.store.functions import called
from monitor.store.life import LIFE, LOST
from monitor.store.redis import RedisStore
from monitor.store.url import address
from tests.builders import seconds
from tests.farm import PATIENCE_S, Cluster, Watched, until

LEASE = seconds(30)
ACCOUNTS = [f"acc-{number}" for number in range(60)]
SECRET = "s3cr3t-p4ss"


async def until_answered(call):
    """Repeat a call until the store answers; how it had failed."""
    failures = []
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        try:
            await call()
        except StoreUnavailable as error:
            failures.append(str(error))
            await asyncio.sleep(0.05)
        else:
            return failures
    raise AssertionError(f"no answer: {failures[-1]}")


async def until_given(call):
    """The answer of a call, repeated until the store gives one."""
    given = []

    async def keep():
        given.append(await call())

    await until_answered(keep)
    return given[-1]


async def lives(store):
    """What calls to each partition say of the life they reach."""
    keys = [f"{one.tag}:life" for one in store.partitions]
    await asyncio.gather(*(store._guard_calls.command("RPUSH", key, LIFE, LOST) for key in keys))
    found = await asyncio.gather(*(store._guard_calls.command("LRANGE", key, -2, -1) for key in keys))
    return [(name.decode(), lost.decode()) for name, lost in found]


async def use(store):
    """One round of work in every partition."""
    now = await store.time()
    await store.enrol("casino", dict.fromkeys(ACCOUNTS, now))
    return {one.account for one in (await store.claim("casino", len(ACCOUNTS), LEASE)).claims}


# A cluster


@pytest.fixture
async def spread(cluster3_server, connect):
    """A store on three nodes, just emptied."""
    cluster3_server.empty()
    return await connect(cluster3_server.url)


async def test_partitions_spread_over_all_nodes_and_each_has_the_functions(spread, cluster3_server):
    assert await use(spread) == set(ACCOUNTS)

    for node in cluster3_server.primaries:
        assert int(node.ask("DBSIZE")) > 10
        # Others may have left theirs there: tests that put wrong rules back.
        assert called("balance_monitor").encode() in [library[1] for library in node.ask("FUNCTION", "LIST")]


async def test_one_seed_is_enough_and_a_dead_one_does_no_harm(cluster3_server, connect, unused_tcp_port):
    cluster3_server.empty()
    [first, *_] = cluster3_server.primaries
    store = await connect(f"redis+cluster://127.0.0.1:{unused_tcp_port},127.0.0.1:{first.port}")

    assert await use(store) == set(ACCOUNTS)


async def test_a_server_that_is_no_cluster_is_refused_with_the_remedy(valkey_tcp):
    with pytest.raises(StoreUnusable, match="is no cluster, write redis://"):
        await RedisStore.connect(f"redis+cluster://127.0.0.1:{valkey_tcp.port}")


async def test_no_node_there_says_where_and_why(unused_tcp_port):
    with pytest.raises(StoreUnavailable) as failed:
        await RedisStore.connect(f"redis+cluster://u:{SECRET}@127.0.0.1:{unused_tcp_port}")

    assert str(failed.value) == f"the store at 127.0.0.1:{unused_tcp_port} did not answer: Connection refused"


@pytest.mark.parametrize("function_too", [True, False])
async def test_a_slot_that_moves_is_followed_without_a_failed_call(farm, connect, function_too):
    cluster = farm(Cluster)
    store = await connect(cluster.url, partitions=4)
    await use(store)
    donor, heir, _ = cluster.primaries
    where = store.partitions[0]
    slot = int(donor.ask("CLUSTER", "KEYSLOT", where.tag))
    donor, heir = sorted(cluster.primaries, key=lambda node: not node.owns(where.tag))[:2]
    if not function_too:
        heir.ask("FUNCTION", "FLUSH")
    ids = {node: node.ask("CLUSTER", "MYID").decode() for node in (donor, heir)}

    heir.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[donor])
    donor.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[heir])
    await store._calls.command("SET", f"{where.tag}:new", "asked")  # ASK: it is not there, so it is made over there
    keys = donor.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)
    donor.ask("MIGRATE", "127.0.0.1", heir.port, "", 0, 5000, "KEYS", *keys)
    for node in (heir, donor):
        node.ask("CLUSTER", "SETSLOT", slot, "NODE", ids[heir])

    assert await store._calls.command("GET", f"{where.tag}:new") == b"asked"
    assert (await store.claim("casino", 1, LEASE)).claims == ()
    assert await store._guard_calls.command("GET", f"{where.tag}:new") == b"asked"
    assert int(heir.ask("CLUSTER", "COUNTKEYSINSLOT", slot)) > 1


async def test_a_dead_node_takes_only_its_own_partitions_with_it_until_its_replica_serves_them(farm, connect):
    cluster = farm(Cluster, 3, 1)
    store = await connect(cluster.url)
    before = await lives(store)
    victim, *_ = cluster.primaries
    lost = {one.number for one in store.partitions if victim.owns(one.tag)}
    assert 0 < len(lost) < 64
    now = await store.time()
    await store.enrol("casino", dict.fromkeys(ACCOUNTS, now))

    victim.kill()
    claimed = {one.account for one in (await store.claim("casino", len(ACCOUNTS), LEASE)).claims}
    assert claimed == {one for one in ACCOUNTS if store.partition(one).number not in lost}
    kept = [one for one in store.partitions if one.number not in lost]
    gone = [one for one in store.partitions if one.number in lost]
    started = time.monotonic()
    answers = await asyncio.gather(
        *(store._calls.command("GET", one.epoch) for one in (*kept, *gone)), return_exceptions=True
    )
    assert time.monotonic() - started < 5
    assert all(isinstance(answer, bytes) for answer in answers[: len(kept)])
    assert all(isinstance(answer, StoreUnavailable) for answer in answers[len(kept) :])

    await until_answered(lambda: store._calls.command("GET", gone[0].epoch))
    await until_answered(lambda: lives(store))
    after = await lives(store)
    assert {number for number in range(64) if before[number] != after[number]} == lost
    assert {one.account for one in (await store.claim("casino", len(ACCOUNTS), LEASE)).claims} == set(
        ACCOUNTS
    ) - claimed


async def test_nodes_that_are_no_primaries_any_more_are_hung_up_on(spread, monkeypatch):
    await use(spread)
    nodes = spread._calls._nodes
    spread._calls._node(("127.0.0.1", 1))
    assert len(nodes) == 4

    spread._calls._node(("127.0.0.1", 2))
    await spread._calls.drain()

    assert ("127.0.0.1", 1) not in nodes
    assert spread._calls._leaving == set()


async def test_closing_waits_until_those_who_were_asked_for_the_topology_are_hung_up_on(monkeypatch):
    asked, hung_up = asyncio.Event(), []

    class Client(clusters.RedisCluster):
        async def initialize(self):
            asked.set()

        async def aclose(self):
            await asyncio.sleep(0.1)
            hung_up.append(self)

    monkeypatch.setattr(clusters, "RedisCluster", Client)
    topology = clusters.Topology(address("redis+cluster://127.0.0.1:1"))
    topology.doubt()
    await asked.wait()
    await asyncio.sleep(0)

    await topology.close()

    assert len(hung_up) == 1


async def test_nodes_that_do_not_agree_are_not_followed_for_ever(spread, monkeypatch, cluster3_server):
    wrong = cluster3_server.primaries[0]
    slot = 16383  # the last node's
    monkeypatch.setattr(clusters, "key_slot", lambda _: slot)

    async def always_moved(command):
        raise clusters.MovedError(f"{slot} 127.0.0.1:{wrong.port}")

    spread._calls._node(("127.0.0.1", wrong.port)).run = always_moved
    spread._calls._topology._primaries[slot] = ("127.0.0.1", wrong.port)

    with pytest.raises(StoreUnavailable, match="do not agree"):
        await spread._calls.command("GET", "x")


# Sentinel


async def test_the_sentinels_say_who_the_primary_is_and_after_a_failover_who_is_it_now(farm, connect, unused_tcp_port):
    watched = farm(Watched, 3)
    store = await connect(watched.url.replace("://", f"://127.0.0.1:{unused_tcp_port},"))
    assert await use(store) == set(ACCOUNTS)
    [(before, _)] = set(await lives(store))
    assert before == life_of(watched.primary)

    watched.primary.kill()
    failures = await until_answered(store.ping)
    await until_answered(lambda: store._guard_calls.command("PING"))

    assert failures
    assert {name for name, _ in await lives(store)} == {life_of(watched.replica)} != {before}
    assert await use(store) is not None


async def test_a_primary_that_was_replaced_is_left_though_it_goes_on_taking_writes(farm, connect):
    watched = farm(Watched)
    store = await connect(watched.url)
    await lives(store)

    watched.sentinels[0].ask("SENTINEL", "FAILOVER", "main")
    until(watched.promoted)
    started = time.monotonic()
    for calls in (store._calls, store._guard_calls):
        while await until_given(lambda calls=calls: port_of(calls)) != watched.replica.port:
            assert time.monotonic() - started < PATIENCE_S
            await asyncio.sleep(0.05)

    assert {name for name, _ in await lives(store)} == {life_of(watched.replica)}


async def port_of(calls):
    _, port = await calls.command("CONFIG", "GET", "port")
    return int(port)


async def test_no_sentinel_there_says_where_and_why(unused_tcp_port):
    with pytest.raises(StoreUnavailable) as failed:
        await RedisStore.connect(f"redis+sentinel://:{SECRET}@127.0.0.1:{unused_tcp_port}/main")

    assert str(failed.value) == (
        f"the store at 127.0.0.1:{unused_tcp_port}/main did not answer: no sentinel knows a primary of this service"
    )


def life_of(node):
    """A server that has become the primary while it ran says since when."""
    with node.client() as client:
        run, known = client.info("server")["run_id"], client.info("replication")
        promoted = str(known["master_replid2"]).strip("0")
        return f"{run}-{known['master_replid']}" if promoted else str(run)
