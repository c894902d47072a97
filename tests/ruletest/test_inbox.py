"""What a rule test says is told is what the daemon's store and deliverer would have told, second by second."""

import random

import pytest

from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.ruletest.inbox import Inbox
from tests.builders import NOON, commit, entry, event_entry, minutes, row, seconds, target
from tests.fakes import RecordingChannel

END = 400
GROUP = target(wait=seconds(10), interval=minutes(1), repeat=minutes(2))


def life(seed):
    """A random history of two alerts and some events: second → rows. `resolved` only follows `firing`."""
    dice = random.Random(seed)
    open_alerts, episode, history = set(), 0, {}
    for second in sorted(dice.sample(range(END), 14)):
        alert, episode = dice.choice("ab"), episode + 1
        if dice.random() < 0.2:
            history[second] = row("event", event_entry(f"e{episode}", rule="out"), GROUP)
        elif alert not in open_alerts:
            open_alerts.add(alert)
            history[second] = row("firing", entry(alert, episode=1, rule=alert), GROUP)
        elif dice.random() < 0.4:
            history[second] = row("updated", entry(alert, episode=1, rule=alert, severity="info"), GROUP)
        else:
            open_alerts.discard(alert)
            history[second] = row("resolved", entry(alert, "resolved", episode=1, rule=alert), GROUP)
    return history


def kind_of(message, numbered):
    """How a rule test calls one alert of a message."""
    if numbered.entry.status != "firing":
        return numbered.entry.status
    kind = message.type.removeprefix("alert.")
    return "firing" if kind == "resolved" else kind


async def heard_alike(store, clock, history, inbox, destination):
    """A history lived through by both, which hear the same: when, how and of what."""

    async def deliver():
        inbox.deliver(clock())
        while groups := await store.claim_groups("ops", 10, LEASE):
            for group in groups:
                await tell_safely(store, destination, group, clock)

    for second in range(END):
        await deliver()
        if told := history.get(second):
            inbox.owe([told], clock())
            await owe(store, clock, told)
            await deliver()
        clock.pass_(seconds(1))

    arrived = [
        ((message.at - NOON).total_seconds(), kind_of(message, numbered), numbered.entry.rule)
        for message in destination.adapter.arrived
        for numbered in message.alerts
    ]
    assert [((one.at - NOON).total_seconds(), one.kind, one.alert) for one in inbox.heard] == arrived
    return arrived


@pytest.mark.parametrize("send_resolved", [True, False])
@pytest.mark.parametrize("seed", range(5))
async def test_the_channels_of_a_rule_test_hear_what_the_daemons_would(store, clock, seed, send_resolved):
    history = life(seed)
    inbox = Inbox({"ops": send_resolved})
    destination = Destination("ops", RecordingChannel(), send_resolved=send_resolved)

    arrived = await heard_alike(store, clock, history, inbox, destination)

    assert len(arrived) > 5


async def owe(store, clock, told):
    """One poll that owes this row, moved to its group."""
    await store.poll_now("casino", "hot")
    [claim] = (await store.claim("casino", 1, LEASE)).claims
    record = await store.load("hot")
    assert await store.commit("casino", commit(record, told), claim, clock() + minutes(600)) == "written"
    await store.move("hot")


async def test_a_step_of_an_escalation_hears_what_the_daemons_would(store, clock):
    def later(after):
        return target(
            wait=seconds(0), repeat=minutes(2), after=after, not_before=NOON + seconds(20) + after, group="step"
        )

    history = {
        20: row("firing", entry("a", rule="a"), later(seconds(60))),
        50: row("firing", entry("b", rule="b"), later(seconds(90))),
        100: row("resolved", entry("b", "resolved", rule="b", resolved_at=NOON + seconds(100)), later(seconds(90))),
        250: row("resolved", entry("a", "resolved", rule="a", resolved_at=NOON + seconds(250)), later(seconds(60))),
    }
    inbox, channel = Inbox(), RecordingChannel()
    for second in range(END):
        inbox.deliver(clock())
        if told := history.get(second):
            inbox.owe([told], clock())
            await owe(store, clock, told)
        for group in await store.claim_groups("ops", 10, LEASE):
            await tell_safely(store, Destination("ops", channel), group, clock)
        clock.pass_(seconds(1))

    heard = [((one.at - NOON).total_seconds(), one.kind, one.alert) for one in inbox.heard]
    assert heard == [(80, "firing", "a"), (200, "reminder", "a"), (250, "resolved", "a")]
    assert [(message.at - NOON).total_seconds() for message in channel.arrived] == [at for at, _, _ in heard]
