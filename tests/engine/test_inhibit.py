"""Alerts that say less than another one are not told while that one fires."""

import itertools
from dataclasses import replace
from functools import partial

import pytest

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.farewell import depart
from monitor.engine.inhibit import LINGER, Inhibit, Inhibitors, compile_inhibit, is_source, source_of
from monitor.engine.inhibitions import Inhibited
from monitor.engine.poll import Polling, poll
from monitor.engine.retire import retire
from monitor.engine.route import Route
from monitor.engine.suppress import Suppressor
from monitor.engine.watch import STORE_PROVIDER, StoreReader, Watch, account_of_checkup
from monitor.errors import ProviderUnreachable, StoreUnavailable
from monitor.model.group import Told
from monitor.model.record import Health
from monitor.model.source import Source
from tests.builders import NOON, commit, entry, group, item, minutes, row, seconds
from tests.facts import Watched, account, answer, policy, rule
from tests.fakes import FakeClock, RecordingChannel

DOWN = {"rule": "Down", "rule_type": "provider_down", "severity": "critical", "provider": "casino", "account": ""}
STALE = {"rule": "Stale", "rule_type": "stale", "severity": "warning", "provider": "casino", "account": "hot"}
OFFLINE = {"rule": "SelfOffline", "rule_type": "self", "severity": "critical", "provider": "", "everywhere": "true"}
LOW = {"rule": "Low", "rule_type": "low_balance", "severity": "critical", "provider": "casino", "account": "hot"}
BUILT_IN = compile_inhibit(None)
PAGES = Inhibit(source={"severity": "critical"}, target={"severity": ["critical", "warning"]}, equal=("rule", "team"))


def source(labels, name="s1", ended=None):
    return Source(name, "hot", labels, NOON, ended)


def inhibited(labels, sources, rules, now):
    found = Inhibitors.of(sources, rules).inhibited(labels, now)
    return found.fingerprint if found else None


class TestWho:
    @pytest.mark.parametrize(
        ("labels", "fires", "quiet"),
        [
            pytest.param(STALE, DOWN, True, id="the provider is down, so that is no news"),
            pytest.param({**STALE, "provider": "custody"}, DOWN, False, id="another provider's is"),
            pytest.param(LOW, DOWN, False, id="money always is"),
            pytest.param(DOWN, STALE, False, id="not the other way round"),
            pytest.param(DOWN, OFFLINE, True, id="we are offline, so the provider may be fine"),
            pytest.param(STALE, OFFLINE, True, id="and so may be the account"),
            pytest.param(LOW, OFFLINE, False, id="what was read was read"),
            pytest.param(STALE, {**OFFLINE, "everywhere": "false"}, False, id="another process has a network"),
        ],
    )
    def test_what_is_built_in(self, labels, fires, quiet):
        assert (inhibited(labels, [source(fires)], BUILT_IN, NOON) == "s1") is quiet

    def test_a_configuration_replaces_the_default_and_not_what_always_holds(self):
        nothing = compile_inhibit(())

        assert inhibited(STALE, [source(DOWN)], nothing, NOON) is None
        assert inhibited(STALE, [source(OFFLINE)], nothing, NOON) == "s1"

    @pytest.mark.parametrize(
        ("labels", "quiet"),
        [
            pytest.param({"severity": "warning", "rule": "Low", "team": "ops"}, True, id="the same in all of them"),
            pytest.param({"severity": "warning", "rule": "Low"}, False, id="one lacks what the other has"),
            pytest.param({"severity": "warning", "rule": "High", "team": "ops"}, False, id="another value"),
            pytest.param({"severity": "info", "rule": "Low", "team": "ops"}, False, id="no target"),
            pytest.param(
                {"severity": "critical", "rule": "Low", "team": "ops"}, False, id="both sides match both of them"
            ),
        ],
    )  # fmt: skip
    def test_equal_labels(self, labels, quiet):
        fires = source({"severity": "critical", "rule": "Low", "team": "ops"})

        assert (inhibited(labels, [fires], compile_inhibit([PAGES]), NOON) == "s1") is quiet

    def test_labels_that_both_lack_are_equal(self):
        fires = source({"severity": "critical", "rule": "Low"})
        labels = {"severity": "warning", "rule": "Low", "team": ""}

        assert inhibited(labels, [fires], compile_inhibit([PAGES]), NOON) == "s1"

    @pytest.mark.parametrize("ring", [("A", "B"), ("A", "B", "C"), ("A", "B", "C", "D")], ids=" ".join)
    def test_of_those_that_would_keep_each_other_quiet_all_are_heard(self, ring):
        rules = compile_inhibit(
            [
                Inhibit(source={"rule": one}, target={"rule": other})
                for one, other in zip(ring, ring[1:] + ring[:1], strict=True)
            ]
        )
        all_of_them = [source({"rule": name}, name) for name in ring]

        assert [inhibited({"rule": name}, all_of_them, rules, NOON) for name in ring] == [None] * len(ring)

    def test_what_a_ring_keeps_quiet_beside_itself_stays_quiet(self):
        pairs = [("A", "B"), ("B", "A"), ("B", "low"), ("low", "lower")]
        rules = compile_inhibit([Inhibit(source={"rule": one}, target={"rule": other}) for one, other in pairs])
        all_of_them = [source({"rule": name}, name) for name in ("A", "B", "low")]

        assert inhibited({"rule": "low"}, all_of_them, rules, NOON) == "B"
        assert inhibited({"rule": "lower"}, all_of_them, rules, NOON) == "low"

    def test_a_ring_that_does_not_close_is_none(self):
        there = Inhibit(source={"rule": "A"}, target={"rule": "B"}, equal=["team"])
        back = Inhibit(source={"rule": "B"}, target={"rule": "A"}, equal=["region"])
        fires = source({"rule": "A", "team": "ops", "region": "eu"}, "A")
        rules = compile_inhibit([there, back])

        assert inhibited({"rule": "B", "team": "ops", "region": "us"}, [fires], rules, NOON) == "A"
        assert inhibited({"rule": "B", "team": "ops", "region": "eu"}, [fires], rules, NOON) is None

    def test_its_end_keeps_others_quiet_for_a_moment_for_they_recover_after_it(self):
        over = source(DOWN, ended=NOON)

        assert inhibited(STALE, [over], BUILT_IN, NOON + LINGER - seconds(1)) == "s1"
        assert inhibited(STALE, [over], BUILT_IN, NOON + LINGER) is None

    def test_of_several_one_that_fires_is_named(self):
        found = [source(DOWN, "over", NOON), source(DOWN, "fires"), source(DOWN, "past", NOON + seconds(9))]

        assert {inhibited(STALE, each, BUILT_IN, NOON) for each in itertools.permutations(found)} == {"fires"}


