"""What the project uses of Numba, typed: checks are the same whether it is installed or not."""

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])

def njit(
    *, cache: bool = ..., nogil: bool = ..., error_model: str = ...
) -> Callable[[Function], Function]: ...
