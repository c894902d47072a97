"""`PUT` and `DELETE /v1/accounts/{id}`, and callbacks, over a real socket."""

from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from monitor.api import callbacks
from monitor.api.callbacks import Caller
from monitor.engine.lane import Lane
from monitor.errors import WatchesFull, WatchRefused, WatchTaken
from tests.api.conftest import NOON

SECRET = "whsec_" + "Y2FsbGJhY2stc2lnbmluZy1zZWNyZXQtMjU2"
SESSION = {"provider": "casino", "external_id": "7", "expires_in": "2h", "labels": {"tier": "vip"}}


async def ask(client, method, path, body=None, **options):
    async with client.request(method, path, json=body, **options) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_an_account_is_watched_and_no_more(context, start):
    api = context()
    client, _ = await start(api)

    status, shown = await ask(client, "PUT", "/v1/accounts/player-7", SESSION)
    assert (status, shown["configured"], shown["expires_at"]) == (201, False, "2026-11-20T14:00:00.000Z")
    assert (await ask(client, "PUT", "/v1/accounts/player-7", SESSION))[0] == 200
    settings = '{"external_id":"7","labels":{"tier":"vip"}}'
    assert api.watches.asked[0] == ("player-7", "casino", settings, timedelta(hours=2))
    assert [one["id"] for one in (await ask(client, "GET", "/v1/accounts"))[1]["items"]] == ["hot-usdt", "player-7"]
    assert (await ask(client, "POST", "/v1/accounts/player-7/poll"))[0] == 202

    assert await ask(client, "DELETE", "/v1/accounts/player-7") == (200, {"id": "player-7", "status": "removed"})
    status, problem = await ask(client, "DELETE", "/v1/accounts/player-7")
    assert (status, problem["type"]) == (404, "account-unknown")
    assert (await ask(client, "GET", "/v1/accounts/player-7"))[0] == 404


async def test_a_watch_that_is_over_before_it_is_answered_is_answered_as_it_was_made(context, start):
    api = context()
    load = api.store.load_many

    async def late(names):
        api.watches.watched.clear()
        api.watches.ends.clear()
        return await load(names)

    api.store.load_many = late
    client, _ = await start(api)

    status, shown = await ask(client, "PUT", "/v1/accounts/player-7", SESSION)

    assert (status, shown["id"], shown["expires_at"]) == (201, "player-7", "2026-11-20T14:00:00.000Z")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_configured_account_is_changed_in_the_file(context, start, method):
    client, _ = await start(context())

    status, problem = await ask(client, method, "/v1/accounts/hot-usdt", SESSION)

    assert (status, problem["type"]) == (409, "account-configured")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"provider": None}, "provider"),
        ({"provider": 7}, "provider"),
        ({"expires_in": "0s"}, "expires_in"),
        ({"expires_in": "400d"}, "expires_in"),
        ({"expires_in": 7200}, "expires_in: '7200' is not a duration, write 7200s"),
        ({"labels": {"tier": "v" * 20_000}}, "16384 bytes"),
    ],
)
async def test_a_body_that_cannot_be_understood_watches_nothing(context, start, change, said):
    api = context()
    client, _ = await start(api)

    status, problem = await ask(client, "PUT", "/v1/accounts/player-7", {**SESSION, **change})

    assert (status, problem["type"]) == (400, "invalid-request")
    assert said in problem["detail"]
    assert api.watches.asked == []


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (WatchRefused(["interval: at least 100ms"]), 400, "invalid-request"),
        (WatchTaken("player-7", "hot-usdt"), 409, "wallet-watched"),
        (WatchesFull("as many as there may be"), 409, "watches-full"),
    ],
)
async def test_what_is_refused_says_why(context, start, error, status, kind):
    api = context()
    api.watches.wrong = error
    client, _ = await start(api)

    found, problem = await ask(client, "PUT", "/v1/accounts/player-7", SESSION)

    assert (found, problem["type"], problem["detail"]) == (status, kind, str(error))


class Lanes:
    """The lane's half of the store: `left` polls are paid for."""

    def __init__(self, left=10, wished="new"):
        self.left, self.wished, self.asked, self.back = left, wished, [], 0

    async def take_lane(self, provider, windows, cost, most):
        self.left -= 1
        return self.left >= 0

    async def give_back_lane(self, provider, windows, cost):
        self.back += 1

    async def poll_first(self, provider, account, *, join, paid):
        if not paid and self.wished == "new":
            return "none", NOON
        self.asked.append((provider, account, join, paid))
        return self.wished, NOON


