import json
import re
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from monitor.channels import AnyChannel
from monitor.channels.answers import Gone
from monitor.channels.discord import BANNED_WAIT, Discord, classify
from monitor.channels.discord_embeds import escape, render
from monitor.channels.http import Reply
from monitor.channels.text import clean
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import MESSAGE_MAX, Numbered
from tests.builders import NOON, entry, event_entry, message, minutes, seconds
from tests.channels.verifiers import assert_discord_takes, discord_texts
from tests.hostile import ALL, ATTACKS, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
READ = TypeAdapter(AnyChannel).validate_python
#: Code spans, what stands behind a backslash, and what we write ourselves.
OURS = re.compile(
    r"`[^`]*`|\\.|\*\*(?:firing|resolved|event)\*\*|<t:\d+:f>|\[Runbook\]\(<https://wiki\.example/[^\s<>()\[\]]*>\)"
)
SIGNS = re.compile(r"[\\`*_~|<>#@]|\]\(|https?://")


def assert_nothing_mentions_links_or_formats(payload):
    footers = [embed["footer"]["text"] for embed in payload["embeds"] if "footer" in embed]
    for text in (payload["content"], *discord_texts(payload)):
        # A footer is plain text, and of ours.
        if text not in footers:
            rest = OURS.sub("", text)
            assert not SIGNS.search(rest), text


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_looks_as_agreed(name):
    payload = render(MESSAGES[name])

    assert json.dumps(payload, indent=1, ensure_ascii=False) + "\n" == (GOLDEN / f"discord.{name}.json").read_text()
    assert_discord_takes(payload)


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    assert_discord_takes(render(ALL[name]))
    assert_nothing_mentions_links_or_formats(render(ALL[name]))


@given(HOSTILE_MESSAGES)
def test_no_label_breaks_a_limit_mentions_anybody_or_links_anywhere(told):
    assert_discord_takes(render(told))
    assert_nothing_mentions_links_or_formats(render(told))


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("where", ["account", "rule", "unit"])
def test_a_label_is_seen_as_it_is(text, where):
    payload = render(message(entry(**{where: text})))

    seen = clean(text).replace("`", "ˋ")
    assert len(seen) > 50 or any(seen in shown for shown in discord_texts(payload))


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("1. a list", "1\\. a list"),
        ("- a list", "\\- a list"),
        ("hot-a", "hot-a"),
        ("see http://evil.example", "see http:\\//evil.example"),
        ("@everyone <@1> [x](y)", "\\@everyone \\<\\@1\\> \\[x\\]\\(y\\)"),
    ],
)
def test_text_is_escaped_where_it_means_something(raw, written):
    assert escape(raw) == written


@given(st.text(max_size=80))
def test_escaping_loses_nothing(raw):
    assert re.sub(r"\\(.)", r"\1", escape(clean(raw))) == clean(raw)


def test_a_hundred_alerts_fit_or_are_counted():
    payload = render(ALL["a hundred alerts"])

    said = "\n".join(discord_texts(payload))
    [left] = re.findall(r"… and (\d+) more", said)
    assert 15 < said.count("**firing**") < MESSAGE_MAX
    assert said.count("**firing**") + int(left) == MESSAGE_MAX + 5
    assert "105 alerts" in payload["content"]


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        shown = json.dumps(render(one, redact=True))
        for amount in ("412.50", "90210", "80000", "250000"):
            assert amount not in shown, name


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


