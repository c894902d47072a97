"""The script: what happens to the money, when, and exactly what the chat must hear of it."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from monitor.demo.world import World


@dataclass(frozen=True, slots=True)
class Heard:
    """One entry of one chat message, as far as the script promises it."""

    kind: str
    rule: str
    account: str
    asset: str


@dataclass(frozen=True, slots=True)
class Incident:
    """At `at` seconds `act` changes the world; `expect` is everything the chat hears because of it."""

    at: float
    title: str
    act: Callable[[World], None]
    expect: tuple[Heard, ...] = ()


def _drain(world: World) -> None:
    world.fuse["usdt"] = (Decimal("70000.00"), Decimal(0))


def _vanish(world: World) -> None:
    del world.fuse["eth"]


def _aml_lock(world: World) -> None:
    usdt = world.kuna["USDT"]
    usdt["lockBalance"], usdt["balance"] = usdt["balance"], Decimal(0)


def _change_to_self(world: World) -> None:
    world.transact(("out", "1.75"), ("in", "1.74999553"))


def _withdraw(world: World) -> None:
    world.transact(("out", "1.74999553"), ("in", "1.24999553"))
    world.transact(("in", "0.001"))
    world.transact(("in", "0.002"))


def _liquidate(world: World) -> None:
    world.trade("market_liquidation", "-200.000000", "-200.000000", "-210.120000")


def _kuna_fails(world: World) -> None:
    world.kuna_down = True


def _kuna_recovers(world: World) -> None:
    world.kuna_down = False


def _perps_throttle(world: World) -> None:
    world.perps_throttled = 1


def _chat_throttles(world: World) -> None:
    world.chat_throttled = 1
    world.fuse["eth"] = (Decimal("12.5"), Decimal(0))


def _recover(world: World) -> None:
    world.fuse["usdt"] = (Decimal("320000.00"), Decimal(0))
    usdt = world.kuna["USDT"]
    usdt["balance"], usdt["lockBalance"] = usdt["lockBalance"], Decimal(0)


_LIQUIDATED = Heard("EVENT", "Liquidated", "hedge", "USDC")

SCRIPT = (
    Incident(
        2.0,
        "240 000 USDT leave the hot wallet",
        _drain,
        (
            Heard("EVENT", "LargeOutflow", "hot-wallet", "USDT@ETH"),
            Heard("FIRING", "HotWalletLow", "hot-wallet", "USDT@ETH"),
        ),
    ),
    Incident(
        4.0,
        "CryptoFuse drops the drained ETH from its answer: that is zero, not silence",
        _vanish,
        (Heard("FIRING", "GasLow", "hot-wallet", "ETH"),),
    ),
    Incident(
        6.0,
        "KUNA locks 25 000 USDT for an AML check: nothing has left, so no outflow is told",
        _aml_lock,
        (Heard("FIRING", "FundsLocked", "treasury", "USDT"),),
    ),
    Incident(8.0, "cold storage sends change to itself: only the fee moved, nothing is told", _change_to_self),
    Incident(
        10.0,
        "0.5 BTC leave cold storage, three transactions over two pages",
        _withdraw,
        (Heard("EVENT", "ColdStorageOutflow", "cold-storage", "BTC"),),
    ),
    Incident(
        12.0,
        "the hedge is liquidated in three chunks of one millisecond, two of them equal",
        _liquidate,
        (_LIQUIDATED, _LIQUIDATED, _LIQUIDATED),
    ),
    Incident(
        14.0,
        "KUNA answers 503: the locked funds stay an alert, they did not recover",
        _kuna_fails,
        (Heard("FIRING", "ProviderDown", "", ""),),
    ),
    Incident(16.0, "Pacifica answers 429 once: we wait as long as it says, nothing is told", _perps_throttle),
    Incident(
        19.0,
        "KUNA answers again",
        _kuna_recovers,
        (Heard("RESOLVED", "ProviderDown", "", ""),),
    ),
    Incident(
        21.0,
        "ETH is back, but the chat answers 429 to the news: it waits, and tells it then",
        _chat_throttles,
        (Heard("RESOLVED", "GasLow", "hot-wallet", "ETH"),),
    ),
    Incident(
        24.0,
        "the hot wallet is topped up and the AML lock is lifted",
        _recover,
        (
            Heard("RESOLVED", "HotWalletLow", "hot-wallet", "USDT@ETH"),
            Heard("RESOLVED", "FundsLocked", "treasury", "USDT"),
        ),
    ),
)
#: When the last message must have arrived.
LENGTH = 27.0
