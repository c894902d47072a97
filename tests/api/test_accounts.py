import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from monitor.api.accounts import CHUNK
from monitor.model.event import Event
from monitor.model.record import Point
from monitor.model.snapshot import MEASURES, Outage, Snapshot

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


async def body(client, path, status=200):
    async with client.get(path) as answer:
        assert answer.status == status, await answer.text()
        return await answer.json(content_type=answer.content_type)


async def names(client, path):
    return [item["id"] for item in (await body(client, path))["items"]]


async def test_an_account_is_shown_with_its_next_poll(context, start, store, record):
    store.records["hot-usdt"] = record()
    store.due["hot-usdt"] = NOON + timedelta(minutes=1)
    client, _ = await start(context())

    shown = await body(client, "/v1/accounts/hot-usdt")

    assert shown["amounts"]["USDT"] == {"available": "412.50", "total": "500"}
    assert (shown["age_ms"], shown["next_poll_at"]) == (48_000, "2026-11-20T12:01:00.000Z")


async def test_pages_together_hold_every_account_once(context, start, account):
    client, _ = await start(context(*(account(f"a{n:03}") for n in range(25))))
    seen, path = [], "/v1/accounts?limit=10"

    for _ in range(3):
        found = await body(client, path)
        seen += [item["id"] for item in found["items"]]
        path = f"/v1/accounts?limit=10&cursor={found['next_cursor']}"

    assert seen == [f"a{n:03}" for n in range(25)]
    assert found["next_cursor"] is None


async def test_a_page_that_ends_the_list_exactly_has_no_next(context, start, account):
    client, _ = await start(context(*(account(f"a{n}") for n in range(5))))

    assert (await body(client, "/v1/accounts?limit=5"))["next_cursor"] is None


async def test_a_large_page_is_loaded_in_pieces(context, start, store, account):
    client, _ = await start(context(*(account(f"a{n:04}") for n in range(250))))

    assert len(await names(client, "/v1/accounts?limit=1000")) == 250
    assert max(store.loads) <= CHUNK


async def test_accounts_are_found_by_provider_and_labels(context, start, account):
    client, _ = await start(
        context(
            account("hot", labels={"role": "hot", "tier": "1"}),
            account("cold", labels={"role": "cold"}),
            account("hedge", provider="perps", labels={"role": "hot"}),
        )
    )

    assert await names(client, "/v1/accounts?provider=casino") == ["cold", "hot"]
    assert await names(client, "/v1/accounts?label.role=hot") == ["hedge", "hot"]
    assert await names(client, "/v1/accounts?label.role=hot&label.tier=1") == ["hot"]
    assert await names(client, "/v1/accounts?label.role=warm") == []


async def test_history_lists_the_newest_points_first_and_goes_back_page_by_page(context, start, store):
    store.points = [point(str(n), NOON - timedelta(minutes=10 - n)) for n in range(5)]
    client, _ = await start(context())
    path = "/v1/accounts/hot-usdt/history?asset=USDT&measure=available&limit=3"

    first = await body(client, path)
    second = await body(client, f"{path}&cursor={first['next_cursor']}")

    assert second["items"][0] == {"at": "2026-11-20T11:50:00.000Z", "value": "0"}
    assert [item["value"] for item in first["items"]] == ["2", "3", "4"]
    assert [item["value"] for item in second["items"]] == ["0", "1"]
    assert second["next_cursor"] is None


async def test_history_with_a_step_is_an_even_series(context, start, store):
    store.points = [point("300", NOON - timedelta(minutes=4)), point("70", NOON - timedelta(minutes=1))]
    client, _ = await start(context())

    found = await body(
        client,
        "/v1/accounts/hot-usdt/history?asset=USDT&measure=available&step=2m"
        "&since=2026-11-20T11:50:00Z&until=2026-11-20T12:00:00%2B00:00",
    )

    assert found["items"] == [
        {"at": "2026-11-20T11:56:00.000Z", "value": "300"},
        {"at": "2026-11-20T11:58:00.000Z", "value": "300"},
        {"at": "2026-11-20T12:00:00.000Z", "value": "70"},
    ]


