"""The money of the simulated world, as the four providers see it. Incidents change it; servers show it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

BTC_ADDRESS = "bc1qdemo0cold0storage"
PLAYER_WALLET = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
#: Rows a page of the simulated Kaiko holds at most, so that incidents cross page boundaries.
KAIKO_PAGE_MAX = 2


@dataclass(slots=True)
class World:
    """Everything the providers answer from. `now` stamps what happens."""

    now: Callable[[], datetime]
    fuse: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    player: Decimal = Decimal(150)
    kuna: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    kuna_down: bool = False
    chain: list[dict[str, Any]] = field(default_factory=list)
    perps: list[dict[str, Any]] = field(default_factory=list)
    perps_throttled: int = 0
    chat_throttled: int = 0
    block: int = 871_000
    asked: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.fuse = {"usdt": (Decimal("310000.00"), Decimal(0)), "eth": (Decimal("12.5"), Decimal(0))}
        self.kuna = {"USDT": {"balance": Decimal(25_000), "holdBalance": Decimal(0), "lockBalance": Decimal(0)}}
        for amount in ("1.5", "0.25"):
            self.transact(("in", amount))
        self.trade("deposit", "1000.000000")

    def transact(self, *effects: tuple[str, str]) -> None:
        """Mine one transaction with these effects (direction, amount) on our address, in a block of its own."""
        self.block += 1
        balance = self.chain[-1]["balance_after"] if self.chain else Decimal(0)
        for index, (direction, amount) in enumerate(effects):
            balance += Decimal(amount) if direction == "in" else -Decimal(amount)
            self.chain.append(
                {
                    "blockchain": "bitcoin",
                    "block_number": self.block,
                    "timestamp": int(self.now().timestamp()) * 1_000_000_000,
                    "address": BTC_ADDRESS,
                    "transaction_hash": f"demo{self.block}",
                    "transaction_type": "witness_v0_keyhash",
                    "transaction_index": 7,
                    "internal_transaction_index": index,
                    "token_symbol": "BTC",
                    "direction": direction,
                    "amount": Decimal(amount),
                    "balance_after": balance,
                }
            )

    def trade(self, kind: str, *amounts: str) -> None:
        """Book ledger rows of one kind at one instant on the perps account: equal rows are separate facts."""
        created = int(self.now().timestamp() * 1000)
        balance = Decimal(self.perps[0]["balance"]) if self.perps else Decimal(0)
        for amount in amounts:
            balance += Decimal(amount)
            row = {"amount": amount, "balance": f"{balance:.6f}", "pending_balance": "0.000000"}
            self.perps.insert(0, {**row, "event_type": kind, "created_at": created})
