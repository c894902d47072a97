"""Configuration mistakes that belong to a deeper place than the validator that notices them."""

from pydantic import ValidationError
from pydantic_core import InitErrorDetails


def mistake(message: str, *where: str) -> ValidationError:
    """A mistake at a path below the model being validated; pydantic merges it into its own report."""
    error = InitErrorDetails(type="value_error", loc=where, input=None, ctx={"error": ValueError(message)})
    return ValidationError.from_exception_data("rule", [error])
