import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter, ValidationError

from monitor.channels import CHANNELS, AnyChannel
from monitor.channels.http import Reply
from monitor.channels.webhook import Webhook, classify, signatures
from monitor.channels.webhook_formats import render
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.fields import Context
from tests.builders import NOON, entry, message, minutes, seconds
from tests.channels.verifiers import assert_webhook_says_what_is_promised
from tests.hostile import ALL, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
KEYS = [b"n" * 24, b"o" * 64]
NEW, OLD = (f"whsec_{base64.b64encode(key).decode()}" for key in KEYS)
ANYTHING = st.text(st.characters(codec=None, exclude_categories=()), max_size=30)


def webhook(**settings):
    return TypeAdapter(AnyChannel).validate_python({"type": "webhook", "url": "https://h.example/x", **settings})


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_the_contract_s_json(name):
    golden = (GOLDEN / f"webhook.{name}.json").read_text()

    assert json.dumps(json.loads(render(MESSAGES[name])), indent=1, ensure_ascii=False) + "\n" == golden


@pytest.mark.parametrize("name", ALL)
async def test_every_message_is_what_is_promised_and_verified_by_the_standard_s_own_library(http, receiver, name):
    await webhook(url=receiver.url, secret=NEW).connect(http).send(ALL[name], datetime.now(UTC))

    [(_, headers, body)] = receiver.requests
    lower = {name.lower(): value for name, value in headers.items()}
    assert standardwebhooks.Webhook(NEW).verify(body, lower) == json.loads(body)
    assert_webhook_says_what_is_promised(json.loads(body))


@given(HOSTILE_MESSAGES)
def test_whatever_strangers_write_it_is_what_is_promised(one):
    assert_webhook_says_what_is_promised(json.loads(render(one)))


def test_amounts_are_strings_with_all_their_digits_and_never_an_exponent():
    body = json.loads(
        render(message(entry(value=Decimal("1E+3"), previous=Decimal("-0.00"), threshold=Decimal("0.10"))))
    )

    [alert] = body["data"]["alerts"]
    assert (alert["value"], alert["previous"], alert["threshold"]) == ("1000", "0.00", "0.10")


@pytest.mark.parametrize(
    ("summary", "names"), [("it is flapping", {"summary"}), ("too low", {"summary", "caveat"})], ids=["built in", "own"]
)
def test_a_caveat_that_the_summary_says_already_is_left_out(summary, names):
    body = json.loads(render(message(entry(annotations={"summary": summary, "caveat": "it is flapping"}))))

    assert body["data"]["alerts"][0]["annotations"].keys() == names


def test_times_are_utc_with_milliseconds_wherever_they_came_from():
    there = datetime(2026, 11, 20, 14, 0, 0, 123_999, timezone(timedelta(hours=2)))

    body = json.loads(render(message(entry(observed_at=there))))

    assert body["data"]["alerts"][0]["observed_at"] == "2026-11-20T12:00:00.123Z"


@given(ANYTHING, ANYTHING)
def test_any_label_can_be_told(label, value):
    body = render(message(entry(account=value, labels={label: value}, annotations={"summary": value})))

    told = json.loads(body.decode())["data"]["alerts"][0]["labels"]
    assert list(told.values()) == [
        value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    ] or "\ufffd" in str(told)


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        body = render(one, redact=True).decode()
        for amount in ("412.50", "90210", "80000", "250000", "1.50"):
            assert amount not in body, name


def test_the_standard_s_own_vector():
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    at = datetime.fromtimestamp(1614265330, UTC)

    signed = signatures((secret,), "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_the_receiver_can_check_who_sent_it_with_the_new_and_the_old_secret(http, receiver):
    # Another zone on purpose: what is signed is the instant.
    now = datetime.now(timezone(timedelta(hours=5, minutes=30)))
    channel = webhook(url=receiver.url, secret=[NEW, OLD]).connect(replace(http, clock=lambda: now))
    # A store whose clock was set forward, which this message may be about.
    await channel.send(message(), now + minutes(10))

    [(_, headers, body)] = receiver.requests
    headers = {name.lower(): value for name, value in headers.items()}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = [f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}" for key in KEYS]
    assert headers["webhook-signature"].split(" ") == expected
    assert (headers["webhook-id"], headers["content-type"]) == ("ntf_01", "application/json")
    assert headers["webhook-timestamp"] == str(int(now.timestamp()))
    for secret in (NEW, OLD):
        standardwebhooks.Webhook(secret).verify(body, headers)


async def test_attempts_differ_in_time_and_signature_only(http, receiver):
    times = iter((NOON, NOON + seconds(5)))
    channel = webhook(url=receiver.url, secret=NEW).connect(replace(http, clock=lambda: next(times)))
    await channel.send(message(), NOON)
    await channel.send(message(), NOON)

    (_, first, body), (_, second, again) = receiver.requests
    assert body == again
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"webhook-timestamp", "webhook-signature"}


