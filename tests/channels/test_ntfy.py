import json
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from pydantic import TypeAdapter, ValidationError

from monitor.channels import AnyChannel
from monitor.channels.http import Reply
from monitor.channels.ntfy import Ntfy, classify, render
from monitor.channels.text import clean
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import MESSAGE_MAX
from tests.builders import NOON, entry, message, minutes, seconds
from tests.channels.verifiers import assert_encodable
from tests.hostile import ALL, ATTACKS, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
READ = TypeAdapter(AnyChannel).validate_python
SPEC = {"type": "ntfy", "url": "https://ntfy.sh", "topic": "CANARY0123456789"}


def assert_ntfy_takes(payload):
    """What its server checks (server.go): the length of the message and of the document, names and types."""
    document = {"topic": "t" * 64, **payload}
    assert_encodable(document)
    assert set(document) <= {"topic", "title", "message", "priority", "tags", "click"}
    assert 0 < len(document["message"].encode()) <= 3900
    assert 0 < len(document["title"].encode()) <= 250
    assert len(json.dumps(document, ensure_ascii=False).encode()) <= 2 * 4096
    assert document["priority"] in range(1, 6)
    assert re.fullmatch(r"https?://[!-~]*", document.get("click", "https://"))


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_looks_as_agreed(name):
    payload = render(MESSAGES[name])

    assert json.dumps(payload, indent=1, ensure_ascii=False) + "\n" == (GOLDEN / f"ntfy.{name}.json").read_text()
    assert_ntfy_takes(payload)


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    assert_ntfy_takes(render(ALL[name]))


@given(HOSTILE_MESSAGES)
def test_no_label_breaks_a_limit(told):
    assert_ntfy_takes(render(told))


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("where", ["account", "rule", "unit"])
def test_a_label_is_seen_as_it_is(text, where):
    payload = render(message(entry(**{where: text})))

    assert len(clean(text).encode()) > 50 or clean(text) in payload["message"]


def test_a_hundred_alerts_fit_or_are_counted():
    payload = render(ALL["a hundred alerts"])

    [left] = re.findall(r"… and (\d+) more", payload["message"])
    assert 20 < payload["message"].count("firing critical") < MESSAGE_MAX
    assert payload["message"].count("firing critical") + int(left) == MESSAGE_MAX + 5


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        shown = json.dumps(render(one, redact=True))
        for amount in ("412.50", "90210", "80000", "250000"):
            assert amount not in shown, name


@pytest.mark.parametrize(
    ("told", "priority", "tag"),
    [
        (message(entry(severity="critical")), 5, "rotating_light"),
        (message(entry(severity="warning")), 4, "warning"),
        (message(entry(severity="info")), 3, "information_source"),
        (MESSAGES["resolved"], 3, "white_check_mark"),
        (MESSAGES["test"], 3, "white_check_mark"),
    ],
)
def test_the_phone_rings_as_loud_as_it_is_bad(told, priority, tag):
    payload = render(told)

    assert (payload["priority"], payload["tags"]) == (priority, [tag])


def test_a_tap_opens_the_runbook_of_one_alert():
    linked = entry(annotations={"summary": "low", "runbook_url": "https://wiki.example/float"})

    assert render(message(linked))["click"] == "https://wiki.example/float"
    assert "click" not in render(message(linked, entry("b")))


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


def error(code, **more):
    return json.dumps({"code": code, "http": code // 100, "error": "no", **more})


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (401, error(40101), CHANNEL),
        (403, error(40301), CHANNEL),
        (404, error(40401), CHANNEL),
        (400, error(40009), CHANNEL),
        (400, error(40010), CHANNEL),
        (403, "<html>", CHANNEL),
        (400, error(40017), MESSAGE),
        (400, error(40024), MESSAGE),
        (413, error(41301), MESSAGE),
        (413, error(41303), MESSAGE),
        (429, error(42901), LATER),
        (429, error(42908), LATER),
        (429, error(42909), LATER),
        (507, error(50701), LATER),
        (500, error(50001), LATER),
        (502, "<html>bad gateway</html>", LATER),
        (200, "<html>please log in</html>", LATER),
        (200, "ok", LATER),
        (200, "{}", LATER),
        (302, "", LATER),
        (200, "[" * 3000, LATER),
    ],
)
def test_the_code_in_the_body_says_what_is_at_fault(status, body, meaning):
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(status, body), NOON)

    match caught.value:
        case DeliveryRejected(fault=fault):
            assert fault == meaning
        case DeliveryDeferred():
            assert meaning == LATER