def says(one):
    """Whether a row's alert keeps others quiet from now on; None when it says nothing of that."""
    return None if one.source is None else one.source.ended_at is None


LOW_RULE = rule("low_balance", alert="Low", levels={"warning": {"below": 50}, "critical": {"below": 20}})


class TestRows:
    """What a decision says of its alert keeping others quiet."""

    def life(self, **match):
        rules = compile_inhibit([Inhibit(source=match, target={"rule_type": "stale"})])
        return Watched((LOW_RULE,), policy=policy("ops", inhibits=partial(is_source, rules=rules)))

    def rows(self, life, series, start=NOON):
        found = []
        for place, word in enumerate(series.split()):
            now = start + place * minutes(1)
            found += [(one.news, says(one)) for one in life.see(answer({"USDT": word}, at=now), now).rows]
        return found

    def test_it_begins_and_ends_with_the_alert(self):
        assert self.rows(self.life(rule="Low"), "40 40 90") == [("firing", True), ("resolved", False)]

    def test_other_alerts_say_nothing_of_it(self):
        assert self.rows(self.life(rule="High"), "40 10 90") == [
            ("firing", None), ("updated", None), ("resolved", None),
        ]  # fmt: skip

    def test_it_begins_and_ends_with_the_level_that_was_meant(self):
        assert self.rows(self.life(severity="critical"), "40 10 40 90") == [
            ("firing", None), ("updated", True), ("updated", False), ("resolved", None),
        ]  # fmt: skip

    def test_a_reload_counts_for_what_fires_already_and_tells_nobody(self):
        life = self.life(rule="High")
        self.rows(life, "40")
        life.policy = self.life(rule="Low").policy
        begun = life.see(answer({"USDT": "40"}, at=NOON + minutes(1)), NOON + minutes(1)).rows
        life.policy = self.life(rule="High").policy
        ended = life.see(answer({"USDT": "40"}, at=NOON + minutes(2)), NOON + minutes(2)).rows

        assert [(one.news, says(one), one.targets) for one in (*begun, *ended)] == [
            ("inhibits", True, ()), ("inhibits", False, ()),
        ]  # fmt: skip
        assert self.rows(life, "40", NOON + minutes(3)) == []

    def test_it_ends_with_the_rule_and_with_the_account(self):
        life = self.life(rule="Low")
        self.rows(life, "40")

        assert [says(one) for one in retire(life.record, life.account, (), frozenset(), NOON).rows] == [False]
        assert [says(one) for one in depart(life.record, life.account, NOON).rows] == [False]


ACCOUNTS = {name: account(name, interval=minutes(1)) for name in ("hot", "cold")}
RULES = (rule("stale", alert="Stale", after="3m"), rule("provider_down", alert="Down", after="2m"))
ROUTE = Route(group_by=["rule"], group_wait="0s", group_interval="1m")


