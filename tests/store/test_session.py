"""Opening a store, losing it, and what it must refuse."""

import asyncio
import re
import time

import pytest

from monitor.errors import ConfigError, StoreError, StoreUnavailable, StoreUnusable
from monitor.model.record import Commit, Record
from monitor.store import codec, functions, keys, link
from monitor.store.functions import called, source
from monitor.store.redis import RedisStore
from monitor.store.session import _check_version
from monitor.store.url import address
from tests.builders import NOON, commit, minutes, seconds
from tests.conftest import Server, get_binary_path

LEASE = seconds(30)
SECRET = "s3cr3t-p4ss"


@pytest.fixture
def a_server():
    """Starts servers of the test's own, and ends them."""
    started = []

    def start(*options):
        started.append(Server(get_binary_path(), *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache", ("cache", 6379, "", False, 0, None, None)),
        ("rediss://u:p%40ss@cache:7000/3", ("cache", 7000, "", True, 3, "u", "p@ss")),
        ("redis://:only@[::1]:6380/", ("::1", 6380, "", False, 0, None, "only")),
        ("unix:///run/redis.sock", ("", 6379, "/run/redis.sock", False, 0, None, None)),
        ("unix:///run/a%20b.sock?db=2", ("", 6379, "/run/a b.sock", False, 2, None, None)),
        ("unix://u:p@/run/s", ("", 6379, "/run/s", False, 0, "u", "p")),
        ("rediss+sentinel://u:p@h1:7000,h2/main/3", ("", 6379, "", True, 3, "u", "p")),
        ("redis+cluster://only@h1", ("", 6379, "", False, 0, "only", None)),
    ],
)
def test_store_urls_are_read_as_written(url, expected):
    where = address(url)

    assert (
        where.host, where.port, where.path, where.tls, where.db, where.username, where.password,
    ) == expected  # fmt: skip


@pytest.mark.parametrize(
    ("url", "hosts", "service", "place"),
    [
        ("redis+sentinel://h1,[::1]:5/main", (("h1", 26379), ("::1", 5)), "main", "h1:26379,::1:5/main"),
        ("redis+cluster://:p@h1:7000,h2/", (("h1", 7000), ("h2", 6379)), "", "h1:7000,h2:6379"),
        ("redis://h1", (), "", "h1:6379"),
    ],
)
def test_several_servers_are_read_as_written(url, hosts, service, place):
    where = address(url)

    assert (where.hosts, where.service, where.place) == (hosts, service, place)


def test_the_sentinels_have_a_login_of_their_own():
    where = address(f"redis+sentinel://:data@h1/main?sentinel_username=u&sentinel_password={SECRET}")

    assert (where.password, where.sentinel_username, where.sentinel_password) == ("data", "u", SECRET)
    assert SECRET not in repr(where) + where.place


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        (f"redis+sentinel://:{SECRET}@h1,h2", "name of the service is missing"),
        (f"redis+sentinel://:{SECRET}@h1,,h2/main", "host is missing"),
        (f"redis+sentinel://:{SECRET}@h1:x/main", "not a store URL"),
        (f"redis+sentinel://:{SECRET}@h1/main/x", "must be a number"),
        (f"redis+sentinel://h1/main?sentinel_pasword={SECRET}", "'sentinel_pasword'"),
        (f"rediss+cluster://:{SECRET}@h1,h2/3", "one database"),
        (f"redis+cluster://:{SECRET}@", "host is missing"),
        (f"redis://:{SECRET}@h1,h2", "redis\\+cluster://h1,h2"),
        (f"http://:{SECRET}@host", "no kind of store"),
        (f"redis://:{SECRET}@host:port", "not a store URL"),
        (f"redis://:{SECRET}@host/x", "must be a number"),
        (f"redis://:{SECRET}@host/0?timeout=3", "nothing may follow"),
        (f"redis://:{SECRET}@", "host is missing"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://", "path of the unix socket is missing"),
        ("unix:///s?dv=1", "'dv'"),
        ("redis://[::1", "not a store URL"),
        (SECRET, "write"),
        ("", "write"),
    ],
)
def test_a_wrong_store_url_is_explained_without_its_password(url, hint):
    with pytest.raises(ConfigError, match=hint) as mistake:
        address(url)

    assert str(mistake.value).startswith("store.url: ")
    assert SECRET not in str(mistake.value)
    assert mistake.value.__cause__ is None


async def test_the_stored_number_of_partitions_wins(valkey_server, connect):
    with valkey_server.client() as client:
        client.flushall()
    first = await connect(valkey_server.url, partitions=8)
    second = await connect(valkey_server.url, partitions=64)

    assert len(first.partitions) == len(second.partitions) == 8


