"""What delivering needs of the store."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol

from monitor.errors import Fault
from monitor.model.group import Group, Message, Told
from monitor.model.ledger import Tried


class DeliveryStore(Protocol):
    """The delivering half of the store."""

    async def claim_groups(
        self,
        channel: str,
        limit: int,
        lease: timedelta,
        rate: tuple[int, timedelta] | None = None,
        together: int = 0,
    ) -> tuple[Group, ...]:
        """Lease groups that are due, as many as the channel's rate allows: critical news first, then warnings.

        Where far more are due than its rate, or what it took since it last asked for a pause, leaves room for, up to
        `together` of them instead, marked so: they go out as one message and are charged as one.

        Of a channel that fails as a whole a single one, ever more seldom, up to every ten minutes. Once it takes a
        message, every group that waits for its next try is due."""
        ...

    def groups_due(self, channel: str) -> datetime | None:
        """When the channel next has a group due, as far as this process knows without asking."""
        ...

    async def freeze(self, group: Group, message: Message) -> Group | None:
        """Make `message` what is being told and clear `failed`; None: someone else has the group.

        Its keys leave the news. What it replaces is gone: items that were only in there stay among the news.
        Called before every attempt, so also with the message that is frozen already.
        """
        ...

    async def settle(
        self, group: Group, told: Mapping[str, Told | None], due_at: datetime | None, tried: Tried | None = None
    ) -> bool:
        """The frozen message arrived: remember what was told (None forgets an alert) and the next due time.

        `tried` is how sending it went; None: there was nothing to send. Where nothing is frozen, something was told
        again that is on no record.
        """
        ...

    async def postpone(self, group: Group, due_at: datetime, tried: Tried, wait: timedelta | None = None) -> bool:
        """The frozen message failed: count an attempt, put its items back among the news (oldest first), set
        `failed`. It goes out again at `due_at`, composed anew if news came meanwhile.

        `wait` is what the destination asked for: its whole channel is left alone for so long.
        """
        ...

    async def bury(
        self,
        group: Group,
        message: Message,
        tried: Tried,
        told: Mapping[str, Told | None],
        due_at: datetime | None,
        fault: Fault | None = None,
    ) -> bool:
        """The frozen message is dead: keep it in the channel's dead letters, go on with what is left as `settle`
        does. The next message starts with no failed attempts.

        `fault` None: it was tried too often. A channel at fault is tried with one message every ten minutes.
        """
        ...

    async def defer(self, group: Group, due_at: datetime | None) -> bool:
        """Nothing to tell yet: come back at `due_at`, or never by itself.

        A message that failed last is withdrawn: what it told of is told anew when it is to be told.
        """
        ...

    async def put_off(self, group: Group, due_at: datetime) -> bool:
        """Nobody can tell it now, and why is a bug: come back then, and keep no other group waiting until then."""
        ...

    async def read_on(self, group: Group) -> Group:
        """The group with more of its news, as many again as were read; the same when there are no more."""
        ...

    async def keep_hushed(self, group: Group) -> bool:
        """Remember `group.hushed` while the claim is held: what is held back, and why."""
        ...
