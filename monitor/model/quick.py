"""Values that are made at every poll."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def quick(kind: type[T]) -> type[T]:
    """As `dataclass(frozen=True, slots=True)`, but only the type checker holds that nobody changes one: to do so at run
    time as well makes one with twenty fields eight times as dear, 1.5 µs instead of 0.2."""
    return dataclass(slots=True, unsafe_hash=True)(kind)