@pytest.mark.parametrize(
    ("now", "header", "code", "wait"),
    [
        pytest.param(NOON, None, 42901, seconds(5), id="one more request every five seconds"),
        pytest.param(NOON, seconds(30), 42901, seconds(30), id="their header"),
        pytest.param(NOON, None, 42909, None, id="too many failed logins"),
        pytest.param(NOON, seconds(1), 42908, minutes(60), id="a quota of the day, tried every hour"),
        pytest.param(
            datetime(2026, 11, 20, 23, 50, tzinfo=UTC), None, 42908, seconds(610), id="and as soon as the day is over"
        ),
        pytest.param(
            datetime(2026, 11, 21, 0, 50, tzinfo=timezone(timedelta(hours=1))), None, 42905, seconds(610), id="in UTC"
        ),
    ],
)
def test_a_quota_of_the_day_is_not_asked_every_second(now, header, code, wait):
    with pytest.raises(DeliveryDeferred) as caught:
        classify(Reply(429, error(code), header), now)

    assert caught.value.wait == wait


@pytest.fixture
def phones(http, receiver):
    def connect(**settings):
        server = receiver.url.partition("/services")[0]
        return READ({**SPEC, "url": server, **settings}).connect(http)

    return connect


async def test_json_is_published_at_the_root_with_the_topic_inside(phones, receiver):
    receiver.answers = [(200, json.dumps({"id": "hwQ2YpKdmg", "topic": SPEC["topic"], "message": "x" * 9000}), {})]

    receipt = await phones(token="tk_CANARY0123456789").send(message(), NOON)

    [(path, headers, body)] = receiver.requests
    assert (path, headers["Authorization"]) == ("/", "Bearer tk_CANARY0123456789")
    assert json.loads(body) == {"topic": SPEC["topic"], **render(message())}
    assert "Title" not in headers
    assert (receipt.answer, receipt.ref) == ("ok hwQ2YpKdmg", "")


@pytest.mark.parametrize("settings", [{}, {"token": "tk_CANARY0123456789"}])
async def test_no_failure_shows_topic_or_token(phones, receiver, settings):
    receiver.answers = [(403, f"{SPEC['topic']} is not for tk_CANARY0123456789", {})]

    with pytest.raises(DeliveryRejected) as caught:
        await phones(**settings).send(message(), NOON)

    assert SPEC["topic"] not in repr(caught.value)
    assert not settings or "tk_CANARY" not in repr(caught.value)
    assert "CANARY" not in repr(phones(**settings))


async def test_another_server_may_stand_before_it(phones, receiver):
    receiver.answers = [(200, '{"id": "a"}', {})]

    await phones(url="https://ntfy.sh", base_url=receiver.url).send(message(), NOON)

    assert receiver.requests[0][0] == "/services/T0/B0/CANARY0123456789/"


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"url": "https://ntfy.sh/alerts"}, "what stands behind it is the `topic`"),
        ({"topic": "a b"}, "at most 64 letters"),
        ({"topic": "x" * 65}, "at most 64 letters"),
        ({"token": "tk_a\r\nX: y"}, "without spaces"),
        ({"url": "https://me:pw@ntfy.sh"}, "use an access `token`"),
        ({"url": "ntfy.sh"}, "must be https://host/path"),
    ],
)
def test_what_can_never_work_is_refused_with_what_to_do(settings, what):
    with pytest.raises(ValidationError, match=re.escape(what)):
        READ({**SPEC, **settings})


def test_no_more_is_sent_than_the_public_server_takes():
    assert (Ntfy.RATE.requests, Ntfy.RATE.per) == (60, minutes(5))
