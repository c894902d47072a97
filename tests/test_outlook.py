"""A channel that takes no messages is an alert of its own, told elsewhere, until it takes one again."""

from monitor.concerns import Concerns
from monitor.metrics import Metrics
from monitor.model.channel import ChannelHealth
from monitor.outlook import ChannelOutlook, channel_view, facts, told
from tests.builders import NOON, minutes
from tests.fakes import FakeClock
from tests.test_concerns import MONITOR_ACCOUNT, judged

FINE = ChannelHealth(at=NOON)
FAILING = ChannelHealth(at=NOON, row=7, since=NOON, why="HTTP 503", waiting=12)
REFUSED = ChannelHealth(at=NOON, row=1, since=NOON, why="HTTP 404 no_service", dead=2, refused=True)


def shown(metrics):
    page = metrics.expose()[0].decode()
    return [line.removeprefix("balance_monitor_channel_") for line in page.splitlines() if "channel_failing{" in line]


def test_it_says_since_when_how_often_why_how_many_wait_and_what_to_do():
    assert told("chat", FAILING) == (
        "since 2026-11-20T12:00:00Z 7 attempts in a row failed, 12 groups waiting (HTTP 503). "
        "Mend it and try it with `balance-monitor send-test chat`"
    )
    assert told("chat", REFUSED) == (
        "since 2026-11-20T12:00:00Z 1 attempt in a row failed, 2 messages given up (HTTP 404 no_service). Mend it and "
        "try it with `balance-monitor send-test chat`, then `balance-monitor replay --dead` sends what was given up"
    )


def test_a_list_says_what_is_the_matter_and_not_what_to_do():
    assert facts(told("chat", FAILING)) == (
        "since 2026-11-20T12:00:00Z 7 attempts in a row failed, 12 groups waiting (HTTP 503)"
    )
    assert facts("the file was not read. It is broken") == "the file was not read. It is broken"


async def test_each_failing_channel_is_told_once_however_many_processes_see_it_and_until_it_delivers(store, clock):
    metrics = Metrics("1")
    processes = [Concerns(clock, f"web-{number}:7") for number in range(3)]
    outlooks = [ChannelOutlook(metrics, one) for one in processes]
    heard = []
    for chat, traders in ((FAILING, FINE), (FAILING, REFUSED), (FAILING, REFUSED), (FINE, REFUSED), (FINE, REFUSED)):
        for outlook, mine in zip(outlooks, processes, strict=True):
            outlook.take({"chat": chat, "traders": traders})
            await mine.tell(store)
        heard += await judged(store, clock)
        clock.pass_(MONITOR_ACCOUNT.interval + minutes(1))
        assert shown(metrics) == [
            f'failing{{channel="chat"}} {float(chat is FAILING)}',
            f'failing{{channel="traders"}} {float(traders is REFUSED)}',
        ]

    record = await store.load(MONITOR_ACCOUNT.name)
    assert heard == [
        ("firing", "NotificationFailing"), ("firing", "NotificationFailing"), ("resolved", "NotificationFailing"),
    ]  # fmt: skip
    assert [(alert.labels, alert.severity) for alert in record.alerts] == [({"channel": "traders"}, "critical")]


async def test_a_channel_that_is_configured_no_longer_is_told_of_no_longer():
    mine = Concerns(FakeClock(), "web-1:7")
    outlook = ChannelOutlook(Metrics("1"), mine)
    outlook.take({"chat": FAILING})

    outlook.take({})

    assert mine.abouts("NotificationFailing") == ()


def test_what_is_shown_of_a_channel():
    view = channel_view(REFUSED)

    assert (view["state"], view["failed_in_a_row"], view["dead"], view["why"]) == (
        "paused", 1, 2, "HTTP 404 no_service",
    )  # fmt: skip
    assert view["since"] == "2026-11-20T12:00:00.000Z"
