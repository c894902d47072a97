import html
import json
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from monitor.channels import AnyChannel
from monitor.channels.google_chat import GoogleChat, classify, render, thread_key, threaded
from monitor.channels.http import Reply
from monitor.channels.text import clean
from monitor.engine.flush import after_settle, flush
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import MESSAGE_MAX, Numbered, Receipt
from tests.builders import NOON, entry, group, item, message, minutes, seconds
from tests.channels.faults import FAULTS, outcome_of, shown
from tests.channels.verifiers import assert_google_chat_knows
from tests.hostile import ALL, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
POSTED = '{"name": "spaces/AAA/messages/B.C", "text": "…"}'


def widgets(payload):
    [card] = payload["cardsV2"]
    for section in card["card"]["sections"]:
        yield from section["widgets"]


def texts(payload):
    """Every text of the card that is read as HTML."""
    for widget in widgets(payload):
        for kind in ("textParagraph", "decoratedText"):
            if kind in widget:
                yield widget[kind]["text"]


def assert_google_chat_takes(payload):
    """Google's own types, and the lengths that they do not know."""
    assert_google_chat_knows(payload)
    assert len(json.dumps(payload, ensure_ascii=False).encode()) <= 32_000
    assert 0 < len(payload["text"].encode()) <= 4_000
    assert payload["cardsV2"][0]["card"]["header"]["title"]
    assert all(section["widgets"] for section in payload["cardsV2"][0]["card"]["sections"])
    assert len(list(widgets(payload))) <= 100
    assert all(texts(payload))
    assert len(payload.get("thread", {}).get("threadKey", "")) <= 4000


def assert_nothing_mentions_or_links(payload):
    assert not re.search("<(?!\u200b)", payload["text"])
    assert payload["text"].count("`") % 2 == 0
    assert not set("<>&") & set(payload["cardsV2"][0]["card"]["header"]["title"])
    for text in texts(payload):
        assert set(re.findall("<[^>]*>", text)) <= {"<b>", "</b>", "<i>", "</i>", "<br>"}, text
        assert not re.search("&(?!amp;|lt;|gt;)", text), text
    for widget in widgets(payload):
        for button in widget.get("buttonList", {}).get("buttons", []):
            assert button["onClick"]["openLink"]["url"].startswith("https://wiki.example/")


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_looks_as_agreed(name):
    payload = render(MESSAGES[name])

    assert json.dumps(payload, indent=1, ensure_ascii=False) + "\n" == (GOLDEN / f"google_chat.{name}.json").read_text()
    assert_google_chat_takes(payload)


@given(HOSTILE_MESSAGES)
def test_no_label_breaks_a_limit_mentions_anybody_or_links(one):
    assert_google_chat_takes(render(one))
    assert_nothing_mentions_or_links(render(one))


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    assert_google_chat_takes(render(ALL[name]))
    assert_nothing_mentions_or_links(render(ALL[name]))


def test_a_hundred_alerts_fit_or_are_counted():
    alerts = [entry(f"{number:03d}-{'ё' * 118}") for number in range(MESSAGE_MAX)]

    payload = render(message(*alerts, truncated=5))

    assert_google_chat_takes(payload)
    told = "\n".join(texts(payload))
    count = told.count("<b>firing</b>")
    assert 20 < count < MESSAGE_MAX
    assert f"… and {MESSAGE_MAX + 5 - count} more" in told


@given(st.text(min_size=1, max_size=60))
def test_a_label_is_seen_as_it_is(name):
    seen = clean(name)

    # Cut where its escapes make it longer than a value may be.
    assert not seen or any(
        html.unescape(text) == seen or text.endswith("…") for text in texts(render(message(entry(account=name))))
    )


def test_everybody_is_not_called_by_an_account_of_that_name():
    payload = render(message(entry(account="<users/all>")))

    assert "<\u200busers/all>" in payload["text"]
    assert "&lt;users/all&gt;" in list(texts(payload))


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        told = json.dumps(render(one, redact=True))
        assert not any(amount in told for amount in ("412.50", "90210", "80000", "250000")), name


