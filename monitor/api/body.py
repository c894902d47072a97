"""Reads a request's JSON body strictly: a misspelt key must not be passed over."""

from collections.abc import Collection, Mapping

import msgspec
from aiohttp import web

from monitor.api.problems import invalid
from monitor.engine.silence_words import one_line
from monitor.fields import suggestion

Body = Mapping[str, object]
_OBJECT = msgspec.json.Decoder(dict[str, object])


async def read(request: web.Request, allowed: Collection[str]) -> Body:
    """The body: an object with none but these keys. Numbers in it are no amounts: write those in quotes."""
    try:
        body = _OBJECT.decode(await request.read())
    except msgspec.DecodeError:
        raise invalid("the body is a JSON object") from None
    for name in body:
        if name not in allowed:
            raise invalid(f"unknown key {name[:64]!r}{suggestion(name, allowed)}")
    return body


def text(body: Body, name: str, most: int) -> str:
    """What a person typed: required, on one line, at most so long."""
    value = body.get(name)
    if not isinstance(value, str) or not (line := one_line(value)):
        raise invalid(f"{name} is required, and is text")
    if len(line) > most:
        raise invalid(f"{name} has {most} characters at most")
    return line
