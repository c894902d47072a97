"""For stores of alerts: every alert of a message is sent and judged by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from monitor.errors import DeliveryDeferred, DeliveryError, DeliveryRejected
from monitor.model.group import Message, Numbered

#: Requests in flight to one store of alerts at a time.
AT_ONCE = 8
#: Messages that were put off, of which is known what was taken. Who is forgotten is sent again, which is harmless.
MESSAGES_MAX = 200
#: Alerts named in the reason of a failure.
NAMED_MAX = 5

#: What names an entry within a message: its alert and its number.
_Name = tuple[str, int]


@dataclass(slots=True)
class Singly:
    """Sends the alerts of messages side by side, and what has the same key in order.

    What was taken of a message that was put off is not sent again, so a store that takes only some at a time gets all
    in the end. Who does not remember (another process, after a crash) sends it again, under the same keys.
    """

    _gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    _taken: dict[str, set[_Name]] = field(default_factory=dict)

    async def send(
        self, message: Message, key: Callable[[Numbered], str], send: Callable[[Numbered], Awaitable[None]]
    ) -> None:
        """`send` each alert. Raises one DeliveryError for all that failed, with what was `taken` all the same.

        What is refused as such keeps nothing else from being sent; after any other failure nothing more is tried.
        """
        taken = self._taken.setdefault(message.id, set())
        chains: dict[str, list[int]] = {}
        for place, one in enumerate(message.alerts):
            if _name(one) not in taken:
                chains.setdefault(key(one), []).append(place)
        failed: dict[int, DeliveryError] = {}

        async def in_order(places: list[int]) -> None:
            for place in places:
                one = message.alerts[place]
                async with self._gate:
                    if error := _halted(failed):
                        failed[place] = error
                        continue
                    try:
                        await send(one)
                        taken.add(_name(one))
                    except DeliveryError as refused:
                        failed[place] = refused

        async with asyncio.TaskGroup() as group:
            for places in chains.values():
                group.create_task(in_order(places))
        error = verdict(message, failed) if failed else None
        self._remember(message.id, keep=isinstance(error, DeliveryDeferred))
        if error is not None:
            raise error

    def _remember(self, name: str, *, keep: bool) -> None:
        """Whoever sends a message again that was not put off means all of it."""
        if not keep:
            self._taken.pop(name, None)
        while len(self._taken) > MESSAGES_MAX:
            del self._taken[next(iter(self._taken))]


def verdict(message: Message, failed: Mapping[int, DeliveryError]) -> DeliveryError:
    """What the failures of some alerts, by their places, mean for the message: whatever may still pass counts first."""
    first = min(failed.values(), key=_urgency)
    why = str(first)
    if len(message.alerts) > 1:
        ids = list(dict.fromkeys(message.alerts[place].entry.id for place in sorted(failed)))
        more = ", …" if len(ids) > NAMED_MAX else ""
        why += f" ({len(failed)} of {len(message.alerts)}: {', '.join(ids[:NAMED_MAX])}{more})"
    error: DeliveryError
    if isinstance(first, DeliveryRejected):
        error = DeliveryRejected(why, first.fault)
    else:
        waits = [it.wait for it in failed.values() if isinstance(it, DeliveryDeferred) and it.wait is not None]
        error = DeliveryDeferred(why, max(waits, default=None))
    error.taken = frozenset(range(len(message.alerts))) - failed.keys()
    return error


def _halted(failed: Mapping[int, DeliveryError]) -> DeliveryError | None:
    """What keeps the rest from being tried."""
    return next((it for it in failed.values() if _urgency(it) < _REFUSED), None)


_CHANNEL, _LATER, _REFUSED = range(3)


def _urgency(error: DeliveryError) -> int:
    if isinstance(error, DeliveryRejected):
        return _CHANNEL if error.fault == "channel" else _REFUSED
    return _LATER


def _name(one: Numbered) -> _Name:
    return one.entry.id, one.sequence
