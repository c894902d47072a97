"""Whatever happens to an account, every channel hears a story that makes sense."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from monitor.engine.route import Route, compile_route
from monitor.rules.templates import labels_of
from monitor.ruletest.inbox import Inbox
from tests.lives import WAYS, catalogue, lives, some_lives, watched

#: Each channel by one way: the groups of two ways tell of two episodes independently of one another.
ROUTE = Route.model_validate(
    {
        "channels": ["ops"],
        "group_wait": "90s",
        "group_interval": "5m",
        "repeat_interval": "1h",
        "routes": [
            {"match": {"severity": "critical"}, "channels": ["pager"], "group_wait": "0s", "continue": True},
            {"match": {"asset": "BTC"}, "channels": ["chat"], "group_by": ["..."]},
        ],
    }
)


def heard_of(life, ways, *, send_resolved):
    """An account after all of that, and what its channels have heard."""
    one, inbox = watched(catalogue(ways)), Inbox({"ops": send_resolved})
    one.policy = replace(one.policy, route=compile_route(ROUTE, ("ops", "pager", "chat")))
    for now, reading in life.readings():
        inbox.deliver(now)
        inbox.owe(one.see(reading, now).rows, now)
    inbox.drain()
    return one, inbox.heard


@some_lives
@given(lives(), WAYS, st.booleans())
def test_no_channel_hears_an_end_without_a_beginning_and_every_number_comes_once(life, ways, send_resolved):
    one, heard = heard_of(life, ways, send_resolved=send_resolved)

    stories = {}
    for each in heard:
        if each.kind != "event":
            stories.setdefault((each.channel, each.fingerprint), []).append(each)
    for (channel, name), story in stories.items():
        tells_ends = channel != "ops" or send_resolved
        assert (story[0].kind, story[0].number) == ("firing", 1)
        for before, after in pairwise(story):
            begins_anew = after.number == 1 and (before.kind == "resolved" or not tells_ends)
            assert after.number == before.number + 1 or begins_anew
            assert after.kind == "firing" or (before.kind != "resolved" and not begins_anew)
        assert not tells_ends or (story[-1].kind != "resolved") == ((channel, name) in told_of(one))


@some_lives
@given(lives(), WAYS)
def test_whoever_an_alert_is_for_has_heard_of_it(life, ways):
    one, heard = heard_of(life, ways, send_resolved=True)

    assert told_of(one) <= {(each.channel, each.fingerprint) for each in heard}


def told_of(one):
    """The alerts that fire, with each channel they are for."""
    fired = (alert for alert in one.record.alerts if alert.started_at)
    return {(target.channel, alert.fingerprint) for alert in fired for target in alert.targets}


@some_lives
@given(lives(), WAYS)
def test_every_movement_that_is_told_is_told_to_each_channel_once(life, ways):
    one, heard = heard_of(life, ways, send_resolved=True)

    owed = [(target.channel, row_id) for row_id, targets in movements(one) for target in targets]

    assert len(owed) == len(set(owed))
    assert len([each for each in heard if each.kind == "event"]) == len(owed)


def movements(one):
    route = one.policy.route
    for _, news, entry in one.told:
        if news == "event":
            yield entry.id, route(labels_of(entry))
