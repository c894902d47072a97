"""Walks the pages of Kaiko's wallet audit and hands over rows; what they mean is told elsewhere."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from monitor.engine.ports import Budget
from monitor.errors import ProviderError, ProviderGarbled, ProviderRefused
from monitor.model.window import moment, utc_text
from monitor.providers.answers import Reply, accept, redacted
from monitor.providers.http import Http
from monitor.providers.kaiko_rows import Page, Row, Sort, echoed, follow, in_order, parse, trusted

PATH = "/v2/data/wallet.v1/audit"


class Capped(ProviderError):
    """The walk is longer than one poll may read."""


@dataclass(slots=True)
class Found:
    """The rows of one walk, as they came. `ended`: there are no more.

    Otherwise `error` says why it stopped, and None that it was enough.
    """

    rows: list[Row] = field(default_factory=list)
    ended: bool = False
    error: ProviderError | None = None
    access: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What one walk is after. `start` is in microseconds since 1970; None: from the beginning."""

    address: str
    sort: Sort
    budget: Budget
    now: datetime
    start: int | None = None
    enough: Callable[[list[Row]], bool] = lambda rows: False  # noqa: ARG005  # the default reads to the end


@dataclass(frozen=True, slots=True)
class Audit:
    """The endpoint, with how to ask it."""

    http: Http
    origin: str
    key: str
    page_size: int
    max_pages: int
    start_parameter: str
    end_parameter: str

    async def walk(self, asked: Asked) -> Found:
        """Every page until it ends, is enough or is too much. ProviderError only if the first page fails.

        Refused credentials are raised from any page.
        """
        found, link, cursors = Found(), ("", ""), set[str]()
        for number in range(self.max_pages):
            try:
                page = await self._page(asked, link)
                link = self._next(page)
                repeated = bool({link[1], link[0]} & cursors)
                # A server that ignores the token gives one page for ever: those rows are no others.
                if not (repeated and found.rows[-len(page.rows) :] == list(page.rows)):
                    found.rows += page.rows
                in_order(found.rows, len(page.rows), asked.sort)
            except ProviderError as error:
                if number == 0 or (isinstance(error, ProviderRefused) and error.scope == "credentials"):
                    raise
                found.error = error
                return found
            found.access = page.access if number == 0 else found.access
            if not page.rows or link == ("", "") or repeated:
                found.ended = True
                return found
            if asked.enough(found.rows):
                return found
            cursors.update(filter(None, link))
        found.error = Capped(f"more than {self.max_pages} pages")
        return found

    def _next(self, page: Page) -> tuple[str, str]:
        link = follow(page, self.origin)
        if page.rows and page.next_url and link == ("", ""):
            raise ProviderGarbled("the next page is on another host and has no token")
        return link

    async def _page(self, asked: Asked, link: tuple[str, str]) -> Page:
        """The first page with all parameters; later ones by the vendor's link, else by the token alone."""
        url, token = link
        params: Mapping[str, str] | None = None
        if not url:
            params = {"continuation_token": token} if token else self._parameters(asked)
        reply = await self.http.get(
            url or PATH,
            budget=asked.budget,
            params=params,
            headers={"X-Api-Key": self.key, "Accept": "application/json"},
            allow=lambda target: trusted(str(target), self.origin),
        )
        page = self._parsed(reply, asked)
        if asked.start is not None:
            if not url and not token:
                echoed(page, self.start_parameter, stamp(asked.start))
            # A stamp is rounded down to the millisecond.
            if any(row.at < asked.start - 1000 for row in page.rows):
                raise ProviderGarbled(f"rows from before {self.start_parameter}: the filter was ignored")
        return page

    def _parsed(self, reply: Reply, asked: Asked) -> Page:
        try:
            return parse(accept(reply, asked.now).body, asked.address)
        except ProviderError as error:
            # Whatever was quoted, in whichever place: an answer may echo the request.
            error.args = (redacted(str(error), (self.key,)),)
            raise

    def _parameters(self, asked: Asked) -> dict[str, str]:
        window = {self.end_parameter: utc_text(asked.now)}
        if asked.start is not None:
            window[self.start_parameter] = stamp(asked.start)
        return {
            "blockchain": "bitcoin",
            "user_address": asked.address,
            "sort": asked.sort,
            "page_size": str(self.page_size),
            **window,
        }


def stamp(at: int) -> str:
    """Microseconds since 1970 as Kaiko wants times, rounded down to the millisecond."""
    return utc_text(moment(at))
