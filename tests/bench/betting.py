"""`betting.py PLAN`: asks the guard over raw keep-alive connections, and prints what came of it as JSON.

PLAN is a Plan as JSON. Without a rate each connection asks again as soon as it is answered. With one, a burst is due
each millisecond, whatever became of those before; a latency counts from the moment when its request was due, so a
stall shows in all that it delays.
"""

import asyncio
import hmac
import json
import os
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field

import uvloop

WARM_UP_S = 0.5
_LENGTH = b"Content-Length: "


@dataclass(frozen=True)
class Plan:
    """`wallets` are named w0000, w0001, …; `secret` (of key `bench`) empty: nothing is signed."""

    ports: list[int]
    kind: str
    connections: int
    seconds: float
    wallets: int = 1
    rate: int = 0
    token: str = ""
    secret: str = ""
    ttl: str = "2s"


class Requests:
    """The bytes of one request after the other; each hold has an id of its own, each wallet its turn."""

    def __init__(self, plan: Plan) -> None:
        self._plan, self._sent = plan, 0
        self._run = f"{os.getpid()}-{time.time_ns()}"
        more = f',"ttl":"{plan.ttl}"' if plan.kind == "hold" else ""
        self._bodies = [
            f'{{"account":"w{wallet:04}","asset":"USDT","amount":"0.01"{more}}}'.encode()
            for wallet in range(plan.wallets)
        ]
        head = f"Host: 127.0.0.1\r\nAuthorization: Bearer {plan.token}\r\nContent-Type: application/json\r\n"
        self._head = f" HTTP/1.1\r\n{head}Content-Length: {len(self._bodies[0])}\r\n".encode()

    def next(self) -> bytes:
        self._sent += 1
        body = self._bodies[self._sent % len(self._bodies)]
        if self._plan.kind == "hold":
            method, path = b"PUT", f"/v1/holds/{self._run}-{self._sent}".encode()
        else:
            method, path = b"POST", b"/v1/checks"
        return b"%b %b%b%b\r\n%b" % (method, path, self._head, self._signed(method, path, body), body)

    def _signed(self, method: bytes, path: bytes, body: bytes) -> bytes:
        if not self._plan.secret:
            return b""
        at, mac = signature(self._plan.secret, method, path, body)
        return b"X-Guard-Key: bench\r\nX-Guard-Timestamp: %b\r\nX-Guard-Signature: v1=%b\r\n" % (at, mac)


def signature(secret: str, method: bytes, path: bytes, body: bytes = b"") -> tuple[bytes, bytes]:
    """The time of now and the signature, as README.md says."""
    at = str(int(time.time())).encode()
    return at, hmac.digest(secret.encode(), b"\n".join((at, method, path, body)), "sha256").hex().encode()


@dataclass
class Seen:
    """What came back. Latencies in seconds."""

    answers: Counter = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    def note(self, answer: bytes, latency: float) -> None:
        self.latencies.append(latency)
        self.answers["allow" if b'"decision":"allow"' in answer else answer[9:12].decode()] += 1


class Connection(asyncio.Protocol):
    """One request at a time. `done` hears when it may ask again."""

    def __init__(self, seen: Seen, done) -> None:
        self._seen, self._done, self._received, self._since = seen, done, b"", 0.0

    def connection_made(self, transport) -> None:
        self._transport = transport

    def ask(self, request: bytes, since: float) -> None:
        self._since = since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data
        end = received.find(b"\r\n\r\n")
        if end < 0:
            return
        place = received.index(_LENGTH) + len(_LENGTH)
        if len(received) < end + 4 + int(received[place : received.index(b"\r", place)]):
            return
        self._received = b""
        self._seen.note(received, time.perf_counter() - self._since)
        self._done(self)

    def connection_lost(self, _error) -> None:
        self._seen.answers["closed"] += 1


async def closed(connections: list[Connection], _requests: Requests, _plan: Plan, again) -> None:
    """As fast as answers come."""
    for one in connections:
        again(one)


async def paced(connections: list[Connection], requests: Requests, plan: Plan, idle: deque) -> None:
    """So many each millisecond; what finds no idle connection waits for one, and that counts."""
    idle.extend(connections)
    begun, asked, waiting = time.perf_counter(), 0, idle.waiting
    while (now := time.perf_counter()) < begun + plan.seconds + WARM_UP_S:
        due = int((now - begun) * 1_000) + 1
        while asked < due * plan.rate // 1_000:
            waiting.append(begun + asked * 1_000 // plan.rate / 1_000)
            asked += 1
        while idle and waiting:
            idle.popleft().ask(requests.next(), waiting.popleft())
        await asyncio.sleep(max(0.0, begun + due / 1_000 - time.perf_counter()))


class Idle(deque):
    """Connections without a request, and when the requests were due that found none."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: deque[float] = deque()


async def main(plan: Plan) -> dict:
    seen, requests, idle = Seen(), Requests(plan), Idle()

    def again(connection: Connection) -> None:
        if not plan.rate:
            connection.ask(requests.next(), time.perf_counter())
        elif idle.waiting:
            connection.ask(requests.next(), idle.waiting.popleft())
        else:
            idle.append(connection)

    loop = asyncio.get_running_loop()
    connections = []
    for number in range(plan.connections):
        port = plan.ports[number % len(plan.ports)]
        connections.append((await loop.create_connection(lambda: Connection(seen, again), "127.0.0.1", port))[1])
    work = asyncio.create_task(
        paced(connections, requests, plan, idle) if plan.rate else closed(connections, requests, plan, again)
    )
    await asyncio.sleep(WARM_UP_S)
    seen.answers, seen.latencies = Counter(), []
    cpu, begun = time.process_time(), time.perf_counter()
    await asyncio.sleep(plan.seconds)
    took, cpu, found = time.perf_counter() - begun, time.process_time() - cpu, sorted(seen.latencies)
    work.cancel()
    shown = {name: found[min(len(found) - 1, int(len(found) * part))] for name, part in PARTS.items()} if found else {}
    return {"calls": len(found), "seconds": took, "answers": dict(seen.answers), "cpu": cpu, **shown}


PARTS = {"p50": 0.5, "p99": 0.99, "p999": 0.999}

if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(Plan(**json.loads(sys.argv[1]))))))
