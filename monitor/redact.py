"""Takes secrets out of any text, in every spelling in which a library may quote them."""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK = "[redacted]"
#: A secret shorter than this is only hidden where it stands alone, else `abc` would eat half of every text.
_GRAM = 6
#: Shorter ones cannot be told from ordinary words and numbers at all.
_SHORTEST = 3
#: A path segment or query value of a webhook URL from this length on is a credential of its own.
_TOKEN = 12
#: A shorter path (`/hook`) is no secret without its host.
_PATH = 8

_USERINFO = re.compile(r"://[^\s/?#\"'<>]{1,512}@")
_AUTHORIZATION = re.compile(r"(?i)\b(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:basic|bearer)\s+)?[^\s\"',;]+")
_BEARER = re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{8,}")


class Redactor:
    """Knows the secrets of this process. Registering is rare, cleaning is the hot path."""

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        self._grams: frozenset[str] = frozenset()
        self._alone: re.Pattern[str] | None = None
        self._known: set[str] = set()

    def secret(self, text: str) -> None:
        """Hide this text from now on: plain, percent-encoded, escaped, hex and base64 (at any alignment).

        A URL is a credential (a webhook): it is hidden whole, its path, its password and its long parts.
        """
        for part in _url_parts(text) if "://" in text else (text,):
            self._learn(spellings(part))

    def clean(self, text: str) -> str:
        """The text without any registered secret, URL password or Authorization value."""
        # Cost must not grow with the number of secrets: first ask whether any six characters are of one.
        if not self._grams.isdisjoint([text[i : i + _GRAM] for i in range(len(text) - _GRAM + 1)]):
            for form in self._forms:
                if form in text:
                    text = text.replace(form, MASK)
        if self._alone is not None:
            text = self._alone.sub(MASK, text)
        if "://" in text:
            text = _USERINFO.sub(f"://{MASK}@", text)
        text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
        return _BEARER.sub(rf"\1{MASK}", text)

    def _learn(self, forms: Iterable[str]) -> None:
        self._known |= {form for form in forms if len(form) >= _SHORTEST}
        # Longest first: a short secret inside a longer one must not leave the rest of it standing.
        ordered = sorted(self._known, key=lambda form: (-len(form), form))
        short = [re.escape(form) for form in ordered if len(form) < _GRAM]
        self._forms = tuple(form for form in ordered if len(form) >= _GRAM)
        self._grams = frozenset(form[:_GRAM] for form in self._forms)
        self._alone = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(short)})(?![A-Za-z0-9])") if short else None


def spellings(text: str) -> Iterator[str]:
    """Every way in which this text may turn up inside another one."""
    if len(text) < _SHORTEST:
        return
    yield text
    for percent in (quote(text, safe=""), quote(text), quote_plus(text)):
        yield percent
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), percent)
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]
    if len(text) >= _GRAM:
        raw = text.encode("utf-8", "backslashreplace")
        yield raw.hex()
        yield from _base64_cores(raw)


def _base64_cores(raw: bytes) -> Iterator[str]:
    """The characters that base64 of any text around these bytes must contain (`user:secret` in Basic)."""
    for offset in range(3):
        coded = base64.b64encode(b"\0" * offset + raw).rstrip(b"=").decode()
        # The first and last character may mix our bits with a neighbour's.
        core = coded[(0, 2, 3)[offset] : -1 if (offset + len(raw)) % 3 else None]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _url_parts(url: str) -> Iterator[str]:
    yield url
    parts = urlsplit(url)
    if parts.password:
        yield parts.password
        yield unquote(parts.password)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    if parts.netloc and path.strip("/"):
        yield f"{parts.netloc.rpartition('@')[2]}{path}"
    if len(path) >= _PATH:
        yield path
    for piece in re.split(r"[/?&=;]", path):
        if len(piece) >= _TOKEN:
            yield piece
            yield unquote(piece)


#: The one of this process: logs, tracebacks and API errors all pass it.
_SHARED = Redactor()


def register(secret: str) -> None:
    """Hide this text, or this URL that is a credential, in every log line and traceback from now on."""
    _SHARED.secret(secret)


def redact(text: str) -> str:
    """The text without any registered secret."""
    return _SHARED.clean(text)
