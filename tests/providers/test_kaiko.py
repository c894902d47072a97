"""Kaiko: documented samples through the pure parser, and wallets walked over real sockets."""

import itertools
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

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
from monitor.model.event import walk
from monitor.model.record import Account, Record
from monitor.model.snapshot import Outage, carry
from monitor.providers.http import Http
from monitor.providers.kaiko import Kaiko
from monitor.providers.kaiko_reading import events_of, ledger_row
from monitor.providers.kaiko_rows import covers_everything, echoed, follow, parse, trusted
from monitor.store import codec

KEY = "kaiko-canary-key"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
A, B = "bc1qexample0", "bc1qexample1"
EVER = {
    "access_range": {"start_timestamp": 1073001600000, "end_timestamp": "None"},
    "data_range": {"start_timestamp": "None", "end_timestamp": "None"},
}
LATE = datetime.min.replace(tzinfo=UTC)


def spec(**over):
    given = {"type": "kaiko", "auth": {"api_key": KEY}, "accounts": {"cold": {"addresses": [A]}}}
    return TypeAdapter(Kaiko).validate_python(given | over)


def account(*addresses, **changes):
    plain = Account(
        name="cold", provider="chain", interval=timedelta(minutes=1), stale_after=timedelta(minutes=3),
        target=addresses or (A,),
    )  # fmt: skip
    return replace(plain, **changes)


def row(block, tx, direction="in", amount="1", after="1", index=0, place=0, address=A, at=None, **more):
    """A row as the vendor sends it; `at` is a datetime, by default ten minutes a block before NOON."""
    when = at or NOON - timedelta(minutes=10) * (1000 - block)
    return {
        "blockchain": "bitcoin",
        "block_number": block,
        "timestamp": int(when.timestamp()) * 10**9,
        "address": address,
        "transaction_hash": tx,
        "transaction_type": "witness_v0_keyhash",
        "transaction_index": place,
        "internal_transaction_index": index,
        "token_symbol": "BTC",
        "direction": direction,
        "amount": Decimal(amount),
        "balance_after": Decimal(after),
    } | more


def dumped(document) -> bytes:
    """JSON with Decimals as number literals."""
    marks = {}

    def mark(value):
        marks[f"<{len(marks)}>"] = str(value)
        return list(marks)[-1]

    text = json.dumps(document, default=mark)
    for name, literal in marks.items():
        text = text.replace(f'"{name}"', literal, 1)
    return text.encode()


@dataclass
class Chain:
    """The vendor: filters, sorts and pages rows, and can be told to fail."""

    rows: list = field(default_factory=list)
    access: dict | None = field(default_factory=lambda: EVER)
    ending: object = None  # what stands for "no next page"
    empty_last_page: bool = False
    link: str = ""  # prefix of next_url; empty: only a token
    fails: dict = field(default_factory=dict)  # page number of a walk → response
    ignores: tuple = ()
    requests: list = field(default_factory=list)
    tokens: dict = field(default_factory=dict)
    count: itertools.count = field(default_factory=itertools.count)

    def __call__(self, asked):
        self.requests.append(asked)
        if asked.headers.get("x-api-key") != KEY:
            return web.json_response({"result": "error", "message": "Unauthorized"}, status=401)
        token = asked.query.get("continuation_token")
        number, rows, size, query = self.tokens[token] if token else (0, *self._first(asked.query))
        if number in self.fails:
            return self.fails[number]()
        page, rest = rows[:size], rows[size:]
        body = {"query": query, "access": self.access, "data": page}
        if rest or (self.empty_last_page and page):
            name = f"tok+/{next(self.count)}"
            self.tokens[name] = (number + 1, rest, size, query)
            body["continuation_token"] = name
            if self.link:
                quoted = name.replace("+", "%2B").replace("/", "%2F")
                body["next_url"] = f"{self.link}/v2/data/wallet.v1/audit?continuation_token={quoted}"
        else:
            body |= {"continuation_token": self.ending, "next_url": self.ending}
        return web.Response(body=dumped(body), content_type="application/json")

    def _first(self, query):
        assert query["blockchain"] == "bitcoin"
        rows = [r for r in self.rows if r["address"] == query["user_address"]]
        start, end = query.get("start_time"), query.get("end_time")
        if start and "start_time" not in self.ignores:
            rows = [r for r in rows if r["timestamp"] >= nanoseconds(start)]
        rows = [r for r in rows if r["timestamp"] <= nanoseconds(end)]
        rows.sort(key=lambda r: (r["timestamp"], r["block_number"]), reverse=query["sort"] == "desc")
        echo = {k: v for k, v in query.items() if k in ("start_time", "end_time") and k not in self.ignores}
        return rows, int(query["page_size"]), echo | {"live": "False", "sort": "0"}


