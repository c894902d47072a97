"""When a heartbeat is withheld, and when it is not."""

import pytest

from monitor.model.vital import Signs, Waiting, troubles
from tests.builders import NOON, minutes, seconds

WELL = Signs(now=NOON, rung_at=NOON - seconds(1), lag=seconds(0.001), lease=seconds(30))
#: The oldest message has been due for three minutes.
OLD = NOON - minutes(3)


def waiting(since=OLD, leased=None, paused=None):
    return {"waiting": {"ops": Waiting(since, leased, paused)}}


@pytest.mark.parametrize(
    "signs",
    [
        pytest.param({}, id="nothing wrong"),
        pytest.param({"rung_at": NOON - seconds(9)}, id="a late ring"),
        pytest.param({"late": {"hot": (seconds(59), seconds(1))}}, id="not yet a minute late"),
        pytest.param({"late": {"cold": (minutes(170), minutes(60))}}, id="not yet three intervals late"),
        pytest.param(waiting(NOON - minutes(1)), id="a message waits for its turn"),
        pytest.param(waiting(leased=NOON + seconds(29)), id="a long queue that moves"),
        pytest.param(waiting(paused=NOON + seconds(1)), id="the destination asked to be left alone"),
        pytest.param(waiting(None), id="a channel with nothing to say"),
        pytest.param(
            {"failing": {"chat": ["ops"], "sms": ["chat", "ops"]}}, id="somebody else hears of a failing channel"
        ),
        pytest.param({"unmoved": NOON - seconds(60)}, id="rows on their way"),
    ],
)
def test_all_is_well(signs):
    assert troubles(WELL._replace(**signs)) == ()


@pytest.mark.parametrize(
    ("signs", "said"),
    [
        ({"offline": True}, "we are offline"),
        ({"store_up": False}, "the store takes no writes"),
        ({"rung_at": NOON - seconds(11)}, "the scheduler is silent"),
        ({"lag": seconds(6)}, "the event loop is late"),
        ({"ailing": ["provider casino"]}, "ended by a bug: provider casino"),
        ({"late": {"hot": (seconds(61), seconds(1))}}, "overdue polls: 1, for example of hot"),
        ({"late": {"cold": (minutes(181), minutes(60))}}, "overdue polls: 1, for example of cold"),
        ({"unmoved": OLD}, "nobody moves what is owed to its channels"),
        (waiting(), "nobody sends to ops"),
        (waiting(leased=OLD), "nobody sends to ops"),
        (waiting(paused=NOON - seconds(1)), "nobody sends to ops"),
        ({"failing": {"chat": []}}, "failing channels and nobody to tell: chat"),
        ({"failing": {"chat": ["ops"], "ops": ["chat"]}}, "failing channels and nobody to tell: chat, ops"),
        ({"failing": {"chat": ["ops"], "ops": ["chat", "mail"]}}, "failing channels and nobody to tell: chat"),
    ],
)
def test_what_does_not_work_is_said(signs, said):
    assert troubles(WELL._replace(**signs)) == (said,)
