"""Rules that look right and are not: each is put back into the store's functions, or into how they are called.

A replacement that finds nothing to replace fails, so that a rule cannot be lost when the functions change.
"""

from dataclasses import dataclass, field
from typing import Any

from monitor.guard import units
from monitor.guard.hold import Resolution
from monitor.model.feed import Feed
from monitor.store.guarding import GuardingStore
from monitor.store.guardkeys import WalletKeys, index
from tests.guard.grounds import StoreGround
from tests.guard.simulator import ACCOUNT, ASSET, Schedule
from tests.guard.stepped import SteppedSchedule


@dataclass(frozen=True)
class Wrong:
    """A wrong rule. `lua` is what is written instead of what; `ground` what polls and wins do; `store` of the store;
    `schedule` where it shows."""

    name: str
    lua: tuple[tuple[str, str], ...] = ()
    ground: type[StoreGround] = StoreGround
    store: dict[str, Any] = field(default_factory=dict)
    schedule: type[Schedule] = Schedule

    def __str__(self) -> str:
        return self.name

    def patched(self, code: str) -> str:
        for right, wrong in self.lua:
            assert code.count(right) == 1, f"{self.name}: {code.count(right)} places to change, not one: {right}"
            code = code.replace(right, wrong)
        return code


class _Arrival(StoreGround):
    """A reading counts as from when its answer arrived."""

    async def arrive(self, poll: Any, feed: Feed) -> None:
        await self.told(poll._replace(claimed_at=await self.store.time()), feed._replace(as_of=None))


class _Wins(StoreGround):
    """What the casino says that was won can be spent at once."""

    async def won(self, amount: int) -> None:
        wallets, name = WalletKeys(self.store.partition(ACCOUNT), ACCOUNT).wallets, f"f:{ASSET}"
        known = await self.store._calls.command("HGET", wallets, name)
        if known:
            more = units.padded(int(known[80:]) + amount).encode()
            await self.store._calls.command("HSET", wallets, name, known[:80] + more)


async def _no_tombstone(self: GuardingStore, what: str, caller: str, hold: str, terms: Any, more: Any = ()) -> Any:
    """What a release does of an id that nobody knows: nothing."""
    known = await self._guard_calls.command("GET", index(caller, hold))
    if known is None:
        return Resolution("done", None, await self.time())
    ended = await self._at(what, known[1:].decode(), (caller, hold), terms, 86_400_000, more)
    return self._ended(ended, caller, hold)


async def _nothing(*_: Any, **__: Any) -> None:
    pass


_NO_FENCE = ("if fence <= at and at <= now then", "if false then")
_COVER_ANY = (
    ("local before = wallet.fence - lag(wallet)", "local before = math.huge"),
    ("'(' .. whole(before), 'WITHSCORES'", "'+inf', 'WITHSCORES'"),
    (
        "if asset_of(member) == asset then",
        "if tonumber(member:sub(1, 16)) < tonumber(redis.call('HGET', keys[1], 'z') or '0') then",
    ),
    ("sums.bound = fixed(#found < 2 * COVERED_MAX and before or tonumber(found[#found]))", "sums.bound = NEVER"),
    ("'HSET', key, 'at', args[from] ..", "'HSET', key, 'z', whole(now), 'at', args[from] .."),
)  # fmt: skip

RULES = (
    Wrong(
        "the last response wins, and forgets commits",
        (_NO_FENCE, ("if score(keys[2], account) ~= token then", "if false then")),
        ground=_Arrival,
    ),
    Wrong("fenced by start, but any snapshot forgets commits", _COVER_ANY),
    Wrong("commits older than the answer's arrival are forgotten", ground=_Arrival),
    Wrong(
        "the posting delay is ignored",
        (("wallet.now + tonumber(args[11]) or math.huge", "wallet.now or math.huge"),),
    ),
    Wrong("the read lag is ignored", (("local before = wallet.fence - lag(wallet)", "local before = wallet.fence"),)),
    Wrong("wins are credited locally", ground=_Wins),
    Wrong(
        "a commit after expiry is accepted",
        (("if not record or not is_open(record, wallet) then", "if not record or record.state ~= 'h' then"),),
    ),
    Wrong("a reading that began earlier replaces a later one", (_NO_FENCE,)),
    Wrong(
        "the sweep credits denials",
        (
            ("  keep(keys, record, args[18])", """
  if reason ~= 'OK' then
    wallet.expiry = fixed(wallet.now + tonumber(args[16]))
    redis.call('ZADD', keys[2], wallet.expiry, member_of_held(record, args[13]))
    save(keys, wallet)
  end
  keep(keys, record, args[18])"""),
            ("    error('more is given back than is held')", "    return NOTHING"),
        ),
    ),
    Wrong("a release of an unknown id leaves no tombstone", store={"_bury": _no_tombstone}),
    Wrong("nobody looks whether the clock was set forward", store={"_ours": lambda _: 0}, schedule=SteppedSchedule),
    Wrong(
        "only the janitor looks whether the clock was set forward",
        (
            ("if wallet.now_text > latest then", "if false then"),
        ),
        schedule=SteppedSchedule,
    ),
    Wrong(
        "a clock that was set forward is no reason for a quarantine",
        store={"quarantine_partitions": _nothing},
        schedule=SteppedSchedule,
    ),
)  # fmt: skip
