import json
import re
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from slack_sdk.models.blocks import Block

from monitor.channels import AnyChannel
from monitor.channels.http import Reply
from monitor.channels.slack import Slack, classify
from monitor.channels.slack_blocks import render
from monitor.channels.text import clean, utf16
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import MESSAGE_MAX, Receipt
from tests.builders import NOON, entry, message, seconds
from tests.hostile import ALL, ENTRIES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"


def blocks_of(payload):
    [attachment] = payload["attachments"]
    return attachment["blocks"]


def texts(payload, kind=None):
    for block in blocks_of(payload):
        for part in [block.get("text"), *block.get("fields", []), *block.get("elements", [])]:
            if part and kind in (None, part["type"]):
                yield part["text"]


def assert_slack_takes(payload):
    """What slack_sdk checks, compared with what went in; and the limits it misses, one of them undocumented."""
    blocks = blocks_of(payload)
    assert [block.to_dict() for block in Block.parse_all(blocks)] == blocks
    assert len(blocks) <= 50
    assert 0 < utf16(payload["text"]) <= 4_000
    assert sum(map(utf16, texts(payload))) <= 13_000
    for block in blocks:
        assert utf16(block.get("text", {"text": ""})["text"]) <= (150 if block["type"] == "header" else 3000)
        assert all(utf16(field["text"]) <= 2000 for field in block.get("fields", []))
    assert "\ud800" not in json.dumps(payload, ensure_ascii=False).encode().decode()


def assert_nothing_mentions_or_links(payload):
    for text in (payload["text"], *texts(payload)):
        links = re.findall(r"<([^>]*)>", text)
        assert all(re.fullmatch(r"https://wiki\.example/[^|<>]*\|Runbook", link) for link in links), text

    for text in (payload["text"], *texts(payload, "mrkdwn")):
        assert text.count("`") % 2 == 0, text


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_looks_as_agreed(name):
    payload = render(MESSAGES[name])

    assert json.dumps(payload, indent=1, ensure_ascii=False) + "\n" == (GOLDEN / f"slack.{name}.json").read_text()
    assert_slack_takes(payload)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("firing", "[FIRING critical] HotWalletLow: 3 alerts, the first hot-a"),
        ("updated", "[UPDATED warning] HotWalletLow hot-a: 412.50 USDT, below 80000"),
        ("resolved", "[RESOLVED] HotWalletLow hot-a: 90210.00 USDT"),
        ("event", "[EVENT] LargeOutflow hot-out: 250000 USDT, above 80000"),
        ("again", "[FIRING critical] HotWalletLow: fired again (2 episodes) hot-a: 412.50 USDT, below 80000"),
        ("combined", "[RESOLVED] HotWalletLow: fired and resolved hot-a: 90210.00 USDT"),
        ("test", "[TEST] balance-monitor can reach the channel ops"),
    ],
)
def test_the_preview_says_what_happened_in_one_line(name, line):
    assert render(MESSAGES[name])["text"] == line


def test_the_preview_is_about_what_fires_now_also_behind_what_it_replaces():
    closed = entry("old", "resolved", reason="superseded")

    said = render(message(closed, entry("new", severity="warning")))

    assert said["text"] == "[FIRING warning] HotWalletLow: 2 alerts, the first hot-new"
    assert said["attachments"][0]["color"] == "#e8a33d"


@pytest.mark.parametrize(
    ("rule_type", "status", "fact"),
    [
        ("low_balance", "firing", "412.50 USDT, below 80000"),
        ("locked_funds", "firing", "412.50 USDT, above 80000"),
        ("balance_change", "firing", "moved by 412.50 USDT, above 80000"),
        ("balance_change", "resolved", "moved by 412.50 USDT"),
        ("expression", "firing", "412.50 USDT, limit 80000"),
        ("expression", "resolved", "412.50 USDT"),
    ],
)
def test_the_preview_tells_no_side_and_no_amount_that_the_rule_does_not_judge(rule_type, status, fact):
    told = entry(rule_type=rule_type, status=status, reason="recovered")

    assert render(message(told))["text"].endswith(f"hot-a: {fact}")


