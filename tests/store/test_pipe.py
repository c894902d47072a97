"""The guard's connection: calls overtake no one, a lost connection fails what was on its way and nothing else."""

import asyncio

import pytest
from redis.exceptions import AskError, MovedError, ReadOnlyError, ResponseError

from monitor.errors import StoreUnavailable
from monitor.store import link, pipe
from monitor.store.life import LIFE, LOST, Life, told
from monitor.store.pipe import Pipe
from monitor.store.url import Address, address
from tests.conftest import Server, get_binary_path
from tests.farm import Watched

PATIENCE_S = 10


@pytest.fixture
async def opened():
    """Opens pipes, and closes them."""
    found = []

    def open_one(where, witness=None):
        found.append(Pipe(where if isinstance(where, Address) else address(where), witness or told("one")))
        return found[-1]

    yield open_one
    for one in found:
        await one.close()


@pytest.fixture
def a_server():
    started = []

    def start(*options):
        started.append(Server(get_binary_path(), *options))
        return started[-1]

    yield start
    for server in started:
        server.stop()


class Scripted(asyncio.Protocol):
    """A server that says what the test wants: `say` makes an answer of what arrived, None is silence."""

    say = None
    connections = 0

    def connection_made(self, transport):
        type(self).connections += 1
        type(self).transport = transport

    def data_received(self, data):
        said = type(self).say(data)
        if said is not None:
            self.transport.write(said)


@pytest.fixture
async def scripted():
    """Starts a scripted server; its address and its class, which counts connections."""
    servers = []

    async def start(say):
        kind = type("One", (Scripted,), {"say": staticmethod(say), "connections": 0})
        servers.append(await asyncio.get_running_loop().create_server(kind, "127.0.0.1", 0))
        return Address(host="127.0.0.1", port=servers[-1].sockets[0].getsockname()[1]), kind

    yield start
    for server in servers:
        server.close()


def counted(data):
    """One `:1` for each command."""
    return b":1\r\n" * data.count(b"*")


async def test_answers_find_their_calls(a_server, opened):
    line = opened(a_server().url)

    answers = await asyncio.gather(*(line.command("ECHO", str(number)) for number in range(1_000)))

    assert answers == [str(number).encode() for number in range(1_000)]


async def test_calls_follow_each_other_on_one_connection_without_waiting(scripted, opened):
    held = []
    where, kind = await scripted(held.append)
    line = opened(where)

    first = asyncio.create_task(line.command("GET", "a"))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(line.command("GET", "b"))
    await asyncio.sleep(0.05)

    assert (len(held), kind.connections) == (2, 1)
    first.cancel()
    second.cancel()


async def test_without_a_witness_calls_gather_while_four_writes_are_not_answered(scripted):
    held = []
    where, kind = await scripted(held.append)
    line, calls = Pipe(where), []
    for number in range(10):
        calls.append(asyncio.create_task(line.command("GET", str(number))))
        await asyncio.sleep(0.02)
    before = [counted(one).count(b":1") for one in held]

    kind.transport.write(b":1\r\n")
    await asyncio.sleep(0.05)
    kind.transport.write(b":1\r\n" * 9)
    await asyncio.gather(*calls)
    await line.close()

    assert before == [1, 1, 1, 1]
    assert [counted(one).count(b":1") for one in held] == [1, 1, 1, 1, 6]


async def test_a_server_with_a_password_and_a_database_is_greeted_first(a_server, opened):
    server = a_server("--requirepass", "s3cret")
    line = opened(f"{server.url}".replace("unix://", "unix://:s3cret@") + "?db=3")

    assert await line.command("SET", "a", "1") == b"OK"
    assert b"db=3" in await line.command("CLIENT", "INFO")


async def test_a_wrong_password_is_told(a_server, opened):
    server = a_server("--requirepass", "s3cret")
    line = opened(server.url.replace("unix://", "unix://:wrong@"))

    with pytest.raises(StoreUnavailable):
        await line.command("GET", "a")


async def test_a_refused_call_fails_alone(a_server, opened):
    line = opened(a_server().url)

    answers = await asyncio.gather(
        line.command("SET", "a", "1"),
        line.command("LPUSH", "a", "1"),
        line.command("GET", object()),
        line.command("GET", "a"),
        return_exceptions=True,
    )

    assert (answers[0], answers[3]) == (b"OK", b"1")
    assert all(isinstance(one, StoreUnavailable) for one in answers[1:3])
    assert "WRONGTYPE" in str(answers[1])


async def test_calls_that_belong_together_go_out_together_and_fail_together(a_server, opened):
    line = opened(a_server().url)

    assert await line.together(("SET", "a", "1"), ("GET", "a")) == [b"OK", b"1"]
    with pytest.raises(StoreUnavailable, match="WRONGTYPE"):
        await line.together(("LPUSH", "a", "1"), ("LPUSH", "a", "2"))

    assert await line.command("GET", "a") == b"1"


async def test_who_gives_up_leaves_the_others_their_answers(a_server, opened):
    line = opened(a_server().url)
    await line.command("PING")
    calls = [asyncio.create_task(line.command("ECHO", str(number))) for number in range(10)]
    await asyncio.sleep(0)

    calls[3].cancel()
    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert [one for one in answers if isinstance(one, bytes)] == [b"%d" % n for n in range(10) if n != 3]


