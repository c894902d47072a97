"""Signed requests: an HMAC over what was sent, byte for byte, on top of the token.

    X-Guard-Key: op-7
    X-Guard-Timestamp: 1795177200
    X-Guard-Signature: v1=<hex>[, v1=<hex>]

    string to sign = timestamp LF method LF path-and-query-as-sent LF body-as-sent
    signature      = hex(HMAC-SHA256(secret, string to sign))

A line feed separates, because none of the first three parts can hold one. A request may be repeated inside the window:
whatever must be signed is idempotent.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from monitor.api.problems import Problem
from monitor.api.request import Request

KEY, TIMESTAMP, SIGNATURE = "X-Guard-Key", "X-Guard-Timestamp", "X-Guard-Signature"
_VERSION = "v1="
_SECONDS = re.compile(r"\d{1,11}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Signers:
    """Who may sign: key → its one or two live secrets; and how far a signature's time may be from ours, both ways."""

    secrets: Mapping[str, Sequence[bytes]] = field(repr=False)
    window: timedelta


def signature(secret: bytes, timestamp: str, method: str, target: bytes, body: bytes) -> str:
    """What one secret makes of a request; `target` is its path and query as they were sent."""
    signed = b"\n".join((timestamp.encode("ascii"), method.encode("ascii"), target, body))
    return hmac.digest(secret, signed, "sha256").hex()


async def verify(signers: Signers, request: Request, now: datetime) -> None:
    """Raises the Problem that the request is not signed by any of them, or not now. Nothing of it was parsed yet."""
    key, timestamp = _single(request, KEY), _single(request, TIMESTAMP)
    secrets = signers.secrets.get(key)
    if secrets is None:
        raise Problem("key-not-allowed", "this key may not sign")
    _check_time(timestamp, signers.window, now)
    target = request.raw_path.encode("utf-8", "surrogateescape")
    body = await request.read()
    expected = [signature(secret, timestamp, request.method, target, body) for secret in secrets]
    if not _agree(_presented(request), expected):
        raise Problem("signature-invalid", f"{SIGNATURE} is not that of this request: sign the bytes that are sent")


def _single(request: Request, name: str) -> str:
    """A header that stands there exactly once: of two, somebody else may have read the other."""
    found = request.headers.getall(name, [])
    if len(found) != 1:
        raise Problem("signature-invalid", f"sign the request: {name} must be there once")
    return found[0]


def _check_time(timestamp: str, window: timedelta, now: datetime) -> None:
    if not _SECONDS.fullmatch(timestamp):
        raise Problem("signature-invalid", f"{TIMESTAMP} counts the seconds since 1970")
    if abs(now.timestamp() - int(timestamp)) > window.total_seconds():
        raise Problem("timestamp-outside-window", f"{TIMESTAMP} is more than {window.total_seconds():g} s away")


def _presented(request: Request) -> list[bytes]:
    """The signatures of the version that we know; others are for others."""
    listed = ",".join(request.headers.getall(SIGNATURE, [])).split(",")
    words = [one.strip() for one in listed]
    return [one.removeprefix(_VERSION).encode("utf-8", "surrogateescape") for one in words if one.startswith(_VERSION)]


def _agree(presented: Sequence[bytes], expected: Sequence[str]) -> bool:
    """Whether any is the one that any live secret makes, in a time that does not tell which, nor how nearly."""
    found = False
    for right in expected:
        for one in presented:
            found |= hmac.compare_digest(one, right.encode("ascii"))
    return found