class Casino:
    """A provider with two accounts, each of which answers or does not, polled and told by one process."""

    def __init__(self, store, clock, rules=BUILT_IN):
        self.store, self.clock, self.silent = store, clock, set()
        settled = policy("ops", route=ROUTE, inhibits=partial(is_source, rules=rules))
        watch = Watch(settled, RULES, lambda one, now: now + one.interval)
        self.polling = Polling("casino", self, seconds(5), store, watch, clock)
        self.judging = Polling(STORE_PROVIDER, StoreReader(store), seconds(5), store, watch, clock)
        self.checkup = account_of_checkup("casino", minutes(1))
        self.chat = RecordingChannel()
        self.inhibited = Inhibited(store, clock, rules)
        self.ops = Destination("ops", self.chat, suppress=Suppressor((self.inhibited,)))

    async def poll(self, one, record, budget, now):
        noted = {"failing_since": now, "why": "timed out"} if one.name in self.silent else {"good_at": now}
        await self.store.note("casino", Health(now, now, **noted))
        if one.name in self.silent:
            raise ProviderUnreachable("timed out")
        return answer({"USDT": "100"}, at=now)

    async def polled(self, polling, one):
        await self.store.enrol(polling.provider, {one.name: self.clock()})
        await self.store.poll_now(polling.provider, one.name)
        claims = (await self.store.claim(polling.provider, 100, LEASE)).claims
        [claim] = [each for each in claims if each.account == one.name]
        await self.store.release(polling.provider, [each for each in claims if each is not claim])
        return await poll(polling, one, claim, None)

    async def passes(self, count, *names):
        """So many minutes, in which these accounts are polled and all is told that is due."""
        for _ in range(count):
            for name in names or ACCOUNTS:
                await self.polled(self.polling, ACCOUNTS[name])
            await self.polled(self.judging, self.checkup)
            for _ in range(4):
                await self.store.sweep(10)
                for one in await self.store.claim_groups("ops", 20, LEASE):
                    await tell_safely(self.store, self.ops, one, self.clock)
                self.clock.pass_(seconds(15))

    def heard(self):
        return [
            (one.entry.rule, one.entry.account, one.entry.status) for each in self.chat.arrived for one in each.alerts
        ]


async def test_case_11_one_provider_down_and_nothing_of_what_is_stale_for_it(store, clock):
    casino = Casino(store, clock)
    await casino.passes(2)
    casino.silent = set(ACCOUNTS)
    await casino.passes(10)
    during = casino.heard()
    casino.silent = set()
    await casino.passes(5)

    assert during == [("Down", "", "firing")]
    assert casino.heard() == [("Down", "", "firing"), ("Down", "", "resolved")]


async def test_case_11_what_is_still_stale_after_it_is_told_then_and_says_why_so_late(store, clock):
    casino = Casino(store, clock)
    await casino.passes(2)
    casino.silent = set(ACCOUNTS)
    await casino.passes(10)
    casino.silent = {"cold"}
    await casino.passes(6)

    assert casino.heard() == [("Down", "", "firing"), ("Down", "", "resolved"), ("Stale", "cold", "firing")]
    told = casino.chat.arrived[-1].alerts[0].entry
    assert told.annotations["caveat"].startswith("inhibited since ")
    assert "by Down casino" in told.annotations["caveat"]


async def test_without_it_every_account_would_be_told(store, clock):
    casino = Casino(store, clock, rules=())
    await casino.passes(2)
    casino.silent = set(ACCOUNTS)
    await casino.passes(6)

    assert ("Stale", "hot", "firing") in casino.heard()
    assert ("Stale", "cold", "firing") in casino.heard()


STALE_ENTRY = entry(rule_type="stale", rule="Stale")


def inhibitor(store, clock):
    return Inhibited(store, clock, BUILT_IN)


class Sources:
    """Sources as a store would tell them."""

    def __init__(self, *found):
        self.found, self.asked, self.down = found, 0, False

    async def sources(self, now):
        if self.down:
            raise StoreUnavailable("gone")
        self.asked += 1
        return self.found


class TestAsked:
    async def test_the_store_is_asked_once_a_second_whoever_asks(self):
        clock, sources = FakeClock(), Sources(source(DOWN))
        asked = inhibitor(sources, clock)
        hushes = []
        for _ in range(5):
            hushes.append(await asked(group(), [STALE_ENTRY], clock()))
            clock.pass_(seconds(0.4))

        assert sources.asked == 2
        assert {hush[STALE_ENTRY.id].kind for hush in hushes} == {"inhibited"}

    async def test_where_nobody_knows_it_is_told(self):
        clock, sources = FakeClock(), Sources(source(DOWN))
        sources.down = True
        suppressed = await Suppressor((inhibitor(sources, clock),))(group(item("firing", STALE_ENTRY)), NOON)

        assert suppressed.hushed == {}


