"""One incident for each alert, opened and closed by the same key."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from jsonschema import ValidationError as SchemaError
from pydantic import TypeAdapter, ValidationError
from structlog.testing import capture_logs

from monitor.channels import AnyChannel
from monitor.channels.http import Reply
from monitor.channels.pagerduty import mark
from monitor.channels.pagerduty_events import classify, event
from monitor.channels.text import clean
from monitor.engine.flush import after_settle, flush
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import Message, Numbered
from tests.builders import NOON, entry, event_entry, group, item, message, seconds
from tests.channels.faults import FAULTS, outcome_of, shown
from tests.channels.verifiers import assert_pagerduty_takes
from tests.hostile import ALL, ENTRIES, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
NEW, OLD = "0123456789abcdef0123456789CANARY", "fedcba9876543210fedcba9876CANARY"
TOOK = (202, '{"status":"success","message":"Event processed","dedup_key":"x"}', {})
BAD = (400, '{"status":"invalid event","message":"Event object is invalid","errors":["payload is bad"]}', {})
BAD_KEY = (400, '{"status":"invalid event","message":"Event object is invalid","errors":["Invalid routing key"]}', {})


def spec(**settings):
    return TypeAdapter(AnyChannel).validate_python({"type": "pagerduty", "routing_key": NEW, **settings})


@pytest.fixture
def pager(http, receiver):
    """A channel to the receiver, which takes everything unless the test says what it answers."""

    def connect(**settings):
        base = receiver.url.partition("/services")[0]
        return spec(base_url=base, **settings).connect(http)

    receiver.answers = [TOOK] * 500
    return connect


def sent(receiver):
    """(action, dedup key, routing key) of every request, in order."""
    bodies = [json.loads(body) for _, _, body in receiver.requests]
    return [(one["event_action"], one["dedup_key"], one["routing_key"]) for one in bodies]


def events(one, **settings):
    return [event(one, numbered, **settings) for numbered in one.alerts]


@pytest.mark.parametrize("name", [name for name in MESSAGES if name != "test"])
def test_every_alert_is_an_event_as_agreed(name):
    told = events(MESSAGES[name])

    golden = (GOLDEN / f"pagerduty.{name}.json").read_text()
    assert json.dumps(told, indent=1, ensure_ascii=False) + "\n" == golden
    for one in told:
        assert_pagerduty_takes({"routing_key": NEW, **one})


@given(HOSTILE_MESSAGES)
def test_nothing_that_a_stranger_writes_breaks_an_event(one):
    for told in events(one):
        assert_pagerduty_takes({"routing_key": NEW, **told})


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    for told in events(ALL[name]):
        assert_pagerduty_takes({"routing_key": NEW, **told})


def test_the_verifier_can_refuse():
    [good] = events(message())
    payload = good["payload"]
    for bad in (
        {**good, "payload": {**payload, "summary": "x" * 1025}},
        {**good, "payload": {**payload, "severity": "fatal"}},
        {**good, "dedup_key": "x" * 256},
        {"event_action": "resolve"},
        {"event_action": "trigger", "dedup_key": "x"},
        {**good, "unknown": 1},
    ):
        with pytest.raises((AssertionError, KeyError, SchemaError)):
            assert_pagerduty_takes({"routing_key": NEW, **bad})


@given(ENTRIES)
def test_a_name_is_seen_as_it_is(one):
    told = event(message(), Numbered(replace(one, status="firing"), 1))

    name = clean(one.account)
    assert len(name) > 100 or name in told["payload"]["summary"]


def test_what_is_too_large_is_left_out_and_the_summary_stays():
    huge = entry(labels={f"label-{number}": "x" * 1000 for number in range(600)})

    told = event(message(huge), Numbered(huge, 1))

    assert len(json.dumps(told)) < 512_000
    assert told["payload"]["summary"] == "HotWalletLow hot-a: 412.50 USDT, below 80000"
    assert "left out" in told["payload"]["custom_details"]["note"]


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        shown_to_all = json.dumps(events(one, redact=True))
        for amount in ("412.50", "90210", "80000", "250000"):
            assert amount not in shown_to_all, name


def test_severities_are_theirs_unless_said_otherwise():
    told = message(entry(severity="warning"))

    assert events(told)[0]["payload"]["severity"] == "warning"
    assert events(told, severities={"warning": "error"})[0]["payload"]["severity"] == "error"
    with pytest.raises(ValidationError):
        spec(severities={"warning": "fatal"})


def test_each_movement_is_an_incident_of_its_own_and_nothing_resolves_it():
    told = events(message(event_entry("e1"), event_entry("e2"), kind="alert.event"))

    assert [(one["event_action"], one["dedup_key"]) for one in told] == [("trigger", "alr_e1"), ("trigger", "alr_e2")]


CHANNEL, MESSAGE, LATER, OK = "channel", "message", "later", "ok"


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (202, TOOK[1], OK),
        (202, "", OK),
        (202, '{"status":"succ', OK),
        (202, '{"status":"invalid event"}', LATER),
        (200, TOOK[1], LATER),
        (400, BAD[1], MESSAGE),
        (400, BAD_KEY[1], CHANNEL),
        (400, '{"errors":["\'routing_key\' is missing or blank"]}', CHANNEL),
        (400, "[" * 3000, MESSAGE),
        (400, '{"errors": 7}', MESSAGE),
        (401, "", CHANNEL),
        (403, "", CHANNEL),
        (404, "", CHANNEL),
        (413, "", MESSAGE),
        (429, "", LATER),
        (500, "", LATER),
        (503, "<html>", LATER),
        (302, "", LATER),
    ],
)
def test_code_and_body_say_what_becomes_of_an_event(status, body, meaning):
    try:
        classify(Reply(status, body))
        said = OK
    except DeliveryRejected as error:
        said = error.fault
    except DeliveryDeferred:
        said = LATER
    assert said == meaning


async def test_an_event_for_each_alert_and_done_when_all_are_taken(pager, receiver):
    receipt = await pager().send(message(entry("a"), entry("b")), NOON)

    assert sorted(sent(receiver)) == [("trigger", "fp-a", NEW), ("trigger", "fp-b", NEW)]
    assert {path for path, _, _ in receiver.requests} == {"/v2/enqueue"}
    assert (receipt.answer, receipt.ref) == ("took 2", mark(spec().routing_key[0]))
    assert NEW not in receipt.ref


async def test_a_test_pages_nobody_and_tries_the_key_all_the_same(pager, receiver):
    receiver.answers = [TOOK, BAD_KEY]
    await pager().send(MESSAGES["test"], NOON)

    assert sent(receiver) == [("resolve", "balance-monitor-test", NEW)]
    with pytest.raises(DeliveryRejected) as caught:
        await pager().send(MESSAGES["test"], NOON)
    assert caught.value.fault == "channel"


async def test_what_fired_and_ended_is_opened_and_closed_in_this_order(pager, receiver):
    await pager().send(MESSAGES["combined"], NOON)

    assert [action for action, _, _ in sent(receiver)] == ["trigger", "resolve"]


async def test_after_a_failure_only_the_rest_is_sent_and_a_trigger_is_never_left_behind(pager, receiver):
    channel, one = pager(), MESSAGES["combined"]
    receiver.answers = [TOOK, (503, "", {}), TOOK]

    with pytest.raises(DeliveryDeferred) as caught:
        await channel.send(one, NOON)
    await channel.send(one, NOON)

    assert [action for action, _, _ in sent(receiver)] == ["trigger", "resolve", "resolve"]
    assert caught.value.taken == {0}


async def test_another_process_sends_all_of_it_again_in_order(pager, receiver):
    receiver.answers = [TOOK, (503, "", {}), TOOK, TOOK]

    with pytest.raises(DeliveryDeferred):
        await pager().send(MESSAGES["combined"], NOON)
    await pager().send(MESSAGES["combined"], NOON)

    assert [action for action, _, _ in sent(receiver)] == ["trigger", "resolve"] * 2


async def test_a_refused_event_is_named_and_the_others_stand(pager, receiver):
    async def by_name(request):
        name = json.loads(receiver.requests[-1][2])["dedup_key"]
        status, body, _ = BAD if name == "fp-b" else TOOK
        return web.Response(status=status, text=body)

    receiver.answers = [by_name] * 3
    with pytest.raises(DeliveryRejected, match=r"1 of 3: alr_b1") as caught:
        await pager().send(message(*map(entry, "abc")), NOON)

    assert (caught.value.fault, caught.value.taken) == ("message", {0, 2})


async def test_a_throttled_pager_gets_the_rest_later_and_nothing_twice(pager, receiver):
    many = message(*(entry(f"{number:02d}") for number in range(40)))
    channel = pager()
    receiver.answers = [TOOK] * 20 + [(429, "", {"Retry-After": "7"})] * 20

    with pytest.raises(DeliveryDeferred) as caught:
        await channel.send(many, NOON)
    assert caught.value.wait == seconds(7)
    tried = len(receiver.requests)
    receiver.answers = [TOOK] * 20
    await channel.send(many, NOON)

    keys = [key for _, key, _ in sent(receiver)]
    assert tried < 30, "nothing more is tried once it said so"
    assert len(set(keys)) == 40
    assert len(keys) - tried == 20


async def test_no_more_than_some_are_in_flight_at_a_time(pager, receiver):
    now, most = 0, 0

    async def slow(request):
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0.005)
        now -= 1
        return web.Response(status=202)

    receiver.answers = [slow] * 50
    await pager().send(message(*(entry(str(number)) for number in range(50))), NOON)

    assert 1 < most <= 8


@pytest.mark.parametrize("kind", ["alert.updated", "alert.resolved"])
async def test_an_incident_is_reached_by_the_key_that_opened_it(pager, receiver, kind):
    opened = group(item("firing", entry()))
    first = flush(opened, NOON)
    receipt = await pager(routing_key=OLD).send(first, NOON)
    known, _ = after_settle(opened, first, NOON, receipt.ref)
    news = "resolved" if kind == "alert.resolved" else "updated"
    later = flush(group(item(news, entry(status="resolved" if news == "resolved" else "firing")), open=known), NOON)
    assert isinstance(later, Message)

    again = await pager(routing_key=[NEW, OLD]).send(later, NOON)

    assert [key for _, _, key in sent(receiver)] == [OLD, OLD]
    assert again.ref == "", "the one it has stays"


async def test_a_fresh_alert_goes_to_the_new_key_also_during_a_rotation(pager, receiver):
    await pager(routing_key=[NEW, OLD]).send(message(), NOON)

    assert [key for _, _, key in sent(receiver)] == [NEW]


async def test_when_the_key_is_gone_the_end_is_sent_all_the_same_and_said(pager, receiver):
    gone = message(Numbered(entry(status="resolved"), 2, "0123456789ab"), kind="alert.resolved")

    with capture_logs() as logs:
        await pager().send(gone, NOON)

    assert sent(receiver) == [("resolve", "fp-a", NEW)]
    assert [line["event"] for line in logs] == ["pagerduty.routing_key_changed"]


async def test_an_end_of_unknown_origin_is_told_by_every_key(pager, receiver):
    receiver.answers = [BAD_KEY, TOOK]

    await pager(routing_key=[NEW, OLD]).send(MESSAGES["resolved"], NOON)

    assert [key for _, _, key in sent(receiver)] == [OLD, NEW]


async def test_an_old_key_that_is_refused_by_now_loses_no_update(pager, receiver):
    ref = mark(spec(routing_key=OLD).routing_key[0])
    receiver.answers = [BAD_KEY, TOOK]

    told = message(Numbered(entry(), 2, ref), kind="alert.updated")
    receipt = await pager(routing_key=[NEW, OLD]).send(told, NOON)

    assert [key for _, _, key in sent(receiver)] == [OLD, NEW]
    assert receipt.ref == mark(spec().routing_key[0])


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_every_fault_is_told_for_what_it_is(pager, receiver, fault):
    receiver.answers = [fault.answer]

    outcome = await outcome_of(pager(timeout=fault.timeout), message())

    assert fault.allows(outcome), shown(outcome)


@pytest.mark.parametrize("answer", [(400, NEW, {}), (500, NEW, {}), (202, f'{{"message":"{NEW}"}}', {})])
async def test_no_failure_shows_the_routing_key(pager, receiver, answer):
    receiver.answers = [answer] * 2
    said = repr(pager())
    for one in (message(), MESSAGES["test"]):
        try:
            said += repr(await pager().send(one, NOON))
        except DeliveryError as error:
            said += repr(error)

    assert "CANARY" not in said


@pytest.mark.parametrize("key", ["short", "x" * 33, "x" * 31 + "-", [], [NEW, OLD, NEW]])
def test_a_key_that_is_none_is_refused_and_not_quoted(key):
    with pytest.raises(ValidationError) as caught:
        spec(routing_key=key)
    assert NEW not in "; ".join(error["msg"] for error in caught.value.errors())


@pytest.mark.parametrize("url", ["https://me:CANARY@pager.example", "https://pager.example/?key=CANARY"])
def test_a_base_url_holds_no_secret(url):
    with pytest.raises(ValidationError, match="no user, password, query or fragment"):
        spec(base_url=url)


def test_plain_http_to_another_machine_is_worth_a_warning():
    assert spec(base_url="http://pager.example").warnings()
    assert not spec().warnings()


def test_the_phone_says_first_that_it_is_a_drill():
    drill = entry(labels={"drill": "true"})

    told = event(message(drill), Numbered(drill, 1))

    assert told["payload"]["summary"] == "DRILL HotWalletLow hot-a: 412.50 USDT, below 80000"
