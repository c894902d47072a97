"""KUNA Core: custodial wallets, all assets of a wallet in one request, no ledger. Facts: docs.kunacore.io."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from monitor.engine.ports import Budget
from monitor.errors import ProviderGarbled, ProviderRefused
from monitor.fields import RateLimit, RateLimits, Secret, Section
from monitor.model.record import Account, Answer, Record
from monitor.providers.answers import accept, cut
from monitor.providers.base import AccountSettings, ApiKey, BaseUrl, ProviderSettings
from monitor.providers.http import Http, decode
from monitor.providers.kuna_rows import TOTAL, Seen, parse
from monitor.providers.tokens import Auth, Bearer, Fixed, Token, jwt_renewal, refused_login, signed

#: Names of fields and addresses we remember having spoken of.
MAX_NOTED = 10_000


class Login(Section):
    """`{merchant_id, login, password}`, for those without an API key. Their page shows no login body."""

    merchant_id: Secret
    login: Secret | None = None
    password: Secret | None = None
    login_path: str = Field(default="/v2/auth/login", pattern=r"^/")
    login_body: Mapping[str, Secret] | None = Field(default=None, description="sent instead of {login, password}")
    token_path: str = Field(default="data.accessToken", description="where the login's answer holds the token")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.login_body is None and (self.login is None or self.password is None):
            raise ValueError("give login and password, or login_body")
        return self

    def body(self) -> dict[str, str]:
        """The login request."""
        given = {"login": self.login, "password": self.password} if self.login_body is None else self.login_body
        return {name: secret.get_secret_value() for name, secret in given.items() if secret is not None}


class KunaAccount(AccountSettings):
    """`treasury: {wallet_id: 1f44b1c7-…, assets: [USDT, BTC]}`"""

    wallet_id: str = Field(min_length=1, description="the wallet's id, not the customer's")
    assets: tuple[str, ...] = Field(min_length=1, description="what to ask for; the vendor documents no 'all'")

    def target(self) -> str:
        return self.wallet_id

    def wallet(self) -> str:
        return self.wallet_id


class Kuna(ProviderSettings):
    """`custody: {type: kuna, base_url: https://…, auth: {api_key: {env: KUNA_API_KEY}}, accounts: …}`"""

    MEASURES: ClassVar[tuple[str, ...]] = ("available", "held", "locked", "referral", "total")
    KINDS: ClassVar[tuple[str, ...]] = ("inferred",)

    type: Literal["kuna"]
    base_url: BaseUrl = Field(description="mandatory: the vendor publishes none")
    auth: ApiKey | Login
    #: No limit is published; the exchange's clients keep to this.
    rate_limit: RateLimits = (RateLimit(requests=1, per=timedelta(seconds=1)),)
    total: tuple[str, ...] = Field(default=TOTAL, description="fields that add up to total; * is any new …Balance")
    accounts: Mapping[str, KunaAccount] = Field(default_factory=dict)

    def origin(self) -> str:
        return self.base_url

    def connect(self, http: Http) -> "KunaProvider":
        if isinstance(self.auth, ApiKey):
            return KunaProvider(http, Fixed({"Api-Key": self.auth.api_key.get_secret_value()}), self.total)
        return KunaProvider(http, bearer(http, self.auth), self.total)


def bearer(http: Http, auth: Login) -> Bearer:
    """Logs in with the merchant's header (of this request only) and keeps the token."""
    merchant, body = auth.merchant_id.get_secret_value(), auth.body()
    secrets = (merchant, *body.values())

    async def login(budget: Budget, now: datetime) -> Token:
        reply = await http.post(auth.login_path, budget=budget, json=body, headers={"merchant_id": merchant})
        try:
            value = token_in(accept(reply, now, secrets=secrets).body, auth.token_path)
        except ProviderRefused as error:
            raise refused_login(error) from None
        return Token(value, jwt_renewal(value, now))

    return Bearer(login, secrets)


def token_in(body: bytes, path: str) -> str:
    """The text at a dotted path of a login's answer; ProviderGarbled when there is none."""
    found: object = decode(body, dict)
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str) or not found.isascii() or not found.isprintable() or not found:
        raise ProviderGarbled(f"the login's answer has no token at {path}")
    return found


@dataclass(frozen=True, slots=True)
class KunaProvider:
    """Reads wallets. Remembers, for as long as it lives, which surprises it has already mentioned."""

    http: Http
    auth: Auth
    total: tuple[str, ...] = TOTAL
    noted: set[str] = field(default_factory=set)
    addresses: dict[str, str] = field(default_factory=dict)

    async def poll(self, account: Account, record: Record, budget: Budget, now: datetime) -> Answer:  # noqa: ARG002  # no ledger, no memory
        query = {"walletId": account.target, "assets": account.assets}
        reply = await signed(
            self.auth,
            budget,
            now,
            lambda h: self.http.post("/v2/balance", budget=budget, json=query, headers=h),
        )
        body = accept(reply, now, secrets=self.auth.secrets).body
        seen = parse(body, account.assets, now, self.total, self.auth.secrets)
        return Answer(snapshot=seen.snapshot, notes=(*self._new_fields(seen), *self._moved(account.name, seen)))

    def _new_fields(self, seen: "Seen") -> list[str]:
        fresh = [name for name in seen.unknown if name not in self.noted and len(self.noted) < MAX_NOTED]
        self.noted.update(fresh)
        counted = "counted in" if "*" in self.total else "not counted in"
        return [cut(f"the answer has a new field {name}, {counted} total") for name in fresh]

    def _moved(self, account: str, seen: "Seen") -> list[str]:
        """Deposit addresses are permanent, so a new one may be somebody else's."""
        notes = []
        for place, address in seen.addresses.items():
            key = f"{account} {place}"
            before = self.addresses.get(key, address)
            if before != address:
                notes.append(cut(f"the deposit address of {place} changed from {before} to {address}"))
            if key in self.addresses or len(self.addresses) < MAX_NOTED:
                self.addresses[key] = address
        return notes
