"""Where something is due, as far as one process knows without asking."""

from dataclasses import dataclass, field
from datetime import timedelta

#: Other processes may make something due at any time; all partitions are looked at this often.
RESCAN = timedelta(seconds=1)
_RESCAN_US = RESCAN // timedelta(microseconds=1)
#: A clock that goes back by more was set.
_STEP_US = 2_000_000


@dataclass(slots=True)
class Watch:
    """When each partition has something due for one provider, as far as this process knows (microseconds)."""

    next_us: dict[int, int] = field(default_factory=dict)
    scanned_us: int | None = None
    start: int = 0
    #: Where somebody is first in line, in the order in which that was heard of.
    ahead: dict[int, None] = field(default_factory=dict)

    def expect(self, partition: int, at_us: int) -> None:
        """Something is due there then, or earlier."""
        known = self.next_us.get(partition)
        if known is None or at_us < known:
            self.next_us[partition] = at_us

    def hurry(self, partition: int) -> None:
        """Somebody there is first in line."""
        self.expect(partition, 0)
        self.ahead[partition] = None

    def rescans(self, now_us: int) -> bool:
        """Whether it is time to ask every partition, whatever is expected of it."""
        seen = self.scanned_us
        return seen is None or not seen - _STEP_US <= now_us < seen + _RESCAN_US

    def candidates(self, now_us: int) -> list[int]:
        """Partitions that should have something due, beginning where the last call did not end."""
        found = sorted(number for number, at_us in self.next_us.items() if at_us <= now_us)
        after = [number for number in found if number >= self.start]
        return after + found[: len(found) - len(after)]
