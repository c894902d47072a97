"""Whether an answer is one that the OpenAPI document allows: nothing is missing, nothing more, nothing else."""

import json
import re
from functools import cache

from jsonschema import Draft202012Validator

from monitor.api.openapi import document
from monitor.api.routes import ROUTES

DOCUMENT = document(ROUTES)


def strict(schema):
    """The same schema, but what it does not name may not be there."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "allOf" in schema:
        return {**schema, "unevaluatedProperties": False}
    closed = {"additionalProperties": False} if "properties" in schema else {}
    return {**closed, **{key: strict(value) for key, value in schema.items()}}


SCHEMAS = {
    name: schema if name == "Problem" else strict(schema) for name, schema in DOCUMENT["components"]["schemas"].items()
}
PATHS = [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), path) for path in DOCUMENT["paths"]]


def operation(method, path):
    """What the document says of this request; None when there is no such path or method. A fixed path comes first."""
    found = sorted((path_of for pattern, path_of in PATHS if pattern.fullmatch(path)), key=lambda one: one.count("{"))
    asked = "get" if method == "HEAD" else method.lower()
    return DOCUMENT["paths"][found[0]].get(asked) if found else None


@cache
def validator(method, path, status, media):
    said = (operation(method, path) or {}).get("responses", {}).get(str(status))
    assert said, f"the document has no {status} for {method} {path}"
    assert media in said["content"], f"the document has no {media} for {status} of {method} {path}"
    schema = said["content"][media]["schema"]
    return Draft202012Validator({"allOf": [strict(schema)], "components": {"schemas": SCHEMAS}})


def check(method, path, status, media, body):
    """AssertionError with what is wrong. Requests for what is not there are a matter of the router."""
    if operation(method, path) is None or method == "HEAD":
        return
    judge = validator(method, path, status, media)
    value = json.loads(body) if media.endswith("json") else body.decode()
    wrong = [f"{error.json_path}: {error.message}" for error in judge.iter_errors(value)]
    assert not wrong, f"{method} {path} answered {status}: {wrong[:5]}"
