"""`email`: a mail by a smarthost. All mails about one alert are one thread."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.headerregistry import Address
from typing import Annotated, ClassVar, Literal

import structlog
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo

from monitor.channels.base import ChannelSettings, read
from monitor.channels.email_smtp import Mail, Smarthost, smarthost, submit
from monitor.channels.email_text import Party, compose, root
from monitor.channels.http import TIMEOUT, Http
from monitor.engine.ports import Channel
from monitor.fields import RateLimit, Secret
from monitor.model.group import Message, Receipt

RECIPIENTS_MAX = 50
#: The longest address and the longest name before it.
ADDRESS_MAX = 254
NAME_MAX = 100

#: What every mail server takes: nothing quoted, nothing beyond ASCII.
_ADDRESS = r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
_MAILBOX = re.compile(rf"(?:(?P<name>[^<>@\"\\\x00-\x1f\x7f]*)<(?P<inside>{_ADDRESS})>|(?P<bare>{_ADDRESS}))")

log = structlog.get_logger("monitor.channels.email")


def mailbox(text: str) -> Address:
    """`ops@example.com` or `Treasury <ops@example.com>`; ValueError says how to write it."""
    match = _MAILBOX.fullmatch(text.strip())
    address = match and (match["inside"] or match["bare"])
    name = (match["name"] or "").strip() if match else ""
    if not address or len(address) > ADDRESS_MAX or len(name) > NAME_MAX or not name.isprintable():
        raise ValueError("an address is ops@example.com or Name <ops@example.com>, in plain ASCII")
    return Address(display_name=name, addr_spec=address)


def _checked(text: str) -> str:
    mailbox(text)
    return text


def _to_hand_in(url: SecretStr, info: ValidationInfo) -> SecretStr:
    if read(info):
        smarthost(url)
    return url


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


MailAddress = Annotated[str, AfterValidator(_checked)]


class Email(ChannelSettings):
    """`mail: {type: email, smtp_url: {env: SMTP_URL}, from: monitor@example.com, to: [ops@example.com]}`"""

    model_config = ConfigDict(populate_by_name=True)
    RATE: ClassVar[RateLimit | None] = RateLimit(requests=1, per=timedelta(seconds=1))

    type: Literal["email"]
    smtp_url: Annotated[Secret, AfterValidator(_to_hand_in)] = Field(
        description="smtp://user:password@host:587 (STARTTLS) or smtps://…:465; special characters as %xx"
    )
    sender: MailAddress = Field(alias="from", description="ops@example.com or Name <ops@example.com>")
    to: Annotated[
        tuple[MailAddress, ...], BeforeValidator(_as_list, json_schema_input_type=str | tuple[MailAddress, ...])
    ] = Field(min_length=1, max_length=RECIPIENTS_MAX, description="one address or several")

    def connect(self, http: Http) -> Channel:
        party = Party(mailbox(self.sender), tuple(mailbox(one) for one in self.to))
        return EmailChannel(self, http, smarthost(self.smtp_url), party)


@dataclass(frozen=True, slots=True)
class EmailChannel:
    spec: Email
    http: Http
    server: Smarthost
    party: Party

    async def send(self, message: Message, now: datetime) -> Receipt:  # noqa: ARG002  # a mail is dated by its message
        """Hand the mail in. One recipient of several is enough: those who have it must not get it again."""
        content = compose(message, self.party, redact=bool(self.spec.redact))
        mail = Mail(self.party.sender.addr_spec, [one.addr_spec for one in self.party.recipients], content)
        seconds = (self.spec.timeout or TIMEOUT).total_seconds()
        said, refused = await submit(self.server, mail, self.http.dial, seconds)
        if refused:
            log.warning("email.recipients_refused", channel=message.channel, notification=message.id, refused=refused)
        return Receipt("; not for ".join([said, *refused]), root(message, self.party.sender.domain))
