"""The accounts there are: those of the configuration, and those made at run time, which every process follows."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from monitor.engine.everyone import Everyone
from monitor.engine.owners import Owners
from monitor.engine.watchports import Crowd, Enlisted, Kept, WatchStore
from monitor.errors import StoreUnavailable, WatchesFull, WatchRefused, WatchTaken
from monitor.guard.hold import Terms
from monitor.model.feed import whose
from monitor.model.record import Account
from monitor.model.watch import Alone, Ended, Ending, Former, Place, Watched

log = structlog.get_logger("monitor.watches")

#: Ended watches remembered without asking the store.
OVER_KEPT = 10_000
#: Looks at who else has come to stand for a wallet, before nobody knows.
LOOKS_MAX = 10
#: By then every process has heard that a watch is over, and takes no bets of it.
HEARD = timedelta(seconds=2)


@dataclass(slots=True)
class Watches:
    """The accounts of one configuration and the watches that it can read, in one process. `terms` are its guard's.

    `enlist` makes the account of (name, provider, settings as JSON), or raises WatchRefused. `kept` is how long it is
    remembered that a watch is over. `strange` are watches that this configuration cannot read. `clashes` are the names
    of configured accounts that are watched too, or (False) were.
    """

    store: WatchStore
    configured: Mapping[str, Account]
    enlist: Callable[[str, str, str], Enlisted]
    crowd: Crowd
    kept: timedelta
    terms: Terms
    watched: dict[str, Account] = field(default_factory=dict)
    strange: dict[str, Watched] = field(default_factory=dict)
    clashes: dict[str, bool] = field(default_factory=dict)
    everyone: Everyone = field(init=False)
    _owners: Owners = field(init=False)
    _known: dict[str, Watched] = field(default_factory=dict)
    _over: OrderedDict[str, Ended] = field(default_factory=OrderedDict)
    _place: Place | None = None
    #: While everything is read anew: what was not met yet.
    _unseen: set[str] = field(default_factory=set)
    #: What came and is yet to be enrolled.
    _came: dict[str, Account] = field(default_factory=dict)
    _learned: int = 0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.everyone = Everyone(self.configured, self.watched)
        self._owners = Owners(iter(self.configured.values()))

    def get(self, name: str) -> Account | None:
        """An account that this process knows of."""
        return self.everyone.get(name)

    async def find(self, name: str) -> Account | None:
        """The same; asks the store when it is unknown here, since another process may just have made it."""
        if (account := self.get(name)) is not None:
            return account
        found = await self.store.find_watch(name)
        match found:
            case Watched():
                self._take(found)
            case Ended():
                self._drop(found)
            case None:
                self._over.pop(name, None)
        return self.get(name)

    def session_over(self, name: str) -> bool:
        """Whether it was watched for a time that is over; then `get` and `find` know it no more."""
        ended = self._over.get(name)
        return ended is not None and ended.reason == "watch_expired" and self.get(name) is None

    def ended(self, name: str) -> Ended | None:
        """How a watch ended, if it did and `find` or `refresh` said so."""
        return self._over.get(name)

    def is_configured(self, name: str) -> bool:
        """Whether it is no watch, but an account of the configuration."""
        return name in self.configured

    def expires_at(self, name: str) -> datetime | None:
        """When a watch ends by itself; None for one that does not, and for what is configured."""
        known = self._known.get(name)
        return known.expires_at if known else None

    async def put(self, name: str, provider: str, settings: str, expires_in: timedelta | None) -> Kept:
        """Watch an account, or watch it otherwise: it is durable, and being read, when this returns.

        WatchRefused: it cannot be watched like that. WatchTaken: another account stands for its wallet, or did, and
        what was bet under that name may count yet. WatchesFull: there are too many.
        """
        enlisted, cleared = self.enlist(name, provider, settings), ""
        for _ in range(LOOKS_MAX):
            await self._check_alone(enlisted.account)
            # As of here: what others do meanwhile, anywhere, is not known yet.
            alone = self._alone(enlisted.account, cleared)
            answer = await self.store.watch(name, provider, settings, expires_in, self.kept, alone)
            if answer == "full":
                raise WatchesFull("there are as many watches as there may be; end some first")
            if isinstance(answer, Former):
                await self._check_left(name, answer)
                cleared = answer.account
            elif answer == "contested":
                await self.refresh()
            else:
                watched, new, before = answer
                self._take(watched, enlisted)
                await self.crowd.begin(enlisted.account, "" if before == provider else before)
                return Kept(enlisted.account, watched.expires_at, new)
        raise StoreUnavailable(f"others change all the time who stands for the wallet of {name}")

    def _alone(self, account: Account, cleared: str) -> Alone | None:
        if account.target is None:
            return None
        # Debits that only `settled` covers count for however long.
        matters = self.kept if self.terms.posting_delay is None else self.terms.quarantine
        return Alone(whose(account.provider, account.target), self._place, matters, cleared)

    async def _check_left(self, name: str, former: Former) -> None:
        """Under its new name nobody would know what was bet of this wallet."""
        if former.since < HEARD or not await self.store.at_rest(former.account, self.terms.read_lag):
            raise WatchTaken(name, former.account, gone=True)

    async def _check_alone(self, account: Account) -> None:
        await self._owners.ready()
        twin = self._owners.twin(account)
        if twin is not None and twin.name not in self.configured:
            # It may have gone, or be another one, by now.
            match await self.store.find_watch(twin.name):
                case Watched() as watched:
                    self._take(watched)
                case Ended() as ended:
                    self._drop(ended)
                case None:
                    self._lose(twin.name)
            twin = self._owners.twin(account)
        if twin is not None:
            raise WatchTaken(account.name, twin.name)

    async def remove(self, name: str, reason: Ending = "account_removed") -> Ended | None:
        """End a watch now; None when there is none."""
        ended = await self.store.unwatch(name, reason, self.kept)
        if ended is not None:
            self._drop(ended)
            await self.crowd.end([ended])
        return ended

    async def refresh(self) -> None:
        """Take over what other processes did, and end what has lasted long enough."""
        async with self._lock:
            while await self._read_on():
                pass

    async def _read_on(self) -> bool:
        """Read what changed; whether there is more."""
        learned = self._learned
        news = await self.store.watch_news(self._place, self.kept)
        undisturbed = learned == self._learned
        if news.whole:
            self._begin_anew()
        self._came.update((one.account, account) for one in news.live if (account := self._take(one)) is not None)
        for one in (*news.expired, *news.ended):
            self._drop(one)
        await self.crowd.end(news.expired)
        came = tuple(self._came.items())
        await self.crowd.enrol([account for _, account in came])
        for name, account in came:
            if self._came.get(name) is account:
                del self._came[name]
        # Only now: where this is cut short, it is told again.
        self._place = news.place
        if news.more:
            return True
        for name in tuple(self._unseen):
            self._lose(name)
        counted = len(self._known) + len(self.strange) + sum(self.clashes.values())
        if undisturbed and not news.whole and news.alive != counted:
            # Something was lost with the store.
            self._place = None
            return True
        return False

    def _begin_anew(self) -> None:
        """Nothing is certain any more but what is met from now on; numbers may have been lost with the store."""
        self._unseen = self._known.keys() | self.strange.keys()
        self._known.update({name: one._replace(number=0) for name, one in self._known.items()})
        self.strange.update({name: one._replace(number=0) for name, one in self.strange.items()})
        self._over.clear()

    def _take(self, watched: Watched, enlisted: Enlisted | None = None) -> Account | None:
        """Know of a watch; returns its account where that is new or another."""
        name = watched.account
        if self._is_old(name, watched.number):
            return None
        self._learned += 1
        self._unseen.discard(name)
        self._over.pop(name, None)
        if name in self.configured:
            self.clashes[name] = True
            return None
        before = self.watched.get(name)
        for known in (self._known, self.strange):
            if name in known and _same(known[name], watched):
                known[name] = watched
                return None
        try:
            enlisted = enlisted or self.enlist(name, watched.provider, watched.settings)
        except WatchRefused as refused:
            log.error("watch.not_understood", account=name, provider=watched.provider, why=refused.mistakes[:3])
            self._forget(name)
            self.strange[name] = watched
            return None
        self.strange.pop(name, None)
        self._known[name], self.watched[name] = watched, enlisted.account
        self._owners.change(before, enlisted.account)
        self.crowd.change(before, enlisted)
        return enlisted.account

    def _drop(self, ended: Ended) -> None:
        """Know that a watch is over."""
        name = ended.account
        if self._is_old(name, ended.number):
            return
        self._learned += 1
        self._over[name] = ended
        self._over.move_to_end(name)
        if len(self._over) > OVER_KEPT:
            self._over.popitem(last=False)
        if ended.reason != "account_configured" and name in self.configured:
            self.clashes[name] = False
            return
        self._lose(name)

    def _is_old(self, name: str, number: int) -> bool:
        """Whether something later is known."""
        known = self._known.get(name) or self.strange.get(name) or self._over.get(name)
        return known is not None and number < known.number

    def _lose(self, name: str) -> None:
        self._unseen.discard(name)
        self.clashes.pop(name, None)
        self.strange.pop(name, None)
        self._forget(name)

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        self._came.pop(name, None)
        before = self.watched.pop(name, None)
        if before is not None:
            self._owners.change(before, None)
            self.crowd.change(before, None)


def _same(known: Watched, watched: Watched) -> bool:
    """Whether they differ in when they end at most."""
    return (known.provider, known.settings) == (watched.provider, watched.settings)
