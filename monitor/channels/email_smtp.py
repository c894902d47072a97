"""Hands a mail to a smarthost: one connection, one mail, no second try. Every failure is a DeliveryError.

The very address that is dialled has passed the egress policy. Facts: RFC 5321 4.2.1 (4yz is for now, 5yz for good),
RFC 3207 (STARTTLS), RFC 4954 (AUTH).
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import aiosmtplib
from pydantic import SecretStr

from monitor.channels.base import loopback
from monitor.channels.http import EXCERPT_MAX, hidden
from monitor.channels.text import clean, cut
from monitor.egress import EgressDenied, SocketFactory
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected

#: Seconds for one address of several; the attempt as a whole has its own end.
CONNECT_TIMEOUT = 5.0
#: Seconds to say goodbye in: the mail has been taken by then.
QUIT_TIMEOUT = 1.0

#: Where in the dialogue something was refused.
Stage = Literal["greeting", "login", "sender", "recipient", "data"]
_STAGES: tuple[tuple[type[aiosmtplib.SMTPResponseException], Stage], ...] = (
    (aiosmtplib.SMTPAuthenticationError, "login"),
    (aiosmtplib.SMTPSenderRefused, "sender"),
    (aiosmtplib.SMTPDataError, "data"),
)
#: The server wants other credentials, or any.
_AUTH_CODES = frozenset({530, 534, 535, 538})
_TOO_LARGE = 552


@dataclass(frozen=True, slots=True, repr=False)
class Smarthost:
    """Where to hand mail in. `tls` from the first byte on; else it is asked for with STARTTLS."""

    url: SecretStr
    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = ""


class Mail(NamedTuple):
    """An envelope of bare addresses, and what is in it."""

    sender: str
    recipients: Sequence[str]
    content: bytes


class Taken(NamedTuple):
    """What the server said to a mail that it took, and what to those recipients for whom it did not take it."""

    said: str
    refused: tuple[str, ...]


def smarthost(url: SecretStr) -> Smarthost:
    """Of `smtp://user:password@host:587` or `smtps://…:465`; ValueError says what is wrong without quoting it."""
    try:
        parts = urlsplit(url.get_secret_value())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise ValueError(
            "smtp_url must be smtp://user:password@host:587 or smtps://user:password@host:465, "
            "with every `/ ? # @ : %` in user and password written as %xx"
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if bool(user) != bool(password) or not (user + password).isprintable():
        raise ValueError("smtp_url needs both a user and a password, or neither")
    tls = parts.scheme == "smtps"
    return Smarthost(url, parts.hostname, port or (465 if tls else 587), tls, user, password)


async def submit(to: Smarthost, mail: Mail, dial: SocketFactory, seconds: float) -> Taken:
    """Hand the mail in, within so many seconds. Taken for one recipient is taken; a second try would send it twice."""
    try:
        async with asyncio.timeout(seconds) as limit:
            client = await _connected(to, dial, seconds)
        with closing(client):
            async with asyncio.timeout_at(limit.when()):
                taken = await _dialogue(client, to, mail)
            await _goodbye(client)
        return taken
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        why = failure(error, to)
    # Raised out here, it does not carry what the server said, which may quote a password, as its context.
    raise why


async def _connected(to: Smarthost, dial: SocketFactory, seconds: float) -> aiosmtplib.SMTP:
    """Greeted, and encrypted if the server can."""
    tls = await asyncio.to_thread(_context, verify=to.tls or not loopback(to.host))
    with ExitStack() as undo:
        sock = undo.enter_context(await _dialled(to, dial))
        client = aiosmtplib.SMTP(
            hostname=to.host,
            sock=sock,
            local_hostname=_literal(sock.getsockname()[0]),
            use_tls=to.tls,
            start_tls=False if to.tls else None,
            tls_context=tls,
            timeout=seconds,
        )
        await client.connect()
        # From here on the client closes it.
        undo.pop_all()
    return client


async def _dialled(to: Smarthost, dial: SocketFactory) -> socket.socket:
    """A connection to the first address that takes one. OSError is why the last did not."""
    loop = asyncio.get_running_loop()
    why: OSError = OSError("no address")
    for info in await loop.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM):
        try:
            with ExitStack() as undo:
                sock = undo.enter_context(dial(info))
                sock.setblocking(False)
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    await loop.sock_connect(sock, info[4])
                undo.pop_all()
        except OSError as error:
            why = error
        else:
            return sock
    raise why


async def _dialogue(client: aiosmtplib.SMTP, to: Smarthost, mail: Mail) -> Taken:
    if to.user:
        await _login(client, to)
    await client.mail(mail.sender)
    refused: list[aiosmtplib.SMTPRecipientRefused] = []
    for recipient in mail.recipients:
        try:
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as refusal:
            refused.append(refusal)
    if len(refused) == len(mail.recipients):
        # If one may be taken later, so may the mail.
        worst = next((one for one in refused if one.code < 500), refused[0])
        raise classify("recipient", worst.code, _excerpt(to, worst))
    said = await client.data(mail.content)
    return Taken(_excerpt(to, said), tuple(f"{one.recipient}: {_excerpt(to, one)}" for one in refused))


async def _login(client: aiosmtplib.SMTP, to: Smarthost) -> None:
    """One try by one method: every further one brings the account nearer to being locked."""
    if client.get_transport_info("sslcontext") is None and not loopback(to.host):
        raise DeliveryRejected("the server offers no STARTTLS, and a password is never sent in the clear", "channel")
    if client.is_ehlo_or_helo_needed:
        await client.ehlo()
    logins = {"plain": client.auth_plain, "login": client.auth_login, "cram-md5": client.auth_crammd5}
    login = next((logins[name] for name in logins if name in client.supported_auth_methods), None)
    if login is None:
        raise DeliveryRejected("the server offers no AUTH PLAIN, LOGIN or CRAM-MD5", "channel")
    await login(to.user, to.password)


async def _goodbye(client: aiosmtplib.SMTP) -> None:
    with suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=QUIT_TIMEOUT)


def failure(error: Exception, to: Smarthost) -> DeliveryError:
    """What an exception means. Only what the server said is quoted, without any secret."""
    cause = error.__cause__ or error
    match error:
        case aiosmtplib.SMTPResponseException():
            stage: Stage = next((stage for kind, stage in _STAGES if isinstance(error, kind)), "greeting")
            return classify(stage, error.code, _excerpt(to, error))
        case TimeoutError():
            return DeliveryDeferred("no answer in time")
        case EgressDenied():
            return DeliveryDeferred("the egress policy forbids the address")
        case socket.gaierror() | UnicodeError():
            return DeliveryDeferred("the host name does not resolve")
        case _ if isinstance(cause, ssl.SSLError):
            return DeliveryDeferred(f"TLS failed ({type(cause).__name__})")
        case aiosmtplib.SMTPException():
            return DeliveryDeferred(f"the connection broke ({type(error).__name__})")
        case OSError(errno=int(number)):
            return DeliveryDeferred(f"no connection ({os.strerror(number)})")
        case ValueError():
            return DeliveryRejected("the mail cannot be sent as it is", "message")
        case _:
            return DeliveryDeferred(f"no connection ({type(error).__name__})")


def classify(stage: Stage, code: int, said: str) -> DeliveryError:
    """What a refusal means: 4yz and all that is no answer is tried again, 5yz is final.

    What is said to the content is about this mail; all else would be said to every mail.
    """
    if not 500 <= code <= 599:
        return DeliveryDeferred(said)
    about_mail = stage == "data" or (stage == "sender" and code == _TOO_LARGE)
    return DeliveryRejected(said, "message" if about_mail and code not in _AUTH_CODES else "channel")


def _excerpt(to: Smarthost, said: aiosmtplib.SMTPResponse | aiosmtplib.SMTPResponseException) -> str:
    """A code and its text as far as a person should see it."""
    return cut(clean(f"{said.code} {hidden(to.url).clean(said.message)}"), EXCERPT_MAX)


@lru_cache(maxsize=2)
def _context(*, verify: bool) -> ssl.SSLContext:
    """Loading the authorities takes long. On the loopback nobody is in between, and no certificate is in its name."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _literal(address: str) -> str:
    """How a client without a name of its own says EHLO (RFC 5321 4.1.3)."""
    found = ip_address(address.partition("%")[0])
    return f"[IPv6:{found}]" if found.version == 6 else f"[{found}]"
