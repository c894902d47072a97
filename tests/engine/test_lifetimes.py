"""From readings to what channels hear, through processes that come and go on every store."""

from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from monitor.channels.webhook_formats import render
from monitor.engine.deliver import LEASE, Destination, tell_safely
from monitor.engine.poll import Polling, poll
from monitor.engine.route import Route
from monitor.engine.watch import Watch
from monitor.model.group import MESSAGE_MAX
from tests.builders import minutes, seconds
from tests.facts import account, policy, rule
from tests.fakes import FakeClock, RecordingChannel, news_of
from tests.scenes import Bank, Free

HOT = account()
#: More than any of these lives owes at once.
MESSAGES_MAX = 4
REPEAT = timedelta(hours=4)
ROUTE = Route(group_by=["rule"], group_wait="0s", group_interval="1m", repeat_interval="4h")
LEVELS = {"warning": {"below": 100, "resolve_above": 120}, "critical": {"below": 50, "resolve_above": 60}}


def low(**settings):
    return rule("low_balance", **{"below": 50, "resolve_above": 60, **settings})


class PowerCut(BaseException):
    """Not an Exception, so no bulkhead can mistake it for a bug and carry on."""


class Mortal(RecordingChannel):
    """A receiver after whose 2xx the sender may die."""

    dies = False

    async def send(self, message, now):
        answer = await super().send(message, now)
        if self.dies:
            self.dies = False
            raise PowerCut
        return answer


@dataclass
class Shop:
    """An account, and the channels that hear of it; whoever works for it remembers nothing."""

    open_store: object
    clock: FakeClock
    rules: tuple
    route: Route = ROUTE
    chats: dict = field(default_factory=lambda: {"ops": Mortal()})

    async def lives(self, word):
        """A process starts, polls once, tells whatever is due, and is gone. Returns the account's record."""
        store = await self.open_store()
        watch = Watch(policy(*self.chats, route=self.route), self.rules, lambda one, now: now + one.interval)
        polling = Polling("casino", Bank([word]), seconds(5), store, watch, self.clock)
        await store.enrol("casino", {HOT.name: self.clock()})
        await store.poll_now("casino", HOT.name)
        [claim] = (await store.claim("casino", 1, polling.lease)).claims
        await poll(polling, HOT, claim, Free(), rest=no_rest)
        for name, chat in self.chats.items():
            for _ in range(MESSAGES_MAX):
                for group in await store.claim_groups(name, 20, LEASE):
                    await tell_safely(store, Destination(name, chat), group, self.clock)
        return await store.load(HOT.name)

    def heard(self, name="ops"):
        """(status, number) of each alert in each message; types tell reminders and updates apart."""
        found = [(one.type, [(told[1], told[2]) for told in news_of([one])]) for one in self.chats[name].arrived]
        return [(kind.removeprefix("alert."), *told) for kind, told in found]


async def no_rest(_):
    """Between two readings of one poll no time passes here."""


@pytest.fixture
def shop(open_store, clock):
    def opened(*rules, **settings):
        return Shop(open_store, clock, rules, **settings)

    return opened


async def test_case_02_a_restart_says_nothing_of_what_still_fires_until_it_is_time_to_repeat_it(shop):
    one = shop(low())
    [begun] = (await one.lives("40")).alerts
    one.rules = (low(for_="10h"),)
    for _ in range(2):
        one.clock.pass_((REPEAT - seconds(1)) / 2)
        [alert] = (await one.lives("40")).alerts
        assert (alert.id, alert.state) == (begun.id, "firing")

    assert one.heard() == [("firing", ("firing", 1))]
    one.clock.pass_(seconds(1))
    await one.lives("40")
    assert one.heard()[1:] == [("reminder", ("firing", 2))]
    assert {told.entry.id for message in one.chats["ops"].arrived for told in message.alerts} == {begun.id}


