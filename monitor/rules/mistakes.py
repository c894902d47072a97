"""Configuration mistakes that belong to a deeper place than the validator that notices them."""

from collections.abc import Iterable

from pydantic import ValidationError
from pydantic_core import InitErrorDetails


def mistake(message: str, *where: str) -> ValidationError:
    """A mistake at a path below the model being validated; pydantic merges it into its own report."""
    return mistakes([(message, where)])


def mistakes(found: Iterable[tuple[str, tuple[str | int, ...]]]) -> ValidationError:
    """Several of them, each with its path."""
    errors = [
        InitErrorDetails(type="value_error", loc=where, input=None, ctx={"error": ValueError(message)})
        for message, where in found
    ]
    return ValidationError.from_exception_data("rule", errors)


def missing(name: str) -> ValidationError:
    """A setting that is required after all, as others are set."""
    return ValidationError.from_exception_data("rule", [InitErrorDetails(type="missing", loc=(name,), input=None)])
