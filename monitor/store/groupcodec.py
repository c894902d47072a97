"""A group as it is stored; and what of it cannot be read, because it is damaged, or of a newer release, which may come
for it within the hour."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from monitor.model.group import Group, Hush
from monitor.model.window import moment
from monitor.store import codec

log = structlog.get_logger("monitor.store")

#: The name of an item (`moving.py`): its urgency, then the version of its row, in µs since 1970.
_ITEM = re.compile(r"[a-z]?(\d+)-\d+@")


def group(channel: str, name: str, token: int, due_us: int, reply: Any) -> Group:
    """A group out of the answer of `bm_read_group`; one of UNREADABLE when it cannot be read."""
    fields, opened, news = codec.flat(reply[0]), codec.flat(reply[1]), reply[2]
    telling, failing = fields.get("telling"), fields.get("failing")
    return Group(
        channel=channel,
        id=name,
        version=int(fields["ver"]),
        token=token,
        labels=codec.labels(fields["labels"]),
        interval=timedelta(microseconds=int(fields["interval"])),
        repeat=timedelta(microseconds=int(fields["repeat"])),
        due_at=moment(due_us),
        news=tuple(codec.item(news[at + 1]) for at in range(0, len(news), 2)),
        waiting=int(reply[3]),
        open={fingerprint: codec.told(stored) for fingerprint, stored in opened.items()},
        telling=codec.message(telling) if telling else None,
        failed="failed" in fields,
        attempts=int(fields.get("attempts", 0)),
        failing_since=moment(int(failing)) if failing else None,
        why=fields.get("why", b"").decode(),
        route=fields.get("route", b"").decode(),
        hushed=hushed(channel, name, reply[4]),
        replays=fields.get("replays", b"").decode(),
        members=codec.members(fields["members"]) if "members" in fields else (),
    )


def hushed(channel: str, group: str, stored: bytes) -> Mapping[str, Hush]:
    """What is suppressed in a group; in doubt nothing is."""
    try:
        return codec.hushed(stored) if stored else {}
    except codec.UNREADABLE as error:
        log.error("hushed.unreadable", channel=channel, group=group, why=type(error).__name__)
        return {}


@dataclass(frozen=True, slots=True)
class Damage:
    """What is to be given up: the frozen message, what was told of these fingerprints, these news."""

    message: bool = False
    told: tuple[str, ...] = ()
    news: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.message or bool(self.told or self.news)

    @property
    def args(self) -> list[str | int]:
        """As `bm_discard` takes it."""
        return ["1" if self.message else "", len(self.told), *self.told, *self.news]


def damage(fields: Mapping[str, bytes], opened: Mapping[str, bytes], news: Sequence[bytes], since_us: int) -> Damage:
    """What of a group as stored is unreadable and was before then; `news` are keys and items."""
    settled = int(fields.get("flushed", b"0")) < since_us
    telling = fields.get("telling") if settled and "replays" not in fields else None
    pairs = ((news[at].decode(), news[at + 1]) for at in range(0, len(news), 2))
    return Damage(
        message=bool(telling) and not _reads(codec.message, telling),
        told=_unreadable(codec.told, opened.items()) if settled else (),
        news=tuple(key for key in _unreadable(codec.item, pairs) if _version(key) < since_us),
    )


def _unreadable(reader: Callable[[bytes], object], stored: Iterable[tuple[str, bytes]]) -> tuple[str, ...]:
    return tuple(key for key, text in stored if not _reads(reader, text))


def _reads(reader: Callable[[bytes], object], text: bytes | None) -> bool:
    try:
        reader(text or b"")
    except codec.UNREADABLE:
        return False
    return True


def _version(key: str) -> int:
    found = _ITEM.match(key)
    return int(found[1]) if found else 0