def nanoseconds(text):
    return int(datetime.fromisoformat(text).timestamp() * 1000) * 10**6


@dataclass
class Watch:
    """An account polled again and again, its record kept as the engine keeps it and the store writes it."""

    provider: object
    purse: object
    account: Account = field(default_factory=account)
    record: Record = field(default_factory=lambda: Record(account="cold"))
    now: datetime = NOON

    async def poll(self, after=timedelta(0)):
        self.now += after
        answer = await self.provider.poll(self.account, self.record, self.purse, self.now)
        snapshot = carry(self.record.snapshot, answer.snapshot)
        following = replace(self.record, snapshot=snapshot, ledgers=answer.ledgers, failing_since=None)
        documents = codec.changed(Record(following.account), following)
        self.record = codec.record(following.account, [b"1", None, *documents, None])
        return answer


@pytest.fixture
def chain(server):
    server.route = Chain()
    return server.route


@pytest.fixture
def watch(server, session, purse, chain):
    def start(*addresses, **over):
        made = spec(base_url=server.url, **over)
        return Watch(made.connect(Http(session, made.origin())), purse, account(*addresses))

    return start


def told(answer):
    return [(e.reference, e.direction, str(e.amount)) for e in answer.events]


def numbers(answer):
    return {asset: {m: str(v) for m, v in ms.items()} for asset, ms in answer.snapshot.amounts.items()}


# ---------------------------------------------------------------- pages and rows, pure


def test_k1_change_to_self_is_the_fee_and_no_outflow_of_everything(recorded):
    page = parse(recorded("K1"), A)

    rows = [ledger_row(r, A) for r in page.rows]
    before = walk(None, [], overlap=0, keep=9, now=10**16).ledger
    walked = walk(before, rows, overlap=0, keep=9, now=10**16)
    heard = events_of(page.rows, walked, account(), A, LATE)
    [event], restated = heard.events, heard.restated

    assert (event.direction, str(event.amount), event.kind) == ("out", "0.00000447", "transfer")
    assert (event.reference, str(event.balance_after)) == ("aa01", "1.49999553")
    assert event.occurred_at == datetime(2024, 11, 25, 12, 5, tzinfo=UTC)
    assert restated == []
    assert follow(page, "https://eu.market-api.kaiko.io") == (page.next_url, "tok2")
    assert covers_everything(page.access)


def test_k2_an_empty_page_is_a_page_and_its_token_is_seen(recorded):
    page = parse(recorded("K2"), A)

    assert (page.rows, page.token) == ((), "tok3")


@pytest.mark.parametrize("ending", ["null", '""', '"None"', None])
def test_k3_every_documented_ending_ends(ending):
    said = "" if ending is None else f', "continuation_token": {ending}, "next_url": {ending}'
    page = parse(f'{{"data": []{said}}}'.encode(), A)

    assert follow(page, "https://eu.market-api.kaiko.io") == ("", "")


def test_k4_exponents_and_strings_are_exact():
    body = dumped({"data": [row(1, "a", amount="1e-8", after="1.00000001"), row(1, "b")]})
    [first, second] = parse(body.replace(b'"amount": 1,', b'"amount": "1",'), A).rows

    assert (str(first.amount), str(first.balance_after), str(second.amount)) == ("1E-8", "1.00000001", "1")


def test_k6_an_error_with_status_200_is_a_refusal_in_their_words(recorded):
    with pytest.raises(ProviderRefused, match="Invalid start_time") as caught:
        parse(recorded("K6"), A)

    assert caught.value.scope == "account"


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "NaN"}, {"amount": ""}, {"amount": True}, {"amount": None}, {"amount": -1},
        {"amount": "1e99"}, {"address": B}, {"token_symbol": "ETH"},
        {"balance_after": "Infinity"}, {"balance_after": -1}, {"timestamp": 12}, {"timestamp": "soon"},
        {"direction": "sideways"}, {"transaction_hash": None}, {"block_number": None},
    ],
    ids=str,
)  # fmt: skip
def test_a_row_that_is_not_what_is_documented_is_garbled(change):
    body = json.dumps({"data": [json.loads(dumped(row(1, "a"))) | change]}).encode()

    with pytest.raises(ProviderGarbled):
        parse(body, A)


