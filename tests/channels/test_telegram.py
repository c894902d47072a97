import html
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from pydantic import TypeAdapter, ValidationError
from structlog.testing import capture_logs

from monitor.channels import AnyChannel
from monitor.channels.http import Reply
from monitor.channels.telegram import Place, classify
from monitor.channels.telegram_text import render, shown
from monitor.channels.text import clean, utf16
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import MESSAGE_MAX, Numbered
from tests.builders import NOON, entry, event_entry, message, minutes, seconds
from tests.channels.telegram_parser import assert_telegram_takes, telegram_links
from tests.hostile import ALL, ATTACKS, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
READ = TypeAdapter(AnyChannel).validate_python
TOKEN = "123456789:CANARY0123456789abcdefghijklmnopqr"
CHAT = -1001234567890


def taken(payload):
    return assert_telegram_takes({"chat_id": CHAT, **payload})


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_looks_as_agreed(name):
    payload = render(MESSAGES[name])

    assert json.dumps(payload, indent=1, ensure_ascii=False) + "\n" == (GOLDEN / f"telegram.{name}.json").read_text()
    taken(payload)


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    taken(render(ALL[name]))


@given(HOSTILE_MESSAGES)
def test_no_label_breaks_a_limit_or_becomes_a_link_or_a_command(told):
    payload = render(told)

    text = taken(payload)

    assert shown(payload["text"]) == utf16(html.unescape(re.sub(r"<[^<>]*>", "", payload["text"])))
    assert utf16(text) <= shown(payload["text"]), "their parser drops a few marks of its own"
    assert all(link.startswith("https://wiki.example/") for link in telegram_links(payload))


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("where", ["account", "rule", "unit"])
def test_a_label_is_seen_as_it_is(text, where):
    seen = taken(render(message(entry(**{where: text}))))

    assert len(clean(text)) > 50 or clean(text) in seen


def test_a_hundred_alerts_fit_or_are_counted():
    text = taken(render(ALL["a hundred alerts"]))

    [left] = re.findall(r"… and (\d+) more", text)
    assert 20 < text.count("firing critical") < MESSAGE_MAX
    assert text.count("firing critical") + int(left) == MESSAGE_MAX + 5
    assert "105 alerts" in text


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        shown = json.dumps(render(one, redact=True))
        for amount in ("412.50", "90210", "80000", "250000"):
            assert amount not in shown, name


@pytest.mark.parametrize(("severity", "silent"), [("info", True), ("warning", False), ("critical", False)])
def test_what_is_only_for_information_makes_no_sound(severity, silent):
    assert render(message(entry(severity=severity)))["disable_notification"] is silent


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


def error(description, code=400, **parameters):
    said = {"ok": False, "error_code": code, "description": description}
    return json.dumps({**said, "parameters": parameters} if parameters else said)


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (401, error("Unauthorized", 401), CHANNEL),
        (404, error("Not Found", 404), CHANNEL),
        (403, error("Forbidden: bot was blocked by the user", 403), CHANNEL),
        (403, error("Forbidden: user is deactivated", 403), CHANNEL),
        (403, error("Forbidden: the group chat was deleted", 403), CHANNEL),
        (403, error("Forbidden: bot was kicked from the supergroup chat", 403), CHANNEL),
        (403, error("Forbidden: bot is not a member of the channel chat", 403), CHANNEL),
        (400, error("Bad Request: chat not found"), CHANNEL),
        (400, error("Bad Request: message thread not found"), CHANNEL),
        (400, error("Bad Request: not enough rights to send text messages to the chat"), CHANNEL),
        (400, error("Bad Request: have no rights to send a message"), CHANNEL),
        (400, error("Bad Request: need administrator rights in the channel chat"), CHANNEL),
        (400, error("Bad Request: TOPIC_CLOSED"), CHANNEL),
        (400, error("Bad Request: CHAT_WRITE_FORBIDDEN"), CHANNEL),
        (404, "<html>not found</html>", CHANNEL),
        (400, error('Bad Request: can\'t parse entities: Unsupported start tag "x"'), MESSAGE),
        (400, error("Bad Request: message is too long"), MESSAGE),
        (400, error("Bad Request: message text is empty"), MESSAGE),
        (400, error("Bad Request: SOMETHING_NEW"), MESSAGE),
        (413, error("Request Entity Too Large", 413), MESSAGE),
        (400, error("Bad Request: internal server error"), LATER),
        (400, error("Bad Request: FLOOD_WAIT_X"), LATER),
        (429, error("Too Many Requests: retry after 5", 429, retry_after=5), LATER),
        (500, error("Internal Server Error", 500), LATER),
        (502, "<html>bad gateway</html>", LATER),
        (403, "<html>blocked</html>", LATER),
        (400, "<html>", LATER),
        (409, error("Conflict", 409), LATER),
        (200, error("Bad Request: chat not found"), LATER),
        (200, "", LATER),
        (200, "ok", LATER),
        (302, "", LATER),
        (200, "[" * 3000, LATER),
        (200, '{"ok": "yes"}', LATER),
    ],
)
def test_the_description_says_what_is_at_fault(status, body, meaning):
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(status, body))

    match caught.value:
        case DeliveryRejected(fault=fault):
            assert fault == meaning
        case DeliveryDeferred():
            assert meaning == LATER


