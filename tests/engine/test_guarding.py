"""The guard over the model: what it refuses by itself, what it asks anew, what it takes back."""

import asyncio

import pytest

from monitor.engine.bet import Wish, owner
from monitor.engine.guarding import HOUSE_MARK
from monitor.errors import StoreUnavailable
from monitor.guard.errors import DeadlineExceeded, SeveralNetworks
from monitor.guard.hold import HOLDS_MAX, Lock, Switch
from monitor.guard.policy import House
from monitor.model.feed import whose
from tests.builders import NOON, minutes, seconds
from tests.fakes import virtual_time
from tests.guard.asks import amount, ask, fed, terms
from tests.guard.bets import Bets, account
from tests.guard.readings import reads

HOUSE = House("hot-usdt", "USDT")


@pytest.fixture
def bets():
    """player-7 has 100 USDT, and the house 1000, both seen just now."""
    it = Bets()
    it.store.feed("player-7", {"USDT": fed("100")}, NOON)
    it.store.feed("hot-usdt", {"USDT": fed("1000")}, NOON)
    return it


def wish(text="10", **changes):
    plain = Wish("player-7", "USDT", amount(text), 0)
    if "exposure" in changes:
        changes["exposure"] = (amount(changes["exposure"]), 0)
    return plain._replace(**changes)


async def bet(guard, text="10", hold="bet-1", **changes):
    return await guard.hold("casino", hold, wish(text, **changes), guard.name())


def reason(decided):
    return decided.verdict.reason


class Slow:
    """The model behind a slow line: each call of these takes so long to be answered, and is done all the same."""

    def __init__(self, store, **takes):
        self.store, self.takes, self.down, self.asked = store, takes, False, []

    def __getattr__(self, name):
        async def call(*args):
            self.asked.append(name)
            if self.down:
                raise StoreUnavailable("connection refused")
            answer = await getattr(self.store, name)(*args)
            await asyncio.sleep(self.takes.get(name, 0))
            return answer

        return call


# What is known without the wallet.


async def test_a_name_that_was_given_to_another_wallet_is_not_answered_from_the_old_one_s_balance(bets):
    before, now = account(target="rich"), account(target="poor")
    bets.store.feed("player-7", {"USDT": fed("1000")}, NOON + seconds(1), whose=whose("casino", before.target))
    guard = bets.guard({"player-7": now})

    decided = await bet(guard, "500")

    assert (reason(decided), decided.age) == ("BALANCE_NEVER_SEEN", None)
    bets.store.feed("player-7", {"USDT": fed("5")}, NOON + seconds(2), whose=whose("casino", now.target))
    assert reason(await bet(guard, "500", "bet-2")) == "INSUFFICIENT_FUNDS"


async def test_what_another_server_said_is_not_known_either_and_read_anew_at_once(bets):
    before, now = account(origin="https://sandbox.example"), account(origin="https://api.example")
    bets.store.feed("player-7", {"USDT": fed("1000")}, NOON + seconds(1), whose=owner(before))
    guard = bets.guard({"player-7": now})

    assert (reason(await bet(guard, "500")), bets.refreshing.soons) == ("BALANCE_NEVER_SEEN", ["player-7"])

    bets.store.feed("player-7", {"USDT": fed("500")}, NOON + seconds(2), whose=owner(now))
    assert reason(await bet(guard, "500", "bet-2")) == "OK"


async def test_nor_is_that_shown_for_its_own(bets):
    bets.store.feed("player-7", {"USDT": fed("1000")}, NOON + seconds(1), whose=whose("casino", "rich"))
    guard = bets.guard({"player-7": account(target="poor")})
    assert await guard.wallet("player-7", "USDT") is None

    bets.store.feed("player-7", {"USDT": fed("5")}, NOON + seconds(2), whose=whose("casino", "poor"))

    assert (await guard.wallet("player-7", "USDT")).balance.last_seen == amount("5")


async def test_nor_is_the_house_s(bets):
    bets.store.feed("hot-usdt", {"USDT": fed("1000")}, NOON + seconds(1), whose=whose("casino", "before"))
    bets.accounts.here["hot-usdt"] = account("hot-usdt", target="now")

    assert reason(await bet(bets.guard(house=HOUSE), exposure="10")) == "BANKROLL_INSUFFICIENT"


