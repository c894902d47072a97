"""Store URLs, read by ourselves: what redis-py accepts differs by version and hides typing mistakes."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from monitor.errors import ConfigError

_LATER = ("redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
_FORMS = "redis://host:6379/0, rediss://host:6379/0 or unix:///path/to/socket?db=0"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is. `password` never prints."""

    host: str = ""
    port: int = 6379
    path: str = ""
    tls: bool = False
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """The address for people: no credentials."""
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"

    def options(self) -> dict[str, Any]:
        """The same as redis-py's connections take it."""
        common = {"db": self.db, "username": self.username, "password": self.password}
        return {**common, "path": self.path} if self.path else {**common, "host": self.host, "port": self.port}


def address(url: str) -> Address:
    """Where a store URL points. ConfigError says what is wrong, without the password in it."""
    scheme = url.partition("://")[0]
    if scheme in _LATER:
        raise _mistake(f"{scheme}:// is not supported yet, write {_FORMS}")
    try:
        parts = urlsplit(url)
        if scheme == "unix":
            return _socket(parts)
        if scheme in ("redis", "rediss"):
            return _host(parts)
    except ValueError:
        # Its text may quote the whole URL.
        raise _mistake(f"this is not a store URL, write {_FORMS}") from None
    raise _mistake(f"{scheme!r} is no kind of store, write {_FORMS}" if "://" in url else f"write {_FORMS}")


def _socket(parts: SplitResult) -> Address:
    if parts.netloc and not parts.netloc.endswith("@"):
        raise _mistake("a unix socket has three slashes: unix:///path/to/socket")
    if not parts.path:
        raise _mistake("the path of the unix socket is missing: unix:///path/to/socket")
    query = parse_qs(parts.query, keep_blank_values=True)
    if set(query) - {"db"}:
        raise _mistake(f"unknown setting {min(set(query) - {'db'})!r}, only db is known")
    username, password = _login(parts)
    return Address(path=unquote(parts.path), db=_db(query.get("db", ["0"])[-1]), username=username, password=password)


def _host(parts: SplitResult) -> Address:
    if parts.query or parts.fragment:
        raise _mistake(f"nothing may follow the database number, write {_FORMS}")
    if not parts.hostname:
        raise _mistake(f"the host is missing, write {_FORMS}")
    username, password = _login(parts)
    return Address(
        host=parts.hostname,
        port=parts.port or 6379,
        tls=parts.scheme == "rediss",
        db=_db(parts.path.strip("/") or "0"),
        username=username,
        password=password,
    )


def _login(parts: SplitResult) -> tuple[str | None, str | None]:
    username = unquote(parts.username) if parts.username else None
    return username, unquote(parts.password) if parts.password else None


def _db(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 4):
        raise _mistake(f"the database must be a number, not {text!r}")
    return int(text)


def _mistake(what: str) -> ConfigError:
    return ConfigError([f"store.url: {what}"])