@pytest.mark.parametrize("body", [b"{}", b'{"data":null}', b'{"data":""}', b'{"data":[1]}', b'{"data":{"a":1}}', b"[]"])
def test_an_answer_without_rows_and_without_an_empty_list_is_garbled(body):
    with pytest.raises(ProviderGarbled):
        parse(body, A)


@pytest.mark.parametrize("body", [b'{"data":[]}', b'{"data":{}}', b'{"data": { } }'])
def test_both_ways_to_write_no_rows_are_no_rows(body):
    assert parse(body, A).rows == ()


def test_nanoseconds_seconds_and_milliseconds_are_told_by_their_size():
    stamps = [1732536300000000000, 1732536300000000, 1732536300000, 1732536300]
    rows = [json.loads(dumped(row(1, "a"))) | {"timestamp": stamp} for stamp in stamps]

    assert {r.at for r in parse(json.dumps({"data": rows}).encode(), A).rows} == {1732536300000000}


@pytest.mark.parametrize(
    ("query", "fine"),
    [
        ({"start_time": "2026-11-20T10:00:00.000Z"}, True),
        ({"start_time": "2026-11-20T10:00:00Z"}, True),
        ({"start_time": 1795168800000}, True),
        ({"start_time": "2026-11-20T10:00:01.000Z"}, False),
        ({"start_date": "2026-11-20T10:00:00.000Z"}, False),
        ({"start_time": "None"}, False),
        ({}, False),
    ],
)
def test_a_filter_that_is_not_echoed_was_ignored(query, fine):
    page = parse(json.dumps({"data": [], "query": query}).encode(), A)

    if fine:
        echoed(page, "start_time", "2026-11-20T10:00:00.000Z")
    else:
        with pytest.raises(ProviderGarbled, match="ignored"):
            echoed(page, "start_time", "2026-11-20T10:00:00.000Z")


@pytest.mark.parametrize(
    ("url", "yes"),
    [
        ("https://us.market-api.kaiko.io/v2?a", True),
        ("https://eu.market-api.kaiko.io:443/v2", True),
        ("http://us.market-api.kaiko.io/v2", False),
        ("https://us.market-api.kaiko.io:8443/v2", False),
        ("https://market-api.kaiko.io.evil.example/v2", False),
        ("https://evilmarket-api.kaiko.io/v2", False),
        ("https://us.market-api.kaiko.io@evil.example/v2", False),
        ("https://evil.example\\.market-api.kaiko.io/v2", False),
        ("https://evil.example/.market-api.kaiko.io", False),
        ("https://proxy.example:8443/v2", True),
        ("https://proxy.example/v2", False),
        ("//us.market-api.kaiko.io/v2", False),
        ("https://us.market-api.kaiko.io:x/v2", False),
    ],
)
def test_the_key_goes_to_the_vendors_hosts_only(url, yes):
    assert trusted(url, "https://proxy.example:8443") is yes


def test_an_untrusted_link_is_rebuilt_from_its_token():
    page = parse(b'{"data":[],"next_url":"https://evil.example/x?continuation_token=t%2B1"}', A)

    assert follow(page, "https://eu.market-api.kaiko.io") == ("", "t+1")


@pytest.mark.parametrize(
    ("access", "yes"),
    [
        (EVER, True),
        (None, False),
        ({"access_range": EVER["access_range"]}, False),
        (EVER | {"access_range": {"start_timestamp": 1500000000000, "end_timestamp": "None"}}, False),
        (EVER | {"access_range": {"start_timestamp": 1073001600000, "end_timestamp": 1600000000000}}, False),
        (EVER | {"data_range": {}}, False),
    ],
)
def test_no_rows_mean_zero_only_if_all_of_history_was_asked(access, yes):
    assert covers_everything(access) is yes


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["data", "result", "query", "access", "next_url", "amount", "x"]), inner, max_size=4),
    max_leaves=12,
).map(lambda document: json.dumps(document).encode()))  # fmt: skip
def test_whatever_comes_is_a_page_or_a_provider_error(body):
    try:
        page = parse(body, A)
        follow(page, "https://eu.market-api.kaiko.io")
        covers_everything(page.access)
        echoed(page, "start_time", "2026-11-20T10:00:00.000Z")
    except ProviderError:
        pass


