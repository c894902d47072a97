"""Alerts in Alertmanager: what it is sent, what it makes of it, and that it does not forget."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import fakeredis
import pytest
from aiohttp import web
from hypothesis import given
from pydantic import TypeAdapter, ValidationError

from monitor.channels import AnyChannel
from monitor.channels.alertmanager import classify
from monitor.channels.alertmanager_alerts import EVENT_STANDS, alerts_of, fingerprint, labels, posted
from monitor.channels.http import Http, Reply
from monitor.channels.webhook_formats import render
from monitor.clock import wall_clock
from monitor.engine.beat import Beat
from monitor.engine.deliver import Destination
from monitor.engine.deliverer import Deliverer
from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import Numbered
from monitor.staff import destination
from monitor.store.redis import RedisStore
from tests.builders import NOON, commit, entry, event_entry, message, minutes, row, seconds, target
from tests.channels.am import BINARY, Alertmanager, until
from tests.channels.faults import FAULTS, outcome_of, shown
from tests.channels.verifiers import assert_alertmanager_posts, assert_alertmanager_takes
from tests.fakes import FakeLine
from tests.hostile import ALL, HOSTILE_MESSAGES
from tests.samples import MESSAGES

GOLDEN = Path(__file__).parent / "golden"
BEATS = minutes(5)
LATE = NOON + minutes(31)

with_alertmanager = pytest.mark.skipif(BINARY is None, reason="this machine has no Alertmanager")


def spec(**settings):
    url = {"url": "https://am.example"}
    return TypeAdapter(AnyChannel).validate_python({"type": "alertmanager", **url, **settings})


@pytest.fixture
def channel(http, receiver):
    def connect(*paths, **settings):
        return spec(url=[receiver.url + path for path in paths or ("",)], **settings).connect(http)

    return connect


def alerts(one, now=LATE, **settings):
    told = (entry for numbered in one.alerts for entry in alerts_of(numbered))
    return [posted(entry, now, BEATS, **settings) for entry in told]


@pytest.mark.parametrize("name", [name for name in MESSAGES if name != "test"])
def test_every_message_is_posted_as_agreed(name):
    told = alerts(MESSAGES[name])

    golden = (GOLDEN / f"alertmanager.{name}.json").read_text()
    assert json.dumps(told, indent=1, ensure_ascii=False) + "\n" == golden
    assert_alertmanager_takes(told)


@given(HOSTILE_MESSAGES)
def test_nothing_that_a_stranger_writes_breaks_an_alert(one):
    assert_alertmanager_takes(alerts(one))


@pytest.mark.parametrize("name", ALL)
def test_messages_at_the_limits_are_taken(name):
    assert_alertmanager_takes(alerts(ALL[name]))


def test_what_fires_stands_for_five_beats_and_what_is_over_ended_when_it_did():
    firing, over = alerts(message(entry(), entry("b", "resolved")), NOON + minutes(40))

    assert (firing["startsAt"], firing["endsAt"]) == ("2026-11-20T12:00:00Z", "2026-11-20T12:45:00Z")
    assert (over["startsAt"], over["endsAt"]) == ("2026-11-20T12:00:00Z", "2026-11-20T12:31:00Z")


def test_no_clock_lets_an_alert_end_before_it_began_or_later_than_now():
    [early, late] = alerts(message(entry(), entry("b", "resolved")), NOON - minutes(20))

    assert early["endsAt"] == early["startsAt"]
    assert late["endsAt"] == late["startsAt"]


def test_a_movement_stands_longer_than_alertmanager_waits_with_a_group():
    [told] = alerts(message(event_entry(), kind="alert.event"), NOON + minutes(90))

    assert told["endsAt"] == "2026-11-20T14:30:00Z"
    assert timedelta(minutes=30) < EVENT_STANDS


def test_redacted_amounts_appear_nowhere():
    for name, one in MESSAGES.items():
        told = json.dumps(alerts(one, redact=True))
        for amount in ("412.50", "90210", "80000", "250000"):
            assert amount not in told, name


CHANNEL, MESSAGE, LATER = "channel", "message", "later"


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(400, MESSAGE), (422, MESSAGE), (415, MESSAGE), (413, MESSAGE), (401, CHANNEL), (403, CHANNEL), (404, CHANNEL),
     (202, LATER), (204, LATER), (302, LATER), (429, LATER), (500, LATER), (503, LATER)],
)  # fmt: skip
def test_its_codes_say_what_becomes_of_a_message(status, meaning):
    with pytest.raises(DeliveryError) as caught:
        classify(Reply(status, "why"))
    assert (caught.value.fault if isinstance(caught.value, DeliveryRejected) else LATER) == meaning


async def test_all_alerts_go_in_one_request(channel, receiver):
    await channel().send(message(entry("a"), entry("b")), NOON)

    [(path, _, body)] = receiver.requests
    assert path.endswith("/api/v2/alerts")
    assert [one["labels"]["account"] for one in json.loads(body)] == ["hot-a", "hot-b"]


async def test_a_test_tells_of_no_alert(channel, receiver):
    receipt = await channel().send(MESSAGES["test"], NOON)

    assert receipt.answer == "ok"
    assert [body for _, _, body in receiver.requests] == [b"[]"]


async def test_where_one_of_many_is_refused_each_is_tried_and_the_bad_one_named(channel, receiver):
    async def minds_b(request):
        bad = b"hot-b" in receiver.requests[-1][2]
        return web.Response(status=400 if bad else 200)

    receiver.answers = [minds_b] * 4
    with pytest.raises(DeliveryRejected, match=r"1 of 3: alr_b1") as caught:
        await channel().send(message(*map(entry, "abc")), NOON)

    assert (caught.value.fault, caught.value.taken) == (MESSAGE, {0, 2})
    assert len(receiver.requests) == 4


async def test_every_instance_is_told_and_one_is_enough(channel, receiver):
    async def one_is_down(request):
        return web.Response(status=503 if "/down/" in request.path else 200)

    receiver.answers = [one_is_down] * 2
    receipt = await channel("/up", "/down").send(message(), NOON)

    assert receipt.answer == "1 of 2 took all"
    assert len({path for path, _, _ in receiver.requests}) == 2


async def test_where_no_instance_takes_it_the_one_that_may_later_counts(channel, receiver):
    async def refused_and_down(request):
        return web.Response(status=503 if "/down/" in request.path else 404)

    receiver.answers = [refused_and_down] * 2
    with pytest.raises(DeliveryDeferred):
        await channel("/gone", "/down").send(message(), NOON)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_every_fault_is_told_for_what_it_is(channel, receiver, fault):
    receiver.answers = [fault.answer]

    outcome = await outcome_of(channel(timeout=fault.timeout), message())

    assert fault.allows(outcome), shown(outcome)
    assert "CANARY" not in shown(outcome) + repr(channel())


@pytest.mark.parametrize("path", ["/api/v2/alerts", "/proxy/api/v2/", "/api/v1", "/#/alerts", "?x=1"])
def test_the_path_that_is_ours_to_add_is_named(path):
    with pytest.raises(ValidationError, match="the url before /api/v2/alerts, which is added"):
        spec(url=f"https://am.example{path}")


@pytest.mark.parametrize("settings", [{"beat": "0s"}, {"beat": "2h"}, {"url": []}, {"url": "am:9093"}])
def test_what_can_never_work_is_refused(settings):
    with pytest.raises(ValidationError):
        spec(**settings)


@pytest.mark.parametrize("before", ["", "/", "/am", "/apis"])
def test_an_instance_may_stand_behind_a_prefix(before):
    assert spec(url=f"http://am:9093{before}")


async def test_it_hears_again_of_what_is_over_for_five_minutes():
    async with aiohttp.ClientSession() as session:
        there = destination("am", spec(), session, *[None] * 3)

    assert there.beat == Beat(minutes(1), minutes(5))
    assert spec(beat="30s").beats() == (seconds(30), minutes(5))


@pytest.fixture
async def real(tmp_path, receiver):
    """A real one, which posts to the receiver."""
    one = Alertmanager(tmp_path, receiver.url, resolve_timeout="2s")
    await one.start()
    yield one
    one.stop()


def notified(receiver):
    return [json.loads(body) for _, _, body in receiver.requests]


@with_alertmanager
async def test_a_real_one_takes_every_message_and_calls_alerts_as_we_do(http, real):
    there = spec(url=real.url).connect(http)
    now = datetime.now(UTC)
    for name, one in ALL.items():
        await there.send(one, now)
        fires = [one.entry for one in one.alerts if one.entry.status == "firing"]
        known = await real.alerts()
        for fired in fires if name not in ("combined", "again") else ():
            assert fingerprint(labels(fired)) in known, name


@with_alertmanager
async def test_a_real_one_posts_what_our_format_posts(http, real, receiver):
    now = datetime.now(UTC).replace(microsecond=0)
    begun = replace(entry(), started_at=now - minutes(1), observed_at=now)
    ended = replace(begun, status="resolved", resolved_at=now, reason="recovered")
    there = spec(url=real.url).connect(http)

    await there.send(message(begun), now)
    await until(lambda: _true(len(receiver.requests) >= 1))
    await there.send(message(Numbered(ended, 2), kind="alert.resolved"), now + seconds(1))
    await until(lambda: _true(len(receiver.requests) >= 2))

    theirs = notified(receiver)
    ours = [json.loads(render(message(one, kind=kind), "alertmanager")) for one, kind in
            ((begun, "alert.firing"), (ended, "alert.resolved"))]  # fmt: skip
    for real_one, our_one in zip(theirs, ours, strict=True):
        assert_alertmanager_posts(our_one)
        assert_alertmanager_posts(real_one)
        assert set(real_one) == set(our_one)
        # Who posts it, where that is, and how it groups is theirs.
        own = ("receiver", "externalURL", "groupKey", "groupLabels")
        assert {name: real_one[name] for name in real_one if name not in own} == {
            name: our_one[name] for name in our_one if name not in own
        }


@with_alertmanager
async def test_in_a_real_one_another_severity_ends_what_was_there(http, real):
    there, now = spec(url=real.url).connect(http), datetime.now(UTC)
    mild, bad = entry(severity="warning", started_at=now), entry(started_at=now)
    await there.send(message(mild), now)
    assert set(await real.alerts()) == {fingerprint(labels(mild))}

    await there.send(message(Numbered(bad, 2, before=mild), kind="alert.updated"), now)

    async def only_the_new():
        return set(await real.alerts()) == {fingerprint(labels(bad))}

    await until(only_the_new)


@with_alertmanager
async def test_in_a_real_one_an_alert_lives_as_long_as_it_is_sent_again_and_ends_when_it_does(real, receiver):
    """By the daemon's own deliverer over a store."""
    store = RedisStore(FakeLine(fakeredis.FakeServer()))
    await store.open(1)
    async with aiohttp.ClientSession() as session:
        settings = spec(url=real.url, beat="1s")
        there = Destination("am", settings.connect(Http(session, wall_clock)), beat=Beat(*settings.beats()))
        deliverer = Deliverer(there, store, lambda: datetime.now(UTC))
        await owe(store, "firing", entry(started_at=datetime.now(UTC)))
        running = asyncio.create_task(deliverer.run())
        try:
            await until(real.alerts)
            first = await ends_at(real)
            await until(lambda: _later(real, first))
            over = entry(status="resolved", resolved_at=datetime.now(UTC))
            await owe(store, "resolved", over)
            await until(lambda: _gone(real))
            await until(lambda: _true(len(receiver.requests) >= 2))
        finally:
            deliverer.stop()
            await running
            await store.close()
    assert [one["status"] for one in notified(receiver)] == ["firing", "resolved"]


async def owe(store, news, told):
    now = datetime.now(UTC)
    record = await store.load("hot-a")
    where = target("am", wait=seconds(0), interval=seconds(0))
    if not record.version:
        await store.enrol("casino", {"hot-a": now})
    [claim] = (await store.claim("casino", 1, seconds(30))).claims
    await store.commit("casino", commit(record, row(news, told, where)), claim, now)
    await store.move("hot-a")


async def ends_at(real):
    return [datetime.fromisoformat(one["endsAt"]) for one in (await real.alerts()).values()]


async def _later(real, first):
    """A beat, and one more."""
    now = await ends_at(real)
    assert now, "it must not forget"
    return now[0] >= first[0] + seconds(1.5)


async def _true(so):
    return so


async def _gone(real):
    return not await real.alerts()
