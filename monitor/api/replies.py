"""What goes back over the wire: JSON, and problems as JSON."""

from http import HTTPStatus

import msgspec
from aiohttp import web

from monitor.api.problems import Problem


def answer(body: object, status: int = 200) -> web.Response:
    """A JSON answer."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type="application/json")


def render(problem: Problem) -> web.Response:
    """A problem, as RFC 9457 wants it."""
    body = {
        "type": problem.name,
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        **problem.more,
    }
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(body),
        content_type="application/problem+json",
        headers=problem.headers,
    )
