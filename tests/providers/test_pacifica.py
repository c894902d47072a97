"""Pacifica: documented samples through the pure parser, and a ledger read over real sockets."""

import contextlib
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from monitor.errors import (
    ProviderError,
    ProviderGarbled,
    ProviderRefused,
    ProviderThrottled,
    ProviderUnreachable,
)
from monitor.model.event import Ledger, walk
from monitor.model.record import Account, Record
from monitor.model.snapshot import Outage, carry
from monitor.providers import pacifica_dig
from monitor.providers.http import Http
from monitor.providers.pacifica import Pacifica
from monitor.providers.pacifica_dig import Dig
from monitor.providers.pacifica_events import direction, doubts, events_of
from monitor.providers.pacifica_rows import KINDS, Page, info, ledger_row, oldest_first, page, quota, snapshot
from monitor.store import codec

KEY = "pfcanary_5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ADDRESS = "42trU9A5"
NEVER = datetime.min.replace(tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def spec(**over):
    given = {"type": "pacifica", "accounts": {"hedge": {"address": ADDRESS}}}
    return TypeAdapter(Pacifica).validate_python(given | over)


def account(start=None, **changes):
    plain = Account(name="hedge", provider="perps", interval=MINUTE, stale_after=3 * MINUTE, target=(ADDRESS, start))
    return replace(plain, **changes)


def events_in(rows, *, known=()):
    """What the rows of a page become when only `known` had been read before."""
    options = {"overlap": 10**12, "keep": 1000, "now": 10**16}
    before = walk(None, [ledger_row(r) for r in known], **options).ledger
    ordered = oldest_first(rows)
    walked = walk(before, [ledger_row(r) for r in ordered], **options)
    return events_of(ordered, walked, account(), NEVER, NOON), doubts(ordered, walked)


def shown(events):
    return [(e.kind, e.direction, str(e.amount), str(e.balance_after)) for e in events]


# ---------------------------------------------------------------- documents, pure


def test_p1_a_chunked_liquidation_is_an_event_a_chunk_in_the_order_it_happened(recorded):
    found = page(recorded("P1"))

    events, odd = events_in(found.rows)

    assert shown(events) == [
        ("withdraw", "out", "1000.000000", "1000.000000"),
        ("market_liquidation", "out", "400.000000", "600.000000"),
        ("market_liquidation", "out", "210.120000", "389.880000"),
    ]
    assert found.cursor == "11114Lz77"
    assert odd == {}
    assert len({e.id for e in events}) == 3
    assert {(e.asset, e.reference) for e in events} == {("USDC", None)}
    assert events[1].occurred_at == datetime(2025, 10, 16, 16, 0, 0, 412_000, tzinfo=UTC)


def test_p1_identical_chunks_are_told_apart():
    body = b'{"amount":"-1","balance":"5","event_type":"market_liquidation","created_at":1760630400412}'
    found = page(b'{"success":true,"data":[' + body + b"," + body + b"]}")

    events, _ = events_in(found.rows)

    assert len({e.id for e in events}) == 2


def test_p2_without_trades_nothing_of_it_is_seen(recorded):
    found = page(recorded("P2"))

    assert [r.event_type for r in found.rows] == ["withdraw"]
    assert found.cursor == ""


def test_p3_a_pending_deposit_and_its_release_are_two_events(recorded):
    found = page(recorded("P3"))

    events, odd = events_in(found.rows)

    assert shown(events) == [
        ("deposit", "in", "100.000000", "1200.000000"),
        ("deposit_release", "in", "100.000000", "1300.000000"),
    ]
    assert odd == {}


def test_p4_an_empty_ledger_is_the_end(recorded):
    assert page(recorded("P4")) == Page((), "")


def test_p5_the_account_in_a_list_and_as_an_object_are_the_same(recorded):
    listed = info(recorded("P5"))
    document = json.loads(recorded("P5"))
    alone = info(json.dumps(document | {"data": document["data"][0]}).encode())

    assert listed.signature == alone.signature
    assert snapshot(listed, account(), NOON) == snapshot(alone, account(), NOON)
    amounts = snapshot(listed, account(), NOON).amounts
    assert {m: str(v) for m, v in amounts["USDC"].items()} == {
        "total": "2000.000000",
        "equity": "2150.250000",
        "pending": "0.000000",
    }


def test_p6_credits_are_a_tenth_and_the_wait_is_in_seconds():
    assert quota({"ratelimit": '"credits";r=0;t=17'}) == (0, timedelta(seconds=17))
    assert quota({"ratelimit": '"credits";r=1200;t=32'}) == (120, timedelta(seconds=32))
    assert quota({"ratelimit": "nonsense;r=x;t=-1"}) == (None, None)
    assert quota({}) == (None, None)


def test_p7_their_500_is_an_outage_and_no_refusal(recorded):
    with pytest.raises(ProviderUnreachable):
        info(recorded("P7"))


def test_all_measures_and_spot_balances_are_assets():
    body = b"""{"success":true,"data":{"balance":"1","account_equity":"-2.5","available_to_spend":"3",
      "available_to_withdraw":"4","pending_balance":"5","total_margin_used":"6","cross_mmr":"7","spot_balances":[
      {"symbol":"SOL","amount":"1.00000001","available_to_withdraw":"1","pending_balance":"0","x":1},
      {"symbol":"USDC","amount":"9"}]}}"""

    amounts = snapshot(info(body), account(), NOON).amounts

    assert {asset: {m: str(v) for m, v in ms.items()} for asset, ms in amounts.items()} == {
        "USDC": {"total": "1", "equity": "-2.5", "available": "3", "withdrawable": "4", "pending": "5",
                 "margin_used": "6"},
        "SOL": {"total": "1.00000001", "withdrawable": "1", "pending": "0"},
        "USDC@SPOT": {"total": "9"},
    }  # fmt: skip
    assert snapshot(info(body), account(assets=("USDC", "BTC", "sol")), NOON).missing == ("BTC",)


@pytest.mark.parametrize(
    "data",
    ["[]", "null", "{}", '""', '[{"balance":"1"},{"balance":"2"}]', '{"balance":null}', '{"balance":""}',
     '{"balance":true}', '{"balance":"NaN"}', '{"balance":"1","account_equity":"Infinity"}',
     '{"balance":"1e99"}',
     '{"balance":"1","spot_balances":[{"symbol":"A","amount":"1"},{"symbol":"A","amount":"1"}]}'],
)  # fmt: skip
def test_no_account_and_odd_amounts_are_garbled_and_never_zero(data):
    with pytest.raises(ProviderGarbled):
        snapshot(info(b'{"success":true,"data":' + data.encode() + b"}"), account(), NOON)


@pytest.mark.parametrize(
    ("body", "error", "scope"),
    [
        ('{"success":false,"error":"Account not whitelisted","code":1}', ProviderRefused, "credentials"),
        ('{"success":false,"error":"Agent not authorized for account"}', ProviderRefused, "credentials"),
        ('{"success":false,"error":"ACCOUNT_NOT_FOUND","code":1}', ProviderRefused, "account"),
        ('{"success":false,"error":null,"code":422}', ProviderRefused, "account"),
        ('{"success":false,"error":"x","code":503}', ProviderUnreachable, None),
        ('{"success":false,"error":"x","code":429}', ProviderThrottled, None),
        ('{"data":[]}', ProviderGarbled, None),
        ("[]", ProviderGarbled, None),
    ],
)
def test_what_is_no_success_has_its_name(body, error, scope):
    for parse in (info, page):
        with pytest.raises(error) as caught:
            parse(body.encode())
        assert getattr(caught.value, "scope", None) == scope


@pytest.mark.parametrize(
    ("kind", "amount", "balance", "older", "expected"),
    [
        ("withdraw", "100", "900", "1000", "out"),  # an unsigned withdrawal
        ("withdraw", "-100", "900", "1000", "out"),
        ("trade", "5", "1005", "1000", "in"),
        ("funding", "5", "995", "1000", "out"),
        ("deposit", "5", "1000", "1000", "in"),  # pending: the balance stands still
        ("withdraw", "5", "1000", None, "out"),
        ("trade", "-5", "1000", None, "out"),
        ("trade", "5", "1000", None, None),
    ],
)
def test_balances_tell_the_direction_and_then_the_kind(kind, amount, balance, older, expected):
    def made(value):
        return page(
            json.dumps({"success": True, "data": [
                {"amount": amount, "balance": value, "event_type": kind, "created_at": 1760630400412}
            ]}).encode()
        ).rows[0]  # fmt: skip

    assert direction(made(balance), made(older) if older else None) == expected


def test_a_sign_that_contradicts_the_balances_and_an_unknown_kind_are_told():
    rows = [
        {"amount": "100", "balance": "900", "event_type": "withdraw", "created_at": 1760630400413},
        {"amount": "1", "balance": "1000", "event_type": "moon_bonus", "created_at": 1760630400412},
    ]

    events, odd = events_in(page(json.dumps({"success": True, "data": rows}).encode()).rows)

    assert shown(events)[1] == ("withdraw", "out", "100", "900")
    assert [e.kind for e in events] == ["moon_bonus", "withdraw"]
    assert set(odd) == {"kind moon_bonus", "sign withdraw"}


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["data", "success", "error", "code", "balance", "amount", "created_at",
                         "spot_balances", "next_cursor", "has_more", "event_type"]), inner, max_size=6),
    max_leaves=12,
).map(lambda document: json.dumps(document).encode()))  # fmt: skip
@settings(max_examples=200)
def test_whatever_comes_is_an_answer_or_a_provider_error(body):
    for use in (lambda: snapshot(info(body), account(), NOON), lambda: page(body)):
        with contextlib.suppress(ProviderError):
            use()


