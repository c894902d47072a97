"""The accounts there are, as several processes know them, whoever dies when."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from monitor.engine.watches import HEARD, Watches
from monitor.engine.watchports import Enlisted
from monitor.errors import StoreUnavailable, WatchesFull, WatchRefused, WatchTaken
from monitor.store.watchkeys import WATCH_LAST, WATCH_LEFT, WATCH_STANDS
from tests.builders import minutes, seconds
from tests.facts import account
from tests.guard.asks import ask, fed, terms
from tests.guard.readings import reads
from tests.office import HOT, HOT2, Office, drain, low

KEPT = timedelta(hours=24)
CONFIGURED = {"hot-1": HOT}


class Dead(BaseException):
    """The process is gone."""


@dataclass
class Crowd:
    """Notes what it is told; `dies` at that one of its awaits."""

    told: list = field(default_factory=list)
    enrolled: list = field(default_factory=list)
    ended: list = field(default_factory=list)
    dies: str = ""

    def change(self, before, now):
        self.told.append((before and before.name, now and now.account.name))

    async def _await(self, name):
        if self.dies == name:
            raise Dead

    async def begin(self, one, moved_from):
        await self._await("begin")
        self.enrolled.append((one.name, moved_from))

    async def enrol(self, accounts):
        await self._await("enrol")
        self.enrolled += [(one.name, "") for one in accounts]

    async def end(self, ended):
        await self._await("end")
        self.ended += [(one.account, one.reason) for one in ended]


def enlist(name, provider, settings):
    if provider == "gone":
        raise WatchRefused(["provider: there is no provider 'gone'"])
    return Enlisted(account(name, provider=provider, labels={"role": settings.strip('"')}), None)


def found(name, provider, settings):
    """The settings are what its provider finds it by, and its assets."""
    target, *assets = settings.split()
    return Enlisted(account(name, provider=provider, target=target, assets=tuple(assets)), None)


def strict(store, configured=CONFIGURED):
    return Watches(store, configured, found, Crowd(), KEPT, terms())


def process(store, configured=CONFIGURED, **crowd):
    return Watches(store, configured, enlist, Crowd(**crowd), KEPT, terms())


async def test_every_process_learns_of_a_watch_and_of_its_end(open_store, clock):
    mine, other = process(await open_store()), process(await open_store())

    kept = await mine.put("player-7", "casino", '"hot"', minutes(30))
    assert (kept.new, kept.expires_at, mine.crowd.enrolled) == (True, clock() + minutes(30), [("player-7", "")])
    await other.refresh()
    assert other.get("player-7") == mine.get("player-7")
    assert (other.expires_at("player-7"), other.crowd.told) == (kept.expires_at, [(None, "player-7")])
    assert other.crowd.enrolled == [("player-7", "")], "should mine have died before it was"
    assert set(other.everyone) == {"hot-1", "player-7"}
    await other.refresh()
    assert len(other.crowd.told) == 1

    clock.pass_(minutes(30))
    await other.refresh()
    await mine.refresh()
    for one in (mine, other):
        assert one.get("player-7") is None
        assert await one.find("player-7") is None
        assert one.session_over("player-7")
        assert one.crowd.told[-1] == ("player-7", None)
    assert other.crowd.ended == [("player-7", "watch_expired")]
    assert mine.crowd.ended == []

    clock.pass_(KEPT)
    for ended in await mine.store.over_watches(10):
        await mine.store.forget_watch(ended)
    await mine.find("player-7")
    assert not mine.session_over("player-7"), "it is not known any more"


async def over_by_its_time(one, clock):
    clock.pass_(minutes(5))


async def removed(one, clock):
    await one.remove("monday")


async def moved_away(one, clock):
    await one.put("monday", "casino", "w-2", None)


@pytest.mark.parametrize("ends", [over_by_its_time, removed, moved_away])
async def test_a_wallet_gets_no_other_name_while_bets_under_the_one_before_may_count(open_store, clock, ends):
    one, store = strict(await open_store()), await open_store()
    await one.put("monday", "casino", "w-1", minutes(30))
    await reads(store, {"USDT": fed("100")}, "monday")
    longest = {"ttl": minutes(15), "account": "monday"}
    clock.pass_(minutes(25))
    for bet in ("held", "owed"):
        assert (await store.hold(ask("40", bet, max_age=minutes(60), **longest), terms())).allowed
    await ends(one, clock)
    clock.pass_(HEARD)

    with pytest.raises(WatchTaken, match="tuesday would be the wallet that monday was, and what was bet as monday"):
        await one.put("tuesday", "casino", "w-1", None)
    await store.release_hold("casino", "held", terms())
    await store.commit_hold("casino", "owed", None, terms())
    clock.pass_(seconds(12))
    with pytest.raises(WatchTaken):
        await one.put("tuesday", "casino", "w-1", None)
    assert (await one.put("wednesday", "casino", "w-3", None)).new
    clock.pass_(seconds(0.001))

    assert (await one.put("tuesday", "casino", "w-1", None)).new


async def test_nor_before_every_process_has_heard_that_it_has_left(open_store, clock):
    one = strict(await open_store())
    await one.put("monday", "casino", "w-1", None)
    await one.remove("monday")

    clock.pass_(HEARD - seconds(0.001))
    with pytest.raises(WatchTaken):
        await one.put("tuesday", "casino", "w-1", None)
    assert (await one.put("monday", "casino", "w-1", None)).new
    await one.remove("monday")
    clock.pass_(HEARD + seconds(0.001))
    assert (await one.put("tuesday", "casino", "w-1", None)).new


async def test_nor_because_its_provider_has_another_address_by_then(open_store):
    one, moved = strict(await open_store()), strict(await open_store())
    moved.enlist = lambda *said: Enlisted(replace(found(*said).account, origin="https://new.example"), None)
    await one.put("monday", "casino", "w-1", None)
    await one.remove("monday")

    with pytest.raises(WatchTaken):
        await moved.put("tuesday", "casino", "w-1", None)


async def test_who_stood_for_a_wallet_is_forgotten_once_it_cannot_matter(open_store, clock):
    one, store = strict(await open_store()), await open_store()
    for number in range(5):
        await one.put(f"player-{number}", "casino", f"w-{number}", None)
        await one.remove(f"player-{number}")
    clock.pass_(terms().quarantine)
    await one.put("player-5", "casino", "w-5", None)
    await one.remove("player-5")

    assert await store._calls.command("HLEN", WATCH_LAST) == 1
    assert await store._calls.command("ZCARD", WATCH_LEFT) == 1
    assert await store._calls.command("HLEN", WATCH_STANDS) == 0


async def test_an_account_that_another_process_has_just_made_is_asked_for(open_store):
    mine, other = process(await open_store()), process(await open_store())
    await mine.put("player-7", "casino", '"hot"', None)

    assert other.get("player-7") is None
    assert (await other.find("player-7")).name == "player-7"
    assert await other.find("nobody") is None


async def test_a_removed_watch_is_unknown_and_no_session_that_is_over(open_store):
    mine, other = process(await open_store()), process(await open_store())
    await mine.put("player-7", "casino", '"hot"', None)
    await other.refresh()

    await mine.remove("player-7")
    assert mine.crowd.ended == [("player-7", "account_removed")]
    await other.refresh()

    assert [one.get("player-7") for one in (mine, other)] == [None, None]
    assert not other.session_over("player-7")
    assert await mine.remove("player-7") is None


async def test_what_is_known_is_not_undone_by_older_words(open_store):
    mine, other = process(await open_store()), process(await open_store())
    await mine.put("player-7", "casino", '"hot"', None)
    old = await mine.store.find_watch("player-7")
    await mine.remove("player-7")
    ended = mine.ended("player-7")

    mine._take(old)
    assert mine.get("player-7") is None
    await other.put("player-7", "casino", '"cold"', None)
    await mine.refresh()
    mine._drop(ended)
    assert mine.get("player-7").labels == {"role": "cold"}


async def test_a_watch_that_changes_is_another_account_and_may_move(open_store):
    mine, other = process(await open_store()), process(await open_store())
    await mine.put("player-7", "casino", '"hot"', None)
    await other.refresh()

    kept = await mine.put("player-7", "chain", '"cold"', None)

    assert (kept.new, mine.crowd.enrolled[-1]) == (False, ("player-7", "casino"))
    await other.refresh()
    assert (other.get("player-7").provider, other.crowd.told[-1]) == ("chain", ("player-7", "player-7"))


async def test_to_renew_only_the_time_changes_nobody_s_account(open_store, clock):
    mine, other = process(await open_store()), process(await open_store())
    await mine.put("player-7", "casino", '"hot"', minutes(1))
    await other.refresh()

    await mine.put("player-7", "casino", '"hot"', minutes(9))
    await other.refresh()

    assert (len(other.crowd.told), other.expires_at("player-7")) == (1, clock() + minutes(9))


async def test_the_configuration_wins_and_what_it_cannot_read_is_strange(open_store):
    mine, other = process(await open_store()), process(await open_store(), {"player-7": account("player-7")})
    await mine.put("player-7", "casino", '"hot"', None)
    await mine.store.watch("player-8", "gone", "{}", None, KEPT)

    await other.refresh()

    assert (other.clashes, other.crowd.told, set(other.strange)) == ({"player-7": True}, [], {"player-8"})
    assert other.get("player-8") is None
    await other.store.yield_watches(list(other.clashes), KEPT)
    await other.refresh()
    await mine.refresh()
    assert other.clashes == {}
    assert mine.get("player-7") is None
    assert mine.ended("player-7").reason == "account_configured"
    assert not mine.session_over("player-7")


async def test_a_store_that_lost_its_watches_is_believed(open_store):
    mine = process(await open_store())
    await mine.put("player-7", "casino", '"hot"', None)
    await mine.put("player-8", "casino", '"hot"', None)
    await mine.refresh()

    await mine.store._calls.command("FLUSHALL")
    await mine.store.load_functions()
    await mine.store.watch("player-8", "casino", '"hot"', None, KEPT)
    await mine.refresh()

    assert set(mine.watched) == {"player-8"}


async def test_a_watch_lost_without_a_trace_is_noticed(open_store):
    """As by a failover, which takes back what was last written."""
    mine = process(await open_store())
    for name in ("player-7", "player-8"):
        await mine.put(name, "casino", '"hot"', None)
    await mine.refresh()
    for key in ("", ":changes"):
        await mine.store._calls.command("HDEL" if not key else "ZREM", f"{{bm:x}}:watches{key}", "player-7")

    await mine.refresh()

    assert set(mine.watched) == {"player-8"}


async def test_a_wallet_is_watched_under_one_name(open_store):
    configured = {"hot": account("hot", target="w1"), "cold": account("cold", target="w2", assets=("USDT@TRX",))}
    mine, other = strict(await open_store(), configured), strict(await open_store(), configured)
    await mine.put("player-7", "casino", "w7", None)
    await other.refresh()

    for wallet, owner in (("w1", "hot"), ("w2 USDT", "cold"), ("w2", "cold"), ("w7", "player-7")):
        with pytest.raises(WatchTaken, match=f"the wallet that {owner} is"):
            await other.put("player-8", "casino", wallet, None)

    assert await mine.store.find_watch("player-8") is None
    for name, provider, wallet in (("a", "chain", "w1"), ("b", "casino", "w2 BTC"), ("player-7", "casino", "w7")):
        assert (await other.put(name, provider, wallet, minutes(1))).account.name == name


async def test_a_wallet_is_free_once_its_watch_is_over_or_is_another_one(open_store, clock):
    mine, other = strict(await open_store()), strict(await open_store())
    for name in ("a", "b", "c"):
        await mine.put(name, "casino", f"wallet-of-{name}", minutes(1) if name == "a" else None)
    await other.refresh()

    clock.pass_(minutes(1))
    await mine.remove("b")
    await mine.put("c", "casino", "another", None)
    with pytest.raises(WatchTaken):
        await mine.put("new-a", "casino", "wallet-of-a", None)
    clock.pass_(HEARD + seconds(0.001))

    for name in ("a", "b", "c"):
        assert (await other.put(f"new-{name}", "casino", f"wallet-of-{name}", None)).new
    with pytest.raises(WatchTaken):
        await other.put("d", "casino", "another", None)


async def test_of_those_who_watch_one_wallet_at_the_same_time_one_does(open_store, clock):
    mine, other = strict(await open_store()), strict(await open_store())

    async def race(wallet, *names):
        races = (one.put(name, "casino", wallet, None) for one, name in zip((mine, other, mine), names, strict=True))
        done = await asyncio.gather(*races, return_exceptions=True)
        assert sorted(type(one).__name__ for one in done) == ["Kept", "WatchTaken", "WatchTaken"]
        return next(one.account.name for one in done if not isinstance(one, WatchTaken))

    first = await race("w7", "a", "b", "c")
    again = await race("w8", first, "d", "e")
    assert await asyncio.gather(mine.put("f", "casino", "w9 BTC", None), other.put("g", "casino", "w9 USDT", None))

    await other.refresh()
    await other.put("h", "casino", "w10", None)
    clock.pass_(minutes(2))
    await other.put("i", "casino", "w11", None)
    with pytest.raises(WatchTaken, match=" h "):
        await mine.put("j", "casino", "w10", None)

    assert {one.account for one in await mine.store.watched()} == {first, again, "f", "g", "h", "i"}


async def test_a_wallet_that_others_contest_all_the_time_is_watched_by_nobody_new(open_store):
    mine = strict(await open_store())

    async def contested(*_):
        return "contested"

    mine.store.watch = contested
    with pytest.raises(StoreUnavailable, match="who stands for the wallet of player-7"):
        await mine.put("player-7", "casino", "w7", None)


async def test_that_a_watch_is_not_understood_is_said_once_until_it_changes(open_store):
    mine = process(await open_store())
    await mine.store.watch("player-8", "gone", "{}", None, KEPT)

    with capture_logs() as logs:
        for _ in range(3):
            assert await mine.find("player-8") is None
            await mine.refresh()
        await mine.store.watch("player-8", "gone", "[]", None, KEPT)
        await mine.refresh()

    assert [line["event"] for line in logs] == ["watch.not_understood"] * 2
    assert set(mine.strange) == {"player-8"}


async def test_there_may_be_too_many(open_store, monkeypatch):
    monkeypatch.setattr("monitor.store.watches.WATCHES_MAX", 1)
    mine = process(await open_store())
    await mine.put("player-7", "casino", '"hot"', None)

    with pytest.raises(WatchesFull):
        await mine.put("player-8", "casino", '"hot"', None)

    assert set(mine.watched) == {"player-7"}


@dataclass
class Fragile:
    """A store that is gone before or after the call of that name: the process dies there."""

    store: object
    dies: str
    after: bool

    def __getattr__(self, name):
        call = getattr(self.store, name)
        if name != self.dies:
            return call

        async def dying(*args):
            if self.after:
                await call(*args)
            raise Dead

        return dying


CRASHES = [("watch", False, ""), ("watch", True, ""), ("", True, "begin")]


@pytest.mark.parametrize(("call", "after", "awaits"), CRASHES)
async def test_whoever_dies_while_it_makes_a_watch_leaves_it_made_or_unmade(open_store, call, after, awaits):
    mine, other = process(Fragile(await open_store(), call, after), dies=awaits), process(await open_store())

    with pytest.raises(Dead):
        await mine.put("player-7", "casino", '"hot"', None)
    await other.refresh()

    made = other.get("player-7") is not None
    assert made == (after or bool(awaits))
    assert other.crowd.enrolled == ([("player-7", "")] if made else [])
    again = await other.put("player-7", "casino", '"hot"', None)
    assert again.new != made


@pytest.mark.parametrize(
    ("call", "after", "awaits"), [("watch_news", False, ""), ("watch_news", True, ""), ("", False, "end")]
)
async def test_whoever_dies_while_it_ends_a_watch_leaves_it_ended(open_store, clock, call, after, awaits):
    other = process(await open_store())
    await other.put("player-7", "casino", '"hot"', minutes(1))
    mine = process(Fragile(await open_store(), call, after), dies=awaits)
    clock.pass_(minutes(1))

    with pytest.raises(Dead):
        await mine.refresh()
    await other.refresh()

    assert other.get("player-7") is None
    assert other.ended("player-7").reason == "watch_expired"


async def test_what_is_cut_short_is_told_again(open_store):
    mine, other = process(await open_store()), process(await open_store(), dies="enrol")
    await mine.put("player-7", "casino", '"hot"', None)

    with pytest.raises(Dead):
        await other.refresh()
    other.crowd.dies = ""
    await other.refresh()

    assert other.crowd.enrolled == [("player-7", "")]
    await other.refresh()
    assert len(other.crowd.enrolled) == 1


async def test_a_store_that_does_not_answer_changes_nothing(open_store):
    class Away:
        async def watch_news(self, *_):
            raise StoreUnavailable("away")

    mine = process(await open_store())
    await mine.put("player-7", "casino", '"hot"', None)
    mine.store = Away()

    with pytest.raises(StoreUnavailable):
        await mine.refresh()

    assert mine.get("player-7") is not None


class TestSums:
    """Accounts that come and go among those that a sum is over."""

    @pytest.fixture
    def office(self, open_store, clock):
        async def open_office(*rules):
            return Office(await open_store(), clock, rules, (HOT,))

        return open_office

    @staticmethod
    def come(office, one=HOT2, rule="Tested"):
        office.accounts[one.name] = one
        office.sums[f"aggregate:{rule}"].target.members.come(one)

    @staticmethod
    def leave(office, name="hot-2", rule="Tested"):
        del office.accounts[name]
        assert office.sums[f"aggregate:{rule}"].target.members.leave(name)

    async def test_case_54_a_sum_takes_in_a_watch_and_drops_it_at_its_end_saying_so_once(self, office):
        one = await office(low())
        await one.reads("hot-1", {"USDT": "10"})
        assert await one.judges() == [("firing", "USDT", 10)]

        self.come(one)
        await one.reads("hot-2", {"USDT": "30"})
        await one.judges()
        [alert] = await one.alerts()
        assert alert.value == 40

        self.leave(one)
        polled = await one.judged()
        [row] = polled.commit.rows
        assert (row.news, row.entry.value) == ("updated", 10)
        assert "no longer counted: hot-2 30 USDT" in row.entry.annotations["summary"]
        assert await one.judges() == []
        portfolio = one.reader._portfolios["Tested"]
        assert "hot-2" not in portfolio._placed
        assert list(portfolio.sums["USDT"]["USDT"].parts) == ["hot-1"]

    async def test_a_watch_that_was_never_read_makes_a_sum_unsure_until_it_is_or_ends(self, office):
        one = await office(low())
        await one.reads("hot-1", {"USDT": "10"})
        self.come(one, account("hot-2", labels={"role": "hot"}, assets=("USDT",)))
        assert await one.judges() == []

        self.leave(one)
        assert await one.judges() == [("firing", "USDT", 10)]
        assert not one.reader._portfolios["Tested"].unknown

    async def test_a_member_that_leaves_while_it_is_read_is_gone_for_good(self, office):
        one = await office(low())
        await one.reads("hot-1", {"USDT": "500"})
        self.come(one)
        await one.reads("hot-2", {"USDT": "30"})
        load = one.store.load_many

        async def leaving(names):
            found = await load(names)
            if "hot-2" in names and "hot-2" in one.accounts:
                self.leave(one)
            return found

        one.reader.store = one.store
        one.store.load_many = leaving
        await one.judges()
        await one.judges()
        assert list(one.reader._portfolios["Tested"].sums["USDT"]["USDT"].parts) == ["hot-1"]

    async def test_what_left_during_a_session_counts_as_long_as_it_would_have(self, office, clock):
        one = await office(drain(match={"role": "hot"}))
        await one.reads("hot-1", {"USDT": "1000"})
        await one.judges()
        self.come(one)
        await one.reads("hot-2", {"USDT": "500"})
        await one.judges()
        clock.pass_(seconds(1))
        await one.reads("hot-2", {"USDT": "300"})
        self.leave(one)

        assert await one.judges() == [("firing", "USDT", 200)]

        clock.pass_(minutes(62))
        await one.reads("hot-1", {"USDT": "1000"})
        assert await one.judges() == [("resolved", "USDT", 0)]

    async def test_a_thousand_sessions_leave_nothing_behind(self, office):
        one = await office(low())
        members = one.sums["aggregate:Tested"].target.members
        await one.reads("hot-1", {"USDT": "500"})
        for number in range(1_000):
            members.come(account(f"player-{number}", labels={"role": "hot"}))
        await one.judges()
        for number in range(1_000):
            members.leave(f"player-{number}")
        await one.judges()

        portfolio = one.reader._portfolios["Tested"]
        assert (len(members), len(members.guests), members.touched) == (1, 0, set())
        assert (set(portfolio._placed), portfolio.waiting, portfolio.unknown) == ({"hot-1"}, set(), {})
        assert dict(portfolio.accounts) == {"USDT": 1}
