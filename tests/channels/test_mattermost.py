import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from monitor.channels import AnyChannel
from monitor.channels.http import Reply
from monitor.channels.mattermost import Mattermost, bare, classify, render
from monitor.channels.text import clean, utf16
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import MESSAGE_MAX, Receipt
from tests.builders import NOON, entry, message, seconds
from tests.channels.faults import FAULTS, outcome_of, shown
from tests.channels.verifiers import assert_encodable
from tests.hostile import ALL, ATTACKS, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
#: What the server or a client makes something of, outside of a code span; our own bold and brackets aside.
ALIVE = re.compile(r"[@<>`*_~#|\\&$]|\]\(|:\S|www\.")


def texts(payload):
    yield payload["text"]
    for attachment in payload["attachments"]:
        yield attachment["fallback"]
        yield attachment["text"]
        for field in attachment.get("fields", []):
            yield field["value"]


def assert_mattermost_takes(payload):
    """No machine-readable description of this API exists: what its documentation asks for."""
    assert payload.keys() == {"text", "attachments"}
    assert utf16(json.dumps(payload, ensure_ascii=False)) <= 16_383
    assert 0 < utf16(payload["text"]) <= 1_000
    for attachment in payload["attachments"]:
        assert attachment.keys() <= {"fallback", "color", "text", "fields", "footer"}
        assert re.fullmatch("#[0-9a-f]{6}", attachment["color"])
        assert attachment["text"]
        for field in attachment.get("fields", []):
            assert field.keys() == {"short", "title", "value"}
            assert field["title"]
            assert field["value"]
    assert "footer" in payload["attachments"][-1]
    assert_encodable(payload)


def assert_nothing_mentions_formats_or_links(payload):
    for text in texts(payload):
        for line in text.split("\n"):
            assert line.count("`") % 2 == 0, line
            link = re.fullmatch(r"\[Runbook\]\((https://wiki\.example/[^\s()@<>]*)\)", line)
            outside = "" if link else re.sub("`[^`]+`", "code", line).replace("**", "")
            assert not ALIVE.search(outside), line
            # The server looks for these before it looks at code.
            assert not re.search("[@<](?!\u200b)", "" if link else line), line


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_looks_as_agreed(name):
    payload = render(MESSAGES[name])

    assert json.dumps(payload, indent=1, ensure_ascii=False) + "\n" == (GOLDEN / f"mattermost.{name}.json").read_text()
    assert_mattermost_takes(payload)


@given(HOSTILE_MESSAGES)
def test_no_label_breaks_a_limit_mentions_anybody_formats_or_links(one):
    assert_mattermost_takes(render(one))
    assert_nothing_mentions_formats_or_links(render(one))


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    assert_mattermost_takes(render(ALL[name]))
    assert_nothing_mentions_formats_or_links(render(ALL[name]))


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("hot-usdt", "hot-usdt"),
        (
            "hot-a USDT is down to 412.50, below 80000 (12%): act!",
            "hot-a USDT is down to 412.50, below 80000 (12%): act!",
        ),
        ("горячий кошелёк", "горячий кошелёк"),
        ("hot_usdt", "`hot_usdt`"),
        ("USDT@ETH", "`USDT@\u200bETH`"),
        ("<!channel>", "`<\u200b!channel>`"),
        ("see http://evil.example", "`see http://evil.example`"),
        ("WWW.evil.example", "`WWW.evil.example`"),
        (":scream:", "`:scream:`"),
        ("- item", "`- item`"),
        ("1. item", "`1. item`"),
        ("1.", "`1.`"),
        # Our own comma or bracket may follow, and `:(` is a face.
        ("0:", "`0:`"),
        ("a: b", "a: b"),
        ("1.5", "1.5"),
        ("a`b", "`aˋb`"),
        ("\u200b", "`-`"),
    ],
)
def test_what_could_mean_something_stands_in_code(raw, written):
    assert bare(raw, 60) == written


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_seen_and_does_nothing(attack):
    payload = render(message(entry(account=attack, annotations={"summary": attack})))

    assert_nothing_mentions_formats_or_links(payload)