def test_settings_know_the_quota():
    assert spec().quota() == ((80, MINUTE),)
    assert spec(auth={"api_key": KEY}).quota() == ((300, MINUTE),)
    assert spec(rate_limit={"requests": 7, "per": "1s"}).quota() == ((7, timedelta(seconds=1)),)
    assert (
        spec().page_cost(),
        spec(auth={"api_key": KEY}).page_cost(),
        spec(history_cost=3).page_cost(),
    ) == (12, 4, 3)
    assert spec().origin() == "https://api.pacifica.fi/api/v1"
    assert "adl_liquidation" in Pacifica.KINDS
    for wrong in ({"address": "0x0"}, {"address": ADDRESS, "events": {"start_from": "yesterday"}}):
        with pytest.raises(ValidationError, match=r"pattern|neither now nor a time like 2026-12-01T06:00:00Z"):
            spec(accounts={"hedge": wrong})


# ---------------------------------------------------------------- over real sockets


@dataclass
class Venue:
    """The vendor: one account, a ledger read newest first by cursor."""

    rows: list = field(default_factory=list)  # oldest first
    info: dict = field(default_factory=dict)
    fails: dict = field(default_factory=dict)  # history page of one poll → response
    credits: int | None = None
    requests: list = field(default_factory=list)
    short: int = 0  # give fewer rows than asked
    counter: itertools.count = field(default_factory=lambda: itertools.count(1))
    pages: int = 0

    def grow(self, amount, kind="trade", at=None, quiet=False):
        balance = Decimal(self.info.get("balance", "1000")) + Decimal(amount)
        number = next(self.counter)
        stamp = int((at or NOON + timedelta(milliseconds=number)).timestamp() * 1000)
        self.rows.append(
            {"amount": str(amount), "balance": str(balance), "pending_balance": "0", "event_type": kind,
             "created_at": stamp}
        )  # fmt: skip
        self.info["balance"] = str(balance)
        if not quiet:
            self.info["updated_at"] = number

    def __call__(self, asked):
        assert asked.body == b""
        self.requests.append(asked)
        assert asked.query["account"] == ADDRESS
        headers = {} if self.credits is None else {"ratelimit": f'"credits";r={self.credits * 10};t=9'}
        if asked.path == "/account":
            self.pages = 0
            return web.json_response({"success": True, "data": self.info, "error": None}, headers=headers)
        assert asked.path == "/account/balance/history"
        assert asked.query["include_trades"] == "true"
        self.pages += 1
        if self.pages in self.fails:
            return self.fails[self.pages]()
        end = int(asked.query.get("cursor", len(self.rows)))
        start = max(0, end - int(asked.query["limit"]) + self.short)
        newest = self.rows[start:end][::-1]
        body = {
            "success": True,
            "data": newest,
            "next_cursor": str(start) if start else None,
            "has_more": start > 0,
        }
        return web.json_response(body, headers=headers)

    @property
    def history(self):
        return [r for r in self.requests if r.path != "/account"]


