"""The clock of the store's host is set forward under a running daemon: no bet is allowed by it, and people are told.

A test cannot set its machine's clock. Here the server itself adds to its time, wherever a function of ours asks for it.
"""

from monitor.store import functions
from tests.e2e.test_guard_alerts import PATIENCE, ask, of

#: A quarantine lasts four seconds and a half.
GUARD = """\
guard:
  posting_delay: 400ms
  read_lag: 100ms
  deadline: 10s
  hold_ttl: {default: 4s, max: 4s}
"""
AHEAD = """\
(function()
    local now = redis.call('TIME')
    return {string.format('%.0f', now[1] + (redis.call('GET', 'ahead') or 0)), now[2]}
  end)()"""


class Host:
    """Whose clock can be set."""

    def __init__(self, server):
        self.server, self.ahead = server, 0
        code = functions.source()
        assert code.count("redis.call('TIME')") == 2
        server.execute_command("FUNCTION", "LOAD", "REPLACE", code.replace("redis.call('TIME')", AHEAD))

    def set_forward(self, seconds):
        self.ahead += seconds
        self.server.set("ahead", self.ahead)


async def hold(daemon, name, amount):
    body = {"account": "hot", "asset": "USDT", "amount": str(amount), "ttl": "4s"}
    return (await ask(daemon, "PUT", f"/v1/holds/{name}", body))[1].get("reason")


async def first_allowed(daemon, until, bets):
    """Bet until one is allowed; what was said before."""
    said = set()

    async def allowed():
        name = f"bet-{next(bets)}"
        said.add(reason := await hold(daemon, name, 60))
        return reason == "OK"

    await until(allowed, "a bet is allowed", PATIENCE)
    return said - {"OK"}


async def test_no_bet_is_allowed_by_a_clock_that_was_set_forward_and_people_are_told(place, chat, until):
    place.write(below=1)
    config = place.path / "config.yaml"
    config.write_text(config.read_text() + GUARD)
    daemon, bets = await place.start(), iter(range(10_000))
    host = Host(place.server())
    await first_allowed(daemon, until, bets)

    # Now nobody bets.
    host.set_forward(100)
    told = await until(lambda: of(chat, "GuardQuarantined"), "that is told", PATIENCE)
    assert "the store's clock was set forward" in told[0][1]

    await first_allowed(daemon, until, bets)
    host.set_forward(60)
    assert await hold(daemon, "first", 60) == "STATE_QUARANTINED", "the hold before has ended, but not in truth"
    # The command gives the server its own functions back, whose clock is right.
    assert "guard in quarantine, the store's clock was set forward: " in (await place.command("status"))[1]
    assert any(55 < line["by_seconds"] <= 60 for line in daemon.said("guard.clock_set_forward"))
