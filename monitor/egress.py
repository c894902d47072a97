"""Where this process may connect to, decided on the very address that is dialled.

Checking names or URLs beforehand leaves gaps (literals skip the resolver, names change their answer); the
socket factory sees the address the kernel is about to use, whatever it was written as.
"""

import os
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Any
from urllib.parse import urlsplit

import aiohttp
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from monitor.fields import Section

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
#: What aiohttp's connector calls for each address it is about to dial: (family, type, proto, name, address).
SocketFactory = Callable[[Any], socket.socket]

#: Instance metadata services hand out cloud credentials; nothing we talk to lives there. Not configurable.
METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean and most others
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",  # Google over IPv6
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, classic
    )
)
#: Not reachable from the public internet, though Python's `is_global` says so (as of 3.11).
_NOT_PUBLIC = tuple(
    ip_network(text)
    for text in (
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "2001::/23",
        "fec0::/10",
        "3fff::/20",
        "5f00::/16",
    )
)
_DENIED = "the egress policy forbids the address"
_NAT64 = ip_network("64:ff9b::/96")
_COMPATIBLE = ip_network("::/96")


def _network(value: object) -> Network:
    try:
        return ip_network(str(value), strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is neither an address nor a network, write it like 10.0.0.0/8") from None


NetworkField = Annotated[
    Network,
    BeforeValidator(_network),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "description": "an address or a network: 10.1.2.3, 10.0.0.0/8, fd00::/8"}),
]


class Egress(Section):
    """`egress: {deny_private: true, allow: [10.0.0.0/8]}`"""

    deny_private: bool = Field(default=False, description="refuse every address that is not public")
    allow: tuple[NetworkField, ...] = Field(default=(), description="exceptions from deny_private")

    def permits(self, address: str) -> bool:
        """Whether this literal address may be dialled. What is no address may not."""
        return _permits(address, deny_private=self.deny_private, allow=self.allow)


class EgressDenied(OSError):
    """The configuration, or our own rule on metadata services, forbids this address."""


def unanswered(error: BaseException) -> str:
    """Why nobody answered a request of ours, in words that hold neither a URL nor an address."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ClientConnectorDNSError():
            return "the host name does not resolve"
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return f"TLS failed ({type(error).__name__})"
        case EgressDenied():
            return str(error)
        case aiohttp.ClientConnectorError(os_error=cause):
            # Where several addresses were tried, what is left of each is its words.
            if _DENIED in str(cause):
                return _DENIED
            # asyncio's own words name the address, which is of the URL.
            return f"no connection ({os.strerror(cause.errno) if cause.errno else type(cause).__name__})"
    return f"the connection broke ({type(error).__name__})"


def host_and_port(text: str) -> tuple[str, int] | None:
    """Of `host:port`, without anything else; None for whatever is not that."""
    try:
        parts = urlsplit(f"//{text}")
        if parts.netloc == text and parts.hostname and parts.port is not None and "@" not in text:
            return parts.hostname, parts.port
    except ValueError:
        pass
    return None


def is_address(host: str) -> bool:
    """Whether this is a literal address, not a name to look up."""
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def guarded(egress: Egress) -> SocketFactory:
    """A socket factory for aiohttp's TCPConnector that refuses addresses `egress` does not permit."""

    def dial(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not egress.permits(address[0]):
            raise EgressDenied(_DENIED)
        return socket.socket(family, kind, protocol)

    return dial


@lru_cache(maxsize=1024)
def _permits(address: str, *, deny_private: bool, allow: tuple[Network, ...]) -> bool:
    try:
        outer = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = unwrapped(outer)
    if METADATA & {outer, inner}:
        return False
    return not deny_private or _public(inner) or any(inner in network or outer in network for network in allow)


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for (mapped, compatible, NAT64, 6to4), else itself."""
    if isinstance(address, IPv4Address):
        return address
    if embedded := address.ipv4_mapped or address.sixtofour:
        return embedded
    low = int(address) & 0xFFFF_FFFF
    if address in _NAT64 or (address in _COMPATIBLE and low > 1):
        return IPv4Address(low)
    return address


def _public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in net for net in _NOT_PUBLIC)