async def test_who_gives_up_before_there_is_a_connection_has_nothing_done(a_server, opened):
    line = opened(a_server().url)
    call = asyncio.create_task(line.command("SET", "a", "1"))
    await asyncio.sleep(0)

    call.cancel()

    assert await line.command("GET", "a") is None


async def test_a_lost_connection_fails_what_was_on_its_way_and_the_next_call_makes_a_new_one(a_server, opened):
    server = a_server()
    line = opened(server.url)
    await line.command("PING")
    waiting = asyncio.create_task(line.command("BLPOP", "nothing", 0))
    await asyncio.sleep(0.05)

    server.process.kill()
    server.process.wait()
    with pytest.raises(StoreUnavailable):
        await waiting
    with pytest.raises(StoreUnavailable):
        await line.command("PING")
    server.restart()

    assert await line.command("PING") == b"PONG"


async def test_whose_life_it_is_is_asked_once_a_connection_and_said_by_each_call(scripted, opened):
    said, lives = [], iter([Life("first", "1"), Life("second", "0")])

    def answer(data):
        said.append(data)
        return b"-READONLY no more\r\n" if b"lose" in data else counted(data)

    async def witness(ask):
        assert await ask("WHO") == 1
        return next(lives)

    where, kind = await scripted(answer)
    line = opened(where, witness)

    await line.command("GET", LIFE, LOST, "same", "1")
    await line.command("GET", LIFE)
    with pytest.raises(StoreUnavailable):
        await line.command("lose")
    await line.command("GET", LIFE, LOST)

    assert kind.connections == 2
    assert [one.count(b"WHO") for one in said] == [1, 0, 0, 0, 1, 0]
    assert said[1].endswith(b"first\r\n$1\r\n1\r\n$4\r\nsame\r\n$1\r\n1\r\n")
    assert (b"first" in said[2], b"second" in said[5], said[5].endswith(b"$1\r\n0\r\n")) == (True, True, True)


async def test_what_was_on_its_way_is_answered_before_a_deposed_primary_is_left(scripted, opened):
    async def quiet(_ask):
        return Life("x", "1")

    parts = []

    def answer(data):
        parts.append(data)
        return b"-READONLY no more\r\n" if len(parts) == 1 else b":2\r\n"

    where, kind = await scripted(answer)
    line = opened(where, quiet)
    first = asyncio.create_task(line.run(("first",)))
    second = asyncio.create_task(line.run(("second",)))
    await asyncio.sleep(0.05)

    # Both were written together, and only the first is answered yet.
    with pytest.raises(ReadOnlyError):
        await first
    assert not second.done()
    third = asyncio.create_task(line.run(("third",)))
    await asyncio.sleep(0.05)

    assert kind.connections == 2
    assert await third == [2]
    second.cancel()


async def test_a_server_that_does_not_answer_is_hung_up_on(scripted, opened, monkeypatch):
    monkeypatch.setattr(link, "ANSWER_TIMEOUT_S", 0.1)
    where, _ = await scripted(lambda _: None)
    line = opened(where)

    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreUnavailable):
            await line.command("GET", "a")


async def test_a_greeting_without_an_answer_is_given_up(scripted, opened, monkeypatch):
    monkeypatch.setattr(pipe, "CONNECT_TIMEOUT_S", 0.1)
    where, _ = await scripted(lambda _: None)

    async def waits(ask):
        return await ask("WHO")

    line = opened(where, waits)

    async with asyncio.timeout(PATIENCE_S):
        with pytest.raises(StoreUnavailable):
            await line.command("GET", "a")


@pytest.mark.parametrize("babble", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b":1\r\n:2\r\n", b"\x00\x01\x02\r\n"])
async def test_what_is_no_store_is_hung_up_on(scripted, opened, babble):
    where, _ = await scripted(lambda _: babble)
    line = opened(where)

    async with asyncio.timeout(PATIENCE_S):
        first = await asyncio.gather(line.command("GET", "a"), return_exceptions=True)
        await asyncio.gather(line.command("GET", "a"), return_exceptions=True)

    assert first == [1] or isinstance(first[0], StoreUnavailable)


async def test_nobody_there_is_told_at_once(opened):
    line = opened("unix:///nowhere/at-all.sock")

    with pytest.raises(StoreUnavailable, match="No such file"):
        await line.command("GET", "a")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("MOVED 12 127.0.0.1:7001", MovedError),
        ("ASK 12 127.0.0.1:7001", AskError),
        ("READONLY You can't write", ReadOnlyError),
        ("ERR Function not found", ResponseError),
    ],
)
async def test_refusals_are_what_redis_py_calls_them(scripted, opened, said, kind):
    where, _ = await scripted(lambda _: f"-{said}\r\n".encode())
    line = opened(where)

    with pytest.raises(kind) as refusal:
        await line._enqueue(("GET", "a"))

    assert type(refusal.value) is kind
    if isinstance(refusal.value, AskError):
        assert (refusal.value.host, refusal.value.port) == ("127.0.0.1", 7001)


async def test_closing_waits_for_what_is_on_its_way(a_server, opened):
    line = opened(a_server().url)
    calls = [asyncio.create_task(line.command("ECHO", "x")) for _ in range(10)]
    await asyncio.sleep(0)

    await line.close()

    assert await asyncio.gather(*calls) == [b"x"] * 10


async def test_sentinels_say_where_the_primary_is(opened):
    watched = Watched()
    try:
        line = opened(watched.url)
        assert await line.command("SET", "a", "1") == b"OK"
        assert (await line.command("ROLE"))[0] == b"master"
    finally:
        watched.remove()