def test_what_flaps_or_could_not_be_read_says_so_behind_its_amount():
    told = entry(annotations={"summary": "too low", "caveat": "it is flapping"})

    said = render(message(told))

    assert said["text"] == "[FIRING critical] HotWalletLow hot-a: 412.50 USDT, below 80000 · `it is flapping`"
    assert "too low · it is flapping" in list(texts(said))
    assert "412" not in render(message(entry(annotations={"caveat": "last read as 412"})), redact=True)["text"]


def test_an_alert_without_an_amount_says_its_summary():
    down = entry(account="", value=None, annotations={"summary": "no good poll for 3m"})

    assert render(message(down))["text"] == "[FIRING critical] HotWalletLow casino: `no good poll for 3m`"


@given(
    st.lists(ENTRIES, min_size=1, max_size=7),
    st.sampled_from(["alert.firing", "alert.resolved", "alert.event"]),
)
def test_no_label_breaks_a_limit_mentions_anybody_or_links_anywhere(entries, kind):
    payload = render(message(*entries, kind=kind))

    assert_slack_takes(payload)
    assert_nothing_mentions_or_links(payload)


@given(st.text(min_size=1, max_size=60))
def test_a_label_is_seen_as_it_is(name):
    payload = render(message(entry(account=name)))

    seen = clean(name).replace("`", "ˋ").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert not seen or any(f"`{seen}`" in text for text in texts(payload))


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    assert_slack_takes(render(ALL[name]))
    assert_nothing_mentions_or_links(render(ALL[name]))


def test_a_hundred_alerts_fit_or_are_counted():
    long = [entry(f"{number:03d}-{'x' * 100}") for number in range(MESSAGE_MAX)]

    payload = render(message(*long, truncated=5))

    assert_slack_takes(payload)
    shown = "\n".join(texts(payload)).count("*firing*")
    [left] = re.findall(r"… and (\d+) more", "\n".join(texts(payload)))
    assert 20 < shown < MESSAGE_MAX
    assert shown + int(left) == MESSAGE_MAX + 5
    assert "105 alerts" in payload["text"]


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        shown = json.dumps(render(one, redact=True))
        for amount in ("412.50", "90210", "80000", "250000"):
            assert amount not in shown, name


def test_the_colour_says_how_bad_it_is():
    def colour(one):
        return render(one)["attachments"][0]["color"]

    worst = message(entry(severity="info"), entry("b", severity="critical"))
    assert (colour(worst), colour(MESSAGES["updated"]), colour(MESSAGES["resolved"])) == (
        "#d00000",
        "#e8a33d",
        "#2eb67d",
    )


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (403, "action_prohibited", CHANNEL),
        (404, "channel_not_found", CHANNEL),
        (404, "no_service", CHANNEL),
        (410, "channel_is_archived", CHANNEL),
        (400, "user_not_found", CHANNEL),
        (400, "invalid_token", CHANNEL),
        (200, "no_active_hooks", CHANNEL),
        (200, "team_disabled", CHANNEL),
        (404, "<html>not found</html>", CHANNEL),
        (400, "invalid_payload", MESSAGE),
        (400, "no_text", MESSAGE),
        (400, "too_many_attachments", MESSAGE),
        (200, "invalid_blocks", MESSAGE),
        (200, '{"ok":false,"error":"msg_blocks_too_long"}', MESSAGE),
        (413, "", MESSAGE),
        (500, "rollup_error", LATER),
        (502, "<html>bad gateway</html>", LATER),
        (503, "", LATER),
        (200, "", LATER),
        (200, "<html>maintenance</html>", LATER),
        (200, '{"ok":true}', LATER),
        (202, "ok", LATER),
        (302, "ok", LATER),
        (429, "no_service", LATER),
        (429, "[1,2", LATER),
        (200, "[" * 3000, LATER),
    ],
)
def test_the_body_is_believed_first_and_the_code_second(status, body, meaning):
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(status, body))

    match caught.value:
        case DeliveryRejected(fault=fault):
            assert fault == meaning
        case DeliveryDeferred():
            assert meaning == LATER


