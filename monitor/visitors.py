"""Accounts made at run time, at work in one crew: polled, judged, added up and seen off like those of the file."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import msgspec
import structlog
from pydantic import ValidationError

from monitor.config.accounts import Roster, Untimely, account_model, timetable
from monitor.config.mistakes import dotted, translated
from monitor.engine.watch import SUM, account_of_checkup, match_labels
from monitor.engine.watches import Watches
from monitor.engine.watchports import Enlisted
from monitor.errors import WatchRefused
from monitor.fields import Context, suggestion
from monitor.model.record import Account, RuleWatch
from monitor.model.watch import Ended
from monitor.providers.base import AccountSettings
from monitor.schedule import Timetable, usual_gap

if TYPE_CHECKING:
    from monitor.config import Config
    from monitor.plan import Crew

log = structlog.get_logger("monitor.visitors")

#: Accounts removed for good in one go, and how much later one is that cannot be yet.
FORGET_MAX, FORGET_LATER = 100, timedelta(minutes=1)
#: Secrets of others are nothing that a caller may name.
_CONTEXT = Context(secrets=False, environment={})


def enlist(config: "Config", name: str, provider: str, settings: str) -> Enlisted:
    """The account of a watch, checked as one of the file would be: WatchRefused, in the same words."""
    spec = config.providers.get(provider)
    if spec is None:
        raise WatchRefused([f"provider: there is no provider {provider!r}{suggestion(provider, config.providers)}"])
    model, said, roster = account_model(spec), msgspec.json.decode(settings), Roster(config.defaults)
    try:
        account = model.model_validate(said, context=_CONTEXT)
        if why := spec.refuses(account):
            raise WatchRefused([why])
        roster.add(name, provider, spec, account, "")
    except ValidationError as error:
        found = translated(error, "providers", _schema(model), said)
        raise WatchRefused([f"{dotted(path)}: {what}" if path else what for path, what in found]) from None
    except Untimely as error:
        raise WatchRefused([f"{error.key}: {error}"]) from None
    except ValueError as error:
        raise WatchRefused([str(error)]) from None
    return Enlisted(roster.accounts[name], roster.timetables[name])


def idle(config: "Config") -> dict[str, Account]:
    """The pseudo accounts of providers that have no accounts but those made at run time."""
    used = {account.provider for account in config.accounts.values()}
    gaps = {
        name: usual_gap(timetable(spec, spec, config.defaults))
        for name, spec in config.providers.items()
        if name not in used
    }
    found = (account_of_checkup(name, gap) for name, gap in gaps.items())
    return {account.name: account for account in found}


@cache
def _schema(model: type[AccountSettings]) -> Mapping[str, Any]:
    return model.model_json_schema(mode="validation")


class Visitors:
    """The watches of one crew. It tells everybody in there who comes and goes, at a cost that does not grow."""

    def __init__(self, crew: "Crew") -> None:
        self.crew = crew
        #: Provider → the accounts that are polled there.
        self.rosters: dict[str, dict[str, Account]] = {}
        self.timetables: dict[str, Timetable] = {}
        terms = crew.config.guard.terms()
        # Until then a hold of the account may still become a debit.
        kept = max(terms.hold_ids, terms.quarantine)
        self.watches = Watches(crew.store, crew.config.accounts, self._enlist, self, kept, terms)

    def call_the_roll(self) -> None:
        """Begin with the accounts of the configuration."""
        for account in (*self.crew.config.accounts.values(), *self.crew.stand_ins.values()):
            self.rosters.setdefault(account.provider, {})[account.name] = account

    def _enlist(self, name: str, provider: str, settings: str) -> Enlisted:
        return enlist(self.crew.config, name, provider, settings)

    def change(self, before: Account | None, now: Enlisted | None) -> None:
        """An account has come, is another, or has gone."""
        account = now.account if now else None
        name = (account or cast(Account, before)).name
        if before is not None and (account is None or account.provider != before.provider):
            self.rosters[before.provider].pop(name, None)
            self.crew.gauges.gone(before)
        if now is None or account is None:
            self.timetables.pop(name, None)
        else:
            self.timetables[name] = cast(Timetable, now.plan)
            self.rosters.setdefault(account.provider, {})[name] = account
            self.crew.gauges.come(account)
            self.crew.hire(account.provider)
        for watch in self.crew.watching.values():
            watch.forget(name)
        self._add_up(name, account)

    def _add_up(self, name: str, account: Account | None) -> None:
        """Have the sums follow that it is over; those that know it already also where nothing is read of it."""
        changed = []
        for rule in self.crew.config.rules:
            if not rule.spans:
                continue
            stand_in = self.crew.stand_ins[SUM + rule.alert]
            members = cast(RuleWatch, stand_in.target).members
            if account is not None and rule.matches(match_labels(account)):
                members.come(account)
            elif not members.leave(name):
                continue
            changed.append(stand_in.name)
        self.crew.kicker.ring(changed)

    async def begin(self, account: Account, moved_from: str) -> None:
        """It was made, or changed, here: read it at once, and have its provider before let go of it."""
        crew = self.crew
        await crew.enrolment.enrol(account.provider, {account.name: account})
        for provider in filter(None, (account.provider, moved_from)):
            await crew.store.poll_now(provider, account.name)
            crew.wake(provider)

    async def enrol(self, accounts: Sequence[Account]) -> None:
        """They were made, or changed, somewhere: see that they are polled, should whoever did it have died."""
        if not self.crew.at_work:
            # All are enrolled at the start.
            return
        by_provider: dict[str, dict[str, Account]] = {}
        for account in accounts:
            by_provider.setdefault(account.provider, {})[account.name] = account
        for provider, found in by_provider.items():
            await self.crew.enrolment.enrol(provider, found)
            self.crew.wake(provider)

    async def end(self, ended: Sequence[Ended]) -> None:
        """They were ended here: close what is open of them soon."""
        if not ended:
            return
        await asyncio.gather(*(self.crew.store.poll_now(one.provider, one.account) for one in ended))
        for one in ended:
            log.info("watch.ended", account=one.account, provider=one.provider, reason=one.reason)
        for provider in {one.provider for one in ended}:
            self.crew.hire(provider)
            self.crew.wake(provider)

    async def follow(self) -> None:
        """Learn what other processes have done, and end what has lasted long enough.

        The configuration wins: what it cannot watch ends, and what it has accounts of its own for.
        """
        await self.watches.refresh()
        if (self.watches.clashes or self.watches.strange) and await self.crew.may_close():
            await self._settle()

    async def _settle(self) -> None:
        watches, crew = self.watches, self.crew
        if clashes := tuple(watches.clashes):
            for name in await crew.store.yield_watches(clashes, watches.kept):
                log.warning("watch.configured", account=name, why="the configuration has an account of that name now")
            await watches.refresh()
        for name, watched in tuple(watches.strange.items()):
            log.warning("watch.given_up", account=name, provider=watched.provider)
            await watches.remove(name)

    async def forget(self) -> None:
        """Remove all that is known of accounts whose watch was over long ago, so that nothing grows for ever."""
        store, crew = self.crew.store, self.crew
        if not crew.at_work:
            return
        for ended in await store.over_watches(FORGET_MAX):
            name = ended.account
            version = await store.version(name)
            # What is not watched may be configured, elsewhere too: whoever polls it since has another version.
            if ended.reason != "account_configured" and not await crew.may_close():
                return
            done = name in crew.config.accounts or await store.erase(ended.provider, name, version)
            await store.forget_watch(ended, None if done else FORGET_LATER)