async def test_an_emptied_store_is_noticed_by_those_who_knew_it(open_store):
    ours, theirs = await open_store(), await open_store()
    fresh = await ours.epochs()

    await theirs._calls.everywhere("FLUSHALL")
    emptied = await ours.epochs()
    await ours.seed_epochs()

    assert all(fresh)
    assert emptied == (None,) * 4
    assert all(await theirs.epochs())


async def test_case_10_one_lost_shard_is_noticed(store):
    await store._calls.command("DEL", store.partitions[2].epoch)

    assert [epoch is None for epoch in await store.epochs()] == [False, False, True, False]


async def test_functions_that_the_server_lost_are_loaded_again_and_only_those_calls_repeated(store):
    accounts = [f"acc-{number}" for number in range(50)]
    await store.enrol("casino", dict.fromkeys(accounts, NOON))
    claims = (await store.claim("casino", 50, LEASE)).claims

    await store._calls.everywhere("FUNCTION", "FLUSH")
    answers = await asyncio.gather(
        *(store.commit("casino", commit(Record(one.account)), one, NOON + minutes(1)) for one in claims)
    )

    assert answers == ["written"] * 50


async def test_another_release_on_the_same_store_changes_nothing_for_this_one(store, open_store, monkeypatch):
    other = functions._code().replace("local token, found = lease(", "local token, found = error(") + "\n-- another\n"
    monkeypatch.setattr(functions, "_code", lambda: other)
    functions.called.cache_clear()
    functions.source.cache_clear()
    await open_store()
    monkeypatch.undo()
    functions.called.cache_clear()
    functions.source.cache_clear()

    await store.enrol("casino", {"hot": NOON})
    assert len((await store.claim("casino", 1, LEASE)).claims) == 1


async def test_a_refused_call_fails_alone(store):
    await store._calls.command("SET", store.partition("broken").record("broken"), "not a hash")

    good, bad = await asyncio.gather(store.load("hot"), store.load("broken"), return_exceptions=True)

    assert good == Record("hot")
    assert isinstance(bad, StoreUnavailable)


async def test_a_call_that_cannot_be_sent_fails_alone(store):
    good, bad = await asyncio.gather(store.load("hot"), store.load("\ud800"), return_exceptions=True)

    assert good == Record("hot")
    assert isinstance(bad, Exception)


async def test_a_caller_that_gives_up_does_not_disturb_the_others(store):
    impatient = asyncio.create_task(store.load("a"))
    patient = asyncio.create_task(store.load("b"))
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient == Record("b")
    assert await store.load("c") == Record("c")


async def test_a_store_that_goes_away_is_reported_at_once_and_used_again_when_it_is_back(a_server, connect):
    server = a_server()
    store = await connect(server.url, partitions=4)
    server.process.kill()
    server.process.wait()

    started = time.monotonic()
    for call in (store.ping(), store.claim("casino", 5, LEASE), store.load("hot"), store.sweep(5)):
        with pytest.raises(StoreUnavailable):
            await call
    assert time.monotonic() - started < 5
    server.restart()
    await store.ping()
    await store.enrol("casino", {"hot": await store.time()})

    assert [one.account for one in (await store.claim("casino", 5, LEASE)).claims] == ["hot"]


