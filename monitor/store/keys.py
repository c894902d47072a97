"""Every key of the store: its type, what it means and who trims it.

One call touches one tag, so everything here also runs on a cluster. Names from outside follow the tag, so
no name can move a key to another slot. Times are microseconds since 1970; scores are such times.
"""

import zlib
from dataclasses import dataclass

#: How the names of news within a group begin: critical, warning, anything else.
URGENCIES = "cwi"

#: How many partitions a new store gets; stored once, and the stored number wins.
PARTITIONS = 64
PARTITIONS_MAX = 4096

#: Hash `partitions` → how many there are. Written once by the first process, never trimmed.
LAYOUT = "{bm:x}:layout"
#: Hash `generation`, `digest` of the newest configuration: the one that was started or reloaded last. Never trimmed.
NEWEST = "{bm:x}:newest"
#: Hash process → `<time> <digest>` of the configuration it runs. Whoever leaves is removed, the silent by the others.
RUNNING = "{bm:x}:running"
#: Set of the providers that ever had accounts. A start or reload removes those that have none any more.
PROVIDERS = "{bm:x}:providers"
#: Hash condition, process and detail → a report as JSON. Whoever judges them removes those that were not renewed.
REPORTS = "{bm:x}:reports"
#: Hash id → a silence made at run time as JSON. Whoever reads them removes those that ended five days ago.
SILENCES = "{bm:x}:silences"
#: Hash fingerprint → `<version>-<index> <source as JSON>` of alerts that keep others quiet. Whoever reads them removes
#: those that ended an hour ago.
SOURCES = "{bm:x}:sources"
#: Hash `since`, `comment`, `author` of an operator who closed the guard; of the bankroll `house`, `low`, `at` of the
#: reading judged last. Six fields for ever.
GUARD = "{bm:x}:guard"
#: Not a key but a channel: `<partition> <provider>` whenever an account comes first in line.
WAKE = "{bm:x}:wake"


def partition_of(account: str, partitions: int) -> int:
    """The partition of an account: stable over processes, releases and machines."""
    return zlib.crc32(account.encode("utf-8", "surrogatepass")) % partitions


@dataclass(frozen=True, slots=True)
class Partition:
    """Keys shared by the accounts of one partition."""

    number: int
    tag: str

    @property
    def seq(self) -> str:
        """String: the highest version given in this partition. Never trimmed."""
        return f"{self.tag}:seq"

    @property
    def epoch(self) -> str:
        """String: when this partition was first used. Its absence means the store was emptied."""
        return f"{self.tag}:epoch"

    @property
    def outdue(self) -> str:
        """Sorted set account → when its outbox is swept. The sweep removes it with the last row."""
        return f"{self.tag}:outdue"

    @property
    def outclock(self) -> str:
        """Hash `seen` → the latest time a sweep saw, to notice a clock that steps back."""
        return f"{self.tag}:outclock"

    @property
    def open(self) -> str:
        """Set of the accounts that have alerts, pending ones included. Commits keep it."""
        return f"{self.tag}:open"

    @property
    def changed(self) -> str:
        """Sorted set account → version that last brought another value, of accounts that are summed up. One entry an
        account; `dismiss` removes it."""
        return f"{self.tag}:changed"

    @property
    def seen(self) -> str:
        """Sorted set account → when the next of what was read of it is stale, of accounts that are summed up. `dismiss`
        removes it."""
        return f"{self.tag}:seen"

    @property
    def moves(self) -> str:
        """Stream `a` account, `e` event, id as in `events`, of accounts whose flows are summed up. Commits trim it by
        age (the longest window) and count."""
        return f"{self.tag}:moves"

    def due(self, provider: str) -> str:
        """Sorted set account → when its next poll is due. One per provider, so none waits for another's."""
        return f"{self.tag}:due:{provider}"

    def leased(self, provider: str) -> str:
        """Sorted set account → the end of its lease, which is also the fencing token. Commits remove it."""
        return f"{self.tag}:leased:{provider}"

    def passed(self, provider: str) -> str:
        """Hash `<configuration> <account>` → how long it leaves that to the others. Claims remove what is over."""
        return f"{self.tag}:passed:{provider}"

    def ahead(self, provider: str) -> str:
        """Sorted set account → since when a bet waits for its poll, of those in `due`. Claims remove it."""
        return f"{self.tag}:ahead:{provider}"

    def clock(self, provider: str) -> str:
        """Hash `seen` → latest time a claim saw, `token` → the highest token given. Two fields for ever."""
        return f"{self.tag}:clock:{provider}"

    def last(self, provider: str) -> str:
        """Hash account → version of its record, so that a claim tells whether a cached one is current."""
        return f"{self.tag}:last:{provider}"

    def record(self, account: str) -> str:
        """Hash `v` version, `t` last token, `s` reading, `d` alerts, cursors, `w` rings, `k` event keys,
        `g` generation of the configuration that judged it last."""
        return f"{self.tag}:record:{account}"

    def outbox(self, account: str) -> str:
        """Hash `<version>-<index>` → row JSON. A sweep strikes off what has been applied."""
        return f"{self.tag}:outbox:{account}"

    def story(self, alert: str) -> str:
        """List of `<version> <time> <chapter>`: what an alert went through. Expires `history.keep` after the last one,
        a day after it where the alert never fired."""
        return f"{self.tag}:alert:{alert}"

    def events(self, account: str) -> str:
        """Stream of events, id `<version>-<index>`. Commits trim it by count and age."""
        return f"{self.tag}:events:{account}"

    def points(self, account: str, asset: str) -> str:
        """Stream of changed measures, id `<version>-<index>`. Commits trim it by count and age."""
        return f"{self.tag}:points:{account}:{asset}"

    def hourly(self, account: str, asset: str) -> str:
        """Stream of each hour's last values. Commits trim it by age."""
        return f"{self.tag}:hourly:{account}:{asset}"

    def closing(self, account: str) -> str:
        """Hash `<asset> <measure>` → the latest time and value: the hour's last once the next one begins."""
        return f"{self.tag}:closing:{account}"


