"""Who may ask: bearer tokens with scopes and rates, or, without tokens, this machine only."""

import hashlib
import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

Scope = Literal["read", "guard", "admin"]

_RATE = re.compile(r"([1-9]\d{0,8})/(s|m|h)", re.ASCII)
_PER = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
#: A longer one is not a token; hashing it would be work for nothing.
_TOKEN_MAX = 4_096


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests per so long; a whole `per` may come at once."""

    requests: int
    per: timedelta


def rate(text: str) -> Rate:
    """`2000/s`, `100/m` or `10/h`; ValueError says how to write it."""
    if not (found := _RATE.fullmatch(text)):
        raise ValueError(f"{text!r} is not a rate, write it like 2000/s, 100/m or 10/h")
    return Rate(int(found[1]), _PER[found[2]])


@dataclass(frozen=True, slots=True)
class Token:
    """A token as the server keeps it: never the secret, only its hash."""

    name: str
    digest: bytes = field(repr=False)
    scopes: frozenset[Scope]
    rate: Rate | None = None

    @classmethod
    def of(cls, name: str, secret: str, scopes: Iterable[Scope], rate: Rate | None = None) -> Self:
        """From the configured secret, which is not kept."""
        return cls(name, _digest(secret), frozenset(scopes), rate)

    def may(self, wanted: Collection[Scope]) -> bool:
        """Whether one of these scopes is held; `admin` holds them all."""
        return "admin" in self.scopes or not self.scopes.isdisjoint(wanted)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def by_digest(tokens: Iterable[Token]) -> Mapping[bytes, Token]:
    """As `find` looks for them."""
    return {token.digest: token for token in tokens}


def find(tokens: Mapping[bytes, Token], authorization: str) -> Token | None:
    """The token that an Authorization header presents; how long it takes does not tell which one was near.

    It is found by its hash, and nobody can choose a secret so that its SHA-256 comes near another.
    """
    scheme, _, secret = authorization.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret or len(secret) > _TOKEN_MAX:
        return None
    return tokens.get(_digest(secret))


@dataclass(slots=True)
class Bucket:
    """What is left of one token's rate, in this process."""

    left: float
    at: datetime

    def take(self, allowed: Rate, now: datetime) -> timedelta | None:
        """Take one request; None when it was there, else how long until it is."""
        # A clock that steps back refills nothing; the bucket goes on from there.
        passed = max(timedelta(0), now - self.at)
        self.left = min(allowed.requests, self.left + allowed.requests * (passed / allowed.per))
        self.at = now
        if self.left >= 1:
            self.left -= 1
            return None
        return (1 - self.left) / allowed.requests * allowed.per


def is_loopback(host: str) -> bool:
    """Whether a host (without its port) means this machine, judged by its text alone."""
    bare = host.strip("[]").lower()
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False


def speaks_locally(host: str | None, origin: str | None) -> bool:
    """Whether a request without a token was really meant for this machine.

    A web page can make a browser send requests here: by a DNS name that points to 127.0.0.1 (the Host
    tells) or by a plain form (the Origin tells).
    """
    if host is None or not _is_local(f"//{host}"):
        return False
    return origin is None or _is_local(origin)


def _is_local(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
