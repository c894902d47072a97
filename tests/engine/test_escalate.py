"""Who is told later of what nobody has answered, and who then never is."""

from dataclasses import replace

import pytest

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.escalate import Step, begun, joined
from monitor.engine.flush import after_settle, flush
from monitor.engine.route import Route, compile_route
from monitor.engine.suppress import Suppressor
from monitor.model.acked import Acked
from monitor.model.group import Hush, Message
from tests.builders import NOON, entry, group, item, minutes, seconds, target
from tests.desk import Desk, low
from tests.facts import Watched, answer, event, policy, rule
from tests.fakes import RecordingChannel, news_of

TEN = NOON + minutes(10)
ACKED = Acked("maria", NOON + minutes(3), "on it")
LATER = target("pager", after=minutes(10), not_before=TEN)
TREASURY = {"treasury": (Step(after="10m", channels=("pager",)), Step(after="30m", channels=("boss",)))}
ROUTE = Route(
    channels=("ops",), escalate="treasury", group_wait="0s", group_interval="1s", repeat_interval="15m"
)  # fmt: skip


def waiting(news, told, at=TEN):
    return replace(item(news, told, f"{news}/{told.id}/{told.severity}"), not_before=at)


def over(at, **changes):
    return entry(status="resolved", resolved_at=at, **changes)


class TestGroup:
    @pytest.mark.parametrize(
        ("now", "answer"),
        [
            pytest.param(NOON, TEN, id="it waits until then"),
            pytest.param(TEN - seconds(1), TEN, id="to the last second"),
            pytest.param(TEN, [("alr_a1", "firing", 1)], id="then it is told"),
        ],
    )
    def test_when_it_is_told(self, now, answer):
        found = flush(group(waiting("firing", entry())), now)

        assert (news_of([found]) if isinstance(found, Message) else found) == answer

    @pytest.mark.parametrize(
        ("news", "told", "now"),
        [
            pytest.param(
                [waiting("firing", entry()), waiting("acked", entry(acked=ACKED))], [], NOON,
                id="acknowledged before it was told",
            ),
            pytest.param(
                [waiting("firing", entry()), waiting("acked", entry(acked=ACKED))], [], TEN,
                id="acknowledged in time and looked at late",
            ),
            pytest.param(
                [
                    waiting("firing", entry()), waiting("acked", entry(acked=ACKED)),
                    waiting("updated", entry(acked=ACKED)),
                ],
                [], TEN, id="it gets worse within what is looked after",
            ),
            pytest.param(
                [waiting("firing", entry()), waiting("resolved", over(NOON + minutes(4)))], [], TEN,
                id="over before its time",
            ),
            pytest.param([waiting("resolved", over(TEN + minutes(5), acked=ACKED))], [], TEN, id="its end is struck"),
            pytest.param([waiting("resolved", over(TEN + minutes(5)))], [], TEN, id="an end without a beginning"),
            pytest.param(
                [waiting("firing", entry()), waiting("resolved", over(TEN + minutes(2)))],
                [("alr_a1", "firing", 1), ("alr_a1", "resolved", 2)], TEN + minutes(5),
                id="owed, but the channel was down, and over since",
            ),
            pytest.param(
                [
                    waiting("firing", entry(severity="warning")), waiting("acked", entry(acked=ACKED)),
                    waiting("updated", entry(), NOON + minutes(20)),
                ],
                [("alr_a1", "firing", 1)], NOON + minutes(20), id="acknowledged, then worse, and nobody answered that",
            ),
            pytest.param(
                [waiting("firing", entry()), item("updated", entry(severity="critical"))],
                [("alr_a1", "firing", 1)], NOON, id="a route tells that channel at once by now",
            ),
            pytest.param(
                [
                    waiting("firing", entry()), waiting("resolved", over(NOON + minutes(4))),
                    waiting("firing", entry(episode=2), NOON + minutes(15)),
                ],
                [("alr_a2", "firing", 1)], NOON + minutes(15), id="the next episode has its own time",
            ),
        ],
    )  # fmt: skip
    def test_what_of_its_news_is_told(self, news, told, now):
        found = flush(group(*news), now)

        assert isinstance(found, Message)
        assert news_of([found]) == told
        assert set(found.keys) == {one.key for one in news}, "nothing stays behind"

    def test_what_waits_does_not_hold_up_another_and_is_not_struck_with_it(self):
        first, second = waiting("firing", entry()), waiting("firing", entry("b"), TEN + minutes(2))
        one = group(first, second)
        message = flush(one, TEN)
        told, due_at = after_settle(one, message, TEN)

        assert message.keys == (first.key,)
        assert due_at == TEN + minutes(2)
        assert list(told) == ["fp-a"]

    def test_an_acknowledgement_strikes_its_own_alert_only(self):
        news = [waiting("firing", entry()), waiting("firing", entry("b")), waiting("acked", entry(acked=ACKED))]
        struck = flush(group(*news), NOON + minutes(3))

        assert (struck.alerts, set(struck.keys)) == ((), {news[0].key, news[2].key})
        assert news_of([flush(group(news[1]), TEN)]) == [("alr_b1", "firing", 1)]

    def test_once_told_what_is_new_comes_at_once_and_its_end_too(self):
        one = group(waiting("firing", entry(severity="warning")))
        told, _ = after_settle(one, flush(one, TEN), TEN)
        worse = group(waiting("updated", entry(), TEN + minutes(30)), open=told)
        ended = group(waiting("resolved", over(TEN + minutes(1))), open=told)

        assert news_of([flush(worse, TEN + minutes(1))]) == [("alr_a1", "firing", 2)]
        assert news_of([flush(ended, TEN + minutes(1))]) == [("alr_a1", "resolved", 2)]

    @pytest.mark.parametrize(
        ("since", "until", "told_at"),
        [
            pytest.param(NOON - minutes(60), NOON + minutes(60), NOON + minutes(70), id="silenced all along"),
            pytest.param(NOON + minutes(4), NOON + minutes(60), NOON + minutes(66), id="silenced meanwhile"),
            pytest.param(TEN, NOON + minutes(60), NOON + minutes(60), id="silenced when its time had come"),
            pytest.param(NOON - minutes(60), NOON - minutes(1), TEN, id="silenced before"),
        ],
    )
    def test_what_nobody_could_answer_waits_that_much_longer(self, since, until, told_at):
        hush = Hush("silenced", since, until, "maria", "moving", over=True)
        held = group(waiting("firing", entry()), hushed={"fp-a": hush})
        early = flush(held, told_at - seconds(1))

        assert told_at in (early, until)
        assert news_of([flush(held, told_at)]) == [("alr_a1", "firing", 1)]

    def test_answered_or_over_in_that_time_it_is_not_told(self):
        hush = Hush("silenced", NOON, NOON + minutes(60), over=True)
        ended = waiting("resolved", over(NOON + minutes(65)))

        for news in (ended, waiting("acked", entry(acked=ACKED))):
            found = flush(group(waiting("firing", entry()), news, hushed={"fp-a": hush}), NOON + minutes(70))
            assert found.alerts == ()


