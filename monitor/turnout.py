"""Accounts that the store still polls and nobody wants any more."""

import asyncio
from typing import TYPE_CHECKING

from monitor.enrolment import CHUNK

if TYPE_CHECKING:
    from monitor.plan import Crew


async def turn_out(crew: "Crew") -> None:
    """Make accounts due that are neither configured nor watched, so that `see_off` meets them soon."""
    if not await crew.may_close():
        return
    for provider in await crew.store.providers():
        known = crew.pollers[provider].accounts if provider in crew.pollers else {}
        leaving = [name for name in await crew.store.enrolled(provider) if name not in known]
        if provider not in crew.pollers:
            if not leaving:
                await crew.store.forget_provider(provider)
                continue
            crew.hire(provider)
        for start in range(0, len(leaving), CHUNK):
            chunk = leaving[start : start + CHUNK]
            await asyncio.gather(*(crew.store.poll_now(provider, name) for name in chunk))
        crew.wake(provider)
