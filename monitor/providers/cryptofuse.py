"""CryptoFuse: custodial wallets whose documentation shows four answers to one question. No ledger.

Which requests exist is found out by asking (`api: auto`); which answer came is told by `cryptofuse_shapes`.
Facts: docs.cryptofuse.io.
"""

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import ClassVar, Literal, Self

import msgspec
from pydantic import Field, field_validator, model_validator
from yarl import URL

from monitor.engine.ports import Budget
from monitor.errors import ProviderGarbled, ProviderRefused
from monitor.fields import RateLimits, Secret, Section
from monitor.model.record import Account, Answer, Record
from monitor.providers.answers import Reply, accept
from monitor.providers.base import AccountSettings, ApiKey, BaseUrl, ProviderSettings, Url
from monitor.providers.cryptofuse_names import currencies
from monitor.providers.cryptofuse_shapes import Read, Shape, parse, snapshot, unbalanced
from monitor.providers.http import Http, decode
from monitor.providers.tokens import Auth, Bearer, Fixed, Token, refused_login, renewal, signed

#: Where each shape is asked for. New paths end in a slash; without it a redirect may eat the POST.
PATHS: Mapping[Shape, str] = {
    "A": "/wallets/balance",
    "B": "/wallets/balances",
    "C": "/wallets/balances/",
    "D": "/user/balances/",
}
#: Assets whose sums we remember to have complained about.
MAX_NOTED = 10_000


class OAuth(Section):
    """`{client_id, client_secret}`: OAuth client credentials, exchanged for a token that is renewed early."""

    client_id: Secret
    client_secret: Secret
    token_url: Url | None = Field(default=None, description="default: {base_url}/o/token/")
    scope: str = "read write"
    credentials_in: Literal["header", "body"] = Field(default="header", description="where the token request has them")


class Target(msgspec.Struct, frozen=True):
    """How the provider knows an account. With neither id it is the whole user."""

    wallet_id: str = ""
    external_id: str = ""


class CryptofuseAccount(AccountSettings):
    """`hot: {wallet_id: …}` or `player: {external_id: …}`; neither: all wallets of the user, OAuth only."""

    wallet_id: str | None = Field(default=None, min_length=1)
    external_id: str | None = Field(default=None, min_length=1, description="your id of the account, newest API only")

    def target(self) -> Target:
        return Target(self.wallet_id or "", self.external_id or "")

    def wallet(self) -> str:
        return f"{self.wallet_id or ''}/{self.external_id or ''}"


class Cryptofuse(ProviderSettings):
    """`casino: {type: cryptofuse, auth: {api_key: {env: CRYPTOFUSE_API_KEY}}, accounts: …}`

    Limits are documented for a dead version only (100/min, 1000/h, 5000/day a key): none is the default.
    """

    MEASURES: ClassVar[tuple[str, ...]] = ("available", "pending", "total")
    WORTHS: ClassVar[bool] = True
    KINDS: ClassVar[tuple[str, ...]] = ("inferred",)
    DROPS_ZERO: ClassVar[bool] = True

    type: Literal["cryptofuse"]
    base_url: BaseUrl = "https://api.cryptofuse.io"
    api: Literal["auto", "A", "B", "C", "D"] = Field(default="auto", description="which documented request to send")
    paths: Mapping[Shape, str] = Field(default_factory=dict, description="other paths, by shape: {C: /v2/balances/}")
    auth: ApiKey | OAuth
    trust_as_of: bool = Field(default=False, description="believe last_updated; it may move only with the balance")
    currencies: Mapping[str, str] = Field(default_factory=dict, description="their code → asset: {usdtfoo: USDT@FOO}")
    currency_list: bool = Field(default=False, description="read codes and networks from /currencies/ at the start")
    rate_limit: RateLimits = Field(
        default=(), description="for example [{requests: 100, per: 1m}, {requests: 5000, per: 1d}]"
    )
    accounts: Mapping[str, CryptofuseAccount] = Field(default_factory=dict)

    @field_validator("paths")
    @classmethod
    def _absolute(cls, paths: Mapping[Shape, str]) -> Mapping[Shape, str]:
        if wrong := [path for path in paths.values() if not path.startswith("/")]:
            raise ValueError(f"a path starts with a slash, {wrong[0]!r} does not")
        return paths

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        for name, account in self.accounts.items():
            if why := self.refuses(account):
                raise ValueError(f"accounts.{name}: {why}")
        return self

    def refuses(self, account: AccountSettings) -> str:
        assert isinstance(account, CryptofuseAccount)
        return "" if shapes(self, account.target()) else unanswerable(account.target())

    def origin(self) -> str:
        return self.base_url

    def connect(self, http: Http) -> "CryptofuseProvider":
        auth: Auth
        if isinstance(self.auth, ApiKey):
            auth = Fixed({"X-API-Key": self.auth.api_key.get_secret_value()})
        else:
            auth = bearer(http, self.auth, self.base_url)
        names = {code.upper(): name for code, name in self.currencies.items()}
        return CryptofuseProvider(self, http, auth, names)


def shapes(spec: Cryptofuse, target: Target) -> tuple[Shape, ...]:
    """The requests that can answer for this account, in the order to try; none is a configuration error."""
    possible: tuple[Shape, ...]
    if target.wallet_id:
        possible = ("A", "C", "B")
    elif target.external_id:
        possible = ("C",)
    else:
        possible = ("D",) if isinstance(spec.auth, OAuth) else ()
    return possible if spec.api == "auto" else tuple(shape for shape in possible if shape == spec.api)


