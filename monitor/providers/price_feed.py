"""`http_json` prices: a JSON document fetched over HTTP, and a JMESPath expression that finds the prices in it.

The library only selects: numbers are decoded straight into Decimal, and pass through it untouched.
Source: https://jmespath.org/specification.html
"""

import asyncio
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import msgspec
from pydantic import AfterValidator, Field, SecretStr, model_validator

from monitor.engine.ports import Budget
from monitor.errors import ProviderGarbled
from monitor.fields import Duration, Section, TextOrSecret, duration_text
from monitor.model.money import exact
from monitor.model.price import Fetched
from monitor.providers.answers import MAX_CODE, accept, cut, envelope
from monitor.providers.http import Http

#: A list of twenty thousand coins; whatever is longer is no list of prices.
MAX_BODY = 4 * 1024 * 1024
MAX_PRICES = 20_000
#: Beyond these a number is not what one of anything costs.
CHEAPEST, DEAREST = Decimal("1e-24"), Decimal("1e15")
#: How often prices are fetched: three times within their `max_age`, but not more often than this by default.
FASTEST = timedelta(seconds=10)
_INTERVAL_MIN = timedelta(seconds=1)
_PATH_MAX = 1_000
_NUMBER = re.compile(r"\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
#: Headers by these names are secrets, however they are written.
_SECRETIVE = re.compile(r"auth|key|token|secret|cookie|pass", re.IGNORECASE)
#: Those that only select. The others compute, and their numbers are floats.
_FUNCTIONS = frozenset({
    "contains", "ends_with", "join", "keys", "length", "map", "merge", "not_null", "reverse", "starts_with",
    "to_array", "values",
})  # fmt: skip


def _number(written: str) -> Decimal | None:
    try:
        return Decimal(written)
    except ArithmeticError:
        # An exponent that Decimal cannot hold: garbage, but only this one.
        return None


_DECODER = msgspec.json.Decoder(float_hook=_number)


class Selector:
    """A compiled JMESPath expression. ValueError says what is wrong with it."""

    def __init__(self, path: str) -> None:
        import jmespath  # noqa: PLC0415 - only where such prices are configured

        if len(path) > _PATH_MAX:
            raise ValueError(f"is longer than {_PATH_MAX} characters")
        try:
            self._compiled: Any = jmespath.compile(path)
        except (ValueError, RecursionError) as error:
            first = str(error).splitlines()[0].removesuffix(":").removesuffix(", for expression")
            raise ValueError(f"is not JMESPath: {first}") from None
        for name in _functions(self._compiled.parsed):
            if name not in _FUNCTIONS:
                raise ValueError(f"`{name}()` cannot be used, prices must stay exact ({', '.join(sorted(_FUNCTIONS))})")

    def __call__(self, document: object) -> object:
        try:
            return self._compiled.search(document)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ProviderGarbled(f"the path does not fit the answer ({type(error).__name__})") from None


def _functions(node: Any) -> Iterator[str]:
    """The functions that a parsed expression calls."""
    if isinstance(node, dict):
        if node.get("type") == "function_expression":
            yield node["value"]
        for child in node.get("children", ()):
            yield from _functions(child)


def _path(value: str) -> str:
    Selector(value)
    return value


def _url(value: str) -> str:
    try:
        url = urlsplit(value)
        sound = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("write it like https://api.example.com/prices?currency=usd")
    if url.username is not None or url.password is not None or url.fragment:
        raise ValueError("this URL may have no user, password or fragment: secrets belong into `headers`")
    return value


def _headers(written: Mapping[str, SecretStr | str]) -> Mapping[str, SecretStr | str]:
    for name, value in written.items():
        plain = _plain(value)
        if not _HEADER.fullmatch(name) or not plain.isprintable() or not plain.isascii():
            raise ValueError(f"{name[:64]!r} is not a header that can be sent")
    return {name: SecretStr(_plain(value)) if _SECRETIVE.search(name) else value for name, value in written.items()}


def _plain(value: SecretStr | str) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


class HttpJsonPrices(Section):
    """`{type: http_json, url: "https://…", path: "[].{asset: symbol, price: price_usd}", max_age: 15m}`: fetched by
    one process for all. Assets are matched without regard to case; the first of two prices holds."""

    type: Literal["http_json"]
    url: Annotated[str, AfterValidator(_url)]
    path: Annotated[str, AfterValidator(_path)] = Field(
        description="JMESPath: a list of `{asset, price}`, or a mapping of assets to prices"
    )
    max_age: Duration = Field(gt=timedelta(0), description="an older price is unknown")
    name: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._-]{1,128}$", description="in logs and metrics; default: the host"
    )
    interval: Duration | None = Field(
        default=None, ge=_INTERVAL_MIN, description="between two fetches; default: a third of max_age, at least 10s"
    )
    timeout: Duration | None = Field(default=None, gt=timedelta(0), description="of one fetch; default 10s")
    headers: Annotated[Mapping[str, TextOrSecret], AfterValidator(_headers)] = Field(
        default_factory=dict, max_length=20, description="sent to this host only; secrets as {env: NAME}"
    )

    @model_validator(mode="after")
    def _fetched_in_time(self) -> Self:
        if self.every > self.max_age:
            raise ValueError(
                f"fetched every {duration_text(self.every)}, prices are too old after {duration_text(self.max_age)}"
            )
        return self

    @property
    def source(self) -> str:
        """What it is called."""
        return self.name or str(urlsplit(self.url).hostname)

    @property
    def every(self) -> timedelta:
        """How often it is fetched."""
        return self.interval or max(FASTEST, self.max_age / 3)

    @property
    def origin(self) -> str:
        """The host that is asked, and that alone is told the headers."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @cached_property
    def selector(self) -> Selector:
        return Selector(self.path)


@dataclass(frozen=True, slots=True)
class PriceFeed:
    """Fetches one source of prices. `http` is bound to its origin."""

    settings: HttpJsonPrices
    http: Http

    async def fetch(self, budget: Budget, now: datetime) -> Fetched:
        """The prices of now. Raises ProviderError."""
        headers = {name: _plain(value) for name, value in self.settings.headers.items()}
        secrets = [_plain(value) for value in self.settings.headers.values() if isinstance(value, SecretStr)]
        path = self.settings.url.removeprefix(self.settings.origin) or "/"
        path = path if path.startswith("/") else f"/{path}"
        reply = accept(await self.http.get(path, budget=budget, headers=headers), now, secrets=secrets)
        # Thousands of entries take pure Python a while, and polls must not wait for that.
        found = await asyncio.to_thread(parse, reply.body, self.settings.selector)
        if not found.prices:
            raise envelope(reply.body, secrets) or ProviderGarbled(
                found.note or "the path finds no price in the answer"
            )
        return found


def parse(body: bytes, selector: Selector) -> Fetched:
    """The prices in an answer; what cannot be one is left out, and said. ProviderGarbled when it is no JSON."""
    try:
        document = _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        raise ProviderGarbled("the answer is not JSON") from None
    prices: dict[str, Decimal] = {}
    garbage: list[str] = []
    for count, (asset, value) in enumerate(_entries(selector(document))):
        if count >= MAX_PRICES:
            raise ProviderGarbled(f"the answer has more than {MAX_PRICES} prices")
        code = asset.strip().upper() if isinstance(asset, str) else ""
        price = _price(value)
        if price is None or not code or len(code) > MAX_CODE or not code.isprintable():
            garbage.append(f"{asset} at {value}")
        else:
            prices.setdefault(code, price)
    note = cut(f"{len(garbage)} prices were left out, the first is {garbage[0][:80]}") if garbage else ""
    return Fetched(prices, note)


def _entries(selected: object) -> Iterable[tuple[object, object]]:
    match selected:
        case {"asset": asset, "price": price}:
            yield asset, price
        case dict():
            yield from selected.items()
        case list():
            for each in selected:
                yield (each.get("asset"), each.get("price")) if isinstance(each, dict) else (None, each)


def _price(value: object) -> Decimal | None:
    """A number or a decimal string as a price; None for whatever cannot be one."""
    if isinstance(value, str):
        value = _number(value) if len(value) <= MAX_CODE and _NUMBER.fullmatch(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    try:
        price = exact(value)
    except (TypeError, ValueError):
        return None
    return price if CHEAPEST <= price <= DEAREST else None