async def test_a_bare_asset_means_its_only_network(context, start, store, record):
    two = Snapshot(NOON, {"USDT@TRX": {"total": Decimal(1)}, "BTC@BTC": {"total": Decimal(1)}})
    store.records["hot-usdt"] = record(snapshot=two)
    store.points = [point("9", NOON)._replace(asset="USDT@TRX")]
    client, _ = await start(context())

    found = await body(client, "/v1/accounts/hot-usdt/history?asset=USDT&measure=available")

    assert [item["value"] for item in found["items"]] == ["9"]


async def test_a_bare_asset_on_two_networks_is_not_guessed(context, start, store, record):
    two = Snapshot(NOON, {"USDT@TRX": {"total": Decimal(1)}, "USDT@ETH": {"total": Decimal(1)}})
    store.records["hot-usdt"] = record(snapshot=two)
    client, _ = await start(context())

    problem = await body(client, "/v1/accounts/hot-usdt/history?asset=USDT&measure=total", 400)

    assert problem["detail"] == "asset USDT is on several networks: USDT@ETH, USDT@TRX"


async def test_events_come_newest_first_and_page_by_page(context, start, store):
    store.ledger["hot-usdt"] = [
        Event(f"e{n}", "USDT", "deposit", "in", Decimal(n), NOON + timedelta(minutes=n)) for n in range(5)
    ]
    client, _ = await start(context())

    first = await body(client, "/v1/accounts/hot-usdt/events?limit=3")
    second = await body(client, f"/v1/accounts/hot-usdt/events?limit=3&cursor={first['next_cursor']}")

    assert [item["id"] for item in first["items"]] == ["e4", "e3", "e2"]
    assert [item["id"] for item in second["items"]] == ["e1", "e0"]
    assert second["next_cursor"] is None


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/v1/accounts?limit=0", "limit is a whole number from 1 to 1000"),
        ("/v1/accounts?limit=1001", "limit is a whole number from 1 to 1000"),
        ("/v1/accounts?limit=ten", "limit is a whole number from 1 to 1000"),
        ("/v1/accounts?limit=%D9%A3", "limit is a whole number from 1 to 1000"),
        ("/v1/accounts?limit=1&limit=2", "limit is given twice"),
        ("/v1/accounts?provder=x", "unknown parameter 'provder', did you mean 'provider'?"),
        ("/v1/accounts?label.=x", "unknown parameter 'label.'"),
        ("/v1/accounts?cursor=%21", "cursor is not one of this list; start again without it"),
        ("/v1/accounts?cursor=WyJhIiwiYiJd", "cursor is not one of this list; start again without it"),
        (
            "/v1/accounts/hot-usdt/events?cursor=WyJqdW5rIl0",
            "cursor is not one of this list; start again without it",
        ),
        ("/v1/accounts/hot-usdt?x=1", "unknown parameter 'x'"),
        ("/v1/accounts/hot-usdt/history?measure=total", "asset is required"),
        ("/v1/accounts/hot-usdt/history?asset=USDT", "measure is required"),
        (
            "/v1/accounts/hot-usdt/history?asset=USDT&measure=totl",
            f"measure is one of {', '.join(MEASURES)}",
        ),
        (
            "/v1/accounts/hot-usdt/history?asset=USDT&measure=total&since=yesterday",
            "since is a time like 2026-11-20T12:00:00Z, or how long ago like 24h",
        ),
        (
            "/v1/accounts/hot-usdt/history?asset=USDT&measure=total&since=2026-11-20T12:00:00",
            "since is a time like 2026-11-20T12:00:00Z, or how long ago like 24h",
        ),
        (
            "/v1/accounts/hot-usdt/history?asset=USDT&measure=total&since=1h&until=2h",
            "since is after until",
        ),
        ("/v1/accounts/hot-usdt/history?asset=USDT&measure=total&step=0s", "step is longer than zero"),
        (
            "/v1/accounts/hot-usdt/history?asset=USDT&measure=total&step=1ms",
            "this step makes more than 5000 points; choose a longer step or a shorter range",
        ),
        (
            "/v1/accounts/hot-usdt/history?asset=USDT&measure=total&step=60",
            "step: '60' is not a duration, write 60s",
        ),
    ],
)
async def test_a_bad_parameter_is_named(context, start, path, detail):
    client, _ = await start(context())

    problem = await body(client, path, 400)

    assert problem["detail"] == detail
    assert problem["type"] == "invalid-request"


