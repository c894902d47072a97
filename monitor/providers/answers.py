"""What an HTTP answer means, judged in this order: throttled, down, refused, garbled, or data."""

import base64
import html
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import msgspec

from monitor.errors import ProviderGarbled, ProviderRefused, ProviderThrottled, ProviderUnreachable, Scope

#: Response headers; names are case-insensitive.
Headers = Mapping[str, str]
#: Reads from the headers of a 429 how long to wait; None when they do not say.
Wait = Callable[[Headers, datetime], timedelta | None]

#: Longest we believe a `Retry-After`: one question an hour does no harm, believing a mistake (10^9) would.
MAX_WAIT = timedelta(hours=1)
#: Longest piece of somebody else's text in our messages.
MAX_EXCERPT = 200
#: Longest currency code or network name; on-chain tokens can be wordy, but not more.
MAX_CODE = 64
#: An error body longer than this is not looked into.
_MAX_ERROR_BODY = 64 * 1024

_TAG = re.compile(r"<(?:script|style).*?</(?:script|style)>|<[^>]*>", re.DOTALL | re.IGNORECASE)
_FIELDS = ("error", "error_code", "code", "detail", "message", "title")


class Reply(msgspec.Struct, frozen=True, gc=False):
    """A complete answer. Its repr shows no content: a token may be in it."""

    status: int
    body: bytes
    headers: Headers

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"


def accept(reply: Reply, now: datetime, *, secrets: Sequence[str] = (), wait: Wait | None = None) -> Reply:
    """The reply if it is a 2xx that may be JSON; else the ProviderError for what it is.

    `secrets` are cut out of what is quoted from the body. `wait` reads a provider's own quota headers
    instead of `Retry-After`. Error envelopes within a 2xx are the adapter's to judge.
    """
    if 200 <= reply.status < 300 and _looks_like_json(reply.body):
        return reply
    raise _judged(reply, now, secrets, wait or retry_after)


def _judged(reply: Reply, now: datetime, secrets: Sequence[str], wait: Wait) -> Exception:
    status, said = reply.status, f"HTTP {reply.status}"
    quoted = f"{said}{excerpt(reply.body, secrets)}"
    if status == 429:
        return ProviderThrottled(quoted, wait(reply.headers, now))
    if status >= 500 or status == 408:
        return ProviderUnreachable(quoted, answered=True)
    if status == 401:
        return ProviderRefused(quoted, "credentials")
    if status < 400:
        what = "a redirect, which is never followed" if status >= 300 else "a body that is not JSON"
        return ProviderGarbled(f"{said} with {what}{excerpt(reply.body, secrets)}")
    if status == 403:
        # A firewall's HTML 403 says nothing about our credentials (Pacifica's CloudFront does this).
        if _is_json(reply.body):
            return ProviderRefused(quoted, "credentials")
        return ProviderGarbled(quoted)
    return ProviderRefused(quoted, "account")


def retry_after(headers: Headers, now: datetime) -> timedelta | None:
    """`Retry-After` in seconds (whole or not) or as a date, within MAX_WAIT; None when absent or nonsense."""
    given = headers.get("Retry-After")
    if given is None or len(given) > 64:
        return None
    try:
        seconds = float(given)
    except ValueError:
        return _until(given, now)
    if math.isnan(seconds):
        return None
    return timedelta(seconds=min(max(seconds, 0.0), MAX_WAIT.total_seconds()))


def _until(given: str, now: datetime) -> timedelta | None:
    try:
        date = parsedate_to_datetime(given)
        return min(max((date if date.tzinfo else date.replace(tzinfo=UTC)) - now, timedelta(0)), MAX_WAIT)
    except (ValueError, TypeError, OverflowError):
        return None


def excerpt(body: bytes, secrets: Iterable[str] = ()) -> str:
    """`: ` and what an error body says, cut, cleaned and without `secrets`; nothing when it says nothing."""
    if not body or len(body) > _MAX_ERROR_BODY:
        return ""
    try:
        said = "; ".join(_texts(msgspec.json.decode(body)))
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        said = _TAG.sub(" ", body.decode("utf-8", "replace"))
    said = cut(redacted(said, secrets))
    return f": {said}" if said else ""


class _Envelope(msgspec.Struct):
    """The ways in which a 2xx says that it failed."""

    success: object = None
    result: object = None
    error: object = None
    errors: object = None
    error_code: object = None
    statusCode: object = None  # noqa: N815  # theirs


def envelope(body: bytes, secrets: Iterable[str] = ()) -> ProviderRefused | None:
    """The refusal that a 2xx hides in an error envelope; None when the body holds no error we recognise.

    Called when a body is not what was expected, before it is called garbled.
    """
    try:
        said = msgspec.json.decode(body, type=_Envelope)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        return None
    code = said.statusCode if isinstance(said.statusCode, int) else 0
    failed = said.success is False or said.result == "error" or code >= 400
    if failed or said.error or said.errors or said.error_code:
        scope: Scope = "credentials" if code in (401, 403) else "account"
        return ProviderRefused(f"an error within a success{excerpt(body, secrets)}", scope)
    return None


def _texts(document: object, depth: int = 0) -> Iterator[str]:
    """The strings and numbers of the fields in which providers put errors, wherever they nest them."""
    match document:
        case str() | int() if depth and not isinstance(document, bool):
            yield str(document)
        case dict() if depth < 4:
            for name in _FIELDS:
                yield from _texts(document.get(name), depth + 1)
        case [first, *_] if depth < 4:
            yield from _texts(first, depth + 1)


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets, however a server may have written them back."""
    forms = set()
    for secret in filter(None, secrets):
        forms |= {secret, quote(secret, safe=""), quote(secret), html.escape(secret)}
        forms |= {base64.b64encode(secret.encode()).decode(), msgspec.json.encode(secret).decode()[1:-1]}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "[redacted]")
    return text


def cut(text: str) -> str:
    """One printable line of at most MAX_EXCERPT characters."""
    # Controls, bidi marks and unassigned characters are unprintable: none may rewrite a line of the log.
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: MAX_EXCERPT * 20]).split())
    return line if len(line) <= MAX_EXCERPT else line[: MAX_EXCERPT - 1] + "…"


def plausible_code(text: str) -> str:
    """A currency code or network as it came, trimmed; ProviderGarbled when it cannot be one."""
    code = text.strip()
    if not code or len(code) > MAX_CODE or not code.isprintable():
        raise ProviderGarbled("a currency code is empty or implausible")
    return code


def _looks_like_json(body: bytes) -> bool:
    """Starts like an object or a list; decoding finds out the rest."""
    return body[:1] in (b"{", b"[") or body.lstrip()[:1] in (b"{", b"[")


def _is_json(body: bytes) -> bool:
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return _looks_like_json(body)