def error(code, **more):
    return json.dumps({"message": "no", "code": code, **more})


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (401, error(50027), CHANNEL),
        (404, error(10015), CHANNEL),
        (404, error(10003), CHANNEL),
        (404, error(0), CHANNEL),
        (403, error(50013), CHANNEL),
        (400, error(50035, errors={"embeds": {}}), MESSAGE),
        (400, '{"embeds": ["0"]}', MESSAGE),
        (400, error(50006), MESSAGE),
        (400, error(220001), MESSAGE),
        (413, error(40005), MESSAGE),
        (403, "error code: 1010", LATER),
        (403, error(40333), LATER),
        (403, "<html>blocked</html>", LATER),
        (403, '{"error_code": 1010}', LATER),
        (401, "<html>", LATER),
        (404, "not found", LATER),
        (400, "<html>", LATER),
        (429, error(0, retry_after=1.5), LATER),
        (500, error(0), LATER),
        (502, "<html>bad gateway</html>", LATER),
        (204, "", LATER),
        (200, "", LATER),
        (200, "ok", LATER),
        (200, '{"id": ""}', LATER),
        (200, '{"id": "../x"}', LATER),
        (302, "", LATER),
        (200, "[" * 3000, LATER),
    ],
)
def test_the_code_in_the_body_says_what_is_at_fault_and_a_page_says_nothing(status, body, meaning):
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(status, body))

    match caught.value:
        case DeliveryRejected(fault=fault):
            assert fault == meaning
        case DeliveryDeferred():
            assert meaning == LATER


@pytest.mark.parametrize(
    ("status", "header", "body", "wait"),
    [
        (429, seconds(1), error(0, retry_after=0.376), seconds(0.376)),
        (429, None, error(0, retry_after=1e9), minutes(60)),
        (429, seconds(1), error(0, retry_after=0), seconds(0)),
        (429, seconds(3), error(0, retry_after=-1), BANNED_WAIT),
        (429, seconds(3), "error code: 1015", BANNED_WAIT),
        (429, minutes(30), "<html>", minutes(30)),
        (403, None, "error code: 1010", BANNED_WAIT),
        (403, None, error(40333), BANNED_WAIT),
        (503, seconds(7), "", seconds(7)),
    ],
)
def test_the_body_knows_the_exact_wait_and_whoever_bans_us_is_left_alone_for_long(status, header, body, wait):
    with pytest.raises(DeliveryDeferred) as caught:
        classify(Reply(status, body, header))

    assert caught.value.wait == wait


@pytest.fixture
def chat(http, receiver):
    def connect(**settings):
        spec = {"type": "discord", "url": f"{receiver.url}?thread_id=42&wait=false", **settings}
        return READ(spec).connect(http)

    return connect


def saved(number="1001"):
    return 200, json.dumps({"id": number, "content": "x" * 50_000}), {}


def again(receipt, *entries, kind="alert.resolved"):
    return message(*(Numbered(one, 2, receipt.ref) for one in entries), kind=kind)


async def test_a_message_arrives_and_is_asked_whether_it_was_saved(chat, receiver):
    receiver.answers = [saved()]

    receipt = await chat().send(message(), NOON)

    [(path, headers, body)] = receiver.requests
    assert headers["User-Agent"] == "balance-monitor"
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == render(message())
    assert (receipt.answer, receipt.ref) == ("ok 1001", '["1001",1]')
    assert path.endswith("CANARY0123456789")


async def test_the_thread_of_the_url_is_kept_and_wait_is_always_said(chat, receiver):
    asked = []

    async def note(request):
        asked.append((request.method, request.path_qs.rpartition("CANARY0123456789")[2]))
        return web.Response(text=saved()[1])

    receiver.answers = [note, note]
    channel = chat(resolve="edit")

    first = await channel.send(message(), NOON)
    await channel.send(again(first, entry(status="resolved")), NOON)

    assert asked == [("POST", "?wait=true&thread_id=42"), ("PATCH", "/messages/1001?thread_id=42")]


async def test_an_end_is_a_new_message_that_people_hear(chat, receiver):
    receiver.answers = [saved(), saved("1002")]
    first = await chat().send(message(), NOON)

    receipt = await chat().send(again(first, entry(status="resolved")), NOON)

    assert [path.count("/messages/") for path, _, _ in receiver.requests] == [0, 0]
    assert receipt.answer == "ok 1002"