def unanswerable(target: Target) -> str:
    """Why no request can be sent for an account."""
    if target.wallet_id:
        return "api D is about the whole user, it cannot answer for a wallet_id"
    if target.external_id:
        return "external_id needs api C (or auto)"
    return "give a wallet_id or an external_id; without them api D (or auto) and OAuth are needed"


def bearer(http: Http, auth: OAuth, base_url: str) -> Bearer:
    """The client credentials grant (RFC 6749 4.4), sent to `token_url` and nowhere else."""
    url = URL(auth.token_url or f"{base_url}/o/token/")
    client, secret = auth.client_id.get_secret_value(), auth.client_secret.get_secret_value()
    basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
    form = {"grant_type": "client_credentials", "scope": auth.scope}
    headers = {"Authorization": f"Basic {basic}"}
    if auth.credentials_in == "body":
        form, headers = {**form, "client_id": client, "client_secret": secret}, {}
    secrets = (client, secret, basic)

    async def obtain(budget: Budget, now: datetime) -> Token:
        reply = await http.post(str(url), budget=budget, form=form, headers=headers, allow=url.__eq__)
        try:
            granted = decode(accept(reply, now, secrets=secrets).body, _Granted)
        except ProviderRefused as error:
            raise refused_login(error) from None
        if not granted.access_token.isascii() or not granted.access_token.isprintable() or not granted.access_token:
            raise ProviderGarbled("login: the token is not one")
        return Token(granted.access_token, renewal(now, granted.expires_in))

    return Bearer(obtain, secrets)


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: Decimal | None = None


@dataclass(slots=True)
class CryptofuseProvider:
    """Reads wallets. Remembers until restart which request works, names of currencies, and what was said."""

    spec: Cryptofuse
    http: Http
    auth: Auth
    names: Mapping[str, str]
    settled: Shape | None = None
    listed: bool = False
    noted: set[str] = field(default_factory=set)
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Answer:
        target = account.target
        assert isinstance(target, Target)
        if self.spec.currency_list and not self.listed:
            await self._learn_names(budget, now)
        read = await self._read(target, budget, now)
        reading = snapshot(read, record.snapshot, account.assets, now, trust_as_of=self.spec.trust_as_of)
        return Answer(snapshot=reading, notes=self._complaints(account.name, read))

    async def _read(self, target: Target, budget: Budget, now: datetime) -> Read:
        candidates = shapes(self.spec, target)
        if not candidates:
            raise ProviderRefused(unanswerable(target), "account")
        if self.settled in candidates:
            candidates = (self.settled,)
        for shape in candidates:
            reply = await signed(self.auth, budget, now, partial(self._request, shape, target, budget))
            if not wrong_path(reply):
                break
        read = parse(accept(reply, now, secrets=self.auth.secrets).body, self.names, self.auth.secrets)
        whole = not target.wallet_id and not target.external_id
        if read.shape and whole != (read.shape == "D"):
            raise ProviderGarbled(f"shape {read.shape} does not answer for this account")
        if not answers(read, target):
            # Bets would be allowed on somebody else's money.
            raise ProviderGarbled("the answer is another wallet's")
        if target.wallet_id:
            self.settled = shape
        return read

    async def _request(self, shape: Shape, target: Target, budget: Budget, headers: Mapping[str, str]) -> Reply:
        path = self.spec.paths.get(shape, PATHS[shape])
        wallet = {"wallet_id": target.wallet_id} if target.wallet_id else {"external_id": target.external_id}
        match shape:
            case "A":
                query = {**wallet, "include_zero_balances": True}
                return await self.http.post(path, budget=budget, json=query, headers=headers)
            case "B":
                return await self.http.get(path, budget=budget, params=wallet, headers=headers, steady=True)
            case "C":
                return await self.http.post(path, budget=budget, json=wallet, headers=headers)
            case "D":
                return await self.http.get(path, budget=budget, headers=headers)

    async def _learn_names(self, budget: Budget, now: datetime) -> None:
        """Fails the poll when it fails: an asset must not have two names within one run."""
        query = {"full": "true", "min_max": "true"}
        async with self.lock:
            if self.listed:
                return
            reply = await signed(
                self.auth,
                budget,
                now,
                lambda h: self.http.get("/currencies/", budget=budget, params=query, headers=h),
            )
            listed = currencies(accept(reply, now, secrets=self.auth.secrets).body)
            self.names = {**listed, **self.names}
            self.listed = True

    def _complaints(self, account: str, read: Read) -> tuple[str, ...]:
        """Sums that do not add up, each said once until it is right again."""
        wrong = {f"{account} {asset}": asset for asset in unbalanced(read)}
        if not wrong and not self.noted:
            return ()
        fresh = [asset for key, asset in wrong.items() if key not in self.noted]
        self.noted -= {key for line in read.lines if (key := f"{account} {line.asset}") not in wrong}
        if len(self.noted) < MAX_NOTED:
            self.noted |= wrong.keys()
        return tuple(f"total of {asset} is not available + pending" for asset in fresh)


def answers(read: Read, target: Target) -> bool:
    """False where an answer names another wallet than was asked for; most name one, none has to."""
    if target.wallet_id:
        return not read.wallets or target.wallet_id.lower() in (it.lower() for it in read.wallets)
    return not target.external_id or not read.external or target.external_id.lower() == read.external.lower()


def wrong_path(reply: Reply) -> bool:
    """Whether the server does not know this request at all, rather than this wallet."""
    return reply.status == 405 or (reply.status == 404 and b"wallet_not_found" not in reply.body)
