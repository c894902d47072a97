"""Case 14: whatever a provider answers with status 200 that is no balance is a typed outage, never an amount of 0."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import TypeAdapter

from monitor.engine.decide import decide
from monitor.engine.poll import Polling, read
from monitor.model.record import Account, Record
from monitor.model.snapshot import Outage, Snapshot
from monitor.providers import PROVIDERS, AnyProvider
from monitor.providers.http import Http
from tests.facts import policy, rule

TARGETS = {
    "cryptofuse": {"wallet_id": "w-1"},
    "kaiko": {"addresses": ["bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"]},
    "kuna": {"wallet_id": "w-1", "assets": ["USDT"]},
    "pacifica": {"address": "42trU9A5demoHedgeAccount42trU9A5"},
}
ASSETS = {"cryptofuse": "USDT", "kaiko": "BTC", "kuna": "USDT", "pacifica": "USDC"}
BODIES = {
    "nothing": "",
    "white space": " \n",
    "HTML": "<!DOCTYPE html><html><body>Just a moment...</body></html>",
    "an error body": '{"error": "internal error"}',
    "an error envelope": '{"success": false, "data": null, "error": "maintenance", "code": 500}',
    "an empty list beside an error": '{"success": false, "error": "maintenance", "balances": [], "data": []}',
    "an empty list of what failed": '{"success": false, "balances": [], "data": []}',
    "an error in their words": '{"result": "error", "message": "try again later"}',
    "a status in the body": '{"statusCode": 500, "message": "Internal server error"}',
    "no data": '{"success": true, "data": null}',
    "null": "null",
    "an empty object": "{}",
    "a number": "0",
    "a text": '"ok"',
    "cut short": '{"success": true, "data": {"balance": "1',
    "other names": '{"success": true, "result": {"items": [{"coin": "USDT", "free": "5"}]}}',
    "rows of another shape": '{"success": true, "data": [["USDT", "5"]], "balances": [["USDT", "5"]]}',
    "an amount that is none": '{"data": [{"asset": "USDT", "balance": null}], "balances": [{"currency": "USDT"}]}',
}


def connected(family, server, session):
    given = {
        "type": family,
        "base_url": server.url,
        "auth": {"api_key": "canary"},
        "accounts": {"hot": TARGETS[family]},
    }
    spec = TypeAdapter(AnyProvider).validate_python(given)
    account = Account(
        name="hot",
        provider="casino",
        interval=timedelta(minutes=1),
        stale_after=timedelta(minutes=3),
        target=spec.accounts["hot"].target(),
        assets=(ASSETS[family],),
    )
    return spec.connect(Http(session, spec.origin())), account


def test_every_provider_is_in_the_table():
    assert TARGETS.keys() == ASSETS.keys() == PROVIDERS.keys()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("family", PROVIDERS)
async def test_case_14_a_success_that_is_no_balance_is_a_typed_outage_and_changes_no_amount(
    server, session, purse, now, family, body
):
    provider, account = connected(family, server, session)
    server.say(body)
    held = {ASSETS[family]: {"available": Decimal(100), "total": Decimal(100)}}
    record = Record("hot", version=1, snapshot=Snapshot(now, held), provider="casino")
    polling = Polling("casino", provider, timedelta(seconds=5), None, None, lambda: now)
    rules = (rule("low_balance", below=50), rule("large_outflow", above=1))

    reading = await read(polling, account, record, purse, now)
    commit = decide(record, reading, account, rules, policy(), now + timedelta(minutes=1))

    assert isinstance(reading, Outage)
    assert reading.kind in {"garbled", "refused", "unreachable"}
    assert not reading.why.startswith("bug"), "it is the provider's fault, and was foreseen"
    assert len(reading.why) > len("HTTP 200")
    assert (commit.record.snapshot, commit.events, commit.rows) == (record.snapshot, (), ())
