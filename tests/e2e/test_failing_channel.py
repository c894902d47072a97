"""A chat that is gone: said elsewhere, kept, and sent once it is back; all of it by the real thing."""

import asyncio
import signal
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from tests.e2e.conftest import listening

HOOK = "services/T0/B0/canary-slack-55"


@dataclass
class Slack:
    answers: tuple = (404, "no_service")
    said: list = field(default_factory=list)

    async def answer(self, request):
        self.said.append(await request.json())
        status, text = self.answers
        return web.Response(status=status, text=text)


@asynccontextmanager
async def beside(place, slack):
    """A place where alerts go to a Slack, and what is wrong with it to the webhook."""
    async with listening(slack.answer, f"/{HOOK}") as url:
        place.write()
        config = place.path / "config.yaml"
        text = config.read_text().replace("route: {channels: [ops]", "fallback_channel: ops\nroute: {channels: [chat]")
        config.write_text(text.replace("channels:\n", f"channels:\n  chat: {{type: slack, url: '{url}/{HOOK}'}}\n", 1))
        yield


@pytest.fixture
def slack():
    return Slack()


async def test_case_47_a_webhook_that_was_removed_is_told_elsewhere_and_what_it_missed_is_replayed(
    place, bank, chat, slack, until
):
    async with beside(place, slack):
        daemon = await place.start()
        bank.held["hot"] = 40
        [(rule, kind, summary)] = await until(lambda: chat.self_told, "the other channel hears of it", patience=30)
        _, metrics = await daemon.get("/metrics")
        code, status, _ = await place.command("status")

        assert (rule, kind) == ("NotificationFailing", "alert.firing")
        assert "chat takes no messages" in summary
        assert "no_service" in summary
        assert "balance-monitor send-test chat" in summary
        assert 'balance_monitor_channel_failing{channel="chat"} 1.0' in metrics
        assert (code, "channel chat is paused" in status) == (0, True)
        assert len(slack.said) == 1, "it is left alone"
        assert chat.posts == [], "nothing else goes to the other channel"

        slack.answers = (200, "ok")
        code, out, err = await place.command("replay", "--dead")
        assert code == 0, out + err
        await until(lambda: len(slack.said) == 2, "what it missed is sent")
        assert slack.said[1] == slack.said[0]
        await until(lambda: len(chat.self_told) == 2, "its end is told", patience=40)
        assert chat.self_told[1][:2] == ("NotificationFailing", "alert.resolved")
        assert await daemon.stop() == 0
        for told in (daemon.log.read_text(), metrics, status, out, err, str(chat.self_told)):
            assert "canary-slack-55" not in told


@pytest.mark.parametrize("how", ["a reload", "send-test"])
async def test_a_channel_that_was_mended_is_tried_at_once_when_a_person_asks_for_it(
    place, bank, chat, slack, until, how
):
    async with beside(place, slack):
        daemon = await place.start()
        bank.held["hot"] = 40
        await until(lambda: slack.said, "it is refused")
        bank.held["hot"] = 100
        await asyncio.sleep(1.5)
        assert len(slack.said) == 1, "what is owed waits for ten minutes"

        slack.answers = (200, "ok")
        if how == "a reload":
            daemon.process.send_signal(signal.SIGHUP)
        else:
            code, out, err = await place.command("send-test", "chat")
            assert code == 0, out + err
        await until(lambda: "hot" in str(slack.said[1:]), "and is told now")
        assert await daemon.stop() == 0
