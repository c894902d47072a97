"""What of the guard's settings is wrong, or can hardly be meant, once the accounts are known."""

from collections.abc import Iterator, Mapping
from itertools import islice

from monitor.config.guard_settings import GuardSettings
from monitor.config.mistakes import Finding
from monitor.config.settings import Settings
from monitor.engine.owners import Owners
from monitor.fields import duration_text, suggestion
from monitor.model.asset import selects
from monitor.model.record import Account

#: Among more names than these nobody looks for a similar one.
_COMPARED = 2_000


def mistakes(guard: GuardSettings, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """A bankroll that is no wallet of ours would close the guard for ever."""
    house = guard.bankroll
    if house is None:
        return
    account = accounts.get(house.account)
    if account is None:
        near = suggestion(house.account, islice(accounts, _COMPARED))
        yield ("guard", "bankroll", "account"), f"there is no account {house.account!r}{near}"
    elif account.assets and not any(selects(house.asset, one) for one in account.assets):
        near = suggestion(house.asset, account.assets)
        yield ("guard", "bankroll", "asset"), f"{house.asset!r} is not in `assets` of {account.name}{near}"


def doubts(settings: Settings, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Only where somebody has written the section: the guard is always there, and few ask it."""
    if "guard" not in settings.model_fields_set:
        return
    guard, tokens = settings.guard, settings.http.tokens
    if tokens and not any({"guard", "admin"} & set(token.scopes) for token in tokens):
        yield ("http", "tokens"), "no token has the scope guard: nobody can ask the guard"
    yield from _twins(settings, accounts)
    yield from _ages(guard, accounts)
    booked = guard.posting_delay
    if booked is not None and guard.unsettled_limit < booked + guard.read_lag:
        yield ("guard", "unsettled_limit"), "shorter than posting_delay and read_lag together: every debit is an alert"


def _twins(settings: Settings, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Wallets that are read under two names, maybe of two providers."""
    wheres = {
        name: (getattr(spec, "type", name), spec.origin().rstrip("/")) for name, spec in settings.providers.items()
    }
    owners = Owners(iter(()), lambda account: wheres[account.provider])
    for account in accounts.values():
        if (twin := owners.twin(account)) is not None:
            path = ("providers", account.provider, "accounts", account.name)
            yield path, f"reads the same wallet as {twin.name}: the guard would promise its money twice"
        else:
            owners.change(None, account)


def _ages(guard: GuardSettings, accounts: Mapping[str, Account]) -> Iterator[Finding]:
    """Settings by which facts are too old before they are read again. Which accounts are players' nobody says."""
    quickest = min(accounts.values(), key=lambda account: account.interval, default=None)
    if quickest is not None and 2 * guard.max_age < 3 * quickest.interval:
        every = f"{quickest.name} is read every {duration_text(quickest.interval)}, no account more often"
        yield ("guard", "max_age"), f"less than 1.5 × an interval ({every}): bets are refused between two polls"
    elif quickest is not None and guard.soft < quickest.interval:
        every = f"{quickest.name} is read every {duration_text(quickest.interval)}, no account more often"
        yield ("guard", "soft_age"), f"shorter than an interval ({every}): bets have accounts read anew all the time"
    house = guard.bankroll and accounts.get(guard.bankroll.account)
    if house and house is not quickest and 2 * guard.max_age < 3 * house.interval:
        every = f"{house.name} is read every {duration_text(house.interval)}"
        yield ("guard", "bankroll", "account"), f"{every}, max_age is less than 1.5 × that: the guard closes in between"
