"""Whatever a destination does, a channel says success, later or never, in its time, and nothing of where it sends."""

import time
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from monitor.channels import AnyChannel
from monitor.channels.discord import BANNED_WAIT
from monitor.engine import deliver
from monitor.model.group import Receipt
from tests.builders import NOON, entry, message
from tests.channels.faults import AMPLE, FAULTS, THROTTLED, closing_in_the_pool, outcome_of, shown

#: What every channel that posts to the receiver is configured with besides `url`.
SETTINGS = {
    "webhook": {},
    "slack": {},
    "discord": {},
    "telegram": {"token": "1:CANARY0123456789", "chat_id": 1},
    "ntfy": {"url": "http://127.0.0.1:9", "topic": "CANARY0123456789"},
    "teams": {},
    "google_chat": {},
    "mattermost": {},
    "pagerduty": {"routing_key": "CANARY0123456789CANARY0123456789"},
    "alertmanager": {},
}
#: How each says that it took a message, if not by a plain `ok`.
TAKEN = {
    "discord": '{"id": "1"}',
    "telegram": '{"ok": true}',
    "ntfy": '{"id": "a"}',
    "google_chat": '{"name": "spaces/A/messages/B"}',
}
#: Those that say so with another status.
STATUS = {"pagerduty": 202}
#: Those that have another name for where they send.
WHERE = {"telegram": "base_url", "ntfy": "base_url", "pagerduty": "base_url"}
#: Those that wait longer where somebody in front of the destination throttles us.
PATIENCE = {"discord": BANNED_WAIT}
_READ = TypeAdapter(AnyChannel).validate_python


def channel(kind, receiver, http, timeout=AMPLE):
    # Where the credential stands elsewhere, the URL is none.
    where = {WHERE[kind]: receiver.url.rpartition("/")[0]} if kind in WHERE else {"url": receiver.url}
    return _READ({"type": kind, **where, "timeout": timeout, **SETTINGS[kind]}).connect(http)


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_every_fault_is_told_for_what_it_is(http, receiver, caplog, kind, fault):
    caplog.set_level("DEBUG")
    receiver.answers = [fault.answer]
    began = time.monotonic()

    there = channel(kind, receiver, http, fault.timeout)
    outcome = await outcome_of(there, message(entry("a")))

    if kind in PATIENCE and fault in THROTTLED:
        fault = replace(fault, wait=max(fault.wait or PATIENCE[kind], PATIENCE[kind]))
    assert fault.allows(outcome), shown(outcome)
    assert "CANARY" not in shown(outcome) + repr(there)
    # All but what the receiver here says of its own requests.
    logged = [str(vars(one)) for one in caplog.records if one.name not in ("aiohttp.access", "aiohttp.server")]
    assert "CANARY" not in "\n".join(logged), "whatever a library says to itself"
    assert len(shown(outcome)) < 20_000, "an answer is cut"
    # Where time is short, a busy machine may not even get there.
    assert len(receiver.requests) == 1 or (fault.slow and not receiver.requests), "nothing is tried twice, or elsewhere"
    assert time.monotonic() - began < AMPLE.total_seconds(), "who never ends is not waited for"


@pytest.mark.parametrize("kind", SETTINGS)
async def test_a_test_message_arrives_and_leaves_nothing_open(http, receiver, kind):
    receiver.answers = [(STATUS.get(kind, 200), TAKEN.get(kind, "ok"), {})]

    sent = await outcome_of(channel(kind, receiver, http), deliver.test_message("ops", NOON))

    assert isinstance(sent, Receipt), shown(sent)
    [(_, _, body)] = receiver.requests
    assert b"trigger" not in body
    assert kind != "alertmanager" or body == b"[]"


@pytest.mark.parametrize("kind", SETTINGS)
async def test_a_connection_that_died_in_the_pool_costs_an_attempt_at_most(http, receiver, kind):
    status, said = STATUS.get(kind, 200), TAKEN.get(kind, "ok")
    receiver.answers = [closing_in_the_pool(said, status), *[(status, said, {})] * 2]
    there = channel(kind, receiver, http)
    first = await outcome_of(there, message(entry("a")))

    outcomes = [await outcome_of(there, message(entry("a"))) for _ in range(2)]

    # It may die behind the second as well.
    assert sum(isinstance(one, Receipt) for one in (first, *outcomes)) >= 2