@dataclass
class Watch:
    """An account polled again and again, its record kept as the engine keeps it and the store writes it."""

    provider: object
    purse: object
    account: Account
    record: Record = field(default_factory=lambda: Record(account="hedge"))
    now: datetime = NOON

    async def poll(self, after=MINUTE):
        self.now += after
        answer = await self.provider.poll(self.account, self.record, self.purse, self.now)
        known = carry(self.record.snapshot, answer.snapshot)
        following = replace(self.record, snapshot=known, ledgers=answer.ledgers, failing_since=None)
        documents = codec.changed(Record(following.account), following)
        self.record = codec.record(following.account, [b"1", None, *documents, None])
        return answer


@pytest.fixture
def venue(server):
    server.route = Venue(info={"balance": "1000", "pending_balance": "0", "updated_at": 0})
    return server.route


@pytest.fixture
def watch(server, session, purse, venue):
    def start(since=None, **over):
        made = spec(base_url=server.url, **over)
        return Watch(made.connect(Http(session, made.origin())), purse, account(since))

    return start


def amounts(*answers):
    return [str(e.amount) for answer in answers for e in answer.events]


async def test_the_first_poll_is_quiet_and_the_next_tells_what_is_new(watch, venue):
    for i in range(150):
        venue.grow(i)
    it = watch()
    first = await it.poll()
    venue.grow(-7, "withdraw")
    second = await it.poll()
    third = await it.poll()

    assert (first.events, third.events) == ((), ())
    assert len(venue.history) == 2  # one page as baseline, one for the change, none when nothing changed
    assert shown(second.events) == [("withdraw", "out", "7", venue.info["balance"])]
    assert second.events[0].late is False
    assert [r.query["limit"] for r in venue.history] == ["100", "100"]


