"""One message of every type, as golden files show them."""

from dataclasses import replace

from monitor.engine import deliver
from monitor.model.group import Numbered
from tests.builders import NOON, entry, event_entry, message, minutes

FIRING = entry()
RESOLVED = replace(
    entry(status="resolved"),
    value=entry().previous,
    observed_at=NOON + minutes(31),
    annotations={"summary": "hot-a USDT is back", "runbook_url": "https://wiki.example/float"},
)
LATE = event_entry("e1")

MESSAGES = {
    "firing": message(FIRING, truncated=2),
    "updated": message(Numbered(entry(severity="warning"), 2), kind="alert.updated"),
    "reminder": message(Numbered(FIRING, 3), kind="alert.reminder"),
    "resolved": message(Numbered(RESOLVED, 2), kind="alert.resolved"),
    "event": message(replace(LATE, event=replace(LATE.event, late=True)), kind="alert.event"),
    "combined": message(FIRING, RESOLVED, kind="alert.resolved"),
    "again": message(Numbered(RESOLVED, 2), Numbered(entry(episode=2), 3)),
    "test": replace(deliver.test_message("ops", NOON), id="ntf_test"),
}
