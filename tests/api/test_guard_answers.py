"""Every reason, on every kind of store, and every cell of the README's states: over HTTP, from the real guard."""

import re
from pathlib import Path

import pytest

from monitor.guard.hold import Switch
from monitor.guard.policy import House
from monitor.guard.reasons import REASONS
from monitor.store.redis import RedisStore
from tests.builders import minutes, seconds
from tests.conftest import PARTITIONS
from tests.guard.asks import fed, terms
from tests.guard.bets import Bets, account
from tests.guard.readings import reads

README = Path("README.md").read_text("utf-8")
TABLE = re.findall(r"^### The life of a hold\n.*?^(\|.*?)\n\n", README, re.DOTALL | re.MULTILINE)[0]
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLE.splitlines()[2:]]
CELLS = [
    pytest.param(state, call, cell, id=f"{state} {call}")
    for head, *cells in ROWS
    for state in re.findall(r"\w+", head)
    for call, cell in zip(("same", "other", "commit", "settled", "release"), cells, strict=True)
]


class Casino:
    """A client of the guard, and what it knows; player-7 had 500 USDT."""

    def __init__(self, bets, store, context, start):
        self.bets, self.store, self.context, self.start = bets, store, context, start

    async def opens(self, **policy):
        known = {name: account(name) for name in ("player-7", "house", "new")}
        guard = self.bets.guard(known, store=self.store, **{"deadline": seconds(10), **policy})
        self.client, _ = await self.start(self.context(guard=guard, clock=self.bets.clock))
        return self

    async def read(self, name="player-7", available="500"):
        await reads(self.store, {"USDT": fed(available)}, name)

    async def put(self, hold="bet-1", **changes):
        bet = {"account": "player-7", "asset": "USDT", "amount": "12.50", **changes}
        async with self.client.put(f"/v1/holds/{hold}", json=bet) as answer:
            return answer.status, await answer.json(content_type=None)

    async def call(self, what, hold="bet-1", **body):
        async with self.client.post(f"/v1/holds/{hold}/{what}", json=body) as answer:
            return answer.status, await answer.json(content_type=None)


@pytest.fixture
async def casino(open_store, clock, context, start):
    it = Casino(Bets(clock), await open_store(), context, start)
    await it.read()
    return it


@pytest.fixture
async def one_casino(valkey_server, clock, context, start):
    """The same, on one kind of store."""
    with valkey_server.client() as client:
        client.flushall()
    store = await RedisStore.connect(valkey_server.url, partitions=PARTITIONS, life="test")
    store.clock_override = clock
    it = Casino(Bets(clock), store, context, start)
    await it.read()
    yield it
    await store.close()


async def rolled_back(it):
    await (await it.opens()).call("release")


async def closed(it):
    await it.opens()
    it.bets.board.switch = Switch(it.bets.clock(), "exercise", "maria")


async def locked(it):
    await it.opens()
    async with it.client.put("/v1/wallets/player-7/USDT/locks/aml", json={}) as answer:
        assert answer.status == 200


async def session_over(it):
    it.bets.accounts.over.add("player-8")
    await it.opens()
    return {"account": "player-8"}


async def many(it):
    await (await it.opens(terms=terms(max_holds=1))).put("bet-0")


async def quarantined(it):
    """The wallet remembers more than the store knows: it went back."""
    await it.opens()
    await it.put("bet-0")
    for key in await it.store._calls.command("KEYS", "*"):
        if b"wallets:" in key or b":hold:" in key or b"held:" in key:
            await it.store._calls.command("DEL", key)
    await it.read()


async def old(it):
    it.bets.clock.pass_(minutes(3))
    await it.opens()


async def poor_house(it):
    await it.read("house", "10")
    await it.opens(house=House("house", "USDT"))
    return {"exposure": "11"}


def asks(**changes):
    async def asked(it):
        await it.opens()
        return changes

    return asked


#: What leads to each reason; what it returns is asked for besides.
SCENES = {
    "HOLD_TOMBSTONED": rolled_back,
    "ACCOUNT_UNKNOWN": asks(account="nobody"),
    "ASSET_UNKNOWN": asks(asset="BTC"),
    "GUARD_CLOSED": closed,
    "ACCOUNT_LOCKED": locked,
    "SESSION_EXPIRED": session_over,
    "AMOUNT_BELOW_MIN": asks(amount="0.009"),
    "AMOUNT_ABOVE_MAX": asks(amount="10000.01"),
    "TOO_MANY_HOLDS": many,
    "BALANCE_NEVER_SEEN": asks(account="new"),
    "STATE_QUARANTINED": quarantined,
    "BALANCE_STALE": old,
    "INSUFFICIENT_FUNDS": asks(amount="500.01"),
    "BANKROLL_INSUFFICIENT": poor_house,
    "OK": asks(),
}