async def test_reasons_known_beforehand_come_in_the_order_of_all_reasons(bets):
    guard = bets.guard({})
    assert reason(await bet(guard, "100000")) == "ACCOUNT_UNKNOWN"
    await guard.close("drill", "maria")
    assert reason(await bet(guard, "100000", "bet-2")) == "ACCOUNT_UNKNOWN"
    bets.accounts.over.add("player-7")
    assert reason(await bet(guard, "100000", "bet-3")) == "GUARD_CLOSED"
    await guard.reopen()
    assert reason(await bet(guard, "100000", "bet-4")) == "SESSION_EXPIRED"
    bets.accounts.here["player-7"] = account()
    assert reason(await bet(guard, "10000.01", "bet-5")) == "AMOUNT_ABOVE_MAX"
    assert reason(await bet(guard, "0.009", "bet-6")) == "AMOUNT_BELOW_MIN"
    assert reason(await bet(guard, "10000", "bet-7")) == "INSUFFICIENT_FUNDS"
    assert reason(await bet(guard, "0.01", "bet-8")) == "OK"


async def test_an_account_that_another_process_has_just_made_is_found(bets):
    guard = bets.guard({})
    bets.accounts.late["player-7"] = account()

    assert reason(await bet(guard)) == "OK"


async def test_a_refusal_for_an_unknown_account_sticks_too(bets):
    guard = bets.guard({})
    await bet(guard)
    bets.accounts.here["player-7"] = account()

    again = await bet(guard)

    assert (reason(again), again.verdict.replayed) == ("ACCOUNT_UNKNOWN", True)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [((), "ASSET_UNKNOWN"), (("BTC",), "BALANCE_NEVER_SEEN"), (("BTC@LN",), "BALANCE_NEVER_SEEN")],
)
async def test_an_asset_that_the_configuration_names_is_not_unknown(bets, declared, expected):
    guard = bets.guard({"player-7": account(assets=declared)})

    assert reason(await bet(guard, asset="BTC")) == expected


# How old the facts are.


async def test_facts_that_are_getting_old_are_good_and_read_anew_in_the_background(bets):
    guard = bets.guard()
    bets.pass_(seconds(90))
    assert (await bet(guard)).freshness == "fresh"
    assert bets.refreshing.soons == []
    bets.pass_(seconds(1))

    decided = await bet(guard, hold="bet-2")

    assert (reason(decided), decided.freshness, decided.age) == ("OK", "soft", seconds(91))
    assert bets.refreshing.soons == ["player-7"]
    assert ("refreshed", "asked") in bets.meter.said
    assert bets.refreshing.nows == []


async def test_a_quarantine_ends_soon_after_its_time_because_the_bets_it_refuses_have_the_account_read(bets):
    guard = bets.guard()
    bets.store.quarantine("player-7", bets.clock() + seconds(60))
    bets.pass_(seconds(61))

    assert reason(await bet(guard)) == "STATE_QUARANTINED", "the last reading is older"
    assert bets.refreshing.soons == ["player-7"]


async def test_case_56_stale_facts_are_refused_at_once_and_read_anew_for_the_next_bet(bets):
    guard = bets.guard()
    bets.pass_(seconds(151))

    decided = await bet(guard)

    assert (reason(decided), decided.freshness) == ("BALANCE_STALE", "stale")
    assert bets.refreshing.soons == ["player-7"]
    assert bets.refreshing.nows == [], "nobody asked to wait for a provider"


async def test_a_request_can_ask_for_fresher_facts_but_not_for_older_ones(bets):
    guard = bets.guard()
    bets.pass_(seconds(100))
    assert reason(await bet(guard, max_age=seconds(99))) == "BALANCE_STALE"
    bets.pass_(seconds(60))
    assert reason(await bet(guard, hold="bet-2", max_age=minutes(60))) == "BALANCE_STALE"


async def test_case_56_whoever_wants_it_waits_for_a_reading_before_being_refused(bets):
    guard = bets.guard()
    bets.pass_(minutes(10))
    bets.refreshing.bring = lambda: bets.store.feed("player-7", {"USDT": fed("7")}, bets.clock())

    decided = await bet(guard, "7", on_stale="refresh")

    assert (reason(decided), decided.freshness) == ("OK", "fresh")
    assert bets.refreshing.nows == [("player-7", seconds(0.3))]
    assert ("refreshed", "read") in bets.meter.said