async def test_a_store_that_hangs_is_not_waited_for_and_its_late_answers_are_nobodys(monkeypatch, a_server, connect):
    server = a_server()
    store = await connect(server.url, partitions=4)
    server.pause()
    monkeypatch.setattr(link, "ANSWER_TIMEOUT_S", 0.1)
    store._calls._link._watch()

    with pytest.raises(StoreUnavailable):
        await store._calls.command("ECHO", "late")
    server.resume()
    monkeypatch.undo()

    assert await store._calls.command("ECHO", "fresh") == b"fresh"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://u:{secret}@127.0.0.1:{closed}", "127.0.0.1:{closed} did not answer: Connection refused"),
        ("unix://u:{secret}@/nowhere/s", "unix:/nowhere/s did not answer: No such file or directory"),
        ("rediss://u:{secret}@127.0.0.1:{plain}", "127.0.0.1:{plain} did not answer: TLS failed"),
    ],
)
async def test_nobody_there_says_where_and_why(url, said, unused_tcp_port):
    async def hangs_up(_reader, writer):
        writer.write(b"-ERR what?\r\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    plain = await asyncio.start_server(hangs_up, "127.0.0.1", 0)
    ports = {"closed": unused_tcp_port, "plain": plain.sockets[0].getsockname()[1]}
    try:
        with pytest.raises(StoreUnavailable) as failed:
            await RedisStore.connect(url.format(secret=SECRET, **ports))
    finally:
        plain.close()
        await plain.wait_closed()

    assert str(failed.value).startswith(f"the store at {said.format(**ports)}")
    assert SECRET not in str(failed.value)


async def test_a_store_that_answers_but_takes_no_writes_is_not_available(a_server, connect):
    server = a_server()
    store = await connect(server.url)
    await store.ping()
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await store.ping()
        client.config_set("maxmemory", "0")

    await store.ping()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_case_10_a_store_that_evicts_is_refused_with_the_remedy(policy, a_server):
    server = a_server("--maxmemory-policy", policy)

    with pytest.raises(StoreUnusable, match="set `maxmemory-policy noeviction`"):
        await RedisStore.connect(server.url)


async def test_a_password_opens_the_store_and_never_shows(a_server, connect):
    server = a_server("--requirepass", SECRET)
    right = server.url.replace("unix://", f"unix://:{SECRET}@")
    store = await connect(right)
    await store.ping()

    assert SECRET not in repr(store) + str(store.place) + repr(address(right))
    for wrong in (server.url, server.url.replace("unix://", f"unix://:{SECRET}x@")):
        with pytest.raises(StoreUnusable, match="user or password") as refusal:
            await RedisStore.connect(wrong)
        assert SECRET not in str(refusal.value)
        assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    ("info", "refused"),
    [
        (b"redis_version:7.0.15\r\n", False),
        (b"redis_version:6.2.1\r\n", True),
        (b"redis_version:10.1.0\r\n", False),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.0\r\n", False),
        (b"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:7.2.5\r\n", True),
        (b"something else", False),
    ],
)
def test_servers_too_old_are_refused(info, refused):
    if not refused:
        _check_version(info, "here")
        return
    with pytest.raises(StoreUnusable, match="Redis 7 or Valkey 8"):
        _check_version(info, "here")


def test_a_library_sets_no_global_and_its_names_say_what_is_in_it():
    lua = source()

    assert lua.startswith(f"#!lua name={called('balance_monitor')}\n")
    registered = [line for line in lua.splitlines() if line.startswith("redis.register_function")]
    assert len(registered) > 40
    assert all(re.match(r"redis\.register_function\('bm_\w+_[0-9a-f]{12}', \w+\)$", line) for line in registered)
    assert not [line for line in lua.splitlines() if line.startswith("function ")]


def test_an_account_stays_in_its_partition_for_ever():
    # Stored data depends on these: a change here loses every record.
    assert [keys.partition_of(name, 64) for name in ("hot-usdt", "player-7", "provider:casino", "ünï")] == [
        40, 6, 5, 42,
    ]  # fmt: skip


def test_every_key_carries_its_tag_first():
    where, channel = keys.partition(3), keys.ChannelKeys("ops")

    assert where.due("a}b").startswith("{bm:3}:")
    assert where.points("{x}", "{y}").startswith("{bm:3}:")
    assert channel.group("{x}").startswith("{bm:c:ops}:")
    assert keys.quota("casino").startswith("{bm:p:casino}:")


def test_a_document_too_large_is_refused_not_cut(monkeypatch):
    monkeypatch.setattr(codec, "DOCUMENT_MAX", 10)

    with pytest.raises(StoreError, match="too large"):
        codec.dump({"a": "x" * 20})


def test_fields_of_a_newer_release_are_ignored_and_missing_ones_take_defaults():
    stored = [
        b"7", b"1",
        b'{"snapshot":{"observed_at":"2026-11-20T12:00:00Z","amounts":{"USDT":{"total":"1.50"}},"new":[1]},"newer":{}}',
        b'{"checkpoints":{"main":5},"newer":1}', None, None, None,
    ]  # fmt: skip

    record = codec.record("hot", stored)

    assert (record.version, str(record.snapshot.of("USDT", "total"))) == (7, "1.50")
    assert record.ledgers["main"].checkpoint == 5
    assert record.alerts == ()


def test_a_version_survives_lua_without_losing_a_digit():
    assert codec.record("hot", [b"1795176000123457", *[None] * 6]).version == 1_795_176_000_123_457


async def test_an_unchanged_poll_of_a_new_account_is_stored(store):
    await store.enrol("casino", {"hot": NOON})
    [claim] = (await store.claim("casino", 1, LEASE)).claims

    await store.commit("casino", Commit(Record("hot"), Record("hot")), claim, NOON)

    assert (await store.load("hot")).version > 0
