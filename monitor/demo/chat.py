"""A chat on loopback: verifies every message like a careful receiver, prints it, remembers it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from monitor.demo.incidents import Heard
from monitor.demo.world import World

#: A demo secret, made for this file: 24 bytes, base64.
SECRET = "whsec_ZGVtby1zZWNyZXQtZm9yLWxvb3BiYWNr"  # noqa: S105 - printed here for everybody to read


@dataclass(slots=True)
class Chat:
    """What arrived, in order; `say` prints one line."""

    world: World
    say: Callable[[str, str], None]
    heard: list[tuple[str, Heard]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    refused: int = 0

    def build(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/chat", self.receive)
        return app

    async def receive(self, request: web.Request) -> web.Response:
        """Take one notification: 401 for a bad signature, 429 when the script says so."""
        body = await request.read()
        try:
            Webhook(SECRET).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.refused += 1
            return web.Response(status=401)
        if self.world.chat_throttled:
            self.world.chat_throttled -= 1
            self.say("chat", "answers 429, Retry-After: 1")
            return web.Response(status=429, headers={"Retry-After": "1"})
        if (name := request.headers["webhook-id"]) in self.seen:
            # At least once: a receiver drops what it has seen, by its id.
            return web.Response(status=204)
        self.seen.add(name)
        self._tell(msgspec.json.decode(body))
        return web.Response(status=204)

    def _tell(self, message: dict[str, Any]) -> None:
        for alert in message["data"]["alerts"]:
            kind = "EVENT" if alert["event"] else alert["status"].upper()
            heard = Heard(kind, alert["rule"], alert["account"], alert["asset"] or "")
            self.heard.append((alert["id"], heard))
            title = f"[{kind} {alert['severity']}]" if kind == "FIRING" else f"[{kind}]"
            summary = alert["annotations"].get("summary", "")
            self.say(kind, f"{title} {alert['rule']}: {summary}")
