"""Which channels take no messages: told as an alert by another channel, and as metrics."""

from collections.abc import Mapping
from dataclasses import dataclass

from monitor.api.views import stamp
from monitor.commands.checks import counted
from monitor.concerns import Concerns
from monitor.metrics import Metrics
from monitor.model.channel import ChannelHealth
from monitor.rules.self_alert import NOTIFICATION_FAILING

#: Here begins what to do.
_MEND = ". Mend it"


@dataclass(slots=True)
class ChannelOutlook:
    """Reports the channels that fail, each until it has delivered again. Any number of processes may report one."""

    metrics: Metrics
    concerns: Concerns

    def take(self, found: Mapping[str, ChannelHealth]) -> None:
        """How all configured channels are doing now; of others nothing is said any more."""
        for name, health in found.items():
            self.metrics.channel_failing(name, failing=health.state != "ok")
            if health.state == "ok":
                self.concerns.settle(NOTIFICATION_FAILING, about=name)
            else:
                self.concerns.report(NOTIFICATION_FAILING, told(name, health), about=name)
        for name in self.concerns.abouts(NOTIFICATION_FAILING):
            if name not in found:
                self.concerns.settle(NOTIFICATION_FAILING, about=name)
                self.metrics.channel_failing(name, failing=False)


def channel_view(health: ChannelHealth) -> dict[str, object]:
    """For `status --json`."""
    return {
        "state": health.state,
        "failed_in_a_row": health.row,
        "dead": health.dead,
        "waiting": health.waiting,
        "since": stamp(health.since),
        "why": health.why or None,
        "ok_at": stamp(health.ok_at),
        "paused_until": stamp(health.paused_until),
        "next_try_at": stamp(health.next_try_at),
    }


def facts(why: str) -> str:
    """What was told of a channel without what to do: a list has no room for it."""
    return why.partition(_MEND)[0]


def told(name: str, health: ChannelHealth) -> str:
    """Since when, how often, why, how many wait, and what to do."""
    since = "" if health.since is None else f"since {health.since:%Y-%m-%dT%H:%M:%SZ} "
    parts = [f"{since}{counted(health.row, 'attempt')} in a row failed" if health.row else since.strip()]
    if health.dead:
        parts.append(f"{counted(health.dead, 'message')} given up")
    if health.waiting:
        parts.append(f"{counted(health.waiting, 'group')} waiting")
    why = f" ({health.why})" if health.why else ""
    return (
        f"{', '.join(part for part in parts if part)}{why}{_MEND} and try it with `balance-monitor send-test {name}`"
        + (", then `balance-monitor replay --dead` sends what was given up" if health.dead else "")
    )
