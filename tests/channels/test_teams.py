import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from monitor.channels import AnyChannel
from monitor.channels.http import Reply
from monitor.channels.teams import Teams, classify, render
from monitor.channels.text import clean, utf16
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import MESSAGE_MAX, Receipt
from tests.builders import NOON, entry, message, seconds
from tests.channels.faults import FAULTS, outcome_of, shown
from tests.channels.verifiers import assert_adaptive_card, assert_encodable
from tests.hostile import ALL, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"


def content(payload):
    [attachment] = payload["attachments"]
    return attachment["content"]


def runs(payload):
    for block in content(payload)["body"]:
        yield from block["inlines"]


def said(payload):
    return "\n".join("".join(run["text"] for run in block["inlines"]) for block in content(payload)["body"])


def assert_teams_takes(payload):
    """The published schema, and what it misses: the envelope, the size in a flow, and where Markdown would be read."""
    assert payload["type"] == "message"
    card = content(payload)
    assert_adaptive_card(card)
    assert card["msteams"] == {"width": "Full"}
    # 28 672 as the flow writes it, which is longer than what was sent.
    assert len(json.dumps(payload)) <= 24_000
    assert len(card.get("actions", [])) <= 6
    # TextBlock and FactSet read Markdown, RichTextBlock does not.
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert all(run["type"] == "TextRun" and run["text"] for run in runs(payload))
    assert_encodable(payload)


def assert_links_only_to_runbooks(payload):
    actions = content(payload).get("actions", [])
    assert all(action["url"].startswith("https://wiki.example/") for action in actions)
    assert not any(sign in content(payload)["fallbackText"] for sign in "()<>`*_\\")


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_looks_as_agreed(name):
    payload = render(MESSAGES[name])

    assert json.dumps(payload, indent=1, ensure_ascii=False) + "\n" == (GOLDEN / f"teams.{name}.json").read_text()
    assert_teams_takes(payload)


@given(HOSTILE_MESSAGES)
def test_no_label_breaks_a_limit_or_links(one):
    assert_teams_takes(render(one))
    assert_links_only_to_runbooks(render(one))


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    assert_teams_takes(render(ALL[name]))
    assert_links_only_to_runbooks(render(ALL[name]))


def test_room_is_counted_as_a_flow_may_write_it():
    def alerts(summary):
        return message(*(entry(f"{number}", annotations={"summary": summary}) for number in range(5)))

    # As many bytes in UTF-8, three times as many as escapes.
    latin, cyrillic = render(alerts("low " * 200)), render(alerts("счёт" * 100))

    assert "Threshold: 80000 USDT" in said(latin)
    assert "firing critical · HotWalletLow" in said(cyrillic)
    assert_teams_takes(latin)
    assert_teams_takes(cyrillic)


def test_a_hundred_alerts_fit_or_are_counted():
    told = said(render(message(*(entry(f"{number:03d}-{'x' * 60}") for number in range(MESSAGE_MAX)), truncated=5)))

    shown_of = told.count("firing critical · ")
    assert 20 < shown_of < MESSAGE_MAX
    assert f"… and {MESSAGE_MAX + 5 - shown_of} more" in told


@given(st.text(min_size=1, max_size=60))
def test_a_label_is_seen_as_it_is(name):
    seen = clean(name)

    assert not seen or seen in [run["text"] for run in runs(render(message(entry(account=name))))]


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        told = json.dumps(render(one, redact=True))
        assert not any(amount in told for amount in ("412.50", "90210", "80000", "250000")), name


@pytest.mark.parametrize(
    ("name", "colour"),
    [("firing", "Attention"), ("updated", "Warning"), ("resolved", "Good"), ("test", "Good")],
)
def test_the_colour_says_how_bad_it_is(name, colour):
    assert next(runs(render(MESSAGES[name])))["color"] == colour


def test_alerts_with_several_runbooks_link_to_the_first_three():
    alerts = [
        entry(f"{number}", annotations={"summary": "low", "runbook_url": f"https://wiki.example/{number // 2}"})
        for number in range(5)
    ]

    actions = content(render(message(*alerts)))["actions"]

    assert [(action["title"], action["url"][-1]) for action in actions] == [
        ("Runbook", "0"), ("Runbook 2", "1"), ("Runbook 3", "2"),
    ]  # fmt: skip


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (400, "", MESSAGE),
        (400, '{"error":{"code":"TriggerInputSchemaMismatch"}}', MESSAGE),
        (400, '{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"…"}}', CHANNEL),
        (413, "", MESSAGE),
        (401, "", CHANNEL),
        (403, "", CHANNEL),
        (404, '{"error":{"code":"WorkflowNotFound"}}', CHANNEL),
        (410, "", CHANNEL),
        (429, "", LATER),
        (500, "", LATER),
        (502, "<html>", LATER),
        (302, "", LATER),
        (200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429", LATER),
    ],
)
def test_what_a_flow_answers_is_told_apart(status, body, meaning):
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(status, body, seconds(7)))

    match caught.value:
        case DeliveryRejected(fault=fault):
            assert fault == meaning
        case DeliveryDeferred(wait=wait):
            assert (meaning, wait) == (LATER, seconds(7))


@pytest.mark.parametrize("reply", [Reply(202, ""), Reply(200, "1")])
def test_a_flow_that_has_started_is_all_there_is_to_know(reply):
    assert classify(reply) == f"HTTP {reply.status} {reply.text}".strip()


@pytest.mark.parametrize(
    "url",
    ["https://acme.webhook.office.com/webhookb2/x/IncomingWebhook/y/z", "https://outlook.office.com/webhook/x"],
)
def test_a_retired_connector_is_refused_with_the_way_out(url):
    with pytest.raises(ValidationError, match="connectors are retired: in Teams create a workflow") as caught:
        TypeAdapter(AnyChannel).validate_python({"type": "teams", "url": url})

    assert "IncomingWebhook" not in str(caught.value.errors(include_input=False))


async def test_a_message_arrives_at_a_real_receiver(http, receiver):
    receiver.answers = [(202, "", {})]
    spec = TypeAdapter(AnyChannel).validate_python({"type": "teams", "url": receiver.url})

    assert await spec.connect(http).send(message(), NOON) == Receipt("HTTP 202")

    [(_, headers, body)] = receiver.requests
    assert headers["Content-Type"] == "application/json"
    assert json.loads(body) == render(message())


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_no_fault_is_taken_for_a_success_or_shows_the_url(http, receiver, fault):
    receiver.answers = [fault.answer]
    spec = Teams(type="teams", url=receiver.url, timeout=fault.timeout)

    outcome = await outcome_of(spec.connect(http), message())

    assert fault.allows(outcome)
    assert "CANARY0123456789" not in shown(outcome) + repr(spec)


def test_teams_is_asked_once_a_second():
    assert (Teams.RATE.requests, Teams.RATE.per) == (1, seconds(1))


def test_no_text_is_longer_than_its_budget():
    long = max(utf16(run["text"]) for run in runs(render(ALL["five with long ascii"])))

    assert long <= 1000