@pytest.mark.parametrize(
    ("happens", "expected"),
    [
        (lambda bets: setattr(bets.board, "switch", Switch(NOON, "maintenance", "maria")), "GUARD_CLOSED"),
        (lambda bets: (bets.accounts.here.clear(), bets.accounts.over.add("player-7")), "SESSION_EXPIRED"),
        (lambda bets: bets.accounts.here.clear(), "ACCOUNT_UNKNOWN"),
    ],
)
async def test_what_happens_while_a_bet_waits_for_a_reading_counts(bets, happens, expected):
    guard = bets.guard()
    bets.pass_(minutes(10))

    def read():
        bets.store.feed("player-7", {"USDT": fed("100")}, bets.clock())
        happens(bets)

    bets.refreshing.bring = read

    assert reason(await bet(guard, on_stale="refresh")) == expected


@pytest.mark.parametrize("outcome", ["late", "spent", "failing"])
async def test_a_reading_that_does_not_come_back_in_time_is_a_refusal(bets, outcome):
    guard = bets.guard(on_stale="refresh")
    bets.pass_(minutes(10))
    bets.refreshing.outcome = outcome

    assert reason(await bet(guard)) == "BALANCE_STALE"
    assert reason(await bet(guard, hold="bet-2", on_stale="deny")) == "BALANCE_STALE"
    assert len(bets.refreshing.nows) == 1


@pytest.mark.parametrize(("on_stale", "asked"), [("deny", 0), ("refresh", 1)])
async def test_case_13_while_the_provider_fails_bets_go_on_until_the_facts_are_too_old(bets, on_stale, asked):
    guard = bets.guard(on_stale=on_stale)
    bets.refreshing.outcome = "failing"
    bets.pass_(seconds(150))
    assert reason(await bet(guard)) == "OK"
    assert bets.refreshing.nows == []
    bets.pass_(seconds(1))

    assert reason(await bet(guard, hold="bet-2")) == "BALANCE_STALE"
    assert len(bets.refreshing.nows) == asked


async def test_nobody_waits_for_a_reading_that_would_change_nothing(bets):
    guard = bets.guard(on_stale="refresh")
    assert reason(await bet(guard)) == "OK"
    bets.pass_(minutes(10))
    await bets.store.lock("player-7", "USDT", Lock("aml"))

    assert reason(await bet(guard, hold="bet-2")) == "ACCOUNT_LOCKED"
    assert bets.refreshing.nows == []


@virtual_time
async def test_waiting_for_a_reading_has_its_own_time_beyond_the_deadline():
    bets = Bets()
    bets.store.feed("player-7", {"USDT": fed("100")}, NOON - minutes(60))
    bets.refreshing.took = 0.29
    bets.refreshing.bring = lambda: bets.store.feed("player-7", {"USDT": fed("100")}, bets.clock())
    guard = bets.guard(store=Slow(bets.store, check=0.1, hold=0.1), on_stale="refresh")

    assert reason(await bet(guard)) == "OK"
    bets.pass_(minutes(10))
    guard = bets.guard(store=Slow(bets.store, check=0.1, hold=0.2), on_stale="refresh")
    with pytest.raises(DeadlineExceeded):
        await bet(guard, hold="bet-2")


# When there is no answer.


@virtual_time
async def test_what_was_reserved_for_nobody_is_given_back_and_its_id_refused():
    bets = Bets()
    bets.store.feed("player-7", {"USDT": fed("100")}, NOON)
    slow = Slow(bets.store, hold=1)
    guard = bets.guard(store=slow)
    with pytest.raises(DeadlineExceeded):
        await bet(guard, "100")
    assert (await guard.find("casino", "bet-1")).state == "held"

    await bets.undoing.work()

    assert (await guard.find("casino", "bet-1")).state != "held"
    slow.takes = {}
    assert reason(await bet(guard, "100")) == "HOLD_TOMBSTONED"
    assert reason(await bet(guard, "100", "bet-2")) == "OK"
    assert bets.meter.said[:2] == [("undecided", "deadline-exceeded"), ("undone", "refused")]


