"""What is stored of deliveries and of alerts' stories, as JSON. As in `codec`: unknown fields are ignored, missing ones
take their defaults, so two releases can share a store."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, cast

import msgspec

from monitor.model.group import Group, Message, MessageType
from monitor.model.ledger import SAID_MAX, Attempt, AttemptOutcome, Mention, Notification, NotificationState, Tried
from monitor.model.record import Commit
from monitor.model.story import Chapter, Told, chapters
from monitor.model.window import moment
from monitor.redact import redact
from monitor.store import codec
from monitor.store.keys import Partition

_MILLISECOND = timedelta(milliseconds=1)
#: The story of an alert that has not fired is kept for so long after its last chapter: what hovers at its threshold is
#: pending again and again, each time as another alert.
NEVER_FIRED_KEPT = timedelta(days=1)


class _Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """A notification but for what became of it."""

    type: MessageType
    group: str
    alerts: tuple[Mention, ...] = ()


class _Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    at: datetime
    outcome: Literal["sent", "failed", "dead"]
    ms: int = 0
    said: str = ""


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """A dead letter. `message` is what was frozen, byte for byte."""

    group: str
    why: str
    message: msgspec.Raw
    attempts: int = 0


_head = msgspec.json.Decoder(_Head)
_attempt = msgspec.json.Decoder(_Attempt)
_letter = msgspec.json.Decoder(Letter)
_chapter = msgspec.json.Decoder(Chapter)

dump_chapter = codec.sparing(Chapter)

letter = _letter.decode


def dump_head(group: str, message: Message) -> bytes:
    """What the log says of a message before it is tried."""
    told = tuple(Mention(one.entry.id, one.entry.status, one.sequence) for one in message.alerts)
    return codec.dump(_Head(message.type, group, told))


def dump_attempt(outcome: AttemptOutcome, tried: Tried | None) -> bytes:
    """One attempt; empty when nothing was sent."""
    if tried is None:
        return b""
    return codec.dump(_Attempt(tried.at, outcome, max(0, tried.took // _MILLISECOND), said(tried.said)))


def said(text: str) -> str:
    """A receiver's words as they may be stored: without secrets, whatever it echoes, on one line, and cut."""
    # Control characters would drive the terminal of whoever asks why.
    line = "".join(one if one.isprintable() else " " for one in redact(text))
    return " ".join(line.split())[:SAID_MAX]


def dump_letter(group: Group, message: Message, why: str) -> bytes:
    """A message that was given up."""
    raw = msgspec.Raw(codec.dump(message))
    # What is replayed and dies again still belongs to the group that it came from.
    return codec.dump(Letter(group.replays or group.id, said(why), raw, group.attempts + 1))


def stories(where: Partition, commit: Commit, age: timedelta) -> tuple[list[str], list[bytes | int]]:
    """The keys of the stories that a commit adds to, and for each how long it is kept (in seconds) and the chapter."""
    touched, args = list[str](), list[bytes | int]()
    for chapter in chapters(commit):
        kept = min(NEVER_FIRED_KEPT, age) if chapter.what in ("pending", "dropped") else age
        touched.append(where.story(chapter.alert))
        args += [max(1, kept // timedelta(seconds=1)), dump_chapter(chapter)]
    return touched, args


def told(stored: bytes) -> Told:
    """A chapter as `tell_story` stores it: `<version> <time> <chapter>`."""
    version, at, text = stored.split(b" ", 2)
    return Told(moment(int(at)), int(version), _chapter.decode(text))


def notification(channel: str, name: str, fields: Mapping[str, bytes]) -> Notification | None:
    """A notification out of its log; None when that has expired."""
    if "head" not in fields:
        return None
    head, tried = _head.decode(fields["head"]), int(fields.get("tried", 0))
    return Notification(
        id=name,
        channel=channel,
        type=head.type,
        group=head.group,
        at=moment(int(fields["at"])),
        alerts=head.alerts,
        state=cast(NotificationState, fields["state"].decode()),
        attempts=_attempts(fields, tried),
        tried=tried,
    )


def _attempts(fields: Mapping[str, bytes], tried: int) -> tuple[Attempt, ...]:
    numbers = sorted(int(name[3:]) for name in fields if name.startswith("try") and name[3:].isdigit())
    found = [_attempt.decode(fields[f"try{number}"]) for number in numbers if number <= tried]
    return tuple(Attempt(one.at, one.outcome, one.said, one.ms * _MILLISECOND) for one in found)


def names(found: Sequence[Any]) -> list[str]:
    """Members of a set or list as text."""
    return [one.decode() for one in found]
