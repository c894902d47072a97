"""What becomes of an account that is configured no longer."""

from dataclasses import replace

import fakeredis
import pytest

from monitor.engine.farewell import depart, farewell, stranger
from monitor.engine.poll import Polling
from monitor.engine.watch import SUM, Watch, checkups
from monitor.model.alert import State
from monitor.model.record import Commit, Record
from monitor.store import codec
from monitor.store.redis import RedisStore
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, account, answer, policy, rule
from tests.fakes import FakeLine

LOW = rule("low_balance", below=50)
SLOW = rule("high_balance", above=10, for_="5m").model_copy(update={"alert": "Slow"})


def fired() -> Record:
    watched = Watched((LOW, SLOW))
    watched.see(answer({"USDT": "40"}), NOON)
    assert {alert.state for alert in watched.record.alerts} == {State.FIRING, State.PENDING}
    return watched.record


def test_everybody_who_was_told_of_an_alert_is_told_that_it_is_over_and_nobody_of_a_pending_one():
    record = fired()
    [firing] = [alert for alert in record.alerts if alert.state is State.FIRING]

    commit = depart(record, stranger(record.account, "casino"), NOON + minutes(1))

    [row] = commit.rows
    assert (row.news, row.entry.id, row.entry.reason, row.targets) == (
        "resolved", firing.id, "account_removed", firing.targets,
    )  # fmt: skip
    assert row.entry.annotations == {"summary": f"{record.account} is no longer configured"}
    assert commit.record == replace(record, alerts=())


def test_an_account_that_is_gone_ends_its_alerts_with_the_labels_they_were_told_with():
    watched = Watched((LOW,), account=account(labels={"role": "hot"})).reads("40")
    [(_, _, fired_as)] = watched.told
    stored = codec.record("hot-usdt", [b"1", None, None, *codec.changed(Record("hot-usdt"), watched.record)[1:], None])

    [row] = depart(stored, stranger("hot-usdt", "casino"), NOON + minutes(1)).rows

    assert row.entry.labels == fired_as.labels == {"role": "hot"}


@pytest.mark.parametrize(("names", "reason"), [((), "rule_removed"), (("Tested",), "superseded")])
def test_case_52_a_sum_whose_rule_judges_each_account_by_itself_now_is_superseded(names, reason):
    commit = depart(fired(), stranger(f"{SUM}Tested", "@store"), NOON + minutes(1), names)

    assert [row.entry.reason for row in commit.rows] == [reason]


def test_a_provider_that_is_gone_is_known_by_its_own_name():
    [checkup] = checkups([account(provider="casino")]).values()

    gone = stranger(checkup.name, checkup.provider)

    assert gone.target.provider == "casino"


@pytest.fixture
async def shop():
    store = RedisStore(FakeLine(fakeredis.FakeServer()))
    await store.open(4)
    store.clock_override = lambda: NOON
    yield store, Polling("casino", None, seconds(10), store, Watch(policy(), (), None), lambda: NOON)
    await store.close()


async def taken(store, name):
    await store.enrol("casino", {name: NOON})
    [claim] = (await store.claim("casino", 1, seconds(30))).claims
    return claim


async def test_it_is_never_due_again_and_what_it_owed_is_delivered(shop):
    store, polling = shop
    record = fired()
    claim = await taken(store, record.account)
    commit = depart(record, stranger(record.account, "casino"), NOON)
    fired_first = Commit(before=Record(record.account), record=record)
    assert await store.commit("casino", fired_first, claim, NOON) == "written"
    [again] = (await store.claim("casino", 1, seconds(30))).claims

    await farewell(polling, again)

    assert (await store.load(record.account)).alerts == ()
    assert await store.enrolled("casino") == []
    store.clock_override = lambda: NOON + minutes(5)
    [group] = await store.claim_groups(commit.rows[0].targets[0].channel, 5, seconds(30))
    assert [item.news for item in group.news] == ["resolved"]


async def test_one_without_alerts_is_just_forgotten(shop):
    store, polling = shop
    claim = await taken(store, "player-7")

    await farewell(polling, claim)

    assert await store.enrolled("casino") == []
    assert (await store.load("player-7")).version == 0


async def test_who_sees_an_account_off_has_not_judged_it_an_older_configuration_that_has_it_may_go_on(shop):
    """Its process was only paused, and taken for gone."""
    store, polling = shop
    record = fired()
    claim = await taken(store, record.account)
    first = Commit(before=Record(record.account), record=record)
    assert await store.commit("casino", first, claim, NOON, generation=2) == "written"
    polling.standing.generation = 3

    await farewell(polling, await taken(store, record.account))

    left = await store.load(record.account)
    assert (left.alerts, left.generation) == ((), 2)
