"""Store URLs, read by ourselves: what redis-py accepts differs by version and hides typing mistakes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from monitor.errors import ConfigError

_FORMS = (
    "redis://host:6379/0, rediss://host:6379/0, unix:///path/to/socket?db=0, redis+sentinel://h1,h2/service or "
    "redis+cluster://h1,h2"
)
_PORT = 6379
_SENTINEL_PORT = 26379


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, or whom to ask. No password prints.

    With `hosts` it is several servers: sentinels where a `service` is named, else some nodes of a cluster.
    """

    host: str = ""
    port: int = _PORT
    path: str = ""
    tls: bool = False
    db: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    hosts: tuple[tuple[str, int], ...] = ()
    service: str = ""
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)

    @property
    def clustered(self) -> bool:
        """Whether the keys are spread over several primaries."""
        return bool(self.hosts) and not self.service

    @property
    def place(self) -> str:
        """The address for people: no credentials."""
        if self.hosts:
            several = ",".join(f"{host}:{port}" for host, port in self.hosts)
            return f"{several}/{self.service}" if self.service else several
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"

    def options(self) -> dict[str, Any]:
        """The same as redis-py's connections take it; without a host where somebody must be asked for that."""
        common = {"db": self.db, "username": self.username, "password": self.password}
        if self.path:
            return {**common, "path": self.path}
        return {**common, "host": self.host, "port": self.port} if self.host else common

    def node(self, host: str, port: int) -> "Address":
        """One of the nodes of a cluster."""
        return replace(self, host=host, port=port, hosts=())


def address(url: str) -> Address:
    """Where a store URL points. ConfigError says what is wrong, without the password in it."""
    scheme = url.partition("://")[0]
    try:
        if scheme == "unix":
            return _socket(urlsplit(url))
        if scheme in ("redis", "rediss"):
            return _host(urlsplit(url))
        if scheme in ("redis+sentinel", "rediss+sentinel"):
            return _sentinels(*_several(url))
        if scheme in ("redis+cluster", "rediss+cluster"):
            return _cluster(*_several(url))
    except ValueError:
        # Its text may quote the whole URL.
        raise _mistake(f"this is not a store URL, write {_FORMS}") from None
    raise _mistake(f"{scheme!r} is no kind of store, write {_FORMS}" if "://" in url else f"write {_FORMS}")


def _socket(parts: SplitResult) -> Address:
    if parts.netloc and not parts.netloc.endswith("@"):
        raise _mistake("a unix socket has three slashes: unix:///path/to/socket")
    if not parts.path:
        raise _mistake("the path of the unix socket is missing: unix:///path/to/socket")
    query = _query(parts, "db")
    username, password = _login(parts)
    return Address(path=unquote(parts.path), db=_db(query.get("db", "0")), username=username, password=password)


def _host(parts: SplitResult) -> Address:
    if parts.query or parts.fragment:
        raise _mistake(f"nothing may follow the database number, write {_FORMS}")
    if not parts.hostname:
        raise _mistake(f"the host is missing, write {_FORMS}")
    if "," in parts.netloc.rpartition("@")[2]:
        raise _mistake("several hosts are redis+sentinel://h1,h2/service or redis+cluster://h1,h2")
    username, password = _login(parts)
    return Address(
        host=parts.hostname,
        port=parts.port or _PORT,
        tls=parts.scheme == "rediss",
        db=_db(parts.path.strip("/") or "0"),
        username=username,
        password=password,
    )


def _several(url: str) -> tuple[SplitResult, str]:
    """The URL as if it had one host, and all its hosts: of several Python refuses an IPv6 one behind a comma.

    Since gh-105704: 3.12.9, 3.13.2, and the 3.11 of distributions that took it over.
    """
    scheme, _, rest = url.partition("://")
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, hosts = netloc.rpartition("@")
    return urlsplit(f"{scheme}://{login}{at}several{rest[len(netloc) :]}"), hosts


def _sentinels(parts: SplitResult, hosts: str) -> Address:
    service, _, db = parts.path.strip("/").partition("/")
    if not service:
        raise _mistake("the name of the service is missing: redis+sentinel://h1:26379,h2/service")
    query = _query(parts, "sentinel_username", "sentinel_password")
    username, password = _login(parts)
    return Address(
        hosts=_hosts(hosts, _SENTINEL_PORT),
        service=unquote(service),
        tls=parts.scheme.startswith("rediss"),
        db=_db(db or "0"),
        username=username,
        password=password,
        sentinel_username=query.get("sentinel_username"),
        sentinel_password=query.get("sentinel_password"),
    )


def _cluster(parts: SplitResult, hosts: str) -> Address:
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise _mistake("a cluster has one database, nothing may follow its hosts: redis+cluster://h1:7000,h2")
    username, password = _login(parts)
    tls = parts.scheme.startswith("rediss")
    return Address(hosts=_hosts(hosts, _PORT), tls=tls, username=username, password=password)


def _hosts(several: str, port: int) -> tuple[tuple[str, int], ...]:
    found = [urlsplit(f"//{one.strip()}") for one in several.split(",")]
    if not all(one.hostname for one in found):
        raise _mistake(f"a host is missing, write {_FORMS}")
    return tuple((str(one.hostname), one.port or port) for one in found)


def _query(parts: SplitResult, *known: str) -> Mapping[str, str]:
    query = parse_qs(parts.query, keep_blank_values=True)
    unknown = set(query) - set(known)
    if unknown:
        raise _mistake(f"unknown setting {min(unknown)!r}, only {' and '.join(known)} is known")
    return {name: values[-1] for name, values in query.items()}


def _login(parts: SplitResult) -> tuple[str | None, str | None]:
    username = unquote(parts.username) if parts.username else None
    return username, unquote(parts.password) if parts.password else None


def _db(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 4):
        raise _mistake(f"the database must be a number, not {text!r}")
    return int(text)


def _mistake(what: str) -> ConfigError:
    return ConfigError([f"store.url: {what}"])