async def test_without_a_secret_nothing_claims_to_be_signed(http, receiver):
    await webhook(url=receiver.url).connect(http).send(message(), NOON)

    assert "webhook-signature" not in receiver.requests[0][1]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_success_whatever_the_body_says(status):
    assert classify(Reply(status, "error")) == f"HTTP {status}"


@pytest.mark.parametrize("status", [100, 301, 308, 400, 401, 403, 404, 408, 413, 422, 425, 429, 500, 502, 503, 504])
def test_everything_else_is_tried_again_after_the_wait_it_asks_for(status):
    with pytest.raises(DeliveryDeferred, match=f"HTTP {status} why") as caught:
        classify(Reply(status, "why", seconds(7)))
    assert caught.value.wait == seconds(7)


def test_410_is_the_end_of_the_channel():
    with pytest.raises(DeliveryRejected) as caught:
        classify(Reply(410, "gone"))
    assert caught.value.fault == "channel"


def test_what_a_receiver_says_is_cut_and_cleaned():
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(500, "<b>\x1b[31m\u202e" + "x" * 4000))
    assert len(str(caught.value)) < 250
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        pytest.param("whsec_", id="empty"),
        pytest.param(base64.b64encode(b"k" * 32).decode(), id="no prefix"),
        pytest.param(f"whsec_{base64.b64encode(b'k' * 23).decode()}", id="23 bytes"),
        pytest.param(f"whsec_{base64.b64encode(b'k' * 65).decode()}", id="65 bytes"),
        pytest.param("whsec_not base64 at all, really not one bit", id="no base64"),
        pytest.param("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HK", id="an asymmetric key"),
        pytest.param([NEW, OLD, NEW], id="three"),
        pytest.param([NEW, "short"], id="the second of two"),
    ],
)
def test_a_bad_secret_is_refused_and_not_quoted(secret):
    with pytest.raises(ValidationError) as caught:
        webhook(secret=secret)
    said = "; ".join(error["msg"] for error in caught.value.errors())
    assert "whsec_ and 24 to 64 random bytes" in said or "at most 2" in said
    assert OLD not in said


def test_without_reading_secrets_nothing_behind_them_is_judged():
    settings = {"type": "webhook", "url": {"env": "U"}, "secret": [{"env": "A"}, {"env": "B"}]}

    TypeAdapter(AnyChannel).validate_python(settings, context=Context(secrets=False, environment={}))


@pytest.mark.parametrize("timeout", ["0s", "21s"])
def test_an_attempt_must_end_before_its_lease(timeout):
    with pytest.raises(ValidationError, match="at most 20s"):
        webhook(timeout=timeout)


def test_settings_never_print_their_secrets():
    spec = webhook(secret=NEW)

    assert NEW not in repr(spec)
    assert "h.example" not in repr(spec)


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://h.example/x", True),
        ("http://127.0.0.1/x", False),
        ("http://localhost:1/", False),
        ("https://h/", False),
    ],
)
def test_plain_http_to_another_machine_is_worth_a_warning(url, warned):
    assert bool(webhook(url=url).warnings()) is warned


def test_every_registered_channel_is_in_the_union():
    members = TypeAdapter(AnyChannel).json_schema()["discriminator"]["mapping"]

    assert set(members) == set(CHANNELS)
    assert CHANNELS["webhook"] is Webhook


def test_a_message_survives_the_store_and_renders_to_the_same_bytes():
    for one in MESSAGES.values():
        stored = msgspec.json.decode(msgspec.json.encode(one), type=type(one))
        assert render(stored) == render(one)
        assert render(replace(stored, keys=("1-0",))) == render(one)
