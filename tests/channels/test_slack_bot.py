"""A bot that keeps an episode in one thread or in one message."""

import json
from dataclasses import replace

import pytest
from pydantic import TypeAdapter, ValidationError

from monitor.channels import AnyChannel
from monitor.channels.slack_answers import CHANNEL_ERRORS, GONE_ERRORS, MESSAGE_ERRORS
from monitor.engine.flush import after_settle, flush
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.model.group import Message, Numbered
from tests.builders import NOON, entry, event_entry, group, item, message, seconds
from tests.hostile import ALL

TOKEN = "xoxb-CANARY-0123456789"


@pytest.fixture
def bot(http, receiver):
    def connect(**settings):
        base = receiver.url.partition("/services")[0] + "/api"
        spec = {"type": "slack", "token": TOKEN, "channel": "#ops", "base_url": base, **settings}
        return TypeAdapter(AnyChannel).validate_python(spec).connect(http)

    return connect


def posted(ts="1503435956.000247"):
    answer = {"ok": True, "channel": "C0123", "ts": ts, "message": {"text": "x" * 50_000}}
    return 200, json.dumps(answer), {}


def refused(error, status=200):
    return status, json.dumps({"ok": False, "error": error}), {}


def calls(receiver):
    return [(path.removeprefix("/api/"), json.loads(body)) for path, _, body in receiver.requests]


def again(receipt, *entries, kind):
    told = [Numbered(one, 2, receipt.ref) for one in entries]
    return message(*told, kind=kind)


async def test_the_token_is_in_the_header_only(bot, receiver):
    receiver.answers = [posted()]

    receipt = await bot().send(message(), NOON)

    [(path, headers, body)] = receiver.requests
    assert (path, headers["Authorization"]) == ("/api/chat.postMessage", f"Bearer {TOKEN}")
    assert TOKEN.encode() not in body
    assert json.loads(body)["channel"] == "#ops"
    assert receipt.answer == "ok 1503435956.000247"


@pytest.mark.parametrize("kind", ["alert.updated", "alert.reminder", "alert.resolved"])
async def test_later_news_answer_the_first_message_and_are_seen_in_the_channel(bot, receiver, kind):
    receiver.answers = [posted(), posted("9.9")]
    first = await bot().send(message(), NOON)

    reply = await bot().send(again(first, entry(), kind=kind), NOON)

    method, sent = calls(receiver)[1]
    assert method == "chat.postMessage"
    assert (sent["channel"], sent["thread_ts"], sent["reply_broadcast"]) == ("C0123", "1503435956.000247", True)
    assert reply.ref == "", "the thread's first message stays the one to answer"


async def test_an_update_replaces_the_message_that_told_of_the_same_alerts(bot, receiver):
    receiver.answers = [posted(), posted(), posted()]
    chat = bot(follow_ups="update")
    both = await chat.send(message(entry("a"), entry("b")), NOON)

    await chat.send(again(both, entry("a", "resolved"), entry("b", "resolved"), kind="alert.resolved"), NOON)
    await chat.send(again(both, entry("a", "resolved"), kind="alert.resolved"), NOON)

    (_, _), (edit, sent), (answer, answered) = calls(receiver)
    assert (edit, sent["channel"], sent["ts"]) == ("chat.update", "C0123", "1503435956.000247")
    assert sent["text"].startswith("[RESOLVED]")
    assert sent["attachments"]
    assert (answer, answered["thread_ts"]) == ("chat.postMessage", sent["ts"]), "it told of b too, which still fires"


@pytest.mark.parametrize("follow_ups", ["thread", "update"])
@pytest.mark.parametrize("error", sorted(GONE_ERRORS))
async def test_an_end_is_told_anew_when_the_beginning_is_gone(bot, receiver, error, follow_ups):
    receiver.answers = [posted(), refused(error), posted("7.7")]
    chat = bot(follow_ups=follow_ups)
    first = await chat.send(message(), NOON)

    receipt = await chat.send(again(first, entry(status="resolved"), kind="alert.resolved"), NOON)

    method, sent = calls(receiver)[2]
    assert (method, sent["channel"], "thread_ts" in sent) == ("chat.postMessage", "#ops", False)
    assert receipt.answer == "ok 7.7"
    assert receipt.ref


