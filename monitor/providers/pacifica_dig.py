"""A walk from a ledger's newest row back to known ones, perhaps over several polls. Pure."""

from dataclasses import dataclass, field

from monitor.model.event import Ledger, numbered
from monitor.model.window import moment
from monitor.providers.pacifica_rows import Page, Row, ledger_row

#: Rows kept in memory (about 15 MB). A longer gap is given up, aloud.
MAX_ROWS = 50_000


@dataclass(slots=True)
class Dig:
    """`rows` newest first; `cursor` leads to the older ones.

    `base` is the ledger it started from; None asks for a baseline: a page, and the newest instant whole.
    Once `take` said that it is over, the rows from `since` on are complete, and `lost` says which older
    ones were not.
    """

    base: Ledger | None
    rows: list[Row] = field(default_factory=list)
    cursor: str = ""
    since: int = 0
    lost: str = ""
    _cursors: set[str] = field(default_factory=set)

    def take(self, page: Page) -> bool:
        """Add a page of older rows; whether that is enough."""
        repeated = page.cursor in self._cursors
        # A server that ignores the cursor gives its first page for ever: those rows are no others.
        if not (repeated and self.rows[-len(page.rows) :] == list(page.rows)):
            self.rows += page.rows
        if repeated or not page.cursor:
            return True
        self._cursors.add(page.cursor)
        self.cursor = page.cursor
        # The oldest instant may go on behind the page.
        oldest = min(row.at for row in page.rows)
        if self._reaches(page, oldest):
            self.since = oldest + 1
            return True
        if len(self.rows) < MAX_ROWS:
            return False
        self.since = oldest + 1
        self.lost = f"more than {MAX_ROWS} new rows: those before {moment(self.since):%Y-%m-%d %H:%M} are skipped"
        self.base = Ledger(checkpoint=self.since, floor=self.since)
        return True

    def _reaches(self, page: Page, oldest: int) -> bool:
        """Whether nothing older than this page can be new: it holds history, or rows known from before."""
        if self.base is None:
            return oldest < max(row.at for row in self.rows)
        if oldest < self.base.floor:
            return True
        # Rows as old as the checkpoint are read whole: its instant may have got more of them.
        whole = [ledger_row(row) for row in page.rows if oldest < row.at < self.base.checkpoint]
        return any(key in self.base.known for key in numbered(whole))