@pytest.mark.parametrize("call", ["hold", "check"])
async def test_a_process_that_stood_still_says_nothing_of_what_was_decided_before(bets, call):
    slow = Slow(bets.store)
    guard = bets.guard(store=slow)

    async def stopped(*args):
        answer = await getattr(bets.store, call)(*args)
        # No timer of a process passes while it is stopped.
        bets.stood_still = 60
        return answer

    setattr(slow, call, stopped)

    with pytest.raises(DeadlineExceeded):
        await (bet(guard, "100") if call == "hold" else guard.check("casino", wish("100"), "dec_1"))

    assert len(bets.undoing) == (call == "hold")
    assert bets.meter.said == [("undecided", "deadline-exceeded")]


async def test_what_is_over_before_it_could_be_told_is_no_allow(bets):
    slow = Slow(bets.store)
    guard = bets.guard(store=slow, deadline=seconds(5))

    async def stopped(*args):
        answer = await bets.store.hold(*args)
        bets.pass_(seconds(2))
        return answer

    slow.hold = stopped

    with pytest.raises(DeadlineExceeded):
        await bet(guard, "100", ttl=seconds(2))
    assert reason(await bet(guard, "100", "bet-3", ttl=seconds(3))) == "OK"


@virtual_time
async def test_a_late_answer_to_a_repetition_does_not_take_away_what_was_promised():
    bets = Bets()
    bets.store.feed("player-7", {"USDT": fed("100")}, NOON)
    slow = Slow(bets.store)
    guard = bets.guard(store=slow)
    assert reason(await bet(guard, "100")) == "OK"
    slow.takes = {"hold": 1}
    with pytest.raises(DeadlineExceeded):
        await bet(guard, "100")

    await bets.undoing.work()

    assert (await guard.find("casino", "bet-1")).state == "held"


@virtual_time
async def test_what_is_owed_stays_owed_while_the_store_is_away_and_ends_with_the_ttl():
    bets = Bets()
    bets.store.feed("player-7", {"USDT": fed("100")}, NOON)
    slow = Slow(bets.store, hold=1)
    guard = bets.guard(store=slow)
    for hold in ("bet-1", "bet-2"):
        with pytest.raises(DeadlineExceeded):
            await bet(guard, "10", hold, ttl=seconds(30) if hold == "bet-1" else seconds(5))
    slow.down = True
    with pytest.raises(StoreUnavailable):
        await bets.undoing.work()
    assert len(bets.undoing) == 2

    slow.down = False
    bets.pass_(seconds(5))
    await bets.undoing.work()

    assert len(bets.undoing) == 0
    assert {what for kind, what in bets.meter.said if kind == "undone"} == {"refused", "expired"}


async def test_whoever_is_cut_off_while_waiting_has_nothing_reserved(bets):
    guard = bets.guard(store=Slow(bets.store, hold=60))
    task = asyncio.create_task(bet(guard))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert len(bets.undoing) == 1


async def test_case_59_without_the_store_nothing_is_decided(bets):
    slow = Slow(bets.store)
    guard = bets.guard(store=slow)
    slow.down = True

    with pytest.raises(StoreUnavailable):
        await bet(guard)
    with pytest.raises(StoreUnavailable):
        await guard.check("casino", wish(), "dec_1")

    assert bets.meter.said == [("undecided", "store-unavailable")] * 2
    assert len(bets.undoing) == 0


@virtual_time
async def test_every_other_call_has_the_same_deadline():
    bets = Bets()
    takes = dict.fromkeys(
        ("commit_hold", "settle_hold", "release_hold", "find_hold", "resolve_asset", "lock", "unlock", "check"), 1
    )
    guard = bets.guard(store=Slow(bets.store, **takes))
    calls = (
        guard.commit("casino", "x", None), guard.settle("casino", "x"), guard.release("casino", "x"),
        guard.find("casino", "x"), guard.wallet("player-7", "USDT"), guard.lock("player-7", "USDT", Lock("aml")),
        guard.unlock("player-7", "USDT", "aml"), guard.check("casino", wish(), "dec_1"),
    )  # fmt: skip
    for call in calls:
        with pytest.raises(DeadlineExceeded):
            await call


# The house's side.


async def test_what_can_be_won_is_held_against_the_bankroll(bets):
    guard = bets.guard(house=HOUSE)

    assert reason(await bet(guard, exposure="600")) == "OK"

    assert (await guard.wallet("hot-usdt", "USDT")).balance.held == amount("600")
    assert (await guard.find("casino" + HOUSE_MARK, "bet-1")).state == "held"
    await guard.release("casino", "bet-1")
    assert (await guard.wallet("hot-usdt", "USDT")).balance.held == 0
    assert (await guard.wallet("player-7", "USDT")).balance.held == 0


