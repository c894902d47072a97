"""Rules that are removed or edited while they fire, and accounts that are removed."""

import asyncio
from dataclasses import replace

from monitor.engine.farewell import farewell
from monitor.engine.retire import displaced, retire, sweep, unjudged
from monitor.engine.watch import Watch
from monitor.model.alert import State
from monitor.model.record import Commit
from monitor.model.standing import Standing
from tests.builders import NOON, minutes, seconds
from tests.facts import Watched, answer, policy, rule
from tests.fakes import virtual_time
from tests.scenes import HOT, scene

LOW = rule("low_balance", below=50)
TOMORROW = minutes(24 * 60)


def under(polling, *rules, generation=2):
    """The same account under other rules."""
    names = frozenset(one.alert for one in rules)
    watch = Watch(policy(rules=names), rules, lambda one, now: now + TOMORROW)
    return replace(polling, watching=watch, standing=Standing(generation))


async def told(it):
    """(news, reason, asset) of everything that one message of the channel says."""
    await asyncio.sleep(60)
    groups = await it.store.claim_groups("ops", 10, seconds(30))
    found = [[(item.news, item.entry.reason, item.entry.asset) for item in group.news] for group in groups]
    for group in groups:
        await it.store.defer(group, None)
    return found


@virtual_time
async def test_case_51_a_rule_that_is_removed_while_it_fires_is_closed_without_a_poll_that_is_due_tomorrow():
    async with scene("40", rules=[LOW]) as it:
        it.polling.watching.due = lambda one, now: now + TOMORROW
        await it.poll()
        due = await it.store.due_at("casino", HOT.name)
        asked = len(it.bank.asked)

        left = await sweep(it.store, await it.store.open_accounts(), lambda _: (under(it.polling), HOT))

        assert left == []
        assert (await it.record()).alerts == ()
        assert await it.store.open_accounts() == []
        [message] = await told(it)
        assert message[-1] == ("resolved", "rule_removed", "USDT")
        assert (len(it.bank.asked), await it.store.due_at("casino", HOT.name)) == (asked, due)


@virtual_time
async def test_case_51_one_that_is_being_polled_is_left_until_that_is_over():
    async with scene("40", rules=[LOW]) as it:
        await it.poll()
        await asyncio.sleep(60)
        claim = await it.claim()
        who = lambda _: (under(it.polling), HOT)  # noqa: E731

        assert await sweep(it.store, [HOT.name], who) == [HOT.name]
        await it.poll(claim)
        assert await sweep(it.store, [HOT.name], who) == []
        assert (await it.record()).alerts == ()


@virtual_time
async def test_case_51_an_older_configuration_retires_nothing_that_a_newer_one_has_judged():
    async with scene("40", rules=[LOW]) as it:
        it.polling.standing.generation = 2
        await it.poll()

        assert await sweep(it.store, [HOT.name], lambda _: (under(it.polling, generation=1), HOT)) == []

        [alert] = (await it.record()).alerts
        assert alert.state is State.FIRING


def test_case_51_a_pending_alert_goes_silently_and_others_stay_as_they_are():
    slow = rule("high_balance", above=10, for_="5m").model_copy(update={"alert": "Slow"})
    watched = Watched((LOW, slow))
    watched.see(answer({"USDT": "40"}), NOON)

    gone = retire(watched.record, HOT, (LOW,), frozenset({"Tested"}), NOON + minutes(1))

    assert gone.rows == ()
    assert [alert.rule for alert in gone.record.alerts] == ["Tested"]
    assert gone.record.alerts[0] in watched.record.alerts


def test_case_52_a_rule_that_gives_an_account_up_is_not_removed():
    watched = Watched((LOW,))
    watched.see(answer({"USDT": "40"}), NOON)

    [row] = retire(watched.record, HOT, (), frozenset({"Tested"}), NOON).rows

    assert (row.news, row.entry.reason) == ("resolved", "superseded")
    assert row.entry.annotations == {"summary": "Tested no longer judges hot-usdt"}


@virtual_time
async def test_case_52_changed_assets_close_the_old_subject_and_open_the_new_one_in_one_message():
    async with scene({"USDT": "40", "BTC": "1"}, rules=[rule("low_balance", below=50, assets=["USDT"])]) as it:
        it.polling.watching.due = lambda one, now: now + TOMORROW
        await it.poll()
        assert await told(it) == [[("firing", None, "USDT")]]
        edited = under(it.polling, rule("low_balance", below=50, assets=["BTC"]))

        assert await sweep(it.store, [HOT.name], lambda _: (edited, HOT)) == []
        it.polling = edited
        await it.poll()

        [message] = await told(it)
        assert sorted(message[-2:], key=str) == [("firing", None, "BTC"), ("resolved", "superseded", "USDT")]


def test_case_52_an_edited_threshold_keeps_the_episode_and_is_judged_at_the_next_poll():
    watched = Watched((LOW,))
    watched.see(answer({"USDT": "40"}), NOON)
    [fired] = watched.record.alerts

    lower, longer = rule("low_balance", below=30), rule("low_balance", below=50, for_="1h")
    for edited in (lower, longer):
        assert not unjudged(watched.record, (edited,))
        assert not displaced(watched.record, (edited,))

    watched.rules = (longer,)
    watched.see(answer({"USDT": "40"}), NOON + minutes(1))
    [same] = watched.record.alerts
    assert (same.id, same.state, watched.news) == (fired.id, State.FIRING, [(0, "firing")]), "it is not un-fired"

    watched.rules = (lower,)
    watched.see(answer({"USDT": "40"}), NOON + minutes(2))
    assert watched.news == [(0, "firing"), (2, "resolved")]


@virtual_time
async def test_case_54_an_account_that_is_removed_while_its_alert_fires_is_closed_for_that_reason():
    async with scene("40", rules=[LOW]) as it:
        await it.poll()
        await asyncio.sleep(60)

        await farewell(under(it.polling, LOW), await it.claim())

        [message] = await told(it)
        assert message[-1] == ("resolved", "account_removed", "USDT")
        assert await it.store.enrolled("casino") == []


@virtual_time
async def test_nobody_is_claimed_for_whom_there_is_nothing_to_do():
    async with scene("40", rules=[LOW]) as it:
        await it.poll()
        version = (await it.record()).version
        edited = under(it.polling, rule("low_balance", below=60))

        assert (
            await sweep(it.store, [HOT.name, "unknown"], lambda name: (edited, HOT) if name == HOT.name else None) == []
        )

        assert (await it.record()).version == version
        assert isinstance(retire(await it.record(), HOT, (LOW,), frozenset(), NOON), Commit)