@given(st.text(min_size=1, max_size=60))
def test_a_label_is_seen_as_it_is(name):
    seen = clean(name).replace("`", "ˋ")

    told = [text.replace("\u200b", "").strip("`") for text in texts(render(message(entry(account=name))))]
    assert not seen or seen in told


def test_a_hundred_alerts_fit_or_are_counted():
    payload = render(message(*(entry(f"{number:03d}-{'x' * 100}") for number in range(MESSAGE_MAX)), truncated=5))

    assert_mattermost_takes(payload)
    told = "\n".join(texts(payload))
    count = told.count("**firing**")
    assert 20 < count < MESSAGE_MAX
    assert f"… and {MESSAGE_MAX + 5 - count} more" in told


def test_a_link_with_brackets_does_not_end_early():
    payload = render(
        message(entry(annotations={"summary": "low", "runbook_url": "https://wiki.example/a_(b)?to=@all"}))
    )

    assert "low\n[Runbook](https://wiki.example/a_%28b%29?to=%40all)" in list(texts(payload))


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        told = json.dumps(render(one, redact=True))
        assert not any(amount in told for amount in ("412.50", "90210", "80000", "250000")), name


@pytest.mark.parametrize(("name", "colour"), [("firing", "#d00000"), ("updated", "#e8a33d"), ("resolved", "#2eb67d")])
def test_the_colour_says_how_bad_it_is(name, colour):
    assert {attachment["color"] for attachment in render(MESSAGES[name])["attachments"]} == {colour}


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


def error(status, name, said):
    return json.dumps({"id": name, "message": said, "detailed_error": "", "status_code": status})


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (400, error(400, "web.incoming_webhook.parse.app_error", "Unable to parse incoming data."), MESSAGE),
        (400, error(400, "web.incoming_webhook.text.app_error", "No text specified."), MESSAGE),
        (400, error(400, "web.incoming_webhook.channel.app_error", "Couldn't find the channel."), CHANNEL),
        (400, error(400, "web.incoming_webhook.user.app_error", "Couldn't find the user."), CHANNEL),
        (400, error(400, "web.incoming_webhook.invalid.app_error", "Invalid webhook."), CHANNEL),
        (403, error(403, "web.incoming_webhook.permissions.app_error", "Inappropriate channel permissions."), CHANNEL),
        (404, "404 page not found", CHANNEL),
        (501, error(501, "web.incoming_webhook.disabled.app_error", "Incoming webhooks are disabled."), CHANNEL),
        (501, "", LATER),
        (413, "", MESSAGE),
        (429, "limit exceeded", LATER),
        (500, error(500, "store.sql.app_error", "We encountered an error."), LATER),
        (502, "<html>", LATER),
        (200, "<html>", LATER),
        (200, "", LATER),
        (302, "", LATER),
    ],
)
def test_what_mattermost_answers_is_told_apart(status, body, meaning):
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(status, body, seconds(7)))

    match caught.value:
        case DeliveryRejected(fault=fault):
            assert fault == meaning
        case DeliveryDeferred(wait=wait):
            assert (meaning, wait) == (LATER, seconds(7))


async def test_a_message_arrives_at_a_real_receiver(http, receiver):
    spec = TypeAdapter(AnyChannel).validate_python({"type": "mattermost", "url": receiver.url})

    assert await spec.connect(http).send(message(), NOON) == Receipt("ok")

    [(_, headers, body)] = receiver.requests
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == render(message())


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_fault_is_taken_for_a_success_or_shows_the_url(http, receiver, fault):
    receiver.answers = [fault.answer]
    spec = Mattermost(type="mattermost", url=receiver.url, timeout=fault.timeout)

    outcome = await outcome_of(spec.connect(http), message())

    assert fault.allows(outcome)
    assert "CANARY0123456789" not in shown(outcome) + repr(spec)


def test_mattermost_is_asked_once_a_second():
    assert (Mattermost.RATE.requests, Mattermost.RATE.per) == (1, seconds(1))