async def test_a_bet_that_the_house_cannot_cover_is_refused_and_its_player_keeps_the_money(bets):
    guard = bets.guard(house=HOUSE)
    await bet(guard, exposure="600")

    decided = await bet(guard, "20", "bet-2", exposure="401")

    assert reason(decided) == "BANKROLL_INSUFFICIENT"
    assert (decided.verdict.hold.state, decided.verdict.balance.held) == ("denied", amount("10"))
    assert (await guard.wallet("player-7", "USDT")).balance.held == amount("10")
    await guard.release("casino", "bet-1")
    again = await bet(guard, "20", "bet-2", exposure="401")
    assert (reason(again), again.verdict.replayed) == ("BANKROLL_INSUFFICIENT", True)


async def test_the_house_may_have_more_open_bets_than_a_player(bets):
    bets.store.feed("player-7", {"USDT": fed("100"), "EUR": fed("100")}, NOON + seconds(1))
    guard = bets.guard(house=HOUSE, terms=terms(max_holds=1))

    assert reason(await bet(guard, exposure="1")) == "OK"
    assert reason(await bet(guard, hold="bet-2", exposure="1")) == "TOO_MANY_HOLDS"
    assert reason(await bet(guard, hold="bet-3", exposure="1", asset="EUR")) == "OK"


async def test_the_house_has_no_more_open_bets_than_the_store_counts(bets, monkeypatch):
    guard = bets.guard(house=HOUSE)
    asked, hold = [], bets.store.hold

    async def noted(ask, terms):
        asked.append(terms.max_holds)
        return await hold(ask, terms)

    monkeypatch.setattr(bets.store, "hold", noted)
    await bet(guard, exposure="1")

    assert asked == [50, HOLDS_MAX]


async def test_an_old_bankroll_covers_nothing(bets):
    guard = bets.guard(house=HOUSE)
    bets.pass_(seconds(151))
    bets.store.feed("player-7", {"USDT": fed("100")}, bets.clock())

    assert reason(await bet(guard)) == "OK"
    assert reason(await bet(guard, hold="bet-2", exposure="1")) == "BANKROLL_INSUFFICIENT"
    checked = await guard.check("casino", wish(exposure="1"), "dec_9")
    assert reason(checked) == "BANKROLL_INSUFFICIENT"


async def test_a_crash_between_player_and_house_is_healed_by_asking_again(bets):
    guard = bets.guard(house=HOUSE)
    assert (await bets.store.hold(ask("10", exposed=True), guard.policy.terms)).allowed

    assert reason(await bet(guard, exposure="1001")) == "BANKROLL_INSUFFICIENT"
    assert (await guard.find("casino", "bet-1")).state == "denied"


class Crossing:
    """A store; what crosses the bet happens right before its call number `nth` to hold, or not at all."""

    def __init__(self, store, nth, crosses):
        self.store, self.left, self.crosses = store, nth, crosses

    def __getattr__(self, name):
        return getattr(self.store, name)

    async def hold(self, ask, terms):
        self.left -= 1
        if self.left == 0:
            await self.crosses()
        return await self.store.hold(ask, terms)


@pytest.mark.parametrize("nth", [1, 2, 3], ids=["before its player", "before the house", "after both"])
async def test_whenever_a_rollback_runs_beside_its_bet_nothing_stays_held_on_either_side(bets, store, nth):
    guard = bets.guard(house=HOUSE)
    guard.store = Crossing(store, nth, lambda: guard.release("casino", "bet-1"))
    await reads(store, {"USDT": fed("100")})
    await reads(store, {"USDT": fed("1000")}, "hot-usdt")

    decided = await bet(guard, exposure="600")
    if nth == 3:
        await guard.release("casino", "bet-1")

    assert reason(decided) == ("OK" if nth == 3 else "HOLD_TOMBSTONED")
    for name in ("player-7", "hot-usdt"):
        assert (await guard.wallet(name, "USDT")).balance.held == 0
    again = await bet(guard, exposure="600")
    assert (reason(again), again.verdict.hold.state) == ("HOLD_TOMBSTONED", "tombstone" if nth == 1 else "released")


