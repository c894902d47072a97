"""A real mail server on loopback (aiosmtpd's), and broken ones."""

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.policy import default
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult

PEM = Path(__file__).parent / "loopback.pem"


@dataclass
class Office:
    """Takes mails; `replies` are what it says instead, by `MAIL`, `RCPT`, `RCPT a@b.example`, `DATA` or `AUTH`."""

    replies: dict = field(default_factory=dict)
    mails: list = field(default_factory=list)
    envelopes: list = field(default_factory=list)
    logins: list = field(default_factory=list)
    encrypted: list = field(default_factory=list)
    port: int = 0

    @property
    def parsed(self):
        return [message_from_bytes(content, policy=default) for content in self.mails]

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802  # aiosmtpd's name
        envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  # aiosmtpd's name
        if reply := self.replies.get(f"RCPT {address}", self.replies.get("RCPT")):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # aiosmtpd's name
        if reply := self.replies.get("DATA"):
            return reply
        self.mails.append(envelope.content)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK queued as 7"

    def login(self, server, session, envelope, mechanism, data):
        self.logins.append((mechanism, bytes(data.login), bytes(data.password)))
        if reply := self.replies.get("AUTH"):
            return AuthResult(success=False, handled=False, message=reply)
        return AuthResult(success=True)


@asynccontextmanager
async def mail_server(*, starttls=False, tls=False, auth=False, **settings):
    """A server that greets, and its office."""
    office = Office()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)

    def connection():
        return SMTP(
            office,
            hostname="mail.example",
            tls_context=context if starttls else None,
            authenticator=office.login if auth else None,
            auth_require_tls=False,
            **settings,
        )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0, ssl=context if tls else None)
    office.port = server.sockets[0].getsockname()[1]
    try:
        yield office
    finally:
        server.close()


@asynccontextmanager
async def broken_server(*lines):
    """Says one of these to the greeting and after each line it reads; after the last it hangs, or hangs up on None."""

    async def talk(reader, writer):
        for line in lines:
            if line is None:
                break
            writer.write(line)
            if not await reader.readline():
                break
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