@pytest.mark.parametrize(
    ("header", "body", "wait"),
    [
        (seconds(9), error("Too Many Requests: retry after 5", 429, retry_after=5), seconds(5)),
        (None, error("Too Many Requests", 429, retry_after=10**9), minutes(60)),
        (seconds(9), error("Too Many Requests", 429, retry_after=-5), seconds(9)),
        (seconds(9), "<html>", seconds(9)),
        (None, "slow down", None),
    ],
)
def test_429_brings_its_own_clock_in_the_body(header, body, wait):
    with pytest.raises(DeliveryDeferred) as caught:
        classify(Reply(429, body, header))

    assert caught.value.wait == wait


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"ok": True, "result": {"message_id": 555, "chat": {"id": CHAT}, "text": "x"}}, Place(CHAT, 555)),
        ({"ok": True, "result": True}, Place(0, 0)),
        ({"ok": True}, Place(0, 0)),
    ],
)
def test_only_200_and_ok_is_a_success(body, place):
    assert classify(Reply(200, json.dumps(body))) == place


@pytest.fixture
def chat(http, receiver):
    base = receiver.url.partition("/services")[0]

    def connect(**settings):
        spec = {"type": "telegram", "token": TOKEN, "chat_id": CHAT, "base_url": base, **settings}
        return READ(spec).connect(http)

    return connect


def sent(number=555, chat=CHAT):
    return 200, json.dumps({"ok": True, "result": {"message_id": number, "chat": {"id": chat}, "text": "x" * 9000}}), {}


def again(receipt, *entries, kind="alert.resolved"):
    return message(*(Numbered(one, 2, receipt.ref) for one in entries), kind=kind)


def bodies(receiver):
    for _, _, body in receiver.requests:
        assert_telegram_takes(json.loads(body))
    return [json.loads(body) for _, _, body in receiver.requests]


async def test_a_message_arrives_in_its_topic(chat, receiver):
    receiver.answers = [sent()]

    receipt = await chat(thread_id=42).send(message(), NOON)

    [(path, headers, _)] = receiver.requests
    assert path == f"/bot{TOKEN}/sendMessage"
    assert headers["Content-Type"] == "application/json"
    assert bodies(receiver) == [{"chat_id": CHAT, "message_thread_id": 42, **render(message())}]
    assert (receipt.answer, receipt.ref) == ("ok 555", f"[{CHAT},555]")


@pytest.mark.parametrize("kind", ["alert.updated", "alert.reminder", "alert.resolved"])
async def test_later_news_answer_the_first_message_and_arrive_without_it(chat, receiver, kind):
    receiver.answers = [sent(), sent(556)]
    first = await chat().send(message(), NOON)

    receipt = await chat().send(again(first, entry(), kind=kind), NOON)

    reply = bodies(receiver)[1]["reply_parameters"]
    assert reply == {"message_id": 555, "allow_sending_without_reply": True}
    assert (receipt.answer, receipt.ref) == ("ok 556", ""), "the first message stays the one to answer"


async def test_news_of_several_messages_and_events_answer_none(chat, receiver):
    receiver.answers = [sent()] * 2
    mixed = message(Numbered(entry("a"), 2, f"[{CHAT},1]"), Numbered(entry("b"), 2, f"[{CHAT},2]"))

    await chat().send(mixed, NOON)
    await chat().send(message(event_entry(), kind="alert.event"), NOON)

    assert all("reply_parameters" not in body for body in bodies(receiver))


