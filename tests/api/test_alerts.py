from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.api import alerts
from monitor.api.auth import Token
from monitor.engine.drill import DRILL_ACCOUNT, DRILLS
from monitor.model.alert import State
from monitor.model.members import Members
from monitor.model.record import MonitorWatch, ProviderWatch, RuleWatch
from monitor.model.story import Told, of_alert
from tests.api.conftest import NOON
from tests.facts import rule


async def listed(client, query=""):
    async with client.get(f"/v1/alerts{query}") as answer:
        assert answer.status == 200, await answer.text()
        found = await answer.json()
    return [item["id"] for item in found["items"]], found["next_cursor"]


@pytest.fixture
def api(context, store, account, record, alert):
    store.records["hot"] = record(
        "hot",
        alerts=(
            alert("alr_2"),
            alert("alr_1", state=State.PENDING, severity="warning", rule="Outflow"),
            alert("alr_0", state=State.RESOLVED),
        ),
    )
    store.records["cold"] = record("cold", alerts=(alert("alr_9", severity="warning"),))
    store.records["~casino"] = record("~casino", snapshot=None, alerts=(alert("alr_5", rule="CasinoDown"),))
    checkup = account("~casino", provider="@store", target=ProviderWatch("casino", timedelta(seconds=60)))
    return context(account("hot"), account("cold"), others={"~casino": checkup})


async def test_every_open_alert_is_listed_and_no_resolved_one(api, start):
    client, _ = await start(api)

    assert await listed(client) == (["alr_9", "alr_1", "alr_2", "alr_5"], None)


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?state=pending", ["alr_1"]),
        ("?state=firing", ["alr_9", "alr_2", "alr_5"]),
        ("?severity=critical", ["alr_2", "alr_5"]),
        ("?rule=Outflow", ["alr_1"]),
        ("?account=hot", ["alr_1", "alr_2"]),
        ("?account=", ["alr_5"]),
        ("?provider=casino", ["alr_9", "alr_1", "alr_2", "alr_5"]),
        ("?provider=bank", []),
        ("?account=hot&state=firing", ["alr_2"]),
        ("?rule=Nothing", []),
    ],
)
async def test_filters_all_have_to_hold(api, start, query, ids):
    client, _ = await start(api)

    assert (await listed(client, query))[0] == ids


async def test_pages_go_on_within_an_account(api, start):
    client, _ = await start(api)
    seen, query = [], "?limit=1"

    for _ in range(4):
        ids, cursor = await listed(client, query)
        seen += ids
        query = f"?limit=1&cursor={cursor}"

    assert seen == ["alr_9", "alr_1", "alr_2", "alr_5"]
    assert cursor is None


async def test_one_request_looks_at_a_bounded_number_of_accounts(
    context, start, store, account, record, alert, monkeypatch
):
    monkeypatch.setattr(alerts, "SCAN_MAX", 150)
    every = [account(f"a{n:03}") for n in range(400)]
    for one in every:
        store.records[one.name] = record(one.name, alerts=(alert(f"alr_{one.name}", rule="Other"),))
    store.records["a399"] = record("a399", alerts=(alert("alr_last"),))
    client, _ = await start(context(*every))
    seen, query, pages = [], "", 0

    while query is not None:
        store.loads.clear()
        ids, cursor = await listed(client, f"?rule=HotWalletLow{query}")
        assert sum(store.loads) <= 150
        seen, pages = seen + ids, pages + 1
        query = f"&cursor={cursor}" if cursor else None

    assert (seen, pages) == (["alr_last"], 3)


async def test_accounts_without_alerts_are_not_even_read(context, start, store, account, record, alert):
    store.records["a7"] = record("a7", alerts=(alert("alr_7"),))
    client, _ = await start(context(*(account(f"a{n}") for n in range(300))))

    assert await listed(client) == (["alr_7"], None)
    assert store.loads == [1]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("?state=resolved", 400),
        ("?severity=fatal", 400),
        ("?rul=x", 400),
        ("?account=nobody", 404),
        ("?account=~casino", 404),
    ],
)
async def test_a_filter_that_cannot_match_is_refused(api, start, query, status):
    client, _ = await start(api)

    async with client.get(f"/v1/alerts{query}") as answer:
        assert answer.status == status


async def test_an_alert_is_not_listed_for_an_account_that_is_gone(api, start, account):
    client, _ = await start(replace(api, accounts={"cold": account("cold")}))

    assert (await listed(client))[0] == ["alr_9", "alr_5"]