async def test_news_of_alerts_from_different_messages_are_a_message_of_their_own(bot, receiver):
    receiver.answers = [posted("1.1"), posted("2.2"), posted("3.3")]
    chat = bot()
    one, two = await chat.send(message(entry("a")), NOON), await chat.send(message(entry("b")), NOON)
    ended = [Numbered(entry("a", "resolved"), 2, one.ref), Numbered(entry("b", "resolved"), 2, two.ref)]

    await chat.send(message(*ended, kind="alert.resolved"), NOON)

    assert "thread_ts" not in calls(receiver)[2][1]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (Numbered(event_entry(), 1, '["C0123","1.1",1]'), "alert.event"),
        (Numbered(entry(), 2, "message-7"), "alert.updated"),
        (Numbered(entry(), 2, '{"no": "list"}'), "alert.updated"),
    ],
)
async def test_events_are_never_answers_and_what_is_no_reference_is_none(bot, receiver, told, kind):
    receiver.answers = [posted()]

    await bot().send(message(told, kind=kind), NOON)

    assert "thread_ts" not in calls(receiver)[0][1]


ERRORS = [(error, "channel") for error in sorted(CHANNEL_ERRORS)] + [
    (error, "message") for error in sorted(MESSAGE_ERRORS)
]


@pytest.mark.parametrize(("error", "fault"), ERRORS)
async def test_200_with_an_error_inside_is_what_the_error_says(bot, receiver, error, fault):
    receiver.answers = [refused(error)]

    with pytest.raises(DeliveryRejected) as caught:
        await bot().send(message(), NOON)

    assert caught.value.fault == fault


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        ((429, '{"ok":false,"error":"ratelimited"}', {"Retry-After": "30"}), seconds(30)),
        (refused("ratelimited"), None),
        (refused("fatal_error"), None),
        (refused("service_unavailable", 503), None),
        (refused("an_error_of_next_year"), None),
        ((502, "<html>bad gateway</html>", {}), None),
        ((200, "<html>maintenance</html>", {}), None),
        ((200, "", {}), None),
        ((500, '{"ok":true,"ts":"1.1"}', {}), None),
    ],
)
async def test_what_may_pass_is_tried_again(bot, receiver, answer, wait):
    receiver.answers = [answer]

    with pytest.raises(DeliveryDeferred) as caught:
        await bot().send(message(), NOON)

    assert caught.value.wait == wait
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"Bearer {TOKEN}", f"{TOKEN}\u20ac"])
def test_a_token_that_breaks_every_message_is_refused(token):
    with pytest.raises(ValidationError, match="without spaces"):
        TypeAdapter(AnyChannel).validate_python({"type": "slack", "token": token, "channel": "C1"})


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"token": TOKEN},
        {"channel": "C1"},
        {"url": "https://hooks.slack.com/services/T/B/x", "channel": "C1"},
        {"url": "https://hooks.slack.com/services/T/B/x", "token": TOKEN, "channel": "C1"},
    ],
)
def test_either_a_url_or_a_token_with_its_channel(settings):
    with pytest.raises(ValidationError, match="bot"):
        TypeAdapter(AnyChannel).validate_python({"type": "slack", **settings})


async def test_every_message_is_sent_as_the_webhook_would(bot, receiver):
    for name, one in ALL.items():
        receiver.answers = [posted()]
        await bot().send(one, NOON)
        assert calls(receiver)[-1][1]["attachments"], name


async def test_the_thread_survives_updates_until_the_end(bot, receiver):
    receiver.answers = [posted("1.1"), posted("2.2"), posted("3.3")]
    chat = bot()
    owed = group(item("firing", entry()))
    for news in ("updated", "resolved", None):
        told = flush(owed, NOON)
        assert isinstance(told, Message)
        known, _ = after_settle(owed, told, NOON, (await chat.send(told, NOON)).ref)
        if news is not None:
            end = entry(status="resolved") if news == "resolved" else entry(severity="warning")
            owed = replace(group(item(news, end)), open={name: one for name, one in known.items() if one})

    assert [sent.get("thread_ts") for _, sent in calls(receiver)] == [None, "1.1", "1.1"]