def marked(news, told, *, inhibits):
    return replace(row(news, told), source=source_of(told, "hot", NOON, was=True, inhibits=inhibits))


class TestStore:
    async def commit(self, store, *rows):
        await store.enrol("casino", {"hot": NOON})
        await store.poll_now("casino", "hot")
        [claim] = (await store.claim("casino", 1, LEASE)).claims
        before = await store.load("hot")
        assert await store.commit("casino", commit(before, *rows), claim, NOON + minutes(600)) == "written"

    async def begun(self, store, name="a"):
        await self.commit(store, marked("firing", entry(name), inhibits=True))

    async def ended(self, store, name="a"):
        over = entry(name, "resolved", resolved_at=NOON)
        await self.commit(store, marked("resolved", over, inhibits=False))

    async def firing(self, store):
        return {one.fingerprint for one in await store.sources(store.clock_override()) if one.ended_at is None}

    async def test_rows_bring_sources_and_take_them_away(self, open_store):
        ours, theirs = await open_store(), await open_store()
        await self.begun(ours)
        await ours.move("hot")
        [found] = await theirs.sources(NOON)
        await self.ended(ours)
        await ours.move("hot")

        assert (found.account, found.labels["rule"], found.ended_at) == ("hot", "HotWalletLow", None)
        assert await self.firing(theirs) == set()

    async def test_an_older_row_that_comes_late_brings_nothing_back(self, open_store):
        """Two movers: one is slow, and applies what it read before the other one's newer rows."""
        ours, theirs = await open_store(), await open_store()
        await self.begun(ours)
        stored = await ours._calls.command("HGETALL", ours.partition("hot").outbox("hot"))
        await self.ended(ours)
        await ours.move("hot")
        slow = theirs._read_rows("hot", stored)[0]
        for version, index, told in slow:
            await theirs._inhibit(version, index, told.source)

        assert await self.firing(ours) == set()

    async def test_what_ended_long_ago_is_forgotten(self, store, clock):
        await self.begun(store)
        await self.ended(store)
        await store.move("hot")
        clock.pass_(minutes(59))
        before = len(await store.sources(clock()))
        clock.pass_(minutes(2))

        assert (before, await store.sources(clock())) == (1, ())
        assert await store._calls.command("HLEN", "{bm:x}:sources") == 0

    async def test_one_that_cannot_be_read_keeps_nobody_quiet_and_the_others_go_on(self, store):
        await self.begun(store)
        await store.move("hot")
        await store._calls.command("HSET", "{bm:x}:sources", "odd", "1-0 {")

        assert await self.firing(store) == {"fp-a"}

    async def test_a_crash_before_it_is_moved_is_healed_by_the_sweep(self, open_store, clock):
        dead, alive = await open_store(), await open_store()
        await self.begun(dead)
        clock.pass_(seconds(6))
        await alive.sweep(10)

        assert await self.firing(alive) == {"fp-a"}

    async def test_one_whose_record_was_lost_is_taken_out(self, store, clock):
        await self.begun(store)
        await store.move("hot")
        orphans = await inhibitor(store, clock).tidy()

        assert (orphans, await self.firing(store)) == (1, set())
        assert await inhibitor(store, clock).tidy() == 0

    async def test_one_that_fires_stays_and_so_does_one_that_has_just_changed(self, store, clock):
        casino = Casino(store, clock)
        casino.silent = set(ACCOUNTS)
        await casino.passes(4)
        [found] = [one for one in await store.sources(clock()) if one.ended_at is None]

        assert await casino.inhibited.tidy() == 0
        casino.silent = set()
        await casino.passes(2)
        assert await store.end_source(found, clock()) is False, "a row has come for it since"


class TestEnds:
    """What becomes of an alert whose channel heard of it before it was inhibited."""

    async def hushed(self, entry_now, *known, ended=None):
        sources = Sources(source(DOWN, ended=ended))
        given = group(item("resolved", entry_now), open={one.entry.fingerprint: one for one in known})
        return await inhibitor(sources, FakeClock())(given, [entry_now], NOON)

    async def test_its_end_waits_while_the_source_fires_and_not_until_others_recover(self):
        over = entry(status="resolved", rule="Stale", rule_type="stale")
        told = Told(STALE_ENTRY, 1, NOON)

        assert list(await self.hushed(over, told)) == [over.id]
        assert await self.hushed(over, told, ended=NOON) == {}
        assert list(await self.hushed(over, ended=NOON)) == [over.id], "nobody has heard of it"