async def test_what_the_new_rows_moved_is_told_by_their_balances(watch, venue):
    for i in range(1, 6):
        venue.grow(i)
    it = watch()
    answers = [await it.poll()]
    pending = {**venue.rows[-1], "event_type": "deposit", "amount": "50", "pending_balance": "50"}
    for moves in ([("-7", "withdraw"), ("3.5", "trade")], [], [("-0.1", "fee")]):
        for amount, kind in moves:
            venue.grow(amount, kind)
        answers.append(await it.poll())
    # Announced, and not in the balance yet.
    venue.rows.append({**pending, "balance": venue.info["balance"], "created_at": 1_900_000_000_000})
    venue.info["pending_balance"] = "50"
    answers.append(await it.poll())

    totals = [answer.snapshot.of("USDC", "total") for answer in answers]
    assert [answer.explained for answer in answers[1:]] == [
        {"USDC": after - before} for before, after in itertools.pairwise(totals)
    ]
    assert len(answers[-1].events) == 1


async def test_history_is_read_every_ten_minutes_although_nothing_changed(watch, venue):
    venue.grow(1)
    it = watch()
    for _ in range(21):
        await it.poll()

    assert len(venue.history) == 3


async def test_movements_that_cancel_out_are_found_by_the_heartbeat(watch, venue):
    it = watch()
    await it.poll()
    venue.grow(5, quiet=True)
    venue.grow(-5, quiet=True)

    answers = [await it.poll() for _ in range(10)]

    assert amounts(*answers) == ["5", "5"]


