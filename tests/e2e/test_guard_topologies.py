"""The guard of a whole daemon through a failover, on a cluster of three primaries and under sentinels."""

import asyncio
import time

import pytest

from tests.e2e.test_guard import ask, hold, patient
from tests.farm import PATIENCE_S, Cluster, Watched

WALLETS = tuple(f"w-{number}" for number in range(12))
AOF = ("--appendonly", "yes")


@pytest.fixture(params=["cluster", "sentinel"])
def several(request, farm):
    """Servers that belong together, and the primary that dies; whether it has all the wallets."""
    if request.param == "cluster":
        cluster = farm(Cluster, 3, 1, *AOF)
        return cluster.url, cluster.primaries[0], False
    watched = farm(Watched, 1, *AOF)
    return watched.url, watched.primary, True


async def decided(asked):
    """The first answer that is a decision, or what a call on a hold comes to; 503 is none."""
    ends = time.monotonic() + PATIENCE_S
    while (found := await asked())[0] == 503:
        assert time.monotonic() < ends, found
        await asyncio.sleep(0.1)
    return found


async def another_bet(daemon, wallet):
    """Each time with a new id: a refusal would stick."""
    return await hold(daemon, f"{wallet}-{time.monotonic_ns()}", account=wallet, amount="1")


async def test_after_a_failover_no_bet_begins_where_one_may_be_lost_and_those_that_stand_end(
    place, bank, until, several
):
    url, victim, whole = several
    bank.held = dict.fromkeys(WALLETS, 100)
    daemon = await patient(place, store=url, wallets=WALLETS).start()

    async def all_held():
        answers = [await another_bet(daemon, name) for name in WALLETS]
        return {status for status, _ in answers} == {201}

    await until(all_held, "every wallet was read")
    for name in WALLETS:
        assert (await hold(daemon, f"{name}-first", account=name, amount="60", ttl="10m"))[0] == 201
    # That what is acknowledged is with the replicas, too.
    await asyncio.sleep(0.5)

    victim.kill()

    said = {}
    for name in WALLETS:
        _, said[name] = await decided(lambda name=name: another_bet(daemon, name))
    assert {answer["reason"] for answer in said.values()} <= {"STATE_QUARANTINED"} | (set() if whole else {"OK"})
    assert any(answer["reason"] == "STATE_QUARANTINED" for answer in said.values())
    for name in WALLETS:
        status, answer = await decided(
            lambda name=name: ask(daemon, "POST", f"/v1/holds/{name}-first/commit", {"amount": "59"})
        )
        assert (status, answer["hold"]["state"], answer["hold"]["returned"]) == (200, "committed", "1")
        bet = {"account": name, "asset": "USDT", "amount": "50"}
        _, answer = await decided(lambda bet=bet: ask(daemon, "POST", "/v1/checks", bet))
        assert answer["decision"] == "deny", "sixty of a hundred are promised"
    assert await daemon.stop() == 0
    assert daemon.said("poll.bug") + daemon.said("duty.bug") + daemon.said("http.bug") == []
