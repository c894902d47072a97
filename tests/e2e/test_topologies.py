"""The whole daemon on a cluster of three primaries, and under sentinels: a failover costs no alert and no command."""

import json

import pytest

from tests.farm import PATIENCE_S, Cluster, Watched

WALLETS = tuple(f"w-{number}" for number in range(12))


@pytest.fixture(params=["cluster", "sentinel"])
def several(request, farm):
    """Servers that belong together, and the primary that dies."""
    if request.param == "cluster":
        cluster = farm(Cluster, 3, 1)
        return cluster.url, cluster.primaries[0]
    watched = farm(Watched)
    return watched.url, watched.primary


async def all_well(place):
    """What the command says, which fails in the middle of a failover."""
    code, out, _ = await place.command("status", "--json")
    return code == 0 and {one["status"] for one in json.loads(out)["accounts"]} == {"ok"}


async def test_a_failover_costs_no_alert(place, bank, chat, until, several):
    url, victim = several
    bank.held = dict.fromkeys(WALLETS, 100)
    daemon = await place.write(store=url, wallets=WALLETS).start()
    await until(lambda: set(bank.asked) == set(WALLETS), "all are polled")
    bank.held = dict.fromkeys(WALLETS, 40)
    await until(lambda: len(chat.heard) == len(WALLETS), "every breach is told")

    victim.kill()
    bank.held = dict.fromkeys(WALLETS, 200)
    await until(lambda: len(set(chat.heard)) >= 2 * len(WALLETS), "every end is told", PATIENCE_S)

    assert set(chat.heard) == {
        (kind, wallet, number)
        for wallet in WALLETS
        for kind, number in (("alert.firing", 1), ("alert.resolved", 2))
    }  # fmt: skip
    # That it was told may not have reached the replica: then it is told again, as it was.
    assert len(set(chat.posts)) == len({name for name, _ in chat.posts})
    await until(daemon.ready, "it is ready again", PATIENCE_S)
    await until(lambda: all_well(place), "all is well again", PATIENCE_S)
    assert await daemon.stop() == 0
    assert daemon.said("poll.bug") + daemon.said("duty.bug") == []
