"""Every error we raise on purpose, named for what the caller does next.

    MonitorError
    ├── ConfigError             tell the operator, exit 2
    ├── Outdated                a newer configuration has judged this account: leave it to whoever runs that
    ├── NotAcknowledged         say which alert it is, or that there is nothing to take care of
    ├── WatchRefused            say what is wrong with the account to be watched
    ├── WatchTaken              use the account that stands for this wallet already
    ├── WatchesFull             end other watches first
    ├── ProviderError           record the outage, try at the next due time
    │   ├── ProviderUnreachable     timeout, refused connection, 5xx
    │   ├── ProviderThrottled       429 or an exhausted quota: carries how long to wait
    │   ├── ProviderRefused         401, 403, unknown wallet: a person must act
    │   └── ProviderGarbled         a 2xx that no longer means what we thought
    ├── DeliveryError
    │   ├── DeliveryDeferred        try again later, perhaps after the wait it asked for
    │   └── DeliveryRejected        never try again: bury it, and say what is at fault
    └── StoreError
        ├── StoreUnavailable        nothing is known, nothing was written as far as we can tell
        ├── RecordUnreadable        damaged, or of a newer release: leave it as it is, say so, go on with the others
        └── StoreUnusable           this store must not be used: evicting, foreign or damaged data; exit 1

Anything else is a bug. Bulkheads may catch it (one reading, one poll, one delivery, one ring of a bell, one
request); each logs it and carries on. Nothing else catches Exception: tests/test_architecture.py lists them.
"""

from datetime import timedelta
from typing import ClassVar, Literal

#: Whose fault a refusal is: the credentials (every account suffers) or this one account.
Scope = Literal["credentials", "account"]

#: The kinds of outage, as logs, metrics and stored outages name them.
Kind = Literal["unreachable", "refused", "throttled", "garbled"]

#: What is at fault when a destination will never take a message: the message itself, or the channel for all of them.
Fault = Literal["message", "channel"]


class MonitorError(Exception):
    """The root of everything raised on purpose."""


class Outdated(MonitorError):
    """A configuration of a newer `generation` has judged this account since."""

    def __init__(self, generation: int) -> None:
        super().__init__(f"judged by generation {generation}")
        self.generation = generation


class ConfigError(MonitorError):
    """The configuration cannot be used; `mistakes` are ready to print, one a line."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class NotAcknowledged(MonitorError):
    """An alert that cannot be acknowledged: there is none of this id, or it does not fire: not yet, or no longer."""

    def __init__(self, alert: str, reason: Literal["unknown", "resolved", "pending", "event"]) -> None:
        super().__init__(
            {
                "unknown": f"no alert {alert[:128]!r} is known",
                "resolved": f"{alert} has resolved, there is nothing to take care of any more",
                "pending": f"{alert} does not fire yet, nobody was told of it",
                "event": f"{alert} is an event, which nobody is reminded of: there is nothing to acknowledge",
            }[reason]
        )
        self.reason = reason


class WatchRefused(MonitorError):
    """An account cannot be watched like that; each of `mistakes` is one line, as for a configuration."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


class WatchTaken(MonitorError):
    """Another account stands for this wallet, or did (`gone`): the guard would promise its money twice."""

    def __init__(self, account: str, other: str, *, gone: bool = False) -> None:
        was = f"was, and what was bet as {other} may count yet: use that name, or try again in a while"
        super().__init__(
            f"{account} would be the wallet that {other} " + (was if gone else "is: use that one, or remove it first")
        )


class WatchesFull(MonitorError):
    """There are as many watches as there may be."""


class ProviderError(MonitorError):
    """A poll that failed; `kind` is its name in logs, metrics and stored outages."""

    kind: ClassVar[Kind] = "unreachable"


class ProviderUnreachable(ProviderError):
    """DNS, connect, TLS, reset, timeout or 5xx: nobody we can use. `answered`: somebody did answer (5xx)."""

    kind: ClassVar[Kind] = "unreachable"

    def __init__(self, why: str, *, answered: bool = False) -> None:
        super().__init__(why)
        self.answered = answered


class ProviderThrottled(ProviderError):
    """We asked too often; every account under the same quota waits."""

    kind: ClassVar[Kind] = "throttled"

    def __init__(self, why: str, wait: timedelta | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class ProviderRefused(ProviderError):
    """They understood and said no: a person must act."""

    kind: ClassVar[Kind] = "refused"

    def __init__(self, why: str, scope: Scope) -> None:
        super().__init__(why)
        self.scope = scope


class ProviderGarbled(ProviderError):
    """A success that does not mean what their documentation says."""

    kind: ClassVar[Kind] = "garbled"


class DeliveryError(MonitorError):
    """A notification that did not arrive, or not all of it.

    `taken` are the places, in the message, of alerts that did arrive: where each is sent by itself.
    """

    taken: frozenset[int] = frozenset()


class DeliveryDeferred(DeliveryError):
    """Try again later; `wait` is what the destination asked for, and then its whole channel waits."""

    def __init__(self, why: str, wait: timedelta | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class DeliveryRejected(DeliveryError):
    """Never try again. `fault` says whether this message or the whole channel is refused."""

    def __init__(self, why: str, fault: Fault) -> None:
        super().__init__(why)
        self.fault = fault


class StoreError(MonitorError):
    """The store did not do what was asked."""


class StoreUnavailable(StoreError):
    """No answer from the store: whatever was asked may or may not have happened."""


class RecordUnreadable(StoreError):
    """What is stored of one account cannot be understood. Overwriting it might destroy a newer release's work."""


class StoreUnusable(StoreError):
    """This store must not be used; the message says why and what to do."""
