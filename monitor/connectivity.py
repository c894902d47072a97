"""Tells our own lost network from providers that fail: hears of every poll, and asks the control targets."""

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from monitor.concerns import Concerns
from monitor.config.watchdog_settings import Connectivity, address
from monitor.egress import Egress
from monitor.engine.offline import Blame, Sight
from monitor.engine.poll import BUG
from monitor.engine.ports import Clock
from monitor.model.record import Account, Answer, Reading
from monitor.model.snapshot import Outage

#: How long a control target has to take a connection.
CONNECT_TIMEOUT = 3.0
SELF_OFFLINE = "SelfOffline"

log = structlog.get_logger("monitor.connectivity")


@dataclass(slots=True)
class Lookout:
    """Of one process, whatever configuration it runs. `bell` asks for `look` at once."""

    clock: Clock
    concerns: Concerns
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    sight: Sight = field(default_factory=Sight)
    egress: Egress = field(default_factory=Egress)
    targets: tuple[str, ...] = ()

    @property
    def offline(self) -> bool:
        """Whether we are the one offline, or just returning."""
        return self.sight.offline_since is not None

    def expect(self, accounts: Iterable[Account], connectivity: Connectivity | None, egress: Egress) -> None:
        """These accounts are polled here from now on, and these targets are asked."""
        self.targets, self.egress = connectivity.targets if connectivity else (), egress
        self.sight.expect(accounts, armed=bool(self.targets))
        self._judge()

    def heard(self, account: Account, reading: Reading) -> None:
        """A poll has ended."""
        sight = self.sight
        if not sight.armed or account.provider not in sight.intervals:
            return
        match reading:
            case Answer():
                sight.heard(account.provider, account.name, self.clock())
            case Outage(asked_at=datetime()) | Outage(kind="throttled"):
                # Perhaps nobody was asked.
                return
            case Outage(why=why) if why.startswith(BUG):
                return
            case Outage(kind="unreachable", answered=False):
                if sight.missed(account.provider, account.name, self.clock()):
                    self.bell.set()
            case Outage():
                sight.heard(account.provider, account.name, self.clock())

    def blame(self, provider: str) -> Blame:
        """Whose doing it is that a provider does not answer."""
        return self.sight.blame(provider)

    async def look(self) -> None:
        """Ask the targets if it is time to, and judge."""
        now = self.clock()
        at = self.sight.look_at(now)
        if at is not None and at <= now:
            reached = await any_reached(self.targets, self.egress)
            self.sight.looked(now, reached=reached)
        self._judge()

    def _judge(self) -> None:
        before = self.offline
        self.sight.judge(self.clock())
        if self.offline and not before:
            names = ", ".join(sorted(self.sight.intervals)[:5])
            log.error("network.lost", providers=names, targets=self.targets)
            self.concerns.report(SELF_OFFLINE, f"neither {names} nor {', '.join(self.targets)} can be reached")
        elif before and not self.offline:
            log.info("network.recovered")
            self.concerns.settle(SELF_OFFLINE)


async def any_reached(targets: Iterable[str], egress: Egress) -> bool:
    """Whether any of these takes a TCP connection in time."""
    tries = [asyncio.create_task(_reached(target, egress)) for target in targets]
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            for one in asyncio.as_completed(tries):
                if await one:
                    return True
    except TimeoutError:
        pass
    finally:
        for one in tries:
            one.cancel()
        await asyncio.gather(*tries, return_exceptions=True)
    return False


async def _reached(target: str, egress: Egress) -> bool:
    loop = asyncio.get_running_loop()
    host, port = address(target)
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, where in found:
        # As with every other connection: the very address that is dialled.
        if not egress.permits(str(where[0])):
            continue
        with socket.socket(family, kind, protocol) as line:
            line.setblocking(False)
            try:
                await loop.sock_connect(line, where)
            except OSError:
                continue
            return True
    return False
