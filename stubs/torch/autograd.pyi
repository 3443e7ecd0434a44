from collections.abc import Sequence
from typing import Any

from torch import Tensor

class Function:
    @classmethod
    def apply(cls, *args: Any) -> Tensor: ...

def grad(
    outputs: Tensor, inputs: Sequence[Tensor], *, allow_unused: bool = False
) -> tuple[Tensor | None, ...]: ...