@pytest.mark.parametrize("path", ["", "/history?asset=A&measure=total", "/events"])
async def test_an_unknown_account_is_a_problem_of_its_own(context, start, path):
    client, _ = await start(context())

    problem = await body(client, f"/v1/accounts/nobody{path}", 404)

    assert problem["type"] == "account-unknown"


async def test_poll_now_makes_the_account_due_and_wakes_the_poller(context, start, store):
    woken = []
    client, _ = await start(context(wake=woken.append))

    async with client.post("/v1/accounts/hot-usdt/poll") as answer:
        assert (answer.status, await answer.json()) == (202, {"status": "scheduled"})

    assert (store.asked, woken) == ([("casino", "hot-usdt")], ["casino"])


async def test_poll_now_with_wait_answers_with_the_fresh_reading(context, start, store, record):
    store.records["hot-usdt"] = record()
    client, _ = await start(context())

    async def finish():
        await asyncio.sleep(0.05)
        fresh = record(available="9", version=8)
        later = replace(fresh.snapshot, observed_at=NOON + timedelta(seconds=1))
        store.records["hot-usdt"] = replace(fresh, snapshot=later)

    finishing = asyncio.create_task(finish())
    async with client.post("/v1/accounts/hot-usdt/poll?wait=5s") as answer:
        assert (answer.status, (await answer.json())["amounts"]["USDT"]["available"]) == (200, "9")
    await finishing


async def test_a_poll_that_fails_in_time_is_answered_with_its_failure(context, start, store, record):
    store.records["hot-usdt"] = record()
    outage = Outage(at=NOON, kind="unreachable", why="timeout")
    store.polling["hot-usdt"] = record(version=8, outage=outage, failing_since=NOON)
    client, _ = await start(context())

    async with client.post("/v1/accounts/hot-usdt/poll?wait=5s") as answer:
        assert (answer.status, (await answer.json())["failure"]["kind"]) == (200, "unreachable")


async def test_being_judged_without_asking_the_provider_is_no_poll(context, start, store, record):
    refused = Outage(at=NOON, kind="refused", why="403", scope="credentials")
    store.records["hot-usdt"] = record(version=7, outage=refused, failing_since=NOON)
    again = replace(refused, at=NOON + timedelta(seconds=1), asked_at=NOON)
    store.polling["hot-usdt"] = record(version=8, outage=again, failing_since=NOON)
    client, _ = await start(context())

    async with client.post("/v1/accounts/hot-usdt/poll?wait=50ms") as answer:
        assert answer.status == 202


async def test_poll_now_that_takes_too_long_is_only_scheduled(context, start, store, record):
    store.records["hot-usdt"] = record()
    client, _ = await start(context())

    async with client.post("/v1/accounts/hot-usdt/poll?wait=30ms") as answer:
        assert (answer.status, await answer.json()) == (202, {"status": "scheduled"})


@pytest.mark.parametrize("wait", ["2", "31s", "-1s", ""])
async def test_a_wait_is_a_short_duration(context, start, store, wait):
    client, _ = await start(context())

    async with client.post(f"/v1/accounts/hot-usdt/poll?wait={wait}") as answer:
        assert answer.status == 400

    assert store.asked == []


def point(value, at):
    return Point("USDT", "available", Decimal(value), at)
