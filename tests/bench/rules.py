"""What rules cost: polls under a hundred rules, ten of them matching each account, against polls under none."""

import statistics
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from monitor.engine.decide import decide
from monitor.engine.policy import Policy
from monitor.engine.route import compile_route
from monitor.model.record import Account, Answer, Record
from monitor.model.snapshot import Snapshot
from monitor.store.redis import RedisStore
from tests.bench.common import Result, provider, store_server
from tests.bench.pipeline import answer, made, whole

ROUNDS = 3
GROUPS = 10
DECISIONS = 20_000
_NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)

#: One of each kind that looks at every poll, for one group of accounts.
TEN = [
    {"type": "low_balance", "assets": ["USDT"], "below": 100, "resolve_above": 200},
    {"type": "low_balance", "levels": {"warning": {"below": "0.01"}, "critical": {"below": "0.001"}}},
    {"type": "high_balance", "above": 900_000_000},
    {"type": "high_balance", "measure": "pending", "above": 1_000},
    {"type": "large_outflow", "above": 1_000_000},
    {"type": "large_outflow", "above": 1_000_000, "within": "1h"},
    {"type": "balance_change", "falls_by": "50%", "within": "1h"},
    {"type": "expression", "expression": "available < 0.001 * total and total > 1_000"},
    {"type": "runway", "below": "24h"},
    {"type": "stale", "after": "10m"},
]


def hundred() -> list[dict[str, object]]:
    """Ten rules for each of ten groups of accounts."""
    return [
        {"match": {"group": f"g{group}"}, **rule, "alert": f"R{group}x{number}"}
        for group in range(GROUPS)
        for number, rule in enumerate(TEN)
    ]


def decided(rules: list[dict[str, object]], *, changing: bool) -> float:
    """CPU seconds of one decision alone, with these rules."""
    account = Account("a0", "bench", timedelta(seconds=60), timedelta(minutes=5))
    policy, tested = Policy(compile_route(None, ()), timedelta(hours=1)), made(rules)
    record, now = Record("a0"), _NOON
    begun = time.process_time()
    for place in range(DECISIONS):
        now += timedelta(seconds=60)
        value = Decimal("1000.75") if changing and place % 2 else Decimal("1000.50")
        amounts = {
            asset: {"available": value, "pending": Decimal(0), "total": value} for asset in ("USDT", "BTC", "ETH")
        }
        commit = decide(record, Answer(Snapshot(now, amounts)), account, tested, policy, now, ())
        record = commit.record
    return (time.process_time() - begun) / DECISIONS


async def run(requests: int) -> list[Result]:
    """Interleaved rounds, as for the pipeline."""
    found: dict[tuple[str, str], list[float]] = {}
    same, moving = answer("1000.50"), answer("1000.75")
    async with provider(same) as still, provider(same, moving, same) as alive:
        for _ in range(ROUNDS):
            for name, origin in (("unchanged", still), ("changed", alive)):
                for label, rules in (("none", []), ("hundred", hundred())):
                    # A store of its own: what had moved before would be in the windows of those after it.
                    async with store_server() as url:
                        store = await RedisStore.connect(url)
                        _, cpu = await whole(origin, store, requests, rules, GROUPS)
                        await store.close()
                    found.setdefault((name, label), []).append(cpu)
    return [_result(name, found) for name in ("unchanged", "changed")]


def _result(name: str, found: dict[tuple[str, str], list[float]]) -> Result:
    ten = [{**rule, "alert": f"R{number}"} for number, rule in enumerate(TEN)]
    without, within = (statistics.median(found[name, label]) for label in ("none", "hundred"))
    alone = [decided(rules, changing=name == "changed") for rules in ([], ten)]
    return Result(
        f"rules.{name}",
        {
            "cpu_us_per_poll": round(within * 1e6, 1),
            "cpu_us_per_poll_without_rules": round(without * 1e6, 1),
            "share_of_a_poll": round((within - without) / within, 3),
            "decision_us": round(alone[1] * 1e6, 1),
            "decision_us_without_rules": round(alone[0] * 1e6, 1),
            "share_by_decisions_alone": round((alone[1] - alone[0]) / within, 3),
        },
    )
