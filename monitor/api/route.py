"""One endpoint: who may ask it, and all that the OpenAPI document says of it besides its docstring."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from msgspec import Struct
from pydantic import BaseModel

from monitor.api.auth import Scope
from monitor.api.context import ApiContext
from monitor.api.query import Param
from monitor.api.replies import Answer
from monitor.api.request import Request

#: An ordinary request is answered within this, whatever the store does.
DEADLINE = timedelta(seconds=10)

Endpoint = Callable[[ApiContext, Request], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint. Without `scopes` it is open to everyone who can connect; else one of them is needed.

    `signed`: where `guard.signing` is set, a request without its signature is refused. `answers` has the type of each
    good answer by its status, or its media types where it is no JSON; `query` and `takes` are what the endpoint reads
    the query and the body with; `problems` are those that only this endpoint has. `ends`: it ends what
    others began, and has room of its own where these take all of it. `in_time`: whatever it waits for, it keeps to a
    time limit of its own; `deadline` is for a body that is slow to come.
    """

    method: str
    path: str
    endpoint: Endpoint
    scopes: tuple[Scope, ...] = ("read",)
    deadline: timedelta = DEADLINE
    signed: bool = False
    answers: Mapping[int, object] = field(default_factory=dict)
    query: tuple[Param, ...] = ()
    takes: type[BaseModel] | type[Struct] | None = None
    problems: tuple[str, ...] = ()
    ends: bool = False
    in_time: bool = False
