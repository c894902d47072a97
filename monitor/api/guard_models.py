"""What the guard is asked and what it answers, field by field: what validates a request is what documents it.

Amounts are text. What is not known is null, never zero.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from monitor.api.shapes import AmountText, Stamp
from monitor.guard.freshness import Freshness
from monitor.guard.hold import State
from monitor.guard.policy import OnStale
from monitor.guard.reasons import Reason

#: Bounds of the names in paths and bodies; what is outside of them is no name of anything.
ACCOUNT = r"^[A-Za-z0-9._-]{1,128}$"
ASSET = r"^[^\s{}\"\\\u0000-\u001f\u007f]{1,64}$"
#: Not `.` or `..`: whoever passes a request on takes these out of its path, which then is that of another one.
HOLD_ID = r"^(?!\.{1,2}$)[A-Za-z0-9._~@=+|-]{1,128}$"
SOURCE = r"^(?!\.{1,2}$)[A-Za-z0-9._~@=+-]{1,64}$"
_AMOUNT = r"^[0-9]{1,27}(\.[0-9]{1,18})?$"
_DURATION = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"


def _said(meaning: str, pattern: str, example: str) -> Meta:
    """A text that is checked by what reads it, since that can say more about a mistake than a pattern."""
    return Meta(description=meaning, examples=[example], extra_json_schema={"pattern": pattern})


Amount = Annotated[str, _said("exact decimal, in quotes", _AMOUNT, "12.50")]
Span = Annotated[str, _said("a duration", _DURATION, "30s")]
Moment = Annotated[datetime, Meta(tz=True, description="RFC 3339, with its zone")]
Account = Annotated[str, _said("the account as it is watched", ACCOUNT, "player-7")]
Asset = Annotated[str, _said("with its network where it has several, `USDT@TRX`", ASSET, "USDT")]


class _Request(Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    pass


class CheckRequest(_Request, frozen=True):
    """May this be spent?"""

    account: Account
    asset: Asset
    amount: Amount
    max_age: Annotated[Span | None, Meta(description="how old the facts may be; only tightens `guard.max_age`")] = None
    on_stale: Annotated[OnStale | None, Meta(description="default: `guard.on_stale`")] = None
    exposure: Annotated[
        Amount | None, Meta(description="the most that this bet can win, held against the bankroll")
    ] = None
    context: Annotated[dict[str, Any] | None, Meta(description="the caller's own; it is not looked at")] = None


class HoldRequest(CheckRequest, frozen=True):
    """Check and reserve."""

    ttl: Annotated[Span | None, Meta(description="how long it is held; default and maximum: `guard.hold_ttl`")] = None


class CommitRequest(_Request, frozen=True):
    """The bet stands."""

    amount: Annotated[Amount | None, Meta(description="the final amount, at most what is held; default: all")] = None


class Nothing(_Request, frozen=True):
    """There is nothing to say: an empty body, or `{}`."""


class LockRequest(_Request, frozen=True):
    """A wallet must not be used."""

    until: Annotated[Moment | None, Meta(description="when the lock ends by itself; default: never")] = None


class CloseRequest(_Request, frozen=True):
    """Nothing may be held any more."""

    comment: Annotated[str, Meta(min_length=1, max_length=500, description="why, for people")]


class _Answer(Struct, frozen=True, gc=False):
    pass


class Hold(_Answer, frozen=True):
    """A hold as it is now. `amount` is what is held, or the final amount once it is committed."""

    id: str
    state: State
    amount: Annotated[AmountText | None, Meta(description="null where it was never asked for")]
    expires_at: Annotated[Stamp | None, Meta(description="null unless something was held")]
    returned: AmountText | UnsetType = UNSET
    reason: Annotated[Reason | UnsetType, Meta(description="why it was refused")] = UNSET
    account: str | UnsetType = UNSET
    asset: str | UnsetType = UNSET
    posted_at: Annotated[Stamp | UnsetType | None, Meta(description="when its debit counts as booked")] = UNSET
    decision_id: str | UnsetType = UNSET


class Balance(_Answer, frozen=True):
    """A wallet at the time of the decision: spendable = last_seen - held - unsettled - locked, never negative."""

    asset: str
    last_seen: AmountText | None
    held: AmountText
    unsettled: AmountText
    locked: AmountText
    spendable: AmountText | None
    as_of: Annotated[Stamp | None, Meta(description="when the request began that showed `last_seen`")]
    age_ms: int | None
    freshness: Freshness


class Decision(_Answer, frozen=True):
    """Allow or deny. Anything that is not this answer means: do not bet."""

    decision: Literal["allow", "deny"]
    reason: Reason
    hold: Annotated[Hold | None, Meta(description="what is known under this id; its state says whether it is held")]
    balance: Annotated[Balance | None, Meta(description="null where the id was released before it came")]
    replayed: bool
    decision_id: str
    shortfall: Annotated[AmountText | UnsetType, Meta(description="how much is missing")] = UNSET


class CheckDecision(Decision, frozen=True):
    """Allow or deny. Nothing was reserved: the next bet may spend the same money."""

    reserved: Literal[False] = False


class HoldAnswer(_Answer, frozen=True):
    """What became of a hold."""

    hold: Hold


class Debit(_Answer, frozen=True):
    """A committed amount that counts until a reading covers it: one that begins after `covered_after`."""

    hold: Annotated[str | None, Meta(description="null where it is another caller's; an admin sees them all")]
    caller: str
    amount: AmountText
    committed_at: Stamp | None
    posted_at: Annotated[Stamp | None, Meta(description="null: it waits for `settled`")]
    covered_after: Stamp | None


class OpenHold(_Answer, frozen=True):
    """Money that is held. One caller does not see another's ids."""

    id: Annotated[str | None, Meta(description="null where it is another caller's; an admin sees them all")]
    caller: str
    amount: AmountText
    expires_at: Stamp | None


class Lock(_Answer, frozen=True):
    """Somebody's word that a wallet must not be used."""

    source: str
    until: Annotated[Stamp | None, Meta(description="null: until its source takes it back")]


class Snapshot(_Answer, frozen=True):
    """Which reading `last_seen` is of: the start of its request, and the fencing token of its poll."""

    started_at: Stamp | None
    epoch: int | None


class Wallet(_Answer, frozen=True):
    """All there is to know of a wallet. Lists are cut at a hundred; `more` is how many are left out."""

    account: str
    asset: str
    balance: Balance
    snapshot: Snapshot
    holds: list[OpenHold]
    debits: list[Debit]
    locks: list[Lock]
    quarantined_until: Annotated[
        Stamp | None, Meta(description="holds may have been lost or have ended early: until then nothing new")
    ]
    version: int
    more: int


class RefreshScheduled(_Answer, frozen=True):
    """A reading is in flight and not back yet."""

    status: Literal["scheduled"] = "scheduled"


class LockAnswer(_Answer, frozen=True):
    """Whether a source locks a wallet."""

    account: str
    asset: str
    source: str
    locked: bool
    until: Stamp | None = None


class Closed(_Answer, frozen=True):
    """Whether the guard refuses everything, and why: the operator's switch, or a bankroll that is too low."""

    closed: bool
    why: str | None
    since: Stamp | None
    comment: str | None
    author: str | None
