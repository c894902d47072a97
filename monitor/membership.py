"""What a process says to the others of its configuration, and learns of theirs."""

import uuid
from dataclasses import dataclass, field

import structlog

from monitor.config import Config
from monitor.engine.farewell import farewell
from monitor.engine.poll import Polling
from monitor.engine.poller import pass_on
from monitor.engine.ports import Claim
from monitor.engine.watches import Watches
from monitor.errors import StoreUnavailable
from monitor.gauges import Gauges
from monitor.model.standing import Standing
from monitor.store.redis import RedisStore

log = structlog.get_logger("monitor.membership")


@dataclass(slots=True)
class Membership:
    """One configuration at work in one process: it holds a generation from the first `hold` until it leaves."""

    store: RedisStore
    config: Config
    gauges: Gauges
    watches: Watches
    standing: Standing = field(init=False)
    name: str = field(default_factory=lambda: uuid.uuid4().hex)
    _left: bool = False
    _news: bool = False

    def __post_init__(self) -> None:
        self.standing = Standing(name=self.config.meaning)

    async def hold(self) -> None:
        """Say that we are here, and learn how we stand among the others."""
        if self._left:
            return
        standing = self.standing
        held = await self.store.enter(self.name, self.config.meaning, standing.generation, standing.met)
        before = standing.newest
        self._news = standing.take(held) or self._news
        if before != standing.newest:
            say = log.info if standing.newest else log.warning
            event = "config.newest" if standing.newest else "config.outdated"
            say(event, generation=standing.generation, newest=held.generation, meaning=self.config.meaning)
        self.gauges.metrics.outdated(outdated=not standing.newest)

    def news(self) -> bool:
        """Whether that has changed since this was last asked, whoever learned it."""
        news, self._news = self._news, False
        return news

    async def may_close(self) -> bool:
        """Whether what is not configured here is configured nowhere: asked anew, for it cannot be undone."""
        await self.hold()
        return not self._left and self.standing.newest and self.standing.alone

    async def see_off(self, polling: Polling, claim: Claim) -> None:
        """An account that its provider does not have here: closed, if its watch is over or nobody runs another
        configuration."""
        name, watches = claim.account, self.watches
        account = await watches.find(name)
        if account is not None and account.provider == polling.provider:
            # Another process has just made it.
            await self.store.release(polling.provider, [claim])
            return
        ended = watches.ended(name)
        if account is None and ended is not None and ended.reason != "account_configured":
            await farewell(polling, claim, ended.reason)
            back = await watches.find(name)
            ended = watches.ended(name)
            if back is None and (ended is None or ended.reason != "account_configured"):
                return
            # Wanted again since: that it was to be polled may have been dismissed with the rest.
            provider = back.provider if back else polling.provider
            await self.store.enrol(provider, {name: polling.now()})
            return
        await self._see_off_unknown(polling, claim, moved=account is not None)

    async def _see_off_unknown(self, polling: Polling, claim: Claim, *, moved: bool) -> None:
        if not await self.may_close():
            await pass_on(polling, claim)
            return
        if moved:
            # It is at another provider now, and its alerts with it.
            await self.store.dismiss(polling.provider, [claim.account], moved=True)
        else:
            await farewell(polling, claim)
        if not await self.may_close():
            # A reload since may want it: its enrolling found the claim, and left it to us.
            await self.store.enrol(polling.provider, {claim.account: polling.now()})

    async def leave(self) -> None:
        """We work by this configuration no longer; where the store does not hear it, it notices."""
        self._left = True
        try:
            await self.store.leave(self.name)
        except StoreUnavailable as error:
            log.debug("membership.not_left", why=str(error))