class TestTargets:
    def test_a_step_counts_from_when_the_alert_came_to_its_route(self):
        assert begun((target("ops"), target("pager", after=minutes(10))), NOON) == (target("ops"), LATER)
        assert joined((target("ops"),), (target("pager", after=minutes(10)),), NOON) == (target("ops"), LATER)

    def test_nothing_new_is_the_very_same(self):
        old = (target("ops"), LATER)

        assert joined(old, (target("ops"), target("pager", after=minutes(10))), NOON + minutes(5)) is old

    def test_whom_a_route_tells_at_once_does_not_wait_and_hears_it_from_one_group(self):
        at_once = target("pager", group="pager-g2", wait=seconds(0))

        assert joined((target("ops"), LATER), (at_once,), NOON) == (
            target("ops"),
            replace(at_once, group=LATER.group, labels=LATER.labels),
        )
        assert joined((LATER,), (at_once,), TEN) == (LATER,), "told by then"


class TestDecision:
    def life(self, *rules, **route):
        router = compile_route(ROUTE.model_copy(update=route), ("ops", "pager", "boss"), TREASURY)
        return Watched(rules or (low(),), policy=replace(policy("ops"), route=router))

    def targets(self, life):
        return {
            one.channel: one.not_before and (one.not_before - NOON) / minutes(1)
            for one in life.record.alerts[0].targets
        }

    def test_an_alert_escalates_from_when_it_fires(self):
        life = self.life(low(for_="2m")).reads("40 40 40 40")

        assert self.targets(life) == {"ops": None, "pager": 12, "boss": 32}

    def test_a_rise_of_what_nobody_answered_changes_nothing(self):
        life = self.life().reads("40 40 10")

        assert self.targets(life) == {"ops": None, "pager": 10, "boss": 30}

    def test_a_rise_of_what_was_acknowledged_begins_anew(self):
        life = self.life().reads("40")
        [alert] = life.record.alerts
        life.record = replace(life.record, alerts=(replace(alert, acked=ACKED),))
        life.reads("40 40 10", start=NOON + minutes(4))

        assert self.targets(life) == {"ops": None, "pager": 16, "boss": 36}

    def test_a_rise_to_a_route_that_pages_at_once_does_not_wait(self):
        pages = Route(match={"severity": "critical"}, channels=("pager",))
        life = self.life(routes=(pages,)).reads("40 10")

        assert self.targets(life) == {"ops": None, "pager": None, "boss": 30}

    def test_events_do_not_escalate_for_nobody_could_answer_them(self):
        life = self.life(rule("event")).reads("40 10")
        commit = life.see(_moved(), NOON + minutes(2))

        assert [[one.channel for one in row.targets] for row in commit.rows] == [["ops"]]