async def test_a_rollback_finds_the_house_s_side_though_the_player_s_was_lost(bets):
    guard = bets.guard(house=HOUSE)
    await bet(guard, exposure="600")
    del bets.store.bets["casino", "bet-1"]

    await guard.release("casino", "bet-1")

    assert (await guard.wallet("hot-usdt", "USDT")).balance.held == 0


async def test_a_rolled_back_bet_without_exposure_is_unknown_to_the_house(bets):
    guard = bets.guard(house=HOUSE)
    await bet(guard)
    await guard.release("casino", "bet-1")
    await guard.release("casino", "bet-2")

    assert [caller for caller, _ in bets.store.bets] == ["casino", "casino"]


async def test_a_bet_that_stands_keeps_the_exposure_until_its_ttl_is_over(bets):
    guard = bets.guard(house=HOUSE)
    await bet(guard, exposure="600")
    await guard.commit("casino", "bet-1", None)
    assert reason(await bet(guard, exposure="600")) == "OK"
    assert (await guard.release("casino", "bet-1")).outcome == "hold-already-committed"

    assert (await guard.wallet("hot-usdt", "USDT")).balance.held == amount("600")
    bets.pass_(seconds(30))
    assert (await guard.wallet("hot-usdt", "USDT")).balance.held == 0


async def test_another_exposure_under_the_same_id_is_another_bet(bets):
    guard = bets.guard(house=HOUSE)
    await bet(guard, exposure="600")

    assert (await bet(guard, exposure="601")).verdict.reused


async def test_without_a_bankroll_the_exposure_is_not_looked_at(bets):
    assert (await bet(bets.guard(), exposure="1000000")).verdict.allowed


@virtual_time
async def test_both_sides_are_taken_back_when_the_answer_comes_too_late():
    bets = Bets()
    bets.store.feed("player-7", {"USDT": fed("100")}, NOON)
    bets.store.feed("hot-usdt", {"USDT": fed("1000")}, NOON)
    guard = bets.guard(store=Slow(bets.store, hold=0.2), house=HOUSE)
    with pytest.raises(DeadlineExceeded):
        await bet(guard, exposure="600")

    await bets.undoing.work()

    for name in ("player-7", "hot-usdt"):
        assert (await guard.wallet(name, "USDT")).balance.held == 0


# What else is asked.


async def test_a_debit_that_comes_after_its_hold_has_expired_is_told_of(bets):
    guard = bets.guard()
    await bet(guard, ttl=seconds(1))
    bets.pass_(seconds(1))

    assert (await guard.commit("casino", "bet-1", None)).outcome == "hold-expired"
    assert (await guard.settle("casino", "bet-1")).outcome == "hold-expired"
    assert (await guard.release("casino", "bet-1")).outcome == "done"

    assert bets.late == [("commit", "bet-1"), ("settled", "bet-1")]


async def test_a_wallet_is_found_without_its_network_when_there_is_only_one(bets):
    guard = bets.guard()
    bets.store.feed("player-7", {"BTC@LN": fed("1"), "USDC@ETH": fed("1"), "USDC@TRX": fed("1")}, NOON + seconds(1))

    assert (await guard.wallet("player-7", "BTC")).balance.asset == "BTC@LN"
    assert await guard.wallet("player-7", "ETH") is None
    with pytest.raises(SeveralNetworks, match="USDC@ETH, USDC@TRX"):
        await guard.wallet("player-7", "USDC")


async def test_only_an_account_that_there_is_can_be_read_anew(bets):
    guard = bets.guard()

    assert await guard.refresh("nobody") is None
    assert await guard.refresh("player-7") == "read"


async def test_what_was_replayed_keeps_the_id_of_its_first_decision(bets):
    guard = bets.guard()

    assert [(await bet(guard)).decision for _ in range(2)] == ["dec_1", "dec_1"]


@pytest.mark.parametrize(("first", "then"), [({}, {"exposure": "9999"}), ({"exposure": "5"}, {})])
async def test_an_exposure_that_is_stated_later_or_no_more_is_another_bet_and_the_first_one_stands(bets, first, then):
    guard = bets.guard(house=HOUSE)
    assert reason(await bet(guard, **first)) == "OK"

    assert (await bet(guard, **then)).verdict.reused

    assert (await bet(guard, **first)).verdict.allowed
    assert (await guard.commit("casino", "bet-1", None)).outcome == "done"