class TestWhomTheyAreAbout:
    """As messages say it: nobody sees where an alert is kept."""

    @pytest.fixture
    async def told(self, context, start, store, account, record, alert):
        hot = account("hot", labels={"role": "hot", "desk": "eu"})
        low = rule("low_balance", alert="HotWalletLow", below=1, labels={"team": "treasury"})
        kept = {
            "hot": (alert("alr_own"),),
            "aggregate:Sum": (
                alert("alr_sum", rule="Sum", subject='["hot","USDT@ETH"]', labels={"role": "hot", "asset": "USDT@ETH"}),
                alert("alr_one", rule="Sum", subject='["hot","USDT"]', labels={"account": "hot", "asset": "USDT"}),
            ),
            "monitor:self": (alert("alr_self", rule="NotificationFailing", subject="ops", labels={"channel": "ops"}),),
            "provider:casino": (alert("alr_down", rule="Down", subject=""),),
            DRILLS: (
                alert(
                    "alr_drill", subject="USDT", told_labels={"drill": "true"},
                    details={"drill": "true", "provider": "casino", "account": "hot", "until": ""},
                ),
            ),
        }  # fmt: skip
        store.records = {name: record(name, alerts=alerts) for name, alerts in kept.items()}
        targets = {
            "aggregate:Sum": RuleWatch("Sum", Members({"hot": hot})),
            "monitor:self": MonitorWatch(),
            "provider:casino": ProviderWatch("casino", timedelta(seconds=60)),
        }
        others = {name: account(name, provider="@store", target=target) for name, target in targets.items()}
        api = context(hot, others={**others, DRILLS: DRILL_ACCOUNT}, rules={low.alert: low})
        client, _ = await start(api)

        async def asked(path):
            async with client.get(path) as answer:
                return await answer.json()

        return asked

    async def test_they_say_what_the_webhook_says(self, told):
        found = (await told("/v1/alerts"))["items"]

        own = {"role": "hot", "desk": "eu"}
        assert {one["id"]: [one[name] for name in ("provider", "account", "asset", "labels")] for one in found} == {
            "alr_own": ["casino", "hot", "USDT", {**own, "team": "treasury"}],
            "alr_sum": ["", "", "USDT@ETH", {"role": "hot"}],
            "alr_one": ["casino", "hot", "USDT", own],
            "alr_self": ["", "", None, {"channel": "ops"}],
            "alr_down": ["casino", "", None, {}],
            "alr_drill": ["casino", "hot", "USDT", {"drill": "true"}],
        }

    async def test_the_filter_by_account_finds_all_that_name_it(self, told):
        found = (await told("/v1/alerts?account=hot"))["items"]

        assert {one["id"] for one in found} == {"alr_own", "alr_one", "alr_drill"}


ANSWER = {"author": "maria", "comment": "topping it up"}


class TestAcknowledging:
    async def test_it_is_answered_as_it_stands_by_now_and_owed_to_its_targets(self, api, store, start):
        client, _ = await start(api)

        async with client.post("/v1/alerts/alr_2/ack", json=ANSWER) as answer:
            said = await answer.json()

        assert answer.status == 200
        assert (said["id"], said["account"], said["state"]) == ("alr_2", "hot", "firing")
        assert said["acknowledged"] == {"by": "maria", "at": "2026-11-20T12:00:48.000Z", "comment": "topping it up"}
        assert [(row.news, row.entry.id) for row in store.owed] == [("acked", "alr_2")]

    async def test_the_second_one_is_answered_the_first(self, api, store, start):
        client, _ = await start(api)
        await client.post("/v1/alerts/alr_2/ack", json=ANSWER)

        async with client.post("/v1/alerts/alr_2/ack", json={**ANSWER, "author": "joe"}) as answer:
            said = await answer.json()

        assert (answer.status, said["acknowledged"]["by"]) == (200, "maria")
        assert len(store.owed) == 1

    async def test_alerts_of_what_is_no_account_are_acknowledged_too(self, api, start):
        client, _ = await start(api)

        async with client.post("/v1/alerts/alr_5/ack", json=ANSWER) as answer:
            assert (answer.status, (await answer.json())["rule"]) == (200, "CasinoDown")

    @pytest.mark.parametrize(
        ("wanted", "status", "problem"),
        [("alr_77", 404, "alert-unknown"), ("alr_0", 409, "alert-resolved"), ("alr_1", 409, "alert-pending")],
    )
    async def test_what_does_not_fire_is_refused(self, api, start, wanted, status, problem):
        client, _ = await start(api)

        async with client.post(f"/v1/alerts/{wanted}/ack", json=ANSWER) as answer:
            assert (answer.status, (await answer.json())["type"]) == (status, problem)

    async def test_an_event_is_nothing_to_take_care_of(self, api, store, start, alert):
        told = Told(NOON, 1, of_alert("event", "hot", alert("alr_77")))

        async def story(_alert):
            return (told,)

        store.story = story
        client, _ = await start(api)

        async with client.post("/v1/alerts/alr_77/ack", json=ANSWER) as answer:
            assert (answer.status, (await answer.json())["type"]) == (409, "alert-event")

    @pytest.mark.parametrize(
        ("body", "detail"),
        [
            (b"", "the body is a JSON object"),
            (b'["maria"]', "the body is a JSON object"),
            (b'{"author": "maria"}', "comment: is required"),
            (b'{"author": " \\n ", "comment": "x"}', "author: must not be empty"),
            (b'{"author": 7, "comment": "x"}', "author: is text"),
            (b'{"autor": "maria", "comment": "x"}', "unknown key 'autor', did you mean 'author'?"),
            (b'{"author": "' + 101 * b"a" + b'", "comment": "x"}', "author: String should have at most 100 characters"),
        ],
    )
    async def test_a_body_that_says_something_else_is_refused(self, api, start, body, detail):
        client, _ = await start(api)

        async with client.post("/v1/alerts/alr_2/ack", data=body) as answer:
            assert answer.status == 400
            assert (await answer.json())["detail"].startswith(detail)

    async def test_what_would_drive_a_terminal_is_left_out(self, api, start):
        client, _ = await start(api)

        async with client.post("/v1/alerts/alr_2/ack", json={**ANSWER, "comment": "on\nit \x1b[2J now"}) as answer:
            assert (await answer.json())["acknowledged"]["comment"] == "on it [2J now"

    async def test_it_needs_the_admin_scope(self, api, start):
        reader = Token.of("reader", "a-long-token-to-read-with", ("read", "guard"))
        client, _ = await start(replace(api, tokens=(reader,)), token="a-long-token-to-read-with")

        async with client.post("/v1/alerts/alr_2/ack", json=ANSWER) as answer:
            assert answer.status == 403
