"""Joins the HTTP API to the running process."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial

import structlog

from monitor.api.auth import Token
from monitor.api.callbacks import Caller
from monitor.api.context import ApiContext, Check
from monitor.api.server import App, Serving, serve
from monitor.api.signing import Signers
from monitor.config import Config
from monitor.duties import RING_PATIENCE, Duties
from monitor.engine.drill import DRILL_ACCOUNT, DRILLS
from monitor.errors import StoreUnavailable
from monitor.guard_staff import GuardStaff
from monitor.plan import Crew
from monitor.silencing import silence_doubts

log = structlog.get_logger("monitor.api")

#: A process whose loop is later than this does not answer in time either.
LAG_MAX = timedelta(seconds=5)


class Front:
    """The listening API. A reload changes what it answers from, not the socket."""

    def __init__(self, duties: Duties, staff: GuardStaff) -> None:
        self._duties, self._staff = duties, staff
        self._tokens: tuple[Token, ...] = ()
        self._app: App
        self._serving: Serving

    @classmethod
    async def open(cls, config: Config, crew: Crew, duties: Duties, staff: GuardStaff) -> "Front":
        """Listen as configured. ConfigError when the address is taken or needs tokens."""
        front = cls(duties, staff)
        front._app = App(front._context(config, crew))
        front._serving = await serve(front._app, config.http.listen)
        return front

    @property
    def address(self) -> str:
        """Where it listens, with the real port also when 0 was asked for."""
        return f"{self._serving.host}:{self._serving.port}"

    def follow(self, config: Config, crew: Crew) -> None:
        """Answer for another configuration from the next request on, to its tokens.

        Where it has none, to those before: what asked for a token must not be open before it listens as is written now.
        """
        if self._tokens and not config.http.tokens:
            log.warning("config.needs_restart", key="http.tokens")
        self._app.swap(self._context(config, crew))

    async def close(self) -> None:
        """Stop listening."""
        await self._serving.close()

    def _context(self, config: Config, crew: Crew) -> ApiContext:
        said = (Token.of(t.name, t.token.get_secret_value(), t.scopes, t.rate) for t in config.http.tokens)
        self._tokens = tuple(said) or self._tokens
        return ApiContext(
            accounts=crew.accounts,
            watches=crew.visitors.watches,
            callers=_callers(config, crew),
            others={**crew.stand_ins, DRILLS: DRILL_ACCOUNT},
            store=self._duties.store,
            clock=self._duties.clock,
            metrics=self._duties.metrics,
            readiness=partial(self._ready, crew),
            guard=self._staff.guard(config, crew),
            tokens=self._tokens,
            signers=_signers(config),
            wake=crew.wake,
            rules={rule.alert: rule for rule in config.rules},
            silences=config.silences,
            channels=tuple(config.channels),
            odd=silence_doubts(config),
        )

    async def _ready(self, crew: Crew) -> Sequence[Check]:
        duties = self._duties
        try:
            await duties.store.ping()
            store = Check("store", ok=True)
        except StoreUnavailable as error:
            store = Check("store", ok=False, detail=str(error))
        ailing = crew.ailing()
        silent = duties.clock() - duties.rung_at
        return (
            store,
            Check("scheduler", silent <= RING_PATIENCE, f"last rang {silent.total_seconds():.1f} s ago"),
            Check("parts", not ailing, f"ended by a bug: {', '.join(ailing)}" if ailing else ""),
            Check("loop", duties.lag <= LAG_MAX, f"{duties.lag.total_seconds():.3f} s late"),
        )


def _signers(config: Config) -> Signers | None:
    signing = config.guard.signing
    if signing is None:
        return None
    secrets = {key.id: tuple(one.get_secret_value().encode() for one in key.secret) for key in signing.keys}
    return Signers(secrets, signing.window)


def _callers(config: Config, crew: Crew) -> dict[str, Caller]:
    """Who may call back: the providers that have a secret for it, and the lane that their polls are paid out of."""
    found = ((name, spec.callback_secret, crew.guard.lane(name)) for name, spec in config.providers.items())
    return {name: Caller(secret.get_secret_value(), lane) for name, secret, lane in found if secret and lane}
