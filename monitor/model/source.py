"""An alert that keeps others quiet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Source:
    """An alert whose labels match the source of an inhibition, of the record of `account`.

    `ended_at` is set once it keeps nobody quiet any more: it resolved, or has other labels now. `mark` is the row that
    said so last, `<version>-<index>`.
    """

    fingerprint: str
    account: str
    labels: Mapping[str, str]
    since: datetime
    ended_at: datetime | None = None
    mark: str = ""