def signed(body, at=NOON, secret=SECRET):
    stamp = str(int(at.timestamp()))
    sign = Webhook(secret).sign("msg_1", at, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": sign}


@pytest.fixture
def called(context, start, monkeypatch):
    # The library looks at the clock itself; ours has been asked before.
    monkeypatch.setattr(Webhook, "_Webhook__verify_timestamp", lambda _self, text: _moment(text))

    async def calling(lanes, body='{"account":"hot-usdt"}', headers=None, provider="casino"):
        woken = []
        callers = {"casino": Caller(SECRET, Lane(lanes, "casino", (), 1))}
        client, _ = await start(context(callers=callers, wake=woken.append))
        options = {"data": body, "headers": signed(body) if headers is None else headers}
        async with client.post(f"/v1/callbacks/{provider}", **options) as answer:
            return answer.status, await answer.json(content_type=None), woken

    return calling


def _moment(text):
    return type(NOON).fromtimestamp(float(text), NOON.tzinfo)


async def test_a_callback_puts_its_account_first_in_line(called):
    lanes = Lanes()

    assert await called(lanes) == (202, {"status": "scheduled"}, ["casino"])

    assert lanes.asked == [("casino", "hot-usdt", False, True)]
    assert lanes.back == 0


async def test_a_callback_for_a_poll_that_is_to_come_anyway_costs_nothing(called):
    lanes = Lanes(wished="there")

    assert (await called(lanes))[0] == 202

    assert lanes.left == 10


async def test_a_callback_repeated_before_the_poll_it_asked_for_is_no_flood(called):
    assert (await called(Lanes(left=0, wished="there")))[0] == 202


async def test_a_flood_of_callbacks_leaves_the_schedule_its_part_of_the_quota(called):
    lanes = Lanes(left=0)

    status, problem, _ = await called(lanes)

    assert (status, problem["type"], lanes.asked) == (429, "refresh-budget-exhausted", [])


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        ('{"account":"nobody"}', 404, "account-unknown"),
        ('{"account":7}', 400, "invalid-request"),
        ("[]", 400, "invalid-request"),
        ('{"account":"hot-usdt","more":1}', 400, "invalid-request"),
    ],
)
async def test_a_signed_callback_that_says_nothing_of_use_polls_nobody(called, body, status, kind):
    lanes = Lanes()

    found, problem, _ = await called(lanes, body)

    assert (found, problem["type"], lanes.asked) == (status, kind, [])


OTHER = "whsec_" + "b3RoZXItc2lnbmluZy1zZWNyZXQtMjU2LS0t"
GOOD_BODY = '{"account":"hot-usdt"}'
GOOD = signed(GOOD_BODY)


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ({}, "signature-invalid"),
        (signed('{"account":"other"}'), "signature-invalid"),
        (
            signed('{"account":"hot-usdt"}', secret="whsec_" + "b3RoZXItc2lnbmluZy1zZWNyZXQtMjU2LS0t"),
            "signature-invalid",
        ),
        ({**GOOD, "webhook-id": "msg_2"}, "signature-invalid"),
        ({**GOOD, "webhook-signature": "v1"}, "signature-invalid"),
        ({**GOOD, "webhook-signature": "v1,=ü="}, "signature-invalid"),
        ({**GOOD, "webhook-signature": "v1,abc def"}, "signature-invalid"),
        ({**GOOD, "webhook-timestamp": "nan"}, "signature-invalid"),
        ({**GOOD, "webhook-timestamp": "1e9"}, "signature-invalid"),
        (signed('{"account":"hot-usdt"}', NOON - callbacks.WINDOW), "timestamp-outside-window"),
        (signed('{"account":"hot-usdt"}', NOON + callbacks.WINDOW + timedelta(minutes=1)), "timestamp-outside-window"),
    ],
)
async def test_what_the_provider_did_not_sign_now_polls_nobody(called, headers, kind):
    lanes = Lanes()

    status, problem, _ = await called(lanes, headers=headers)

    assert (status, problem["type"], lanes.asked) == (401, kind, [])


async def test_a_provider_without_a_secret_cannot_call_back(called):
    status, problem, _ = await called(Lanes(), provider="chain")

    assert (status, problem["type"]) == (404, "not-found")


def test_the_secret_is_never_shown():
    assert SECRET not in repr(Caller(SECRET, Lane(None, "casino", (), 1)))
