"""What a crew is given and what it keeps running, by what it needs of them."""

from datetime import datetime
from typing import Protocol


class Following(Protocol):
    """A clock that can be told what time it is at the store."""

    def __call__(self) -> datetime: ...

    def follow(self, store_now: datetime) -> None: ...


class Part(Protocol):
    """Something that runs until it is told to stop."""

    async def run(self) -> None: ...

    def stop(self) -> None: ...

    async def abandon(self) -> None: ...
