"""Sums over windows against a reference that knows nothing of rings: every window of the past, by brute force."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.engine.decide import decide
from monitor.model.event import Ledger
from monitor.model.members import Members
from monitor.model.record import Commit, Need, Record, Roundup, RuleWatch
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, event, policy, rule, snapshot

#: Occurred, found so much later (seconds), amount.
MOVES = st.lists(st.tuples(st.integers(0, 600), st.integers(0, 200), st.integers(1, 80)), max_size=8)
WITHIN = st.sampled_from([1, 7, 60, 240])
BY_ACCOUNT = {"aggregate": {"by": ["account"], "unit": "usd"}}
HOT, COLD = account("hot-usdt", labels={"role": "hot"}), account("cold-1", labels={"role": "hot"})


def found(moves, every):
    """Second of each poll → what it finds."""
    for at in range(0, 900 + every, every):
        yield (
            at,
            tuple(
                event(
                    str(amount), name=f"e{n}", at=NOON + seconds(when), late=after > 100, asset=("USDT", "USDC")[n % 2]
                )
                for n, (when, after, amount) in sorted(enumerate(moves), key=lambda one: one[1][0] + one[1][1])
                if at - every < when + after <= at
            ),
        )


def worst(moves, within):
    return max((sum(a for other, _, a in moves if at - within < other <= at) for at, _, _ in moves), default=0)


def fired(one):
    return any(news == "firing" for _, news in one.news)


def watched(moves, every, **said):
    one = Watched(
        (rule("large_outflow", above=100, **said),),
        policy=policy("ops", prices=dict.fromkeys(("USDT", "USDC"), Decimal(1))),
    )
    for at, events in found(moves, every):
        now = NOON + seconds(at)
        one.see(answer(snapshot({"USDT": "40", "USDC": "40"}, at=now), events=events), now)
    return one


@given(MOVES, st.integers(1, 90), WITHIN)
def test_case_37_a_sum_fires_exactly_when_some_window_was_bad(moves, every, within):
    """However seldom the account is polled: the windows that ended between two polls are judged as well."""
    moves = [move for n, move in enumerate(moves) for move in (move, (0, 0, 0))][:-1]

    assert fired(watched(moves, every, within=f"{within}s")) == (worst(moves, within) > 100)


@given(MOVES, st.integers(1, 90), WITHIN)
@example([(308, 0, 21), (547, 0, 80)], 6, 240)
def test_case_37_so_does_one_over_all_assets(moves, every, within):
    assert fired(watched(moves, every, within=f"{within}s", **BY_ACCOUNT)) == (worst(moves, within) > 100)


class Sums:
    """A rule over two accounts, given what moved at them."""

    def __init__(self, tested):
        members = {one.name: one for one in (HOT, COLD)}
        self.rule, self.now = tested, NOON
        self.account = account(
            "aggregate:Tested", provider="@store", target=RuleWatch("Tested", Members(members), members)
        )
        self.record, self.stored, self.told = Record(self.account.name), (), []

    def reads(self, now, *events):
        version = self.record.version + 1
        reading = Roundup(now, events=events, ledgers={"stream": Ledger(version)})
        given = (self.record, reading, self.account, (self.rule,), policy("ops"), now)
        self.stored += events
        commit = decide(*given)
        if isinstance(commit, Need):
            commit = decide(*given, tuple(one for one in self.stored if one.occurred_at >= commit.since))
        assert isinstance(commit, Commit)
        self.record = replace(commit.record, version=version)
        self.told += [(row.news, row.entry) for row in commit.rows]


@given(MOVES, st.integers(1, 90), WITHIN)
@example([(137, 48, 34), (289, 93, 77), (77, 48, 34)], 77, 240)
@example([(281, 35, 24), (66, 167, 51), (311, 66, 61), (51, 126, 46)], 6, 240)
def test_case_37_so_does_one_over_several_accounts(moves, every, within):
    one = Sums(rule("large_outflow", above=100, within=f"{within}s", aggregate={"by": ["role", "asset"]}))
    one.reads(NOON - minutes(1))
    for at, events in found(moves, every):
        both = (replace(each, asset="USDT", account=("hot-usdt", "cold-1")[n % 2]) for n, each in enumerate(events))
        one.reads(NOON + seconds(at), *both)

    assert any(news == "firing" for news, _ in one.told) == (worst(moves, within) > 100)


def test_a_drain_over_all_assets_that_is_found_late_says_when_and_of_what():
    one = watched([(0, 200, 60), (5, 195, 50)], 30, within="1m", **BY_ACCOUNT)

    [first, *_] = [entry for _, _, entry in one.told]
    assert first.value == 110
    said = "hot-usdt 110 USD went out within 1m, above 100 USD (60 USDT, 50 USDC), occurred 3m ago"
    assert first.annotations["summary"] == said
    assert one.news == [(3.5, "firing"), (4, "resolved")]


def test_what_came_back_before_anybody_looked_is_no_net_outflow_but_an_outflow():
    one = Watched(
        tuple(rule("large_outflow", above=100, within="1h", net=net, alert=f"Net{net}") for net in (True, False))
    )
    one.see(answer(snapshot(), events=()), NOON)

    moves = event("300", name="a", at=NOON + seconds(10)), event("300", "in", name="b", at=NOON + seconds(20))
    one.see(answer(snapshot(at=NOON + minutes(1)), events=moves), NOON + minutes(1))

    assert [entry.rule for _, _, entry in one.told] == ["NetFalse"]


def test_what_went_and_came_in_one_instant_is_no_net_outflow_whenever_it_is_found():
    one = Watched((rule("large_outflow", above=100, within="1m", net=True),))
    one.see(answer(snapshot(), events=()), NOON)

    moves = (event("300", way, name=way, at=NOON, late=True) for way in ("out", "in"))
    one.see(answer(snapshot(at=NOON + minutes(9)), events=tuple(moves)), NOON + minutes(9))

    assert one.told == []


def test_texts_name_the_share_of_the_level_that_fired_and_say_what_is_good_again_and_of_whom():
    levels = {"warning": {"above": "10%"}, "critical": {"above": "50%"}}
    one = Watched((rule("large_outflow", levels=levels, within="5m"), rule("large_outflow", above="15%", alert="One")))
    one.reads("100 80 " + "80 " * 8)

    assert [entry.annotations["summary"] for _, _, entry in one.told] == [
        "hot-usdt USDT 20 went out within 5m, above 10 (10% of 100)",
        "hot-usdt USDT 20 went out, above 15 (15%)",
        "hot-usdt USDT 0 went out within 5m, no longer above 10",
    ]

    both = Sums(rule("large_outflow", above=100, within="5m", net=True, aggregate={"by": ["role", "asset"]}))
    both.reads(NOON - minutes(1))
    both.reads(NOON, event("300", account="hot-usdt"), event("30", "in", name="b", account="cold-1"))
    both.reads(NOON + minutes(6))
    assert [entry.annotations["summary"] for _, entry in both.told] == [
        "USDT of role=hot 270 went out, net of what came in, within 5m, above 100",
        "USDT of role=hot 0 went out, net of what came in, within 5m, no longer above 100",
    ]


def test_a_rule_that_begins_to_count_tells_nothing_of_windows_that_are_over():
    one = Sums(rule("large_outflow", above=100, within="1m", aggregate={"by": ["asset"]}))

    one.reads(NOON, event("500", at=NOON - minutes(5), account="hot-usdt"))

    assert one.told == []


class TestTransfersFoundLate:
    """`net_internal` after hours in which nobody was read: 100 an hour may leave, and transfers take ten minutes."""

    @pytest.fixture
    def one(self):
        sums = Sums(rule("large_outflow", above=100, within="1h", net_internal=True))
        sums.reads(NOON - minutes(1))
        return sums

    def left(self, amount, minute, name="out", account="hot-usdt"):
        return event(str(amount), name=name, at=NOON + minutes(minute), account=account, late=True)

    def came(self, amount, minute, name="in", account="cold-1"):
        return event(str(amount), "in", name=name, at=NOON + minutes(minute), account=account)

    @pytest.mark.parametrize("minute", [15, 30, 180, 1_000])
    def test_both_ends_of_a_sweep_are_found_within_seconds_of_each_other(self, one, minute):
        one.reads(NOON + minutes(minute), self.left(500, 1))
        one.reads(NOON + minutes(minute) + seconds(20), self.came(500, 2))
        for later in range(minute + 1, minute + 90):
            one.reads(NOON + minutes(later))

        assert one.told == []

    @pytest.mark.parametrize("minute", [15, 30, 180, 1_000])
    def test_a_theft_is_told_when_its_other_end_had_the_time_to_be_found(self, one, minute):
        one.reads(NOON + minutes(minute), self.left(500, 1))
        for later in range(minute + 1, minute + 90):
            one.reads(NOON + minutes(later))

        assert [news for news, _ in one.told] == ["firing", "resolved"]
        _, entry = one.told[0]
        assert (entry.started_at, entry.value) == (NOON + minutes(minute + 10), 500)

    def test_one_end_was_read_in_time_and_the_other_hours_later(self, one):
        one.reads(NOON + minutes(2), self.came(500, 2))
        for minute in range(3, 300):
            one.reads(NOON + minutes(minute), *([self.left(500, 1)] if minute == 200 else ()))

        assert one.told == []

    def test_a_day_of_payments_is_not_one_window(self, one):
        one.reads(NOON + minutes(1_440), *(self.left(60, 60 * n, f"e{n}") for n in range(24)))
        for later in range(1_441, 1_540):
            one.reads(NOON + minutes(later))

        assert one.told == []

    def test_a_theft_among_them_says_when_it_was(self, one):
        paid = [self.left(60, 60 * n, f"e{n}") for n in range(24)]
        one.reads(NOON + minutes(1_440), *paid, self.left(50, 610, "theft"))
        one.reads(NOON + minutes(1_450))
        one.reads(NOON + minutes(1_451))

        assert [news for news, _ in one.told] == ["firing", "resolved"]
        said = one.told[0][1].annotations["summary"]
        assert said == "hot-usdt USDT 110 went out within 1h, above 100, occurred 14h ago"
