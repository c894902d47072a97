"""Whether a destination would take a payload: in the opinion of somebody who is not us, and what that one misses."""

import json
import re
from datetime import datetime
from pathlib import Path

from google.apps.chat_v1 import Message as ChatMessage
from google.protobuf import json_format
from jsonschema import Draft6Validator, Draft202012Validator

from monitor.channels.text import utf16

SCHEMAS = Path(__file__).parent / "schemas"
_CARD = Draft6Validator(json.loads((SCHEMAS / "adaptive-1.4.0.json").read_text("utf-8")))
_PAGERDUTY = json.loads((SCHEMAS / "pagerduty.json").read_text("utf-8"))
_DISCORD = Draft202012Validator(json.loads((SCHEMAS / "discord.json").read_text("utf-8")))


def assert_encodable(payload):
    """No lone surrogate: a destination answers 400 to one, or worse."""
    json.dumps(payload, ensure_ascii=False).encode()


def assert_discord_takes(payload):
    """Discord's own schema; and what it misses: lengths in UTF-16, empty texts, unknown keys, the sum over embeds."""
    assert [error.message for error in _DISCORD.iter_errors(payload)] == []
    assert_encodable(payload)
    assert set(payload) == {"content", "embeds", "allowed_mentions"}
    assert payload["allowed_mentions"] == {"parse": []}
    assert 0 < utf16(payload["content"]) <= 2000
    assert 1 <= len(payload["embeds"]) <= 10
    for embed in payload["embeds"]:
        assert set(embed) <= {"title", "description", "color", "fields", "footer"}
        assert 0 < utf16(embed["description"]) <= 4096
        assert 0 < utf16(embed.get("title", "-")) <= 256
        assert len(embed.get("fields", ())) <= 25
    texts = list(discord_texts(payload))
    assert all(text.strip() for text in texts)
    assert sum(map(utf16, texts)) <= 6000


def discord_texts(payload):
    """What counts towards the sum over all embeds."""
    for embed in payload["embeds"]:
        yield embed["description"]
        yield from (embed[key] for key in ("title",) if key in embed)
        yield from (text for field in embed.get("fields", ()) for text in (field["name"], field["value"]))
        yield from (embed[key]["text"] for key in ("footer",) if key in embed)


def assert_adaptive_card(card):
    """Microsoft's schema of Adaptive Cards 1.4, which does not know Teams' own key nor ask for a version."""
    plain = {name: value for name, value in card.items() if name != "msteams"}
    assert [error.message for error in _CARD.iter_errors(plain)] == []
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"]


def assert_google_chat_knows(payload):
    """Google's own message types. They know no length."""
    json_format.ParseDict(payload, ChatMessage.pb(ChatMessage()))