@pytest.mark.parametrize(
    "query",
    [
        "?key=AIza-x_y&token=ab%3D%2B%2Fc",
        "",
        "?key=K&token=T#here",
        "?key=K&token=T&messageReplyOption=REPLY_MESSAGE_OR_FAIL",
    ],
)
def test_the_url_keeps_its_key_and_token_beside_the_reply_option(query):
    url = f"https://chat.googleapis.com/v1/spaces/AAA/messages{query}"

    asked = parse_qs(urlsplit(threaded(SecretStr(url)).get_secret_value()).query)

    option = asked.pop("messageReplyOption")
    assert option in (["REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD"], ["REPLY_MESSAGE_OR_FAIL"])
    assert asked == {name: found for name, found in parse_qs(urlsplit(url).query).items() if name in ("key", "token")}


def test_a_resolve_is_told_in_the_thread_of_its_firing():
    fired = flush(group(item("firing", entry()), item("firing", entry("b"))), NOON)
    ref = thread_key(fired)
    told, _ = after_settle(group(), fired, NOON, ref)

    over = flush(group(item("resolved", entry("b", "resolved")), open=told), NOON + minutes(5))

    assert ref == "alr_a1"
    assert render(over)["thread"] == {"threadKey": "alr_a1"}


def test_alerts_of_several_threads_are_told_in_a_new_one():
    one, other = Numbered(entry("a"), 2, "alr_a1"), Numbered(entry("b"), 2, "alr_b1")

    assert thread_key(message(one, replace(other, ref="alr_a1"))) == "alr_a1"
    assert thread_key(message(one, other)) == "ntf_01"
    assert thread_key(message(one, replace(other, ref=""))) == "ntf_01"


def test_a_test_stands_in_no_thread():
    assert "thread" not in render(MESSAGES["test"])


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (400, '{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"Invalid JSON payload"}}', MESSAGE),
        (400, '{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid."}}', CHANNEL),
        (401, '{"error":{"code":401,"status":"UNAUTHENTICATED"}}', CHANNEL),
        (403, '{"error":{"code":403,"status":"PERMISSION_DENIED"}}', CHANNEL),
        (404, '{"error":{"code":404,"status":"NOT_FOUND"}}', CHANNEL),
        (429, '{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}', LATER),
        (500, "", LATER),
        (503, "<html>", LATER),
        (200, "<html>log in</html>", LATER),
        (200, "", LATER),
        (302, "", LATER),
    ],
)
def test_what_google_chat_answers_is_told_apart(status, body, meaning):
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(status, body, seconds(7)))

    match caught.value:
        case DeliveryRejected(fault=fault):
            assert fault == meaning
        case DeliveryDeferred(wait=wait):
            assert (meaning, wait) == (LATER, seconds(7))


@pytest.mark.parametrize("query", ["?key=K", "?token=T", ""])
def test_a_url_that_lost_its_token_is_refused(query):
    url = f"https://chat.googleapis.com/v1/spaces/AAA/messages{query}"

    with pytest.raises(ValidationError, match="a key and a token"):
        TypeAdapter(AnyChannel).validate_python({"type": "google_chat", "url": url})


async def test_a_message_arrives_at_a_real_receiver_and_names_its_thread(http, receiver):
    receiver.answers = [(200, POSTED, {})]
    spec = TypeAdapter(AnyChannel).validate_python({"type": "google_chat", "url": f"{receiver.url}?key=K&token=T%3D"})

    assert await spec.connect(http).send(message(), NOON) == Receipt("HTTP 200", "alr_a1")

    [(path, headers, body)] = receiver.requests
    assert path.endswith("/CANARY0123456789")
    assert headers["Content-Type"] == "application/json; charset=UTF-8"
    assert json.loads(body) == render(message())


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_fault_is_taken_for_a_success_or_shows_the_url(http, receiver, fault):
    receiver.answers = [fault.answer]
    spec = GoogleChat(type="google_chat", url=f"{receiver.url}?key=K&token=CANARY-TOKEN-01", timeout=fault.timeout)

    outcome = await outcome_of(spec.connect(http), message())

    assert fault.allows(outcome)
    assert "CANARY" not in shown(outcome) + repr(spec)


def test_google_chat_is_asked_thirty_times_a_minute():
    assert (GoogleChat.RATE.requests, GoogleChat.RATE.per) == (30, minutes(1))
