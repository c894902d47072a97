"""Configuration mistakes that belong to a deeper place than the validator that notices them."""

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError


def mistake(message: str, *where: str) -> ValidationError:
    """A mistake at a path below the model being validated; pydantic merges it into its own report."""
    # The message goes in as a value: braces in it are the user's, not ours to fill.
    error = PydanticCustomError("value_error", "{reason}", {"reason": message})
    return ValidationError.from_exception_data("rule", [InitErrorDetails(type=error, loc=where, input=None)])
