"""Alerts that keep others quiet, as all processes see them. Rows bring them here (`moving.py`)."""

from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from monitor.model.source import Source
from monitor.store import codec
from monitor.store.keys import SOURCES
from monitor.store.session import Session

log = structlog.get_logger("monitor.store")

#: One that has ended is kept for this long, so that no row from before its end brings it back.
KEPT_FOR = timedelta(hours=1)


class InhibitingStore(Session):
    """Implements the inhibiting port."""

    async def sources(self, now: datetime) -> tuple[Source, ...]:
        """Those that fire, and those that ended within the hour; older ones are forgotten.

        One that cannot be read keeps nobody quiet: in doubt, people hear.
        """
        stored = codec.flat(await self._calls.command("HGETALL", SOURCES))
        found: list[Source] = []
        for name, text in stored.items():
            try:
                mark, _, document = text.partition(b" ")
                found.append(replace(codec.source(document), mark=mark.decode()))
            except codec.UNREADABLE as error:
                log.error("source.unreadable", alert=name, why=type(error).__name__)
        for old in [one for one in found if one.ended_at is not None and one.ended_at + KEPT_FOR <= now]:
            await self._calls.fcall("bm_end_source", [SOURCES], old.fingerprint, old.mark, "")
        return tuple(one for one in found if one.ended_at is None or one.ended_at + KEPT_FOR > now)

    async def end_source(self, source: Source, now: datetime) -> bool:
        """Take one out, if no row has come for it since it was read."""
        ended = codec.dump(replace(source, ended_at=now))
        return bool(await self._calls.fcall("bm_end_source", [SOURCES], source.fingerprint, source.mark, ended))
