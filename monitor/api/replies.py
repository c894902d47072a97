"""What goes back over the wire: JSON, and problems as JSON."""

from http import HTTPStatus

import msgspec
from aiohttp import web

from monitor.api.problems import Problem

#: Of every answer: it does not name the software below, is what it says, and nobody keeps it.
_ALWAYS = {"Server": "balance-monitor", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_JSON = {"Content-Type": "application/json", **_ALWAYS}
_PROBLEM = {"Content-Type": "application/problem+json", **_ALWAYS}


def answer(body: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=msgspec.json.encode(body), headers=_JSON)


def document(body: bytes, content_type: str) -> web.Response:
    """An answer that is no JSON of ours."""
    return web.Response(body=body, headers={"Content-Type": content_type, **_ALWAYS})


def render(problem: Problem) -> web.Response:
    """A problem, as RFC 9457 wants it."""
    body = {
        "type": problem.name,
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    headers = {**_PROBLEM, **problem.headers}
    return web.Response(status=problem.status, body=msgspec.json.encode(body), headers=headers)