def partition(number: int) -> Partition:
    """The keys of one partition."""
    return Partition(number, f"{{bm:{number}}}")


@dataclass(frozen=True, slots=True)
class ChannelKeys:
    """Keys of one channel."""

    name: str

    def _key(self, what: str) -> str:
        return f"{{bm:c:{self.name}}}:{what}"

    @property
    def due(self) -> str:
        """Sorted set group → when it is due."""
        return self._key("due")

    @property
    def leased(self) -> str:
        """Sorted set group → the end of its lease, which is also the fencing token."""
        return self._key("leased")

    @property
    def clock(self) -> str:
        """Hash `seen`, `token` as for accounts, `pause` → until when the destination asked to be left alone, `open`
        (while the channel fails) → when a single group is tried next, `prober` → that group, `window` → how many
        messages may be on their way (absent: as many as there are), `crowded` → a group with many marks."""
        return self._key("clock")

    @property
    def critical(self) -> str:
        """Sorted set: those of `due` with critical untold news, and when they are due. Kept with `due`."""
        return self._key("due:critical")

    @property
    def warning(self) -> str:
        """The same of those with warnings at most."""
        return self._key("due:warning")

    @property
    def health(self) -> str:
        """Hash `row` → failures in a row over all groups, `since`, `why`, `ok` → the last success, `dead` → given up
        since then, `refused`. Six fields for ever."""
        return self._key("health")

    @property
    def rate(self) -> str:
        """Hash bucket → deliveries claimed in it; old buckets go with every claim."""
        return self._key("rate")

    @property
    def idle(self) -> str:
        """Sorted set group → since when it owes and knows nothing. `tidy` deletes it after an hour."""
        return self._key("idle")

    @property
    def dead(self) -> str:
        """Sorted set notification → when it died, at most a thousand. `replay` takes out."""
        return self._key("dead")

    @property
    def hushed(self) -> str:
        """Hash group → what is suppressed in it, as JSON. Whoever looks at the group keeps it, `tidy` removes it."""
        return self._key("hushed")

    @property
    def letters(self) -> str:
        """Hash notification → dead letter, of those in `dead`."""
        return self._key("letters")

    @property
    def failing(self) -> str:
        """Sorted set group → since when its message fails. Whatever ends that removes it, also what
        cannot be read."""
        return self._key("failing")

    @property
    def alone(self) -> str:
        """Set of the groups that are told by themselves if they are claimed now: what is frozen and may have arrived,
        dead letters that go out again, what was refused together. Whatever ends that removes it."""
        return self._key("alone")

    @property
    def sent(self) -> str:
        """Stream `n` of the notifications that arrived, at most a thousand."""
        return self._key("sent")

    def log(self, notification: str) -> str:
        """Hash `head` what a notification is, `at`, `state`, `tried`, `try<n>` an attempt, at most fifty. Expires seven
        days (or `history.keep`) after the last attempt."""
        return self._key(f"ntf:{notification}")

    def about(self, alert: str) -> str:
        """Sorted set notification → when it was made, of those that told of an alert; at most two hundred. Expires like
        their logs."""
        return self._key(f"of:{alert}")

    def group(self, group: str) -> str:
        """Hash: labels, timings, version, frozen message, attempts, `digest` → the group that tells its message with
        others, `members` → of such a group. Deleted with the group by `tidy`, such a group once it was told."""
        return self._key(f"group:{group}")

    def news(self, group: str) -> str:
        """List of keys of untold items, oldest first. From a thousand on those that will not be told are dropped."""
        return self._key(f"news:{group}")

    def items(self, group: str) -> str:
        """Hash key → item JSON, of untold items and of those in the frozen message. `settle` trims it."""
        return self._key(f"items:{group}")

    def telling(self, group: str) -> str:
        """List of keys of the items in the frozen message."""
        return self._key(f"telling:{group}")

    def open(self, group: str) -> str:
        """Hash fingerprint → what the channel was told of an open alert."""
        return self._key(f"open:{group}")

    def live(self, group: str) -> str:
        """Set of the fingerprints that fire according to the rows applied, told or not."""
        return self._key(f"live:{group}")

    def marks(self, group: str) -> str:
        """Hash account → `<version>-<index>` of the last row applied. Of over 1000 `tidy` drops those of a day ago."""
        return self._key(f"marks:{group}")


def quota(provider: str) -> str:
    """Hash `seen` → latest time of any call, `block` → until when nobody spends. Two fields for ever."""
    return f"{{bm:p:{provider}}}:quota"


def window(provider: str, units: int, per_us: int) -> str:
    """Hash bucket → units taken in it. Old buckets go with every call, the key two windows after it."""
    return f"{{bm:p:{provider}}}:quota:{units}/{per_us}"


def lane(provider: str, units: int, per_us: int) -> str:
    """The same of polls that somebody waits for: these get a part of the quota, so that the others keep the rest."""
    return f"{{bm:p:{provider}}}:lane:{units}/{per_us}"


def health(provider: str) -> str:
    """Hash `noted good failing refused why`: how polls went, over all processes. Never trimmed."""
    return f"{{bm:p:{provider}}}:health"


def prices(source: str) -> str:
    """Hash `at` → when they were fetched, `posted` → a source's prices as JSON. Expires when they are too old."""
    return f"{{bm:x}}:prices:{source}"