async def test_an_edited_end_says_when_it_began_and_ended_and_mentions_nobody(chat, receiver):
    receiver.answers = [saved(), saved()]
    channel = chat(resolve="edit")
    first = await channel.send(message(), NOON)

    receipt = await channel.send(again(first, entry(status="resolved")), NOON)

    [_, (path, _, body)] = receiver.requests
    sent = json.loads(body)
    assert path.endswith("/messages/1001")
    assert sent["allowed_mentions"] == {"parse": []}
    assert "began <t:1795176000:f>, ended <t:1795177860:f>" in sent["embeds"][0]["description"]
    assert receipt.answer == "edited 1001"


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(lambda first: again(first, entry("a", "resolved")), id="only one of its alerts is over"),
        pytest.param(
            lambda first: message(
                Numbered(entry("a", "resolved"), 2, first.ref),
                Numbered(entry("b", "resolved"), 2, '["77",2]'),
                kind="alert.resolved",
            ),
            id="its alerts were told by several messages",
        ),
        pytest.param(
            lambda first: again(first, entry("a"), entry("a", "resolved"), kind="alert.resolved"),
            id="it fired and resolved meanwhile",
        ),
        pytest.param(lambda first: again(first, entry("a"), entry("b"), kind="alert.updated"), id="they still fire"),
        pytest.param(lambda _: message(event_entry(), kind="alert.event"), id="an event"),
    ],
)
async def test_no_message_is_edited_that_told_of_something_else(chat, receiver, told):
    receiver.answers = [saved(), saved("1002")]
    channel = chat(resolve="edit")
    first = await channel.send(message(entry("a"), entry("b")), NOON)

    await channel.send(told(first), NOON)

    assert not receiver.requests[1][0].endswith("/messages/1001")


@pytest.mark.parametrize(("status", "code"), [(404, 10008), (400, 30046), (403, 50005)])
async def test_an_end_whose_message_is_gone_is_posted_in_the_same_attempt(chat, receiver, status, code):
    receiver.answers = [saved(), (status, error(code), {}), saved("1002")]
    channel = chat(resolve="edit")
    first = await channel.send(message(), NOON)

    receipt = await channel.send(again(first, entry(status="resolved")), NOON)

    assert receipt.answer == "ok 1002"
    assert json.loads(receiver.requests[2][2]) == json.loads(receiver.requests[1][2])


async def test_a_webhook_that_is_gone_is_not_mistaken_for_a_message_that_is(chat, receiver):
    receiver.answers = [saved(), (404, error(10015), {})]
    channel = chat(resolve="edit")
    first = await channel.send(message(), NOON)

    with pytest.raises(DeliveryRejected) as caught:
        await channel.send(again(first, entry(status="resolved")), NOON)

    assert caught.value.fault == "channel"
    assert not isinstance(caught.value, Gone)


async def test_a_global_limit_holds_every_channel_to_discord_and_no_longer_than_it_says(chat, receiver):
    throttled = 429, error(0, retry_after=30.5, **{"global": True}), {}
    receiver.answers = [throttled, saved()]
    one, other = chat(), chat()

    with pytest.raises(DeliveryDeferred) as first:
        await one.send(message(), NOON)
    with pytest.raises(DeliveryDeferred) as second:
        await other.send(message(), NOON + seconds(10))
    receipt = await other.send(message(), NOON + seconds(31))

    assert (first.value.wait, second.value.wait) == (seconds(30.5), seconds(20.5))
    assert len(receiver.requests) == 2
    assert receipt.answer == "ok 1001"


async def test_a_limit_of_one_webhook_holds_no_other(chat, receiver):
    receiver.answers = [(429, error(0, retry_after=30), {}), saved()]
    with pytest.raises(DeliveryDeferred):
        await chat().send(message(), NOON)

    assert (await chat().send(message(), NOON)).answer == "ok 1001"


@pytest.mark.parametrize("tail", ["/slack", "/github/"])
def test_a_url_for_other_formats_is_refused_with_the_way_out(tail):
    with pytest.raises(ValidationError, match="without /slack or /github"):
        READ({"type": "discord", "url": "https://discord.com/api/webhooks/1/x" + tail})


def test_discord_is_asked_once_in_two_seconds():
    assert (Discord.RATE.requests, Discord.RATE.per) == (1, seconds(2))
