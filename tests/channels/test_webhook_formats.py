"""The same message as a CloudEvent, and as Alertmanager would post it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import standardwebhooks
from cloudevents.core.bindings.http import HTTPMessage, from_structured
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from monitor.channels import AnyChannel
from monitor.channels.alertmanager_alerts import NEVER, fingerprint, label_name, labels
from monitor.channels.http import Reply
from monitor.channels.webhook import classify
from monitor.channels.webhook_formats import CONTENT_TYPES, TYPE_PREFIX, render
from monitor.errors import DeliveryDeferred, DeliveryRejected
from monitor.model.group import Numbered
from tests.builders import NOON, entry, event_entry, message, minutes
from tests.channels.verifiers import assert_alertmanager_posts
from tests.hostile import ALL, HOSTILE, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def told(one, form, **settings):
    return json.loads(render(one, form, **settings))


@pytest.mark.parametrize("form", ["cloudevents", "alertmanager"])
@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_as_agreed(name, form):
    golden = (GOLDEN / f"webhook-{form}.{name}.json").read_text()

    assert json.dumps(told(MESSAGES[name], form), indent=1, ensure_ascii=False) + "\n" == golden


def assert_cloud_event(body, one):
    """The SDK reads it; and what that misses: it invents an id and a time that are missing."""
    headers = {"content-type": CONTENT_TYPES["cloudevents"]}
    event = from_structured(HTTPMessage(headers, body), JSONFormat())
    plain = json.loads(body)
    assert (event.get_id(), event.get_specversion(), event.get_type()) == (one.id, "1.0", TYPE_PREFIX + one.type)
    assert event.get_data() == told(one, "standard")["data"]
    assert event.get_time().utcoffset() is not None
    assert {"specversion", "id", "source", "type", "time", "datacontenttype", "data"} <= set(plain)
    assert all(plain[name] for name in set(plain) - {"data"}), "no attribute is empty"
    assert all(name.isalnum() and name == name.lower() for name in plain)


@given(HOSTILE_MESSAGES)
def test_whatever_strangers_write_it_is_a_cloud_event(one):
    assert_cloud_event(render(one, "cloudevents"), one)


@pytest.mark.parametrize("name", ALL)
def test_every_kind_and_size_is_a_cloud_event_and_a_payload_of_alertmanager_s(name):
    assert_cloud_event(render(ALL[name], "cloudevents"), ALL[name])
    assert_alertmanager_posts(told(ALL[name], "alertmanager"))


def test_the_subject_is_the_account_and_the_source_its_provider_where_there_is_only_one():
    def names(*entries):
        body = told(message(*entries), "cloudevents")
        return body["source"], body.get("subject")

    assert names(entry("a")) == ("/balance-monitor/casino", "hot-a")
    assert names(entry("a"), entry("b")) == ("/balance-monitor/casino", None)
    assert names(entry("a", provider="x/y"), entry("b", provider="z")) == ("/balance-monitor", None)
    assert names(entry("a", provider="x/y", account="")) == ("/balance-monitor/x%2Fy", None)


@given(HOSTILE_MESSAGES)
def test_whatever_strangers_write_it_is_a_payload_of_alertmanager_s(one):
    assert_alertmanager_posts(told(one, "alertmanager"))


def test_alertmanager_s_own_example_has_the_same_fingerprint():
    called = {"alertname": "LowBalance", "severity": "critical", "wallet": "0xabc"}

    assert fingerprint(called) == "b0ff049301d11217"


def test_what_fired_and_ended_is_over_and_what_fired_again_fires():
    over, again = (told(MESSAGES[name], "alertmanager") for name in ("combined", "again"))

    assert (over["status"], [one["status"] for one in over["alerts"]]) == ("resolved", ["resolved"])
    assert over["alerts"][0]["endsAt"] == "2026-11-20T12:31:00Z"
    assert (again["status"], [one["status"] for one in again["alerts"]]) == ("firing", ["firing"])
    assert again["alerts"][0]["endsAt"] == NEVER


def test_another_severity_is_another_alert_and_the_old_one_is_over():
    worse = Numbered(entry(), 2, before=entry(severity="warning"))

    body = told(message(worse, kind="alert.updated"), "alertmanager")

    assert [(one["labels"]["severity"], one["status"]) for one in body["alerts"]] == [
        ("warning", "resolved"),
        ("critical", "firing"),
    ]


def test_movements_are_alerts_of_their_own_that_fire():
    body = told(message(event_entry("e1"), event_entry("e2"), kind="alert.event"), "alertmanager")

    assert [(one["labels"]["event"], one["status"]) for one in body["alerts"]] == [
        ("alr_e1", "firing"),
        ("alr_e2", "firing"),
    ]


@given(st.dictionaries(HOSTILE, HOSTILE, max_size=5))
def test_no_label_takes_the_place_of_one_of_ours(own):
    called = labels(entry(labels=own))

    assert called["alertname"] == called["rule"] == "HotWalletLow"
    assert (called["severity"], called["account"]) == ("critical", "hot-a")
    assert all(name == label_name(name) and value.strip() for name, value in called.items())


def test_labels_that_become_the_same_are_told_apart():
    called = labels(
        entry(labels={"team-a": "1", "team.a": "2", "7": "x", "": "y", "none": " ", "rule-": "z", "rule": "!"})
    )

    own = {name: value for name, value in called.items() if name not in labels(entry(labels={}))}
    assert own == {"team_a": "1", "team_a_2": "2", "_7": "x", "_": "y", "rule_": "z"}


def test_what_changes_while_an_alert_fires_is_no_label():
    later = entry(value=None, threshold=None, annotations={"summary": "worse"}, observed_at=NOON + minutes(1))

    assert labels(later) == labels(entry())


@pytest.mark.parametrize("form", ["cloudevents", "alertmanager"])
def test_redacted_amounts_appear_nowhere(form):
    for name, one in MESSAGES.items():
        body = render(one, form, redact=True).decode()
        for amount in ("412.50", "90210", "80000", "250000"):
            assert amount not in body, name


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("standard", "application/json"),
        ("cloudevents", "application/cloudevents+json; charset=utf-8"),
        ("alertmanager", "application/json"),
    ],
)
async def test_every_format_is_signed_over_the_very_bytes(http, receiver, form, kind):
    spec = {"type": "webhook", "url": receiver.url, "secret": SECRET, "format": form}
    channel = TypeAdapter(AnyChannel).validate_python(spec).connect(http)

    await channel.send(message(), datetime.now(UTC))

    [(_, headers, body)] = receiver.requests
    headers = {name.lower(): value for name, value in headers.items()}
    assert (headers["content-type"], body) == (kind, render(message(), form))
    standardwebhooks.Webhook(SECRET).verify(body, headers)


def test_who_takes_no_cloud_events_says_so_once():
    with pytest.raises(DeliveryRejected) as caught:
        classify(Reply(415, ""), "cloudevents")
    assert caught.value.fault == "message"
    with pytest.raises(DeliveryDeferred):
        classify(Reply(415, ""))


def test_every_attempt_sends_the_same_bytes():
    for form in CONTENT_TYPES:
        for one in MESSAGES.values():
            assert render(one, form) == render(replace(one, keys=("1-0",)), form)