def _moved():
    return answer({"USDT": "5"}, at=NOON + minutes(2), events=(event(at=NOON + minutes(2)),))


class Escalating(Desk):
    """An account whose alerts go to `ops`, after ten minutes to `pager`, and after half an hour to `boss`."""

    def __init__(self, store, clock):
        super().__init__(store, clock, chats=("ops", "pager", "boss"))
        watch = self.polling.watching
        router = compile_route(ROUTE, tuple(self.chats), TREASURY)
        watch.policy = replace(watch.policy, route=router)


def heard_at(desk, name):
    return [
        (message.type.removeprefix("alert."), (message.at - NOON) / minutes(1)) for message in desk.chats[name].arrived
    ]


async def test_who_is_told_when_nobody_answers(store, clock):
    desk = await Escalating(store, clock).begin()
    await desk.tell()
    await desk.passes(minutes(32))
    await desk.polls("90")
    await desk.passes(minutes(1))

    assert heard_at(desk, "ops") == [("firing", 0), ("reminder", 15), ("reminder", 30), ("resolved", 33)]
    assert heard_at(desk, "pager") == [("firing", 10), ("reminder", 25), ("resolved", 33)]
    assert heard_at(desk, "boss") == [("firing", 30), ("resolved", 33)]


@pytest.mark.parametrize(
    ("minute", "pager", "boss"),
    [
        pytest.param(5, [], [], id="before the first step nobody more"),
        pytest.param(12, [("firing", 10), ("resolved", 61)], [], id="after it the second one does not come"),
    ],
)
async def test_an_acknowledgement_ends_it(store, clock, minute, pager, boss):
    desk = await Escalating(store, clock).begin()
    await desk.tell()
    await desk.passes(minutes(minute))
    await desk.acks()
    await desk.passes(minutes(60 - minute))
    await desk.polls("90")
    await desk.passes(minutes(1))

    assert heard_at(desk, "pager") == pager
    assert heard_at(desk, "boss") == boss
    assert heard_at(desk, "ops")[-1] == ("resolved", 61)


async def test_the_morning_after_a_silence_is_no_storm(store, clock):
    """Everybody in one second would be told of what nobody could answer: the steps count from then."""
    desk = await Escalating(store, clock).begin()
    hush = Hush("silenced", clock() - minutes(5), clock() + minutes(60), "maria", "night")

    async def night(_group, entries, now):
        return dict.fromkeys((one.id for one in entries), hush) if now < hush.until else {}

    desk.suppress = Suppressor((night,))
    await desk.tell()
    await desk.passes(minutes(95))

    assert [heard_at(desk, name)[0] for name in desk.chats] == [("firing", 60), ("firing", 70), ("firing", 90)]


async def test_what_is_over_in_time_reaches_nobody_more(store, clock):
    desk = await Escalating(store, clock).begin()
    await desk.tell()
    await desk.passes(minutes(9))
    await desk.polls("90")
    await desk.passes(minutes(60))

    assert (heard_at(desk, "pager"), heard_at(desk, "boss")) == ([], [])


async def test_a_restart_changes_nothing(open_store, clock):
    ours = await open_store()
    desk = await Escalating(ours, clock).begin()
    await desk.tell()
    await desk.passes(minutes(5))
    theirs = await open_store()
    clock.pass_(minutes(5))
    pager = RecordingChannel()
    for one in await theirs.claim_groups("pager", 20, LEASE):
        await tell_safely(theirs, Destination("pager", pager), one, clock)

    assert [(message.type, message.at) for message in pager.arrived] == [("alert.firing", TEN)]


async def test_nobody_looks_at_a_step_before_its_time(store, clock):
    """A claim costs some of the channel's rate."""
    await Escalating(store, clock).begin()
    clock.pass_(minutes(9))

    assert await store.claim_groups("pager", 20, LEASE) == ()