def test_only_200_ok_is_ok():
    assert classify(Reply(200, "ok")) == "ok"


@pytest.mark.parametrize(
    ("header", "body", "wait"),
    [
        (None, '{"retry_after":1,"ok":false,"error":"rate_limited"}', seconds(1)),
        (seconds(30), '{"retry_after":1,"ok":false,"error":"rate_limited"}', seconds(30)),
        (None, '{"retry_after":1e9,"error":"rate_limited"}', seconds(3600)),
        (None, '{"retry_after":-1,"error":"rate_limited"}', None),
        (None, '{"retry_after":"soon"}', None),
        (None, "slow down", None),
    ],
)
def test_429_brings_its_own_clock(header, body, wait):
    with pytest.raises(DeliveryDeferred) as caught:
        classify(Reply(429, body, header))
    assert caught.value.wait == wait


async def test_a_message_arrives_at_a_real_receiver(http, receiver):
    spec = TypeAdapter(AnyChannel).validate_python({"type": "slack", "url": receiver.url})

    assert await spec.connect(http).send(message(), NOON) == Receipt("ok")

    [(_, headers, body)] = receiver.requests
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert json.loads(body) == render(message())


@pytest.mark.parametrize("answer", [(404, "no_service at URL", {}), (500, "URL", {}), (200, "not ok URL", {})])
@pytest.mark.parametrize("kind", ["slack", "webhook", "discord", "teams", "google_chat", "mattermost"])
async def test_no_failure_of_a_channel_shows_its_url(http, receiver, kind, answer):
    status, body, headers = answer
    receiver.answers = [(status, body.replace("URL", receiver.url), headers)]
    spec = TypeAdapter(AnyChannel).validate_python({"type": kind, "url": receiver.url})

    try:
        said = await spec.connect(http).send(message(), NOON)
    except DeliveryError as error:
        said = repr(error)

    assert "CANARY0123456789" not in said
    assert "CANARY0123456789" not in repr(spec)


def test_slack_is_asked_once_a_second():
    assert (Slack.RATE.requests, Slack.RATE.per) == (1, seconds(1))


def test_huge_amounts_are_shown_whole():
    big = replace(entry(), value=Decimal("123456789012345678901234567890.123456789"))

    assert "123456789012345678901234567890.123456789 USDT" in json.dumps(render(message(big)))


@pytest.mark.parametrize(
    ("said", "preview"),
    [
        ({}, "[FIRING critical] Down hot-a: for 2m5s"),
        ({"account": ""}, "[FIRING critical] Down casino: for 2m5s"),
        ({"status": "resolved", "reason": "recovered", "value": Decimal(0)}, "[RESOLVED] Down hot-a"),
        ({"status": "resolved", "reason": "rule_removed"}, "[RESOLVED] Down hot-a: rule removed"),
    ],
)
@pytest.mark.parametrize("redact", [True, False])
def test_how_long_nobody_answered_is_told_as_a_duration(said, preview, redact):
    silence = {"rule": "Down", "rule_type": "provider_down", "unit": "s", "asset": None, "measure": None}
    one = entry(**{**silence, "value": Decimal("125.7"), "threshold": Decimal(60), **said})

    payload = render(message(one, kind=f"alert.{one.status}"), redact=redact)

    assert payload["text"] == preview
    assert "*Threshold*\n`1m`" in list(texts(payload))
    assert_slack_takes(payload)


def test_an_alert_that_ended_without_a_recovery_says_why_not_a_figure():
    closed = entry(status="resolved", reason="rule_removed", value=Decimal(5))

    text = render(message(closed, kind="alert.resolved"))["text"]

    assert text == "[RESOLVED] HotWalletLow hot-a: rule removed"