def assert_pagerduty_takes(body: dict) -> None:
    """Their schema of `/enqueue`, and what it misses: lengths, unknown keys, what an action needs."""
    Draft202012Validator(_PAGERDUTY).validate(body)
    assert set(body) <= set(_PAGERDUTY["properties"])
    assert 1 <= len(body["dedup_key"]) <= 255
    assert len(json.dumps(body, ensure_ascii=False).encode()) <= 512_000
    if body["event_action"] == "trigger":
        payload = body["payload"]
        assert set(payload) <= set(_PAGERDUTY["components"]["schemas"]["Payload"]["properties"])
        assert 1 <= len(payload["summary"]) <= 1024
        assert payload["source"]
        datetime.strptime(payload["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z")
        assert all(link["href"].startswith("https://") for link in body.get("links", []))


_TEXT, _TIME, _AMOUNT = (
    {"type": "string"},
    {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"},
    {"type": ["string", "null"], "pattern": r"^-?\d+(\.\d+)?$"},
)
_MAYBE, _TEXTS = {"type": ["string", "null"]}, {"type": "object", "additionalProperties": _TEXT}


def _object(**properties):
    plain = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**plain, "required": list(properties)}


_EVENT = _object(
    id=_TEXT, kind=_TEXT, direction={"enum": ["in", "out", None]}, amount=_AMOUNT, balance_after=_AMOUNT,
    occurred_at=_TIME, reference=_MAYBE,
)  # fmt: skip
for _name, _kind in (("late", {"const": True}), ("expected", {"type": "array"})):
    _EVENT["properties"][_name] = _kind
_STATUS = {"enum": ["firing", "resolved", "event"]}
_ALERT = _object(
    id={"type": "string", "pattern": "^alr_"}, fingerprint=_TEXT, sequence={"type": "integer", "minimum": 1},
    status=_STATUS, rule=_TEXT, rule_type=_TEXT, severity={"enum": ["info", "warning", "critical"]}, provider=_TEXT,
    account=_TEXT, asset=_MAYBE, measure=_MAYBE, value=_AMOUNT, previous=_AMOUNT, threshold=_AMOUNT, unit=_MAYBE,
    labels=_TEXTS, annotations=_TEXTS, started_at=_TIME, observed_at=_TIME, resolved_at=_TIME,
    reason={
        "enum": [None, "recovered", "rule_removed", "account_removed", "watch_expired", "superseded", "no_data",
                 "event_reverted", "event_restored"],
    },
    event={"anyOf": [{"type": "null"}, _EVENT]},
)  # fmt: skip
_KINDS = ["alert.firing", "alert.updated", "alert.reminder", "alert.resolved", "alert.event", "test"]
_WEBHOOK = Draft202012Validator(
    _object(
        type={"enum": _KINDS},
        timestamp=_TIME,
        data=_object(
            notification_id={"type": "string", "pattern": "^ntf_"},
            channel=_TEXT,
            status={"enum": ["firing", "resolved", "event", "test"]},
            group=_TEXTS,
            alerts={"type": "array", "items": _ALERT, "maxItems": 100},
            truncated={"type": "integer", "minimum": 0},
        ),
    )
)


def assert_webhook_says_what_is_promised(body):
    """Every name, type and word that receivers may count on, and no others."""
    assert [error.message for error in _WEBHOOK.iter_errors(body)] == []
    assert body["timestamp"]
    assert_encodable(body)
    for alert in body["data"]["alerts"]:
        assert alert["observed_at"]
        assert (alert["status"] == "event") == (alert["event"] is not None)


def assert_alertmanager_posts(body):
    """The shape of its webhook payload, version 4, as captured from a real one (0.25)."""
    assert set(body) == {
        "receiver", "status", "alerts", "groupLabels", "commonLabels", "commonAnnotations", "externalURL", "version",
        "groupKey", "truncatedAlerts",
    }  # fmt: skip
    assert body["version"] == "4"
    statuses = set()
    for alert in body["alerts"]:
        assert set(alert) == {
            "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "fingerprint"
        }  # fmt: skip
        assert_labels(alert["labels"])
        assert_labels(alert["annotations"])
        assert body["commonLabels"].items() <= alert["labels"].items()
        assert body["commonAnnotations"].items() <= alert["annotations"].items()
        over = alert["status"] == "resolved"
        assert over == (alert["endsAt"] != "0001-01-01T00:00:00Z")
        assert not over or datetime.fromisoformat(alert["endsAt"]) >= datetime.fromisoformat(alert["startsAt"])
        assert re.fullmatch("[0-9a-f]{16}", alert["fingerprint"])
        statuses.add(alert["status"])
    assert body["status"] == ("firing" if "firing" in statuses else "resolved")
    assert len({alert["fingerprint"] for alert in body["alerts"]}) == len(body["alerts"])
    assert_encodable(body)


def assert_labels(named):
    """Names and values of labels and annotations."""
    for name, value in named.items():
        assert re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name)
        assert isinstance(value, str)
        assert value


def assert_alertmanager_takes(alerts):
    """What its API refuses with 400 or 422 (0.25), and that all of it is text."""
    assert isinstance(alerts, list)
    for alert in alerts:
        assert set(alert) == {"labels", "annotations", "startsAt", "endsAt"}
        assert alert["labels"]["alertname"]
        assert_labels(alert["labels"])
        assert_labels(alert["annotations"])
        began, ends = (datetime.fromisoformat(alert[name]) for name in ("startsAt", "endsAt"))
        assert began.tzinfo is not None
        assert ends >= began
    assert_encodable(alerts)
