"""The OpenAPI 3.1 document of the API, written from what requests are read with and what answers are made of."""

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import msgspec
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from monitor import __version__
from monitor.api.guard_models import HOLD_ID, SOURCE
from monitor.api.problem_shapes import ProblemShown
from monitor.api.problems import PROBLEMS
from monitor.api.query import Param
from monitor.api.route import Route
from monitor.api.signing import KEY, SIGNATURE, TIMESTAMP

Document = dict[str, Any]

_REF = "#/components/schemas/"
_ABOUT = """Balances as they were last read, the alerts they raised, what channels were told of them, and the guard that
is asked before a bet. Amounts are exact decimals in strings, times are UTC. A problem is `application/problem+json`
(RFC 9457) whose `type` is a bare name. Every `GET` takes `HEAD`, too."""
#: What any request may be answered, what one with a token, and what one that may have to be signed.
_ANY = (
    "invalid-request", "host-refused", "request-too-large",
    "internal-error", "overloaded", "deadline-exceeded", "store-unavailable",
)  # fmt: skip
_SCOPED = ("unauthorized", "forbidden", "rate-limited")
_SIGNED = ("signature-invalid", "timestamp-outside-window", "key-not-allowed")
_PLACED = ("not-found",)
#: The statuses whose problems say in Retry-After when to come back.
_LATER = (429, 503)
#: Path parameters, by the part of the path before them where their own name does not tell.
_PATH: Mapping[str, str] = {
    "accounts/id": "the account's name",
    "callbacks/provider": "the provider's name",
    "alerts/id": "the alert's id: `alr_…`",
    "deliveries/id": "the notification's id: `ntf_…`",
    "silences/id": "the silence's id",
    "hold_id": "the caller's own id of the bet: 1 to 128 of `A-Z a-z 0-9 . _ ~ @ = + | -`, not `.` or `..`",
    "account": "the account's name",
    "asset": "the asset, with its network where the account has it on several",
    "source": "whoever locks: 1 to 64 of `A-Z a-z 0-9 . _ ~ @ = + -`, not `.` or `..`",
}
#: Of those that a pattern bounds.
_PATTERNS: Mapping[str, Mapping[str, object]] = {"hold_id": {"pattern": HOLD_ID}, "source": {"pattern": SOURCE}}


def document(routes: Sequence[Route]) -> Document:
    """The whole document, as JSON-ready values."""
    taken, taken_schemas = _taken(routes)
    given, given_schemas = _given(routes)
    clash = taken_schemas.keys() & given_schemas.keys()
    assert not clash, f"two things are called {clash}"
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, taken, given)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "balance-monitor",
            "version": __version__,
            "description": " ".join(_ABOUT.split()),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": {**taken_schemas, **given_schemas}, "securitySchemes": _schemes()},
    }


def _taken(routes: Iterable[Route]) -> tuple[Document, Document]:
    """The schemas of bodies that pydantic reads: by method and path, and what they refer to."""
    of_routes = {_key(route): takes for route in routes if (takes := _modelled(route.takes))}
    models = dict.fromkeys(of_routes.values())
    refs, found = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REF + "{model}", by_alias=True
    )
    of = {model: schema for (model, _), schema in refs.items()}
    return {key: of[model] for key, model in of_routes.items()}, found.get("$defs", {})


def _modelled(takes: type | None) -> type[BaseModel] | None:
    return takes if takes is not None and issubclass(takes, BaseModel) else None


def _structured(takes: type | None) -> type[msgspec.Struct] | None:
    return takes if takes is not None and issubclass(takes, msgspec.Struct) else None


def _given(routes: Iterable[Route]) -> tuple[Document, Document]:
    """The schemas of good answers, by method, path and status, and of bodies that msgspec reads, by method and path;
    and what they refer to."""
    wanted = {
        f"{_key(route)} {status}": kind
        for route in routes
        for status, kind in route.answers.items()
        if not isinstance(kind, tuple) and kind is not None
    } | {_key(route): takes for route in routes if (takes := _structured(route.takes))}
    kinds = [*wanted.values(), ProblemShown]
    schemas, found = msgspec.json.schema_components(kinds, ref_template=_REF + "{name}")
    of = dict(zip(wanted, schemas, strict=False))
    return _named(of), {_name(name): _named(schema) for name, schema in found.items()}


def _name(name: str) -> str:
    """`AccountShown` is an `Account` to whoever reads the document, and a page of those an `AccountPage`."""
    paged = re.fullmatch(r"Page_(\w+)_", name)
    return f"{_name(paged[1])}Page" if paged else name.removesuffix("Shown")


def _named(value: Any) -> Any:
    """The same with the names of `_name` in its references and titles."""
    match value:
        case dict():
            return {key: _name_at(key, inner) for key, inner in value.items()}
        case list():
            return [_named(inner) for inner in value]
    return value


def _name_at(key: str, value: Any) -> Any:
    if key == "$ref" and isinstance(value, str):
        return _REF + _name(value.removeprefix(_REF))
    if key == "title" and isinstance(value, str):
        return _name(re.sub(r"\W", "_", value))
    return _named(value)