async def test_an_answer_to_what_is_gone_is_sent_as_a_message_in_the_same_attempt(chat, receiver):
    receiver.answers = [(400, error("Bad Request: message to be replied not found"), {}), sent()]

    receipt = await chat().send(message(Numbered(entry(status="resolved"), 2, f"[{CHAT},1]")), NOON)

    assert "reply_parameters" not in bodies(receiver)[1]
    assert receipt.answer == "ok 555"


async def test_nothing_answers_a_message_of_another_chat(chat, receiver):
    receiver.answers = [sent(), (200, '{"ok": true}', {})]
    told = message(Numbered(entry(), 2, "[-4711,9]"))

    receipts = [await chat().send(told, NOON) for _ in range(2)]

    assert all("reply_parameters" not in body for body in bodies(receiver))
    assert [receipt.ref for receipt in receipts] == [f"[{CHAT},555]", ""]


async def test_a_process_that_does_not_know_of_a_move_answers_in_the_new_chat(chat, receiver):
    moved = (400, error("Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-100777), {})
    receiver.answers = [moved, sent(2, -100777)]

    await chat(chat_id=-4711).send(message(Numbered(entry(), 2, "[-100777,1]")), NOON)

    first, second = bodies(receiver)
    assert "reply_parameters" not in first
    assert second["reply_parameters"]["message_id"] == 1


async def test_a_group_that_became_a_supergroup_is_told_at_once_and_from_then_on(chat, receiver):
    moved = (400, error("Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=-100777), {})
    receiver.answers = [moved, sent(1, -100777), sent(2, -100777)]
    channel = chat(chat_id=-4711)

    with capture_logs() as logged:
        first = await channel.send(message(Numbered(entry(), 2, "[-4711,9]")), NOON)
        await channel.send(again(first, entry(status="resolved")), NOON)

    said = bodies(receiver)
    assert [body["chat_id"] for body in said] == [-4711, -100777, -100777]
    assert "reply_parameters" not in said[1], "its messages have other numbers now"
    assert said[2]["reply_parameters"]["message_id"] == 1
    [warning] = [line for line in logged if line["event"] == "telegram.chat_moved"]
    assert (warning["chat_id"], warning["channel"]) == (-100777, "ops")


@pytest.mark.parametrize("answer", [(404, "no bot at URL", {}), (500, f"URL {TOKEN}", {}), (200, TOKEN, {})])
async def test_no_failure_shows_the_token(chat, receiver, answer):
    status, body, headers = answer
    receiver.answers = [(status, body.replace("URL", f"/bot{TOKEN}/sendMessage"), headers)]

    with pytest.raises(DeliveryError) as caught:
        await chat().send(message(), NOON)

    assert "CANARY" not in repr(caught.value)
    assert "CANARY" not in repr(chat())


@pytest.mark.parametrize(("chat_id", "per"), [(CHAT, 3), ("@treasury", 3), (4711, 1)])
def test_a_group_is_told_less_often_than_a_person(chat_id, per):
    spec = READ({"type": "telegram", "token": TOKEN, "chat_id": chat_id})

    assert (spec.rate().requests, spec.rate().per) == (1, seconds(per))


@pytest.mark.parametrize("token", ["a/../b", "a b", "a\nb", "тест"])
def test_what_cannot_be_in_a_url_is_no_token_and_is_not_quoted(token):
    with pytest.raises(ValidationError, match="as @BotFather gives it"):
        READ({"type": "telegram", "token": token, "chat_id": 1})


@pytest.mark.parametrize("chat_id", ["treasury", "@a b", "", 1.5, True, 10**30, "9" * 30])
def test_a_chat_is_a_number_or_a_name(chat_id):
    with pytest.raises(ValidationError):
        READ({"type": "telegram", "token": TOKEN, "chat_id": chat_id})


def test_check_warns_of_what_does_not_look_like_a_token():
    odd = READ({"type": "telegram", "token": "123", "chat_id": 1, "base_url": "http://bot.internal"})

    assert READ({"type": "telegram", "token": TOKEN, "chat_id": 1}).warnings() == ()
    assert len(odd.warnings()) == 2
    assert "123:" not in " ".join(odd.warnings())


@pytest.mark.parametrize("chat_id", ["traders", "@t", "https://t.me/traders", "-100x"])
def test_a_name_that_is_none_says_how_to_write_it(chat_id):
    with pytest.raises(ValidationError, match="a number, negative for a group, or the @name of a public channel"):
        READ({"type": "telegram", "token": TOKEN, "chat_id": chat_id})
