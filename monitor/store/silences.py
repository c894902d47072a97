"""Silences made at run time, shared by all processes."""

from dataclasses import replace
from datetime import datetime

import structlog

from monitor.model.silence import KEPT_FOR, SILENCES_MAX, Silence
from monitor.store import codec
from monitor.store.keys import SILENCES
from monitor.store.session import Session

log = structlog.get_logger("monitor.store")


class SilencingStore(Session):
    """Implements the silencing port."""

    async def silences(self, now: datetime) -> tuple[Silence, ...]:
        """Those made at run time, oldest first; what ended long ago is forgotten.

        One that cannot be read silences nothing: in doubt, people hear.
        """
        stored = codec.flat(await self._calls.command("HGETALL", SILENCES))
        found: list[Silence] = []
        for name, text in stored.items():
            try:
                found.append(codec.silence(text))
            except codec.UNREADABLE as error:
                log.error("silence.unreadable", silence=name, why=type(error).__name__)
        if old := [one.id for one in found if one.ends_at + KEPT_FOR <= now]:
            await self._calls.command("HDEL", SILENCES, *old)
        kept = (one for one in found if one.ends_at + KEPT_FOR > now)
        return tuple(sorted(kept, key=lambda one: (one.created_at or one.ends_at, one.id)))

    async def add_silence(self, silence: Silence) -> bool:
        """Keep it; False when there are too many. The same silence is kept once."""
        if int(await self._calls.command("HLEN", SILENCES)) >= SILENCES_MAX:
            return False
        await self._calls.command("HSET", SILENCES, silence.id, codec.dump(silence))
        return True

    async def end_silence(self, name: str, now: datetime) -> Silence | None:
        """End a silence now, if it has not ended; None when there is none of that id."""
        text = await self._calls.command("HGET", SILENCES, name)
        if text is None:
            return None
        silence = codec.silence(text)
        if silence.ends_at > now:
            silence = replace(silence, ends_at=now)
            await self._calls.command("HSET", SILENCES, name, codec.dump(silence))
        return silence
