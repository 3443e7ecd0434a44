"""Execution providers of onnxruntime: how they are asked for exact sums, and what is written for them."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from onnx2snn.errors import InputError
from onnx2snn.runtime.target import Target

#: An execution provider of onnxruntime by name, or with options of its own.
Provider: TypeAlias = str | tuple[str, Mapping[str, Any]]

#: How a provider is asked for what this package promises. CUDA otherwise multiplies float32 with ten bits of fraction (TF32),
#: and convolves by whichever algorithm is fastest: some of them (Winograd, Fourier) round sums that are exact.
EXACT: dict[str, dict[str, Any]] = {
    "CUDAExecutionProvider": {"use_tf32": "0", "cudnn_conv_algo_search": "DEFAULT"}
}
_PROVIDER = "install the onnxruntime that has it (onnxruntime-gpu, onnxruntime-openvino ...), or leave it out"


def chosen_providers(providers: Sequence[Provider] | None) -> list[tuple[str, dict[str, Any]]]:
    """Execution providers of onnxruntime with their options, the CPU where none is asked for.

    Raises:
        InputError: this onnxruntime has not one of them; it would go on without it, and hardly say so.
    """
    import onnxruntime as ort  # noqa: PLC0415 - one of two engines

    chosen = [_with_options(provider) for provider in providers or ("CPUExecutionProvider",)]
    missing = sorted({name for name, _ in chosen} - set(ort.get_available_providers()))
    if missing:
        found = f"{', '.join(missing)}; it has {', '.join(ort.get_available_providers())}"
        raise InputError("this onnxruntime has not that execution provider", found=found, remedy=_PROVIDER)
    return chosen


def _with_options(provider: Provider) -> tuple[str, dict[str, Any]]:
    """A provider and its options: the caller's, and what exact sums need where he says nothing else."""
    name, options = (provider, {}) if isinstance(provider, str) else provider
    return name, {**EXACT.get(name, {}), **options}


def target_of(backend: str, providers: Sequence[Provider] | None, *, save_memory: bool = False) -> Target:
    """What a session writes executions for. The blocked layout of convolutions is onnxruntime's for CPUs of x86."""
    on_cpu = all(_with_options(provider)[0] == "CPUExecutionProvider" for provider in providers or ())
    stock = backend == "onnxruntime"
    whole = backend != "numpy"  # the reference evaluator is there to be compared with
    return Target(
        growth=2.0 if stock and not save_memory else 0.0,
        plain=not whole,
        blocked=stock and on_cpu and platform.machine().lower() in ("x86_64", "amd64"),
        integers=on_cpu and backend != "events",
        elements=whole,
        contributed=stock and on_cpu,
        sums=backend == "events",
    )
