"""Whatever happens to accounts, a process that kept up with it knows what one knows that has just started."""

import random

import pytest

from monitor.engine import portfolio
from monitor.errors import ProviderUnreachable
from tests.builders import seconds
from tests.facts import account, answer, event, snapshot
from tests.office import Office, drain, low

MEMBERS = [
    account(
        f"m{number}",
        labels={"role": f"r{number % 2}"},
        provider=f"p{number % 2}",
        assets=("USDT",) if number % 3 == 0 else (),
    )
    for number in range(6)
]
RULES = [
    low(match={}),
    low(alert="Usd", match={}, unit="usd", aggregate={"by": ["role"]}),
    drain(alert="Gone", kinds=["withdraw"]),
]


@pytest.fixture(params=["fakeredis"])
def open_store(open_store):
    return open_store


def reading(dice, number):
    """An outage, a partial answer, one with a gap, or a whole one; each asset now and then gone."""
    if dice.random() < 0.2:
        return ProviderUnreachable("away")
    assets = [asset for asset in ("USDT", "USDT@ETH", "BTC") if dice.random() < 0.7]
    amounts = {asset: str(dice.choice([0, 10, 20, 300])) for asset in assets}
    usd = {"usd": {}} if dice.random() < 0.5 else {}
    complete, gap = dice.random() < 0.3, dice.random() < 0.2
    moved = (event(str(dice.choice([5, 90])), name=f"e{number}"),) if dice.random() < 0.3 else ()

    def told(now):
        shot = snapshot(amounts, at=now, absent_is_zero=complete, **usd)
        return answer(shot, at=now, events=moved, gap="page 7" if gap else "")

    return told


def known(of):
    """What a portfolio holds, but for the age of what did not change."""
    sums = {
        (subject, asset): {name: (part.amount, part.signed) for name, part in each.parts.items()}
        for subject, assets in of.sums.items()
        for asset, each in assets.items()
    }
    counted = {key: (each.known, each.unknown) for key, each in ((k, of.sums[k[0]][k[1]]) for k in sums)}
    return sums, counted, dict(of.unknown), {name: count for name, count in of.accounts.items() if count}


@pytest.mark.parametrize("seed", range(6))
async def test_a_portfolio_that_kept_up_is_the_one_that_starts_anew(open_store, clock, seed, monkeypatch):
    # Nothing is mended by reading in turn: what is told of changes must do.
    monkeypatch.setattr(portfolio, "IN_TURN", 0)
    dice = random.Random(seed)
    warm = Office(await open_store(), clock, RULES, MEMBERS)
    for step in range(60):
        clock.now += seconds(dice.choice([1, 20, 60, 100]))
        for one in dice.sample(MEMBERS, dice.randrange(4)):
            clock.now += seconds(0.01)
            await warm.reads(one.name, reading(dice, step))
        if dice.random() < 0.7:
            for rule in RULES:
                await warm.judges(rule.alert)
            cold = Office(await open_store(), clock, RULES, MEMBERS)
            for rule in RULES:
                await cold.judges(rule.alert)
                kept, fresh = (each.reader._portfolios[rule.alert] for each in (warm, cold))
                assert known(kept) == known(fresh), (seed, step, rule.alert)
