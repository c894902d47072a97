"""What is read of the store without working on it."""

from datetime import datetime
from typing import Protocol

from monitor.engine.records import Records
from monitor.model.event import Event
from monitor.model.past import Past
from monitor.model.record import Point


class Reader(Records, Protocol):
    """What the API and the commands read."""

    async def due_at(self, provider: str, account: str) -> datetime | None:
        """When an account is due; None while it is being polled or when it is unknown."""
        ...

    async def history(
        self, account: str, asset: str, measure: str, since: datetime, until: datetime, limit: int
    ) -> list[Point]:
        """Points of one measure, oldest first."""
        ...

    async def recent_events(self, account: str, before: str | None, limit: int) -> list[tuple[str, Event]]:
        """Events newest first, each with the cursor that continues after it."""
        ...

    async def past(self, account: str, since: datetime) -> Past:
        """Everything that is stored of an account since then, and what held then already."""
        ...
