"""What holds for every channel, whatever it is called: what must be seen, and what must not."""

import json
import re
from dataclasses import replace
from decimal import Decimal
from email import message_from_bytes
from email.headerregistry import Address
from email.policy import default
from html import unescape

import pytest

from monitor.channels import (
    discord_embeds,
    google_chat,
    mattermost,
    ntfy,
    slack_blocks,
    teams,
    telegram_text,
    webhook_formats,
)
from monitor.channels.alertmanager_alerts import posted
from monitor.channels.email_text import Party, compose
from monitor.channels.pagerduty_events import event
from monitor.model.event import Use
from monitor.model.group import MESSAGE_MAX
from tests.builders import NOON, entry, event_entry, message, minutes
from tests.samples import MESSAGES

PARTY = Party(Address("", "monitor", "example.com"), (Address("", "ops", "example.com"),))


def mail(one, *, redact=False):
    """All that is read of a mail: its headers, and both bodies."""
    parsed = message_from_bytes(compose(one, PARTY, redact=redact), policy=default)
    bodies = (parsed.get_body((kind,)).get_content() for kind in ("plain", "html"))
    return "\n".join([parsed["Subject"], *bodies])


CHATS = {
    "slack": slack_blocks.render,
    "discord": discord_embeds.render,
    "telegram": telegram_text.render,
    "teams": teams.render,
    "google_chat": google_chat.render,
    "mattermost": mattermost.render,
    "ntfy": ntfy.render,
    "email": mail,
}
MACHINES = {
    "webhook": lambda one, redact: json.loads(webhook_formats.render(one, redact=redact)),
    "cloudevents": lambda one, redact: json.loads(webhook_formats.render(one, "cloudevents", redact=redact)),
    "webhook-alertmanager": lambda one, redact: json.loads(webhook_formats.render(one, "alertmanager", redact=redact)),
    "pagerduty": lambda one, redact: [event(one, each, redact=redact) for each in one.alerts],
    "alertmanager": lambda one, redact: [posted(each.entry, NOON, minutes(5), redact=redact) for each in one.alerts],
}
#: The longest that an amount may be written.
LONGEST = Decimal("-0." + 44 * "0" + 60 * "7")
#: A rule's own words, as long as they may be, with much to escape in them.
ESSAY = "hot & cold <wallets> \U0001f4b8 " * 100


def told(payload):
    """All its texts, as people read them."""
    if isinstance(payload, str):
        return unescape(payload)
    # Marks of a chat's own, and what has no width.
    return re.sub("[\\\\`\u200b]", "", unescape("\n".join(_texts(payload))))


def _texts(payload):
    if isinstance(payload, dict):
        for value in payload.values():
            yield from _texts(value)
    elif isinstance(payload, list):
        for value in payload:
            yield from _texts(value)
    elif isinstance(payload, str):
        yield payload


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("count", [1, 2])
def test_a_caveat_is_seen_however_long_the_rule_s_own_words_are(chat, count):
    said = {"summary": ESSAY, "caveat": "silenced since Monday by maria, key rotation"}
    one = message(*(entry(f"{number}", annotations=said) for number in range(count)))

    assert told(CHATS[chat](one)).count("silenced since Monday by maria, key rotation") >= count


@pytest.mark.parametrize("chat", CHATS)
def test_the_longest_amount_is_whole_where_there_is_one_alert(chat):
    assert f"{LONGEST:f} USDT" in told(CHATS[chat](message(entry(value=LONGEST))))


@pytest.mark.parametrize("chat", CHATS)
def test_the_longest_amount_is_whole_where_there_are_many_alerts(chat):
    one = message(*(entry(f"{number}", value=LONGEST, account="x" * 128) for number in range(MESSAGE_MAX)))

    assert f"{LONGEST:f} USDT" in told(CHATS[chat](one))


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("count", [1, 5, 6, MESSAGE_MAX])
def test_what_is_left_out_is_counted(chat, count):
    one = message(*(entry(f"{number:03}") for number in range(count)), truncated=7)

    text = told(CHATS[chat](one))
    seen = sum(f"hot-{number:03}" in text.replace("the first hot-000", "") for number in range(count))
    assert f"{count + 7} alerts" in text
    assert f"… and {count + 7 - seen} more" in text


@pytest.mark.parametrize("kind", [*CHATS, *MACHINES])
def test_redacted_amounts_are_nowhere(kind):
    secret = Decimal("987654.321")
    movement = event_entry()
    moved = replace(
        movement,
        value=secret,
        annotations={"summary": "987654.321 left", "caveat": "987,654.321 of it late"},
        event=replace(movement.event, amount=secret, balance_after=secret, expected=(Use("payroll", secret, 0),)),
    )
    low = entry(
        value=secret,
        previous=secret,
        threshold=secret,
        annotations={"summary": "down to 987 654.321", "caveat": "last read as 987654.321"},
    )
    over = replace(low, status="resolved", resolved_at=NOON + minutes(1), reason="recovered")
    render = {**CHATS, **MACHINES}[kind]

    for one in (
        message(low),
        message(low, over, kind="alert.resolved"),
        message(moved, kind="alert.event"),
        message(*(replace(low, id=f"alr_{n}", fingerprint=f"fp-{n}") for n in range(20)), kind="alert.reminder"),
    ):
        assert "987" in json.dumps(render(one, redact=False), default=str)
        assert "987" not in json.dumps(render(one, redact=True), default=str)


@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("name", MESSAGES)
def test_every_kind_says_what_it_is_and_by_which_id_it_is_found(chat, name):
    one = MESSAGES[name]

    text = told(CHATS[chat](one))
    assert one.id in text
    assert f"[{one.type.rpartition('.')[2].upper()}" in text