def test_settings_say_what_is_wrong():
    assert spec().origin() == "https://us.market-api.kaiko.io"
    assert spec(region="eu").origin() == "https://eu.market-api.kaiko.io"
    for wrong in ({"region": "mars"}, {"page_size": 5001}, {"accounts": {"a": {"addresses": []}}}):
        with pytest.raises(ValidationError):
            spec(**wrong)
    [from_csv] = spec(accounts={"a": {"addresses": f"{A}; {B},{A}"}}).accounts.values()
    assert from_csv.target() == (A, B)


# ---------------------------------------------------------------- over real sockets


async def test_the_first_poll_is_quiet_and_knows_the_balance(watch, chain):
    chain.rows = [row(900, "a", after="1"), row(901, "b", amount="0.5", after="1.5")]

    answer = await watch().poll()

    assert numbers(answer) == {"BTC": {"available": "1.5", "total": "1.5"}}
    assert answer.events == ()
    assert (answer.gap, answer.snapshot.missing, answer.snapshot.as_of) == ("", (), None)
    assert [r.query["sort"] for r in chain.requests] == ["desc"]
    assert "start_time" not in chain.requests[0].query
    assert chain.requests[0].query["end_time"] == "2026-11-20T12:00:00.000Z"


async def test_the_newest_row_of_a_block_is_found_behind_page_boundaries(watch, chain):
    chain.rows = [
        row(900, "old", after="9"),
        *[row(901, f"t{i}", place=i, after=str(i)) for i in (3, 7, 5, 1)],
    ]

    answer = await watch(page_size=1).poll()

    assert numbers(answer)["BTC"]["total"] == "7"


async def test_a_later_poll_tells_each_transaction_once_with_its_net(watch, chain):
    it = watch()
    chain.rows = [row(990, "a")]
    await it.poll()
    chain.rows += [
        row(995, "spend", "out", "1", "0", index=0),
        row(995, "spend", "in", "0.4", "0.4", index=1),
        row(996, "coin", "in", "6.25", "6.65", transaction_type="minerReward"),
    ]

    second = await it.poll(timedelta(minutes=1))
    third = await it.poll(timedelta(minutes=1))

    assert told(second) == [("spend", "out", "0.6"), ("coin", "in", "6.25")]
    assert (sum(e.signed for e in second.events), third.events) == (Decimal("5.65"), ())
    assert second.explained is None
    assert [e.kind for e in second.events] == ["transfer", "mining_reward"]
    assert [str(e.balance_after) for e in second.events] == ["0.4", "6.65"]
    assert not any(e.late for e in second.events)
    assert third.events == ()
    assert numbers(third) == numbers(second) == {"BTC": {"available": "6.65", "total": "6.65"}}


async def test_the_window_starts_at_the_newest_row_minus_the_overlap(watch, chain):
    it = watch()
    chain.rows = [row(10, "old"), row(1000, "a", at=NOON - timedelta(minutes=5))]
    await it.poll()
    await it.poll(timedelta(minutes=1))

    query = chain.requests[-1].query
    assert (query["start_time"], query["sort"]) == ("2026-11-20T09:55:00.000Z", "asc")
    assert query["end_time"] == "2026-11-20T12:01:00.000Z"


async def test_a_transaction_indexed_late_is_told(watch, chain):
    it = watch()
    chain.rows = [row(900, "a"), row(998, "b")]
    await it.poll()
    chain.rows.insert(1, row(994, "late", amount="0.1"))

    answer = await it.poll(timedelta(minutes=1))

    assert told(answer) == [("late", "in", "0.1")]


