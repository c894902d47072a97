"""Prices that one process has fetched for all."""

from datetime import datetime, timedelta

from monitor.model.price import Posted
from monitor.model.window import micros
from monitor.store import codec
from monitor.store.keys import prices
from monitor.store.session import Session

_MILLISECOND = timedelta(milliseconds=1)


class PricingStore(Session):
    """Implements the prices' port."""

    async def post_prices(self, source: str, posted: Posted, keep: timedelta) -> None:
        """Share these with all processes; they are forgotten after `keep`."""
        key = prices(source)
        await self._calls.command("HSET", key, "at", str(micros(posted.at)), "posted", codec.dump(posted))
        await self._calls.command("PEXPIRE", key, str(keep // _MILLISECOND + 1))

    async def posted_prices(self, source: str, known: datetime | None) -> Posted | None:
        """What was shared, None when it is what is `known` already, or cannot be read."""
        key = prices(source)
        at = await self._calls.command("HGET", key, "at")
        if at is None or (known is not None and int(at) == micros(known)):
            return None
        text = await self._calls.command("HGET", key, "posted")
        try:
            return codec.posted(text) if text else None
        except codec.UNREADABLE:
            # Of a newer release; prices that cannot be read grow too old.
            return None
