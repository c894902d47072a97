from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from monitor.api.views import account_view, age, age_text, alert_view, event_view, stamp, status
from monitor.model.alert import State
from monitor.model.event import Event, Use
from monitor.model.record import Record
from monitor.model.snapshot import Outage, Snapshot

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_an_account_shows_amounts_as_text_and_how_old_they_are(account, record, alert):
    known = record(alerts=(alert(), alert("alr_2", state=State.RESOLVED)))

    view = account_view(
        account(labels={"role": "hot"}), known, NOON + timedelta(seconds=60), NOON + timedelta(seconds=48), {}
    )

    assert view == {
        "id": "hot-usdt",
        "provider": "casino",
        "configured": True,
        "expires_at": None,
        "labels": {"role": "hot"},
        "status": "ok",
        "observed_at": "2026-11-20T12:00:00.000Z",
        "as_of": None,
        "age_ms": 48_000,
        "amounts": {"USDT": {"available": "412.50", "total": "500"}},
        "usd": {},
        "seen_at": {"USDT": "2026-11-20T12:00:00.000Z"},
        "missing": [],
        "missing_why": None,
        "next_poll_at": "2026-11-20T12:01:00.000Z",
        "failure": None,
        "alerts": [alert_view(alert(), account(labels={"role": "hot"}), NOON, {})],
    }


def test_an_account_never_read_shows_no_amounts_rather_than_zeros(account):
    view = account_view(account(), Record(account="hot-usdt"), None, NOON, {})

    assert (view["status"], view["amounts"], view["age_ms"]) == ("never", {}, None)


def test_a_failing_account_keeps_its_last_amounts_and_says_why(account, record):
    outage = Outage(at=NOON, kind="refused", why="HTTP 401", scope="credentials")
    known = record(outage=outage, failing_since=NOON)

    view = account_view(account(), known, None, NOON + timedelta(seconds=1), {})

    assert view["status"] == "failing"
    assert view["failure"] == {"since": "2026-11-20T12:00:00.000Z", "kind": "refused", "why": "HTTP 401"}
    assert view["amounts"] == {"USDT": {"available": "412.50", "total": "500"}}


def test_a_carried_asset_says_when_it_was_last_really_read(account):
    snapshot = Snapshot(
        observed_at=NOON, amounts={"BTC": {"total": Decimal("1E-8")}, "USDT": {"total": Decimal("-0.0")}},
        missing=("BTC",), why="page 2 failed", seen={"BTC": NOON - timedelta(hours=1)},
    )  # fmt: skip

    view = account_view(account(), Record(account="hot-usdt", version=1, snapshot=snapshot), None, NOON, {})

    assert view["amounts"] == {"BTC": {"total": "0.00000001"}, "USDT": {"total": "0.0"}}
    assert view["seen_at"] == {"BTC": "2026-11-20T11:00:00.000Z", "USDT": "2026-11-20T12:00:00.000Z"}
    assert (view["missing"], view["missing_why"]) == (["BTC"], "page 2 failed")


@pytest.mark.parametrize(
    ("later", "failing", "word"),
    [
        pytest.param(timedelta(minutes=3), None, "ok", id="exactly at the limit is not yet stale"),
        pytest.param(timedelta(minutes=3, seconds=1), None, "stale", id="past the limit"),
        pytest.param(timedelta(seconds=1), NOON, "failing", id="the last poll failed"),
        pytest.param(timedelta(hours=1), NOON, "stale", id="stale is worse than failing"),
    ],
)
def test_one_word_says_how_an_account_is(account, record, later, failing, word):
    assert status(account(), record(failing_since=failing), NOON + later) == word


def test_an_alert_shows_its_facts(account, alert):
    assert alert_view(alert(), account(), NOON, {}) == {
        "id": "alr_1",
        "fingerprint": "f00d",
        "state": "firing",
        "severity": "critical",
        "rule": "HotWalletLow",
        "rule_type": "",
        "provider": "casino",
        "account": "hot-usdt",
        "asset": "USDT",
        "measure": "available",
        "value": "412.50",
        "previous": None,
        "threshold": "80000",
        "unit": "USDT",
        "data": "ok",
        "flapping": False,
        "acknowledged": None,
        "labels": {},
        "details": {},
        "pending_since": "2026-11-20T11:55:00.000Z",
        "started_at": "2026-11-20T11:57:00.000Z",
        "observed_at": "2026-11-20T12:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("stored", "later", "shown"),
    [
        ("ok", timedelta(minutes=3), "ok"),
        ("ok", timedelta(minutes=3, seconds=1), "stale"),
        ("error", timedelta(minutes=1), "error"),
        ("error", timedelta(hours=1), "stale"),
        ("stale", timedelta(0), "stale"),
        ("unknown", timedelta(hours=1), "unknown"),
    ],
)
def test_the_facts_of_an_alert_age_also_when_nobody_polls(account, alert, stored, later, shown):
    assert alert_view(alert(data=stored), account(), NOON + later, {})["data"] == shown


def test_an_event_shows_what_moved():
    event = Event("e1", "USDT", "deposit", "in", Decimal("12.50"), NOON, Decimal("512.50"), "0xab", late=True)
    event = replace(event, to=("0xcd",), expected=(Use("payroll", Decimal("2.50"), 17),))

    assert event_view(event) == {
        "id": "e1",
        "asset": "USDT",
        "kind": "deposit",
        "direction": "in",
        "amount": "12.50",
        "balance_after": "512.50",
        "occurred_at": "2026-11-20T12:00:00.000Z",
        "reference": "0xab",
        "late": True,
        "reverted": False,
        "imported": False,
        "to": ["0xcd"],
        "expected": [{"by": "payroll", "amount": "2.50"}],
    }


def test_times_are_utc_with_milliseconds():
    malta = timezone(timedelta(hours=1))

    assert stamp(datetime(2026, 11, 20, 13, 0, 0, 1999, tzinfo=malta)) == "2026-11-20T12:00:00.001Z"


def test_an_age_is_never_negative():
    assert age(NOON, NOON - timedelta(seconds=3)) == timedelta(0)


@pytest.mark.parametrize(
    ("elapsed", "words"),
    [
        (None, "never"),
        (timedelta(0), "0s"),
        (timedelta(milliseconds=999), "0s"),
        (timedelta(seconds=48), "48s"),
        (timedelta(minutes=3), "3m"),
        (timedelta(minutes=3, seconds=20), "3m 20s"),
        (timedelta(hours=1, seconds=20), "1h"),
        (timedelta(days=2, hours=4, minutes=59), "2d 4h"),
    ],
)
def test_an_age_reads_like_a_person_says_it(elapsed, words):
    assert age_text(elapsed) == words
