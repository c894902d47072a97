"""Credentials on the wire: a fixed header, or a bearer token that one poll renews for all of them."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

import msgspec

from monitor.engine.ports import Budget
from monitor.errors import ProviderError, ProviderRefused
from monitor.model.window import EPOCH
from monitor.providers.answers import Reply

#: A token is renewed this long before its end, or a tenth of its life if that is shorter.
EARLY = timedelta(minutes=5)
#: No token is believed to live longer.
MAX_LIFE = timedelta(days=30)

Ask = Callable[[Mapping[str, str]], Awaitable[Reply]]


class Auth(Protocol):
    """Signs requests. `secrets` are what must not be quoted."""

    async def headers(self, budget: Budget, now: datetime, worn: str = "") -> Mapping[str, str] | None:
        """Headers to send; with `worn` (a token just refused) newer ones, or None when there are none."""
        ...

    @property
    def secrets(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """An API key in a header; there is nothing to renew."""

    sent: Mapping[str, str] = field(repr=False)

    async def headers(self, budget: Budget, now: datetime, worn: str = "") -> Mapping[str, str] | None:  # noqa: ARG002  # the protocol's
        return None if worn else self.sent

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(self.sent.values())


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token, and from when on it must be renewed; None: until it is refused."""

    value: str = field(repr=False)
    renew_at: datetime | None = None

    def good(self, now: datetime, worn: str) -> bool:
        return self.value != worn and (self.renew_at is None or now < self.renew_at)


class Bearer:
    """One token for all polls of a provider in this process. Polls that need a new one share one request."""

    __slots__ = ("_failure", "_lock", "_obtain", "_secrets", "_token", "_tried")

    def __init__(self, obtain: Callable[[Budget, datetime], Awaitable[Token]], secrets: tuple[str, ...]) -> None:
        self._obtain = obtain
        self._secrets = secrets
        self._lock = asyncio.Lock()
        self._token: Token | None = None
        self._failure: ProviderError | None = None
        self._tried = 0

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*self._secrets, self._token.value) if self._token else self._secrets

    async def headers(self, budget: Budget, now: datetime, worn: str = "") -> Mapping[str, str] | None:
        token = self._token
        if token is None or not token.good(now, worn):
            token = await self._renewed(budget, now, worn)
        return {"Authorization": f"Bearer {token.value}"}

    async def _renewed(self, budget: Budget, now: datetime, worn: str) -> Token:
        tried = self._tried
        async with self._lock:
            if self._tried != tried:
                # Somebody asked while we waited for the lock: their answer, good or bad, is ours too.
                if self._token and self._token.good(now, worn):
                    return self._token
                if self._failure:
                    raise self._failure.with_traceback(None)
            try:
                self._token = await self._obtain(budget, now)
                self._failure = None
            except ProviderError as error:
                self._failure = error
                raise
            finally:
                self._tried += 1
            return self._token


async def signed(auth: Auth, budget: Budget, now: datetime, ask: Ask) -> Reply:
    """Ask with credentials; after a 401 once more with renewed ones, if there are any."""
    sent = await auth.headers(budget, now)
    assert sent is not None, "only a worn token may have no successor"
    reply = await ask(sent)
    if reply.status != 401:
        return reply
    worn = sent.get("Authorization", "").removeprefix("Bearer ")
    renewed = await auth.headers(budget, now, worn=worn or "key")
    return reply if renewed is None else await ask(renewed)


def refused_login(error: ProviderRefused) -> ProviderRefused:
    """Whatever a login refuses concerns every account, be it a 400, 401 or 404."""
    return ProviderRefused(f"login: {error}", "credentials")


def renewal(now: datetime, life: Decimal | None) -> datetime | None:
    """When to renew a token that lives `life` seconds from now; None when that is not known."""
    if life is None or not life.is_finite() or life <= 0:
        return None
    whole = min(timedelta(seconds=float(min(life, Decimal(10**9)))), MAX_LIFE)
    return now + whole - min(EARLY, whole / 10)


class _Claims(msgspec.Struct):
    exp: Decimal | None = None


def jwt_renewal(token: str, now: datetime) -> datetime | None:
    """When to renew a JWT, by its `exp` (RFC 7519); None for any other token. Nothing is verified."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        claims = msgspec.json.decode(payload, type=_Claims)
    except (binascii.Error, msgspec.MsgspecError, ValueError, RecursionError):
        return None
    if claims.exp is None or not claims.exp.is_finite() or not 0 < claims.exp < 10**11:
        return None
    left = claims.exp - Decimal(str((now - EPOCH).total_seconds()))
    return renewal(now, left) or now