def _key(route: Route) -> str:
    return f"{route.method} {route.path}"


def _operation(route: Route, taken: Document, given: Document) -> Document:
    about = " ".join((route.endpoint.__doc__ or "").split())
    operation: Document = {
        "operationId": f"{route.endpoint.__module__.rpartition('.')[2]}_{route.endpoint.__name__}",
        "summary": re.split(r"(?<=[.;:]) ", about)[0].rstrip(".;:"),
        "description": about + (f" Needs the scope {' or '.join(route.scopes)}." if route.scopes else ""),
        "tags": [_tag(route.path)],
        "responses": {**_good(route, given), **_bad(route)},
        "security": _security(route),
    }
    if parameters := [*_path(route.path), *map(_query, route.query)]:
        operation["parameters"] = parameters
    if route.takes is not None:
        schema = (given if _structured(route.takes) else taken)[_key(route)]
        operation["requestBody"] = {
            "required": _needed(route.takes),
            "content": {"application/json": {"schema": schema}},
        }
    return operation


def _needed(takes: type) -> bool:
    """Whether there must be a body: not where nothing in it has to be said."""
    struct = _structured(takes)
    return struct is None or any(one.required for one in msgspec.structs.fields(struct))


def _tag(path: str) -> str:
    parts = path.strip("/").split("/")
    return parts[1] if parts[0] == "v1" else "process"


def _path(path: str) -> list[Document]:
    parts = path.strip("/").split("/")
    found = [(parts[at - 1], part.strip("{}")) for at, part in enumerate(parts) if part.startswith("{")]
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": _PATH.get(f"{before}/{name}") or _PATH[name],
            "schema": {"type": "string", **_PATTERNS.get(name, {"minLength": 1})},
        }
        for before, name in found
    ]


def _query(param: Param) -> Document:
    if not param.prefix:
        plain = {"name": param.name, "in": "query", "description": param.about, "schema": dict(param.schema)}
        return {**plain, "required": True} if param.required else plain
    named = {"type": "object", "patternProperties": {f"^{re.escape(param.name)}.": dict(param.schema)}}
    schema = {**named, "additionalProperties": False}
    many = {"style": "form", "explode": True, "schema": schema}
    return {"name": param.name.rstrip("."), "in": "query", "description": param.about, **many}


def _good(route: Route, given: Document) -> Document:
    found: Document = {}
    for status, kind in route.answers.items():
        found[str(status)] = {"description": HTTPStatus(status).phrase}
        if isinstance(kind, tuple):
            found[str(status)]["content"] = {media: {"schema": {"type": "string"}} for media in kind}
        elif kind is not None:
            schema = given[f"{_key(route)} {status}"]
            found[str(status)]["content"] = {"application/json": {"schema": schema}}
    return found


def _bad(route: Route) -> Document:
    """Its problems by status: each says which types it may have."""
    names = (
        *route.problems,
        *(_SIGNED if route.signed else ()),
        *(_SCOPED if route.scopes else ()),
        *(_PLACED if "{" in route.path else ()),
        *_ANY,
    )
    found: dict[int, list[str]] = {}
    for name in names:
        found.setdefault(PROBLEMS[name].status, []).append(name)
    return {str(status): _problem(status, found[status]) for status in sorted(found)}


def _problem(status: int, names: Sequence[str]) -> Document:
    schema = {
        "allOf": [{"$ref": f"{_REF}Problem"}],
        "properties": {"type": {"enum": list(names)}, "status": {"const": status}},
    }
    headers = {"Retry-After": {"description": "seconds", "schema": {"type": "integer", "minimum": 1}}}
    return {
        "description": "\n".join(f"* `{name}`: {PROBLEMS[name].meaning}" for name in names),
        "content": {"application/problem+json": {"schema": schema}},
        **({"headers": headers} if status in _LATER else {}),
    }


def _schemes() -> Document:
    """How to say who asks. Without `http.tokens` only this machine is answered, and needs none."""
    headers = {
        "guardKey": (KEY, "the id of the key that signs; only with `guard.signing`"),
        "guardTimestamp": (TIMESTAMP, "seconds since 1970, as they are signed"),
        "guardSignature": (SIGNATURE, "`v1=` and the HMAC-SHA256 in hex; several during a rotation, with commas"),
    }
    return {"bearer": {"type": "http", "scheme": "bearer", "description": "a token of `http.tokens`"}} | {
        name: {"type": "apiKey", "in": "header", "name": header, "description": about}
        for name, (header, about) in headers.items()
    }


def _security(route: Route) -> list[Document]:
    if not route.scopes:
        return []
    token = {"bearer": list(route.scopes)}
    signature: Document = {"guardKey": [], "guardTimestamp": [], "guardSignature": []}
    signed = [{**token, **signature}, signature] if route.signed else []
    return cast("list[Document]", [token, *signed, {}])
