"""What a configuration says of the guard."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from monitor.channels.base import as_list
from monitor.fields import Amount, Duration, Secret, Section, duration
from monitor.guard import units
from monitor.guard.hold import HOLDS_MAX, Terms
from monitor.guard.policy import AuditMode, House, OnStale, Policy

#: A hold must not outlive the caller's patience by much: money that nobody can spend is lost business.
HOLD_MAX = timedelta(minutes=15)
_NEVER = "never"


def _countable(value: Decimal) -> Decimal:
    if value < 0 or units.decimals(value) < -int(value.as_tuple().exponent) or units.floor(value) == units.MAX:
        raise ValueError("an amount of the guard is not negative and has 27 digits and 18 decimals at most")
    return value


#: An amount that the guard can count.
GuardAmount = Annotated[Amount, AfterValidator(_countable)]


class HoldTtl(Section):
    """`hold_ttl: {default: 30s, max: 15m}`: how long money is held for a bet that nobody decides."""

    default: Duration = Field(default=timedelta(seconds=30), gt=timedelta(0))
    max: Duration = Field(default=HOLD_MAX, gt=timedelta(0), le=timedelta(days=1))

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.default > self.max:
            raise ValueError("default is longer than max")
        return self


class Stakes(Section):
    """`amount: {min: "0.01", max: "10000"}`: a bet outside of it is refused."""

    min: GuardAmount = Decimal("0.01")
    max: GuardAmount = Decimal(10_000)

    @model_validator(mode="after")
    def _within(self) -> Self:
        if self.min > self.max:
            raise ValueError("min is more than max")
        return self


class Bankroll(Section):
    """`bankroll: {account: hot-usdt, asset: USDT, close_below: 80_000, open_above: 100_000}`: the house side."""

    account: str
    asset: str = Field(min_length=1)
    close_below: GuardAmount
    open_above: GuardAmount

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        if self.open_above < self.close_below:
            raise ValueError("open_above is less than close_below")
        return self


class SigningKey(Section):
    """`{id: op-7, secret: [{env: OP7_NEW}, {env: OP7}]}`: two live secrets while one replaces the other."""

    id: str = Field(pattern=r"^[A-Za-z0-9._-]{1,128}$")
    secret: Annotated[tuple[Secret, ...], BeforeValidator(as_list)] = Field(min_length=1, max_length=2)


class Signing(Section):
    """`signing: {keys: […], window: 30s}`: every guard request must be signed, on top of its token."""

    keys: tuple[SigningKey, ...] = Field(min_length=1)
    window: Duration = Field(default=timedelta(seconds=30), gt=timedelta(0), le=timedelta(minutes=15))

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [key.id for key in self.keys]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"there are two keys {twice}")
        return self


def _delay(value: object) -> timedelta | None:
    return None if value is None or value == _NEVER else duration(value)


class GuardSettings(Section):
    """`guard: {…}`: what the pre-bet guard allows."""

    max_age: Duration = Field(default=timedelta(seconds=150), gt=timedelta(0), description="older facts are stale")
    soft_age: Duration | None = Field(
        default=None, description="older facts are read anew in the background; default 0.6 × max_age"
    )
    on_stale: OnStale = "deny"
    hold_ttl: HoldTtl = HoldTtl()
    amount: Stakes = Stakes()
    max_holds: int = Field(default=50, ge=1, le=HOLDS_MAX, description="open holds per wallet")
    locked: Literal["subtract", "deny"] = Field(
        default="subtract", description="what a `locked` measure that is not zero means for a bet"
    )
    posting_delay: Annotated[
        timedelta | None,
        BeforeValidator(_delay),
        WithJsonSchema({"type": "string", "description": "a duration, or never"}),
    ] = Field(
        default=timedelta(seconds=10),
        description="longest time from commit to the booking; never: only `settled` says so",
    )
    hold_ids: Duration = Field(
        default=timedelta(hours=24),
        ge=timedelta(minutes=1),
        le=timedelta(days=366),
        description="how long refusals, replays and tombstones are remembered",
    )
    read_lag: Duration = Field(
        default=timedelta(seconds=2), description="how far the provider's reads trail its writes"
    )
    deadline: Duration = Field(
        default=timedelta(milliseconds=250), gt=timedelta(0), le=timedelta(seconds=10), description="past it 503"
    )
    refresh_wait: Duration = Field(
        default=timedelta(milliseconds=300), le=timedelta(seconds=30), description="added for `on_stale: refresh`"
    )
    unsettled_limit: Duration = Field(
        default=timedelta(minutes=10), description="a debit that nothing covers for so long is an alert"
    )
    bankroll: Bankroll | None = Field(default=None, description="the house side")
    signing: Signing | None = Field(default=None, description="HMAC on top of the token")
    audit: AuditMode = Field(
        default="sampled", description="which decisions are logged; sampled: every refusal and 1 % of the rest"
    )

    @model_validator(mode="after")
    def _ages(self) -> Self:
        if self.soft_age is not None and self.soft_age > self.max_age:
            raise ValueError("soft_age is longer than max_age")
        return self

    @property
    def soft(self) -> timedelta:
        """From which age on facts are read anew in the background."""
        return self.max_age * 6 / 10 if self.soft_age is None else self.soft_age

    def terms(self) -> Terms:
        """What the store's functions go by."""
        return Terms(
            posting_delay=self.posting_delay,
            read_lag=self.read_lag,
            hold_ids=self.hold_ids,
            hold_max=self.hold_ttl.max,
            max_holds=self.max_holds,
            locked=self.locked,
        )

    def policy(self) -> Policy:
        """What the guard itself goes by."""
        house = self.bankroll
        return Policy(
            terms=self.terms(),
            max_age=self.max_age,
            soft_age=self.soft,
            on_stale=self.on_stale,
            ttl=self.hold_ttl.default,
            ttl_max=self.hold_ttl.max,
            amount_min=units.ceil(self.amount.min),
            amount_max=units.floor(self.amount.max),
            deadline=self.deadline,
            refresh_wait=self.refresh_wait,
            audit=self.audit,
            house=None if house is None else House(house.account, house.asset),
        )
