"""Whatever a destination does, a channel says success, later or never, in its time, and nothing of where it sends."""

import time
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from monitor.channels import AnyChannel
from monitor.channels.discord import BANNED_WAIT
from monitor.model.group import Receipt
from tests.builders import entry, message
from tests.channels.faults import FAULTS, THROTTLED, TIMEOUT, closing_in_the_pool, outcome_of, shown

#: What every channel that posts to the receiver is configured with besides `url`.
SETTINGS = {
    "webhook": {},
    "slack": {},
    "discord": {},
    "telegram": {"token": "1:CANARY0123456789", "chat_id": 1},
    "ntfy": {"url": "http://127.0.0.1:9", "topic": "CANARY0123456789"},
}
#: How each says that it took a message, if not by a plain `ok`.
TAKEN = {"discord": '{"id": "1"}', "telegram": '{"ok": true}', "ntfy": '{"id": "a"}'}
#: Those that have another name for where they send.
WHERE = {"telegram": "base_url", "ntfy": "base_url"}
#: Those that wait longer where somebody in front of the destination throttles us.
PATIENCE = {"discord": BANNED_WAIT}
_READ = TypeAdapter(AnyChannel).validate_python


def channel(kind, receiver, http):
    where = {WHERE.get(kind, "url"): receiver.url}
    return _READ({"type": kind, **where, "timeout": TIMEOUT, **SETTINGS[kind]}).connect(http)


@pytest.mark.parametrize("kind", SETTINGS)
@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_every_fault_is_told_for_what_it_is(http, receiver, kind, fault):
    receiver.answers = [fault.answer]
    began = time.monotonic()

    outcome = await outcome_of(channel(kind, receiver, http), message(entry("a")))

    if kind in PATIENCE and fault in THROTTLED:
        fault = replace(fault, wait=max(fault.wait or PATIENCE[kind], PATIENCE[kind]))
    assert fault.allows(outcome), shown(outcome)
    assert "CANARY" not in shown(outcome)
    assert len(shown(outcome)) < 20_000, "an answer is cut"
    assert len(receiver.requests) == 1, "nothing is tried twice, nor sent on to elsewhere"
    assert time.monotonic() - began < 10 * TIMEOUT.total_seconds()


@pytest.mark.parametrize("kind", SETTINGS)
async def test_a_connection_that_died_in_the_pool_costs_an_attempt_at_most(http, receiver, kind):
    receiver.answers = [closing_in_the_pool(TAKEN.get(kind, "ok")), *[(200, TAKEN.get(kind, "ok"), {})] * 2]
    there = channel(kind, receiver, http)
    first = await outcome_of(there, message(entry("a")))

    outcomes = [await outcome_of(there, message(entry("a"))) for _ in range(2)]

    assert isinstance(first, Receipt)
    assert isinstance(outcomes[-1], Receipt)
