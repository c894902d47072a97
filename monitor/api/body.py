"""Reads a request's JSON body strictly: a misspelt key must not be passed over."""

from typing import TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from monitor.api.problems import invalid
from monitor.api.request import Request
from monitor.fields import suggestion

_OBJECT = msgspec.json.Decoder(dict[str, object])
#: For people, by the library's kinds of mistakes.
_WORDS = {"missing": "is required", "string_type": "is text"} | dict.fromkeys(
    ("too_short", "string_too_short", "string_pattern_mismatch"), "must not be empty"
)

Model = TypeVar("Model", bound=BaseModel)


async def read(request: Request, model: type[Model]) -> Model:
    """The body: an object as the model has it. Numbers in it are no amounts: write those in quotes."""
    try:
        body = _OBJECT.decode(await request.read())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise invalid("the body is a JSON object") from None
    for name in body:
        if name not in model.model_fields and model.model_config.get("extra") != "allow":
            raise invalid(f"unknown key {name[:64]!r}{suggestion(name, model.model_fields)}")
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid(first_mistake(error)) from None


def first_mistake(error: ValidationError) -> str:
    """What is wrong first, with where it stands."""
    found = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, found["loc"]))
    what = _WORDS.get(found["type"]) or found["msg"].removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