@pytest.mark.parametrize("change", [{"pending_balance": "5"}, {"positions_count": 1}, {"updated_at": 99}])
async def test_any_sign_of_life_makes_it_read(watch, venue, change):
    it = watch()
    await it.poll()
    venue.info |= change
    await it.poll()

    assert len(venue.history) == 2


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
@pytest.mark.parametrize("short", [0, 1])
async def test_pages_of_any_size_skip_and_repeat_nothing(watch, venue, size, short):
    venue.short = short if size > 1 else 0
    for i in range(7):
        venue.grow(i)
    it = watch(page_size=size, max_pages=100)
    await it.poll()
    seen = []
    for burst in (3, 0, 11, 1):
        for i in range(burst):
            venue.grow(100 + i, at=it.now + timedelta(milliseconds=i // 3))
        answer = await it.poll()
        seen += answer.events
        assert answer.restated == ()

    assert [str(e.balance_after) for e in seen] == [r["balance"] for r in venue.rows[7:]]
    assert len({e.id for e in seen}) == 15


def test_the_oldest_instant_that_counts_is_read_whole():
    def of(*seconds):
        rows = [
            {"amount": "1", "balance": "9", "event_type": "trade", "created_at": 1_760_000_000 + s} for s in seconds
        ]
        return page(json.dumps({"success": True, "data": rows, "next_cursor": str(seconds), "has_more": True}).encode())

    dig = Dig(Ledger(1_760_000_000_000_000, {}, 1_760_000_000_000_000))

    assert not dig.take(of(2, 1, 0))
    assert dig.take(of(0, -1))
    assert dig.since == 1_759_999_999_000_001


async def test_what_came_while_a_gap_was_dug_out_is_told_at_the_next_poll(watch, venue):
    venue.grow(1)
    it = watch(page_size=10, max_pages=2)
    await it.poll()
    for _ in range(35):
        venue.grow(1)
    first = await it.poll()
    venue.grow(2)
    second, third = await it.poll(), await it.poll()

    assert (len(first.events), len(second.events), len(third.events)) == (0, 35, 1)


async def test_identical_rows_of_one_millisecond_are_each_told_once(watch, venue):
    venue.grow(1)
    it = watch(page_size=2)
    await it.poll()
    chunk = {
        "amount": "0",
        "balance": "5",
        "pending_balance": "0",
        "event_type": "funding",
        "created_at": 1795176000000,
    }
    venue.rows += [dict(chunk) for _ in range(5)]
    venue.info["updated_at"] = 77
    first = await it.poll()
    venue.rows.append(dict(chunk))
    venue.info["updated_at"] = 78
    second = await it.poll()

    assert (len(first.events), len(second.events)) == (5, 1)
    assert len({e.id for e in (*first.events, *second.events)}) == 6


async def test_a_gap_of_thousands_arrives_whole_in_order_and_late(watch, venue):
    venue.grow(1)
    it = watch(page_size=100, max_pages=5)
    await it.poll()
    for i in range(2345):
        venue.grow(1 + i % 3, at=NOON + timedelta(seconds=i))
    answers = [await it.poll(timedelta(hours=1))]
    while answers[-1].gap:
        answers.append(await it.poll())

    assert len(answers) == 5
    assert all(a.events == () and a.ledgers == answers[0].ledgers for a in answers[:-1])
    assert all(a.snapshot.amounts["USDC"]["total"] == Decimal(venue.info["balance"]) for a in answers)
    assert [str(e.balance_after) for e in answers[-1].events] == [r["balance"] for r in venue.rows[1:]]
    assert all(e.late for e in answers[-1].events)
    assert (await it.poll()).events == ()


async def test_what_happens_while_a_gap_is_dug_out_is_told_afterwards(watch, venue):
    venue.grow(1)
    it = watch(page_size=10, max_pages=2)
    await it.poll()
    for _ in range(95):
        venue.grow(1)
    seen = []
    for _ in range(12):
        seen += (await it.poll()).events
        venue.grow(2, quiet=True)
    seen += (await it.poll(timedelta(minutes=20))).events

    assert [str(e.balance_after) for e in seen] == [r["balance"] for r in venue.rows[1:]]


async def test_a_crash_while_digging_starts_again_and_loses_nothing(watch, venue):
    venue.grow(1)
    it = watch(page_size=10, max_pages=5)
    await it.poll()
    for _ in range(95):
        venue.grow(1)
    await it.poll()
    it.provider = watch(page_size=10, max_pages=5).provider

    answers = [await it.poll(), await it.poll()]

    assert [str(e.balance_after) for a in answers for e in a.events] == [r["balance"] for r in venue.rows[1:]]


async def test_a_poll_that_was_not_committed_is_told_again_with_the_same_ids(watch, venue):
    venue.grow(1)
    it = watch()
    await it.poll()
    venue.grow(2)
    before = it.record
    lost = await it.poll()
    it.record = before

    again = await it.poll()

    assert [e.id for e in again.events] == [e.id for e in lost.events]
    assert len(again.events) == 1


async def test_the_budget_ends_the_walk_and_the_measures_are_kept(watch, venue, purse):
    venue.grow(1)
    it = watch(page_size=10)
    await it.poll()
    for _ in range(45):
        venue.grow(1)
    purse.left = 1 + 12 + 12 + 3
    poor = await it.poll()
    purse.left = 1000
    rich = await it.poll()

    assert poor.gap
    assert poor.snapshot.amounts["USDC"]["total"] == Decimal(venue.info["balance"])
    assert (poor.events, poor.ledgers) == ((), rich.ledgers if not rich.events else poor.ledgers)
    assert len(rich.events) == 45
    assert purse.spent[:2] == [1, 12]
    assert len(venue.history) == 1 + 2 + 3  # it went on where it had stopped


async def test_with_a_key_a_page_costs_four_and_the_key_is_sent(watch, venue, purse):
    await watch(auth={"api_key": KEY}).poll()

    assert purse.spent == [1, 4]
    assert all(r.headers["pf-api-key"] == KEY for r in venue.requests)


async def test_without_a_key_none_is_sent(watch, venue):
    await watch().poll()

    assert all("pf-api-key" not in r.headers for r in venue.requests)


async def test_their_count_of_the_credits_is_believed(watch, venue, purse):
    venue.credits = 42

    await watch().poll()

    assert purse.corrections == [42, 42]


@pytest.mark.parametrize(
    "fail",
    [
        lambda: web.Response(status=502, text="<html>"),
        lambda: web.Response(status=429, headers={"ratelimit": '"credits";r=0;t=17'}),
        lambda: web.Response(status=200, text=""),
        lambda: web.json_response({"success": False, "error": "no", "code": 1}),
        lambda: web.Response(status=401, text="{}"),
    ],
)
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_failing_page_of_history_leaves_the_measures_and_the_ledger(watch, venue, fail, number):
    venue.grow(1)
    it = watch(page_size=5)
    await it.poll()
    before = it.record.ledgers
    for _ in range(14):
        venue.grow(1)
    venue.fails = {number: fail}
    broken = await it.poll()
    venue.fails = {}
    answers = [await it.poll() for _ in range(3)]

    assert (broken.events, broken.ledgers) == ((), before)
    assert broken.gap
    assert broken.snapshot.amounts["USDC"]["total"] == Decimal(venue.info["balance"])
    assert [str(e.balance_after) for a in answers for e in a.events] == [r["balance"] for r in venue.rows[1:]]
    assert all(e.late for a in answers for e in a.events)


async def test_a_repeated_cursor_ends_the_walk(watch, venue, server):
    it = watch()
    rows = [{"amount": "1", "balance": "1", "event_type": "trade", "created_at": 1795176000000}]
    pages = {"success": True, "data": rows, "next_cursor": "same", "has_more": True}

    def route(asked):
        return web.json_response({"success": True, "data": venue.info} if asked.path == "/account" else pages)

    server.route = route
    first = await it.poll()
    venue.info["updated_at"] = 5
    rows[0] = rows[0] | {"balance": "2", "created_at": 1795176000001}
    second = await it.poll()

    assert first.gap == second.gap == ""
    assert len(second.events) == 1  # although the server gave the same page twice


async def test_a_baseline_reads_its_newest_instant_whole(watch, venue):
    venue.grow(1, at=NOON - MINUTE)
    for _ in range(12):
        venue.grow(1, at=NOON)
    it = watch(page_size=5)
    first = await it.poll()
    venue.grow(3, at=NOON)

    assert first.events == ()
    assert amounts(await it.poll()) == ["3"]


async def test_an_empty_account_tells_its_first_deposit(watch, venue):
    it = watch()
    await it.poll()
    venue.grow(50, "deposit")

    assert amounts(await it.poll()) == ["50"]


async def test_start_from_a_time_tells_what_happened_since_and_nothing_older(watch, venue):
    for hour in range(48):
        venue.grow(1, at=NOON - timedelta(hours=48 - hour))
    it = watch(NOON - timedelta(hours=24), page_size=10, max_pages=2)

    answers = [await it.poll(), await it.poll()]
    venue.grow(2)
    last = await it.poll()

    assert (answers[0].events, answers[0].ledgers) == ((), {})
    assert [str(e.balance_after) for a in answers for e in a.events] == [r["balance"] for r in venue.rows[24:48]]
    assert all(e.late for e in answers[1].events)
    assert amounts(last) == ["2"]


async def test_a_gap_too_long_for_memory_is_given_up_aloud(watch, venue, monkeypatch):
    monkeypatch.setattr(pacifica_dig, "MAX_ROWS", 30)
    venue.grow(1)
    it = watch(page_size=10)
    await it.poll()
    for i in range(60):
        venue.grow(1, at=NOON + timedelta(seconds=1 + i))

    answer = await it.poll()
    nothing = await it.poll()

    assert ("skipped" in answer.lost, answer.gap) == (True, "")
    # The oldest instant read may go on behind the page, so it is not told.
    assert [str(e.balance_after) for e in answer.events] == [r["balance"] for r in venue.rows[-29:]]
    assert (nothing.events, nothing.gap, nothing.lost) == ((), "", "")


async def test_rows_corrected_by_the_vendor_are_reported_and_not_told_again(watch, venue):
    for i in range(4):
        venue.grow(1, at=NOON + timedelta(seconds=i))
    it = watch()
    await it.poll()
    venue.rows[2] = venue.rows[2] | {"balance": "77"}
    venue.info["updated_at"] = 99

    answer = await it.poll()

    assert answer.events == ()
    assert answer.restated == ("1 rows were restated",)


async def test_rows_that_stay_hidden_are_told_once(watch, venue):
    venue.grow(1)
    venue.info["balance"] = "5000"
    it = watch()

    answers = [await it.poll(timedelta(minutes=10)) for _ in range(4)]

    assert [any("hidden" in note for note in a.notes) for a in answers] == [False, True, False, False]


async def test_what_is_odd_about_a_kind_is_told_once(watch, venue):
    it = watch()
    await it.poll()
    venue.grow(1, "moon_bonus")
    first = await it.poll()
    venue.grow(1, "moon_bonus")
    second = await it.poll()

    assert (len(first.notes), len(second.notes)) == (1, 0)
    assert [e.kind for e in (*first.events, *second.events)] == ["moon_bonus"] * 2


async def test_what_is_found_after_an_outage_is_late(watch, venue):
    it = watch()
    await it.poll()
    venue.grow(1)
    it.record = replace(it.record, failing_since=NOON, outage=Outage(NOON, "unreachable", "down"))

    assert [e.late for e in (await it.poll()).events] == [True]


async def test_a_time_in_the_future_is_clamped(watch, venue):
    it = watch()
    await it.poll()
    venue.grow(1, at=NOON + timedelta(days=300))
    first = await it.poll()
    venue.grow(2, at=NOON + timedelta(minutes=2))
    second = await it.poll()

    assert [e.occurred_at for e in first.events] == [it.now - MINUTE]
    assert amounts(second) == ["2"]


@pytest.mark.parametrize(
    ("status", "body", "error", "scope"),
    [
        (401, '{"error":"no"}', ProviderRefused, "credentials"),
        (403, '{"error":"Beta access required"}', ProviderRefused, "credentials"),
        (400, '{"error":"Invalid signature format"}', ProviderRefused, "credentials"),
        (404, '{"error":"no account"}', ProviderRefused, "account"),
        (422, '{"error":"no"}', ProviderRefused, "account"),
        (500, '{"success":false,"data":null,"error":"no","code":500}', ProviderUnreachable, None),
        (504, "<html>", ProviderUnreachable, None),
        (200, "", ProviderGarbled, None),
        (200, "<html>", ProviderGarbled, None),
        (200, '{"success":true,"data":[]}', ProviderGarbled, None),
        (200, '{"success":false,"error":"no"}', ProviderRefused, "account"),
        (200, '{"success":true,"data":{"balance":"no"}}', ProviderGarbled, None),
    ],
)  # fmt: skip
async def test_every_failure_has_its_name_and_no_secret(watch, server, leaks_nothing, status, body, error, scope):
    it = watch(auth={"api_key": KEY})
    server.route = None
    server.say(body.replace("no", f"no {KEY}"), status)

    with pytest.raises(error) as caught:
        await it.poll()

    assert getattr(caught.value, "scope", None) == scope
    leaks_nothing(caught.value, KEY)


async def test_p8_a_firewalls_403_is_no_credential_fault(watch, server, request):
    it = watch()
    server.route = None
    server.say((request.path.parent / "pacifica" / "P8.html").read_bytes(), 403, Content_Type="text/html")

    with pytest.raises(ProviderGarbled):
        await it.poll()


async def test_p6_a_429_waits_as_long_as_they_say(watch, server, purse):
    it = watch()
    server.route = None
    server.say("anything", 429, ratelimit='"credits";r=0;t=17')

    with pytest.raises(ProviderThrottled) as caught:
        await it.poll()

    assert caught.value.wait == timedelta(seconds=17)
    # An empty window would take a whole minute to fill; they said seventeen seconds.
    assert purse.corrections == []


@given(
    bursts=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=8),
    size=st.integers(1, 6),
    pages=st.integers(1, 4),
)
@settings(deadline=None)
def test_any_bursts_over_any_pages_and_polls_are_told_once(bursts, size, pages):
    """The same without sockets: digs of at most `pages` pages a poll, while the ledger grows."""
    ledger, rows, clock, seen = Ledger(0), [], 1_760_000_000_000, Counter()
    dig = None
    for burst, pause in [*bursts, *[(0, 0)] * 500]:
        rows += [{"amount": "1", "balance": "9", "event_type": "trade", "created_at": clock}] * burst
        clock += pause
        dig = dig or (Dig(ledger), list(rows))
        done = deeper(*dig, size, pages)
        if done:
            found = oldest_first(dig[0].rows)
            walked = walk(
                dig[0].base, [ledger_row(r) for r in found], overlap=10**12, keep=10**6, now=10**16,
                since=dig[0].since,
            )  # fmt: skip
            seen.update(walked.keys[i] for i in walked.fresh)
            ledger, dig = walked.ledger, None

    assert sum(seen.values()) == len(rows)
    assert set(seen.values()) <= {1}


def deeper(dig, rows, size, pages):
    for _ in range(pages):
        end = int(dig.cursor or len(rows))
        start = max(0, end - size)
        body = {
            "success": True,
            "data": rows[start:end][::-1],
            "next_cursor": str(start),
            "has_more": start > 0,
        }
        if dig.take(page(json.dumps(body).encode())):
            return True
    return False


def test_every_kind_of_the_vendor_is_known():
    assert {"deposit", "withdraw", "trade", "funding", "payout", "market_liquidation"} <= set(KINDS)


async def test_case_23_a_row_that_is_gone_is_taken_back_and_one_with_other_figures_is_another_event(watch, venue):
    venue.grow(1)
    venue.grow(2)
    it = watch()
    imported = (await it.poll()).imported
    venue.grow(3, at=NOON + timedelta(seconds=1))
    venue.grow(5, at=NOON + timedelta(seconds=2))
    told = {event.amount: event.id for event in (await it.poll()).events}
    venue.rows[-1] = venue.rows[-1] | {"amount": "7", "balance": "1013"}
    venue.info["updated_at"] = "2"
    replaced = await it.poll()
    del venue.rows[-1]
    venue.info["updated_at"] = "3"
    gone = await it.poll()

    # The oldest instant of a page may go on behind it.
    assert [event.amount for event in imported] in ([2], [1, 2])
    [correction] = replaced.corrections
    assert (correction.what, correction.was) == ("replaced", told[5])
    assert (correction.now.amount, correction.now.id != correction.was) == (7, True)
    assert [(one.what, one.was) for one in gone.corrections] == [("reverted", correction.now.id)]
    assert (replaced.events, gone.events) == ((), ())