@pytest.mark.parametrize("link", ["", "own", "https://evil.example"])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_pages_of_any_size_skip_and_repeat_nothing(watch, chain, server, size, link):
    chain.link = server.url if link == "own" else link
    chain.empty_last_page = size % 2 == 1
    it = watch(page_size=size, max_pages=200)
    chain.rows = [row(900 + i, f"old{i}") for i in range(5)]
    await it.poll()
    new = [row(960 + i // 3, f"tx{i // 2}", index=i % 2, amount="1", after=str(i)) for i in range(40)]
    chain.rows += new

    answer = await it.poll(timedelta(minutes=1))

    assert Counter(e.reference for e in answer.events) == Counter({f"tx{i}": 1 for i in range(20)})
    assert {str(e.amount) for e in answer.events} == {"2"}
    assert (await it.poll(timedelta(minutes=1))).events == ()


async def test_continuations_carry_the_token_alone(watch, chain):
    chain.rows = [row(900, "a"), row(900, "b", place=1), row(899, "c")]

    await watch(page_size=1).poll()

    assert [sorted(r.query) for r in chain.requests[1:]] == [["continuation_token"]] * 2
    assert all(r.headers["x-api-key"] == KEY for r in chain.requests)


async def test_a_link_to_a_stranger_is_never_followed_and_the_key_not_sent(watch, chain, stranger):
    chain.link = stranger.url
    chain.rows = [row(900, "a"), row(900, "b", place=1), row(899, "c")]

    answer = await watch(page_size=1).poll()

    assert numbers(answer)["BTC"]["total"] == "1"
    assert stranger.asked == []


async def test_a_stranger_without_a_token_makes_it_partial(watch, server, stranger):
    first = json.loads(dumped(row(900, "a")))
    it = watch()
    server.route = None
    server.say({"data": [first], "next_url": f"{stranger.url}/next"})

    with pytest.raises(ProviderGarbled, match="another host"):
        await it.poll()
    assert stranger.asked == []


async def test_a_repeated_token_ends_the_walk(watch, server):
    it = watch()
    server.route = None
    server.say({"data": [json.loads(dumped(row(900, "a")))], "continuation_token": "same"})

    answer = await it.poll()

    assert len(server.asked) == 2
    assert answer.snapshot.missing == ()


async def test_thousands_of_rows_after_a_long_gap_arrive_over_several_polls_each_once(watch, chain):
    it = watch(page_size=100, max_pages=5)
    chain.rows = [row(1, "a")]
    await it.poll()
    chain.rows += [row(2 + i // 5, f"tx{i}", amount="0.01", after=str(i), place=i % 5) for i in range(3000)]
    it.now += timedelta(days=10)
    polls, seen = 0, []

    for _ in range(30):
        answer = await it.poll(timedelta(minutes=1))
        polls += 1
        seen += answer.events
        assert numbers(answer)["BTC"]["total"] == "2999"
        if not answer.gap:
            break

    assert 6 <= polls <= 15
    assert [e.reference for e in seen] == [f"tx{i}" for i in range(3000)]
    assert all(e.late for e in seen)
    assert len({e.id for e in seen}) == 3000


async def test_a_restart_in_the_middle_of_a_gap_loses_and_repeats_nothing(watch, chain):
    it = watch(page_size=10, max_pages=3)
    chain.rows = [row(1, "a")]
    await it.poll()
    chain.rows += [row(2 + i, f"tx{i}") for i in range(100)]
    seen = []

    for _ in range(12):
        seen += (await it.poll(timedelta(minutes=1))).events
        it.provider = watch(page_size=10, max_pages=3).provider

    assert [e.reference for e in seen] == [f"tx{i}" for i in range(100)]


async def test_a_cap_that_falls_into_a_transaction_does_not_split_it(watch, chain):
    it = watch(page_size=5, max_pages=3)
    chain.rows = [row(1, "a")]
    await it.poll()
    chain.rows += [row(2 + i, f"tx{i}", index=leg) for i in range(40) for leg in (0, 1)]

    seen = [e for _ in range(20) for e in (await it.poll(timedelta(minutes=1))).events]

    assert [(e.reference, str(e.amount)) for e in seen] == [(f"tx{i}", "2") for i in range(40)]


async def test_a_block_that_the_baseline_read_in_part_is_history(watch, chain):
    it = watch(page_size=2)
    chain.rows = [row(998, "x"), row(998, "y", place=1), row(999, "z")]
    await it.poll()

    assert (await it.poll(timedelta(minutes=1))).events == ()


async def test_a_row_added_to_a_transaction_that_was_told_is_no_second_event(watch, chain):
    it = watch()
    chain.rows = [row(900, "a"), row(990, "b")]
    await it.poll()
    chain.rows.append(row(990, "b", "out", "0.25", "0.75", index=1))

    answer = await it.poll(timedelta(minutes=1))

    assert answer.events == ()
    assert len(answer.restated) == 1
    assert numbers(answer)["BTC"]["total"] == "0.75"


async def test_a_failing_page_keeps_the_ledger_and_tells_nothing_until_the_walk_is_whole(watch, chain):
    it = watch(page_size=2)
    chain.rows = [row(990, "a")]
    await it.poll()
    before = it.record.ledgers
    chain.rows += [row(991 + i, f"tx{i}", after=str(i)) for i in range(6)]
    chain.fails = {2: lambda: web.Response(status=502, text="<html>bad gateway</html>")}

    broken = await it.poll(timedelta(minutes=1))
    chain.fails = {}
    whole = await it.poll(timedelta(minutes=1))

    assert (broken.events, broken.ledgers, broken.snapshot.missing) == ((), before, ("BTC",))
    assert "502" in broken.gap
    assert A in broken.snapshot.why
    assert [e.reference for e in whole.events] == [f"tx{i}" for i in range(6)]
    assert all(e.late for e in whole.events)


async def test_an_exhausted_budget_commits_the_whole_blocks_read_so_far(watch, chain, purse):
    it = watch(page_size=2)
    chain.rows = [row(900, "a")]
    await it.poll()
    chain.rows += [row(901 + i, f"tx{i}") for i in range(9)]
    purse.left = 3

    first = await it.poll(timedelta(minutes=1))
    purse.left = 1000
    second = await it.poll(timedelta(minutes=1))

    assert first.gap
    assert first.snapshot.missing == ("BTC",)
    assert [e.reference for e in (*first.events, *second.events)] == [f"tx{i}" for i in range(9)]
    assert first.events
    assert not second.gap


async def test_several_addresses_are_summed(watch, chain):
    chain.rows = [row(900, "a", after="0.1"), row(901, "b", after="0.2", address=B)]

    assert numbers(await watch(A, B).poll()) == {"BTC": {"available": "0.3", "total": "0.3"}}


async def test_a_transfer_between_own_addresses_is_told_on_both_with_one_reference(watch, chain):
    it = watch(A, B)
    chain.rows = [row(900, "a"), row(900, "b", address=B)]
    await it.poll()
    chain.rows += [row(990, "move", "out", "1", "0"), row(990, "move", "in", "0.9", "1.9", address=B)]

    answer = await it.poll(timedelta(minutes=1))

    assert sorted(told(answer)) == [("move", "in", "0.9"), ("move", "out", "1")]
    assert len({e.id for e in answer.events}) == 2


async def test_one_failed_address_makes_the_sum_unknown_names_it_and_loses_no_event(watch, chain, server):
    it = watch(A, B)
    chain.rows = [row(900, "a"), row(900, "b", address=B)]
    await it.poll()
    chain.rows += [row(990, "x"), row(990, "y", address=B)]

    def half(asked):
        bad = asked.query.get("user_address") == B
        return web.json_response({"message": "?"}, status=500) if bad else chain(asked)

    server.route = half
    first = await it.poll(timedelta(minutes=1))
    server.route = chain
    second = await it.poll(timedelta(minutes=1))

    assert (numbers(first), first.snapshot.missing) == ({}, ("BTC",))
    assert B in first.snapshot.why
    assert A not in first.snapshot.why
    assert told(first) == [("x", "in", "1")]
    assert told(second) == [("y", "in", "1")]
    assert [e.late for e in second.events] == [True]


async def test_an_empty_wallet_is_zero_and_its_first_deposit_an_event(watch, chain):
    it = watch()

    first = await it.poll()
    second = await it.poll(timedelta(minutes=1))
    chain.rows = [row(995, "a", amount="0.5", after="0.5")]
    third = await it.poll(timedelta(minutes=1))

    assert numbers(first) == numbers(second) == {"BTC": {"available": "0", "total": "0"}}
    assert told(third) == [("a", "in", "0.5")]
    assert (await it.poll(timedelta(minutes=1))).events == ()


async def test_an_empty_answer_of_a_smaller_plan_is_unknown_and_never_zero(watch, chain):
    chain.access = EVER | {"access_range": {"start_timestamp": 1600000000000, "end_timestamp": "None"}}

    unsure = await watch().poll()
    overruled = await watch(empty="zero").poll()

    assert (numbers(unsure), unsure.snapshot.missing) == ({}, ("BTC",))
    assert numbers(overruled)["BTC"]["total"] == "0"


async def test_a_window_without_the_newest_known_row_is_unknown_and_then_looked_into(watch, chain):
    it = watch()
    chain.rows = [row(900, "a", after="4"), row(990, "b", after="5")]
    await it.poll()
    del chain.rows[1]

    doubted = await it.poll(timedelta(minutes=1))
    believed = await it.poll(timedelta(minutes=1))
    quiet = await it.poll(timedelta(minutes=1))
    chain.rows.append(row(992, "b", after="5"))
    mined_again = await it.poll(timedelta(minutes=1))

    assert (numbers(doubted), doubted.snapshot.missing) == ({}, ("BTC",))
    assert numbers(believed)["BTC"]["total"] == numbers(quiet)["BTC"]["total"] == "4"
    assert (len(believed.restated), quiet.restated) == (1, ())
    assert numbers(mined_again)["BTC"]["total"] == "5"
    assert mined_again.events == ()


async def test_lost_access_is_never_zero(watch, chain):
    it = watch()
    chain.rows = [row(990, "a", after="4")]
    await it.poll()
    chain.rows = []

    for _ in range(4):
        answer = await it.poll(timedelta(minutes=1))
        assert (numbers(answer), answer.snapshot.missing) == ({}, ("BTC",))


async def test_a_corrected_transaction_moves_the_balance_and_is_no_second_event(watch, chain):
    it = watch()
    chain.rows = [row(900, "a")]
    await it.poll()
    chain.rows.append(row(990, "b", amount="2", after="3"))
    await it.poll(timedelta(minutes=1))
    chain.rows[1] = row(990, "b", amount="2.5", after="3.5")

    answer = await it.poll(timedelta(minutes=1))

    assert answer.events == ()
    assert len(answer.restated) == 1
    assert "b" in answer.restated[0]
    assert numbers(answer)["BTC"]["total"] == "3.5"


@pytest.mark.parametrize("name", ["start_time"])
async def test_an_ignored_filter_is_garbled(watch, chain, name):
    it = watch()
    chain.rows = [row(900, "a"), row(990, "b")]
    await it.poll()
    chain.ignores = (name,)

    with pytest.raises(ProviderGarbled, match="ignored"):
        await it.poll(timedelta(minutes=1))


async def test_an_ignored_sort_is_garbled_and_no_old_balance_is_believed(watch, server):
    it = watch()
    server.route = None
    rows = [json.loads(dumped(row(block, f"t{block}", after=str(block)))) for block in (1, 2, 900)]
    server.say({"data": rows})

    with pytest.raises(ProviderGarbled, match="sorted"):
        await it.poll()


@pytest.mark.parametrize(
    ("status", "body", "error", "scope"),
    [
        (401, '{"result":"error","message":"Unauthorized"}', ProviderRefused, "credentials"),
        (403, '{"result":"error","message":"window"}', ProviderRefused, "credentials"),
        (403, "<html>no</html>", ProviderGarbled, None),
        (404, '{"message":"no"}', ProviderRefused, "account"),
        (400, '{"result":"error","message":"Invalid start_time","data":""}', ProviderRefused, "account"),
        (500, "<html>oops</html>", ProviderUnreachable, None),
        (503, "maintenance", ProviderUnreachable, None),
        (200, "<html>hello</html>", ProviderGarbled, None),
        (200, "", ProviderGarbled, None),
        (200, '{"data":[', ProviderGarbled, None),
        (200, '{"result":"error","message":"no"}', ProviderRefused, "account"),
        (302, "", ProviderGarbled, None),
    ],
)
async def test_every_failure_has_its_name_and_no_secret(watch, server, leaks_nothing, status, body, error, scope):
    it = watch()
    server.route = None
    server.say(body.replace("no", f"no {KEY}"), status)

    with pytest.raises(error) as caught:
        await it.poll()

    assert getattr(caught.value, "scope", None) == scope
    leaks_nothing(caught.value, KEY)


async def test_a_429_says_how_long_to_wait(watch, server):
    it = watch()
    server.route = None
    server.say({"message": "slow down"}, 429, Retry_After="17")

    with pytest.raises(ProviderThrottled) as caught:
        await it.poll()

    assert caught.value.wait == timedelta(seconds=17)


async def test_every_request_is_paid_for(watch, chain, purse):
    chain.rows = [row(900, f"t{i}", place=i) for i in range(5)]

    await watch(page_size=1).poll()

    assert len(purse.spent) == len(chain.requests) == 5


async def test_what_is_found_after_an_outage_is_late(watch, chain):
    it = watch()
    chain.rows = [row(900, "a")]
    await it.poll()
    it.record = replace(it.record, failing_since=NOON, outage=Outage(NOON, "unreachable", "down"))
    chain.rows.append(row(1000, "b"))

    assert [e.late for e in (await it.poll(timedelta(minutes=5))).events] == [True]


async def test_a_dollar_value_is_reported_while_it_is_recent(watch, chain):
    chain.rows = [row(990, "a", after="2", balance_after_usd=Decimal("180000.123456789012345"))]
    it = watch()

    assert (await it.poll()).snapshot.usd == {"BTC": Decimal("180000.123456789012345")}
    assert (await it.poll(timedelta(hours=3))).snapshot.usd == {}


async def test_the_same_poll_gives_the_same_ids_on_any_machine(watch, chain):
    one, two = watch(), watch()
    chain.rows = [row(900, "a")]
    await one.poll()
    await two.poll()
    chain.rows.append(row(990, "b"))

    first, second = await one.poll(timedelta(minutes=1)), await two.poll(timedelta(minutes=1))

    assert [e.id for e in first.events] == [e.id for e in second.events]
    assert first.ledgers == second.ledgers


@given(
    blocks=st.lists(st.integers(1, 3), min_size=1, max_size=30),
    polls=st.lists(st.integers(0, 30), max_size=6),
    size=st.integers(1, 5),
)
@settings(deadline=None, max_examples=60)
def test_any_growth_and_any_page_size_tell_every_transaction_once(blocks, polls, size):
    """The same through the pure parts: pages of a chain that grows between polls."""
    rows = [row(900 + n, f"tx{n}.{i}", place=i) for n, count in enumerate(blocks) for i in range(count)]
    page = parse(dumped({"data": rows}), A).rows
    options = {"overlap": 7_200_000_000, "keep": 1000, "now": 10**16}
    ledger = walk(None, [ledger_row(r, A) for r in page[:1]], **options).ledger
    seen = Counter()

    for upto in (*polls, len(page)):
        visible = [r for r in page[:upto] if r.at >= ledger.floor]
        # A cap can fall on any row: its block may go on behind it.
        capped = visible[: max(1, len(visible) // size)]
        until = capped[-1].at - 1 if capped and len(capped) < len(visible) else None
        walked = walk(ledger, [ledger_row(r, A) for r in capped], **options, since=ledger.floor, until=until)
        seen.update(e.reference for e in events_of(capped, walked, account(), A, LATE)[0])
        ledger = walked.ledger
    for _ in page:
        visible = [r for r in page if r.at >= ledger.floor]
        walked = walk(ledger, [ledger_row(r, A) for r in visible], **options, since=ledger.floor)
        seen.update(e.reference for e in events_of(visible, walked, account(), A, LATE)[0])
        ledger = walked.ledger

    assert set(seen.values()) <= {1}


def test_the_samples_are_the_documented_ones():
    folder = Path(__file__).parent / "kaiko"

    assert {p.stem for p in folder.glob("*.json")} == {"K1", "K2", "K3", "K4", "K5", "K6"}


async def test_case_23_a_transaction_that_a_reorganised_chain_drops_is_taken_back_and_stands_when_it_is_mined_again(
    watch, chain
):
    it = watch()
    chain.rows = [row(900, "a", after="4")]
    await it.poll()
    chain.rows += [row(990, "b", after="5"), row(991, "c", after="6")]
    told = await it.poll(timedelta(minutes=1))
    del chain.rows[1]
    dropped = await it.poll(timedelta(minutes=1))
    quiet = await it.poll(timedelta(minutes=1))
    chain.rows.append(row(992, "b", after="7"))
    again = await it.poll(timedelta(minutes=1))

    gone = next(event for event in told.events if event.reference == "b")
    assert [(one.what, one.was) for one in dropped.corrections] == [("reverted", gone.key)]
    assert dropped.corrections[0].at == gone.occurred_at
    assert quiet.corrections == ()
    assert ([(one.what, one.was) for one in again.corrections], again.events) == ([("restored", gone.key)], ())


async def test_case_23_a_transaction_that_was_corrected_is_another_event_now(watch, chain):
    it = watch()
    chain.rows = [row(900, "a")]
    await it.poll()
    chain.rows.append(row(990, "b", amount="2", after="3"))
    told = await it.poll(timedelta(minutes=1))
    chain.rows[1] = row(990, "b", amount="2.5", after="3.5")

    [correction] = (await it.poll(timedelta(minutes=1))).corrections

    assert (correction.what, correction.was) == ("replaced", told.events[0].id)
    assert str(correction.now.amount) == "2.5"
    assert correction.now.id != correction.was


async def test_case_35_the_first_look_imports_the_rows_it_read_whole(watch, chain):
    it = watch()
    chain.rows = [row(900, "a", amount="2"), row(990, "b", "out", "0.5"), row(990, "b", "in", "0.4", index=1)]

    answer = await it.poll()

    assert answer.events == ()
    assert [(e.reference, e.direction, str(e.amount), e.late) for e in answer.imported] == [
        ("a", "in", "2", False), ("b", "out", "0.1", False),
    ]  # fmt: skip
    assert (await it.poll(timedelta(minutes=1))).imported == ()