async def test_what_was_read_by_a_clock_that_is_ahead_is_called_stale_and_read_anew(one_casino):
    await one_casino.opens()
    one_casino.bets.clock.pass_(minutes(-60))

    _, answer = await one_casino.put()

    assert (answer["reason"], answer["balance"]["freshness"]) == ("BALANCE_STALE", "stale")
    assert one_casino.bets.refreshing.soons == ["player-7"]


async def test_every_answer_says_what_is_known_of_the_wallet_but_to_an_id_that_never_held(one_casino):
    await one_casino.opens()
    _, unknown = await one_casino.put(account="player-9")
    await one_casino.call("release", "late")
    _, late = await one_casino.put("late")

    assert unknown["balance"] == {
        "asset": "USDT", "last_seen": None, "held": "0", "unsettled": "0", "locked": "0", "spendable": None,
        "as_of": None, "age_ms": None, "freshness": "never",
    }  # fmt: skip
    assert (late["reason"], late["balance"]) == ("HOLD_TOMBSTONED", None)


@pytest.mark.parametrize("reason", REASONS)
async def test_every_reason_is_told_and_but_for_ok_it_is_a_denial_that_holds_nothing(casino, reason):
    asked = await SCENES[reason](casino) or {}

    status, answer = await casino.put(**asked)

    allowed = reason == "OK"
    assert (answer.get("reason"), status) == (reason, 201 if allowed else 200), answer
    assert answer["decision"] == ("allow" if allowed else "deny")
    assert (answer["hold"]["state"] == "held") is allowed


BET, DEAR = "12.50", "900"


async def unknown(it):
    return BET


async def tombstone(it):
    await it.call("release")
    return BET


async def denied(it):
    await it.put(amount=DEAR)
    return DEAR


async def held(it):
    await it.put()
    return BET


async def committed(it):
    await held(it)
    await it.call("commit")
    return BET


async def settled(it):
    await committed(it)
    await it.call("settled")
    return BET


async def covered(it):
    await settled(it)
    it.bets.clock.pass_(seconds(10))
    await it.read()
    return BET


async def released(it):
    await held(it)
    await it.call("release")
    return BET


async def expired(it):
    await held(it)
    it.bets.clock.pass_(seconds(31))
    return BET


WAYS = {way.__name__: way for way in (
    unknown, tombstone, denied, held, committed, settled, covered, released, expired,
)}  # fmt: skip


def told(answer):
    """The outcome in the README's words."""
    status, body = answer
    if "decision" in body:
        return f"{body['decision']} {body['reason']}" + (", replayed" if body["replayed"] else "")
    return f"{status} {body['type']}" if "type" in body else str(status)


def meant(cell):
    """What a cell says of the usual call, and of one with another amount if it tells that apart."""
    words = re.findall(r"deny `(\w+)`|\b(\d\d\d)(?: `([a-z-]+)`)?", cell)
    found = [f"deny {reason}" if reason else f"{status} {problem}".strip() for reason, status, problem in words]
    fixed = {"decided": ["allow OK"], "allow, replayed": ["allow OK, replayed"]}
    return fixed.get(cell) or found or ["deny INSUFFICIENT_FUNDS, replayed"]


@pytest.mark.parametrize(("state", "call", "cell"), CELLS)
async def test_what_the_readme_says_of_a_call_on_a_hold_in_each_state_is_what_happens(one_casino, state, call, cell):
    casino = await one_casino.opens()
    bet = await WAYS[state](casino)
    async with casino.client.get("/v1/holds/bet-1") as found:
        known = (await found.json(content_type=None)).get("hold", {}).get("state", "unknown")
    assert known == state

    usual, *otherwise = meant(cell)
    for outcome in otherwise:
        # More than is held, or another amount than was committed: nothing changes.
        assert told(await casino.call(call, amount="13")) == outcome
    if call in ("same", "other"):
        answer = await casino.put(amount=bet if call == "same" else "7")
    else:
        answer = await casino.call(call)

    assert told(answer).removesuffix(", replayed") == usual.removesuffix(", replayed")
    if "replayed" in cell:
        assert answer[1]["replayed"] is True
    assert bool(casino.bets.late) == ("an alert" in cell)