async def test_case_03_what_recovered_while_nobody_looked_is_resolved_once(shop):
    one = shop(low(keep_firing_for="0s"))
    await one.lives("40")
    one.clock.pass_(timedelta(hours=3))
    for _ in range(3):
        await one.lives("100")
        one.clock.pass_(REPEAT)

    assert one.heard() == [("firing", ("firing", 1)), ("resolved", ("resolved", 2))]


async def test_case_06_a_crash_after_the_2xx_repeats_the_message_once_and_as_it_was(shop):
    one = shop(low())
    one.chats["ops"].dies = True
    with pytest.raises(PowerCut):
        await one.lives("40")

    one.clock.pass_(LEASE)
    await one.lives("30")
    for _ in range(3):
        one.clock.pass_(minutes(1))
        await one.lives("100")

    first, again, last = one.chats["ops"].arrived
    assert (again.id, render(again)) == (first.id, render(first)), "the same id, and the same bytes"
    assert one.heard() == [("firing", ("firing", 1)), ("firing", ("firing", 1)), ("resolved", ("resolved", 2))]
    assert last.id != first.id


async def test_case_27_who_hears_of_it_late_hears_that_it_fires_and_everybody_hears_that_it_is_over(shop):
    pages = Route(channels=["ops"], routes=[Route(match={"severity": "critical"}, channels=["ops", "pager"])])
    timed = pages.model_copy(update={name: getattr(ROUTE, name) for name in ("group_by", "group_wait")})
    one = shop(rule("low_balance", levels=LEVELS), route=timed, chats={"ops": Mortal(), "pager": Mortal()})
    for word in ("90", "40"):
        await one.lives(word)
        one.clock.pass_(minutes(2))
    assert one.heard() == [("firing", ("firing", 1)), ("updated", ("firing", 2))]
    assert one.heard("pager") == [("firing", ("firing", 1))]

    # Nothing leads to the pager any more.
    one.route = timed.model_copy(update={"routes": []})
    await one.lives("200")

    assert one.heard()[2:] == [("resolved", ("resolved", 3))]
    assert one.heard("pager")[1:] == [("resolved", ("resolved", 2))]


async def test_case_32_of_too_many_alerts_the_worst_are_told_the_rest_counted_and_all_are_kept(shop):
    one = shop(rule("low_balance", levels=LEVELS))
    assets = {f"A{number}": "90" if number < MESSAGE_MAX else "40" for number in range(MESSAGE_MAX + 20)}
    kept = (await one.lives(assets)).alerts
    first, second = one.chats["ops"].arrived

    assert len(kept) == len(assets)
    assert (len(first.alerts), first.truncated, len(second.alerts), second.truncated) == (MESSAGE_MAX, 20, 20, 0)
    assert [told.entry.severity for told in first.alerts[:21]] == ["critical"] * 20 + ["warning"]
    assert {told.entry.asset for message in (first, second) for told in message.alerts} == set(assets)

    one.clock.pass_(minutes(2))
    assert (await one.lives(dict.fromkeys(assets, "200"))).alerts == ()
    ended = [told.entry for message in one.chats["ops"].arrived[2:] for told in message.alerts]
    assert sorted((entry.asset, entry.status) for entry in ended) == [(name, "resolved") for name in sorted(assets)]


async def test_case_52_what_an_edited_rule_speaks_of_no_more_and_what_it_speaks_of_now_is_one_message(shop):
    one = shop(low(assets=["USDT"]))
    await one.lives({"USDT": "40", "BTC": "1"})
    one.clock.pass_(minutes(2))

    one.rules = (low(assets=["BTC"]),)
    await one.lives({"USDT": "40", "BTC": "1"})

    assert one.heard()[1:] == [("firing", ("resolved", 2), ("firing", 1))]
    closed, opened = (told.entry for told in one.chats["ops"].arrived[-1].alerts)
    assert (closed.asset, closed.reason, opened.asset, opened.reason) == ("USDT", "superseded", "BTC", None)
