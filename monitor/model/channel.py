"""How a channel as a whole is doing."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

#: So many failed attempts in a row, over all groups of a channel, and it is failing (store/lua/channel.lua).
FAILING_AFTER = 4
#: Messages in flight to one channel at a time, from one process, unless it or its rate allows fewer.
BATCH_MAX = 20

ChannelState = Literal["ok", "failing", "paused"]


@dataclass(frozen=True, slots=True)
class ChannelHealth:
    """What deliveries showed of a channel, over all processes, as of `at`.

    `row` are the failed attempts since it last answered a message as it should, `dead` the messages given up since it
    last took one (`ok_at`); `since` and `why` are of either. `refused` says that it takes none of ours whatever we
    send. `paused_until` is what the destination asked for; `next_try_at` is set while all but one message wait for
    what comes of that one. `waiting` groups have something to tell by now.
    """

    at: datetime
    row: int = 0
    since: datetime | None = None
    why: str = ""
    ok_at: datetime | None = None
    dead: int = 0
    refused: bool = False
    paused_until: datetime | None = None
    next_try_at: datetime | None = None
    waiting: int = 0

    @property
    def state(self) -> ChannelState:
        """`paused`: refused, and tried every ten minutes. `failing`: too many failures, or a message was given up."""
        if self.refused:
            return "paused"
        return "failing" if self.row >= FAILING_AFTER or self.dead else "ok"
