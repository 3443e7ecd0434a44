"""What compiled loops need of the machine. What they compute is tested with the synapses."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core import caching

from onnx2snn.events import kernels


def test_loops_need_no_folder_to_be_kept_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container that may not be written, and a user without a home."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    spec = spec_from_file_location("kept_nowhere", kernels.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = module_from_spec(spec)
    spec.loader.exec_module(again)
    assert again.active(np.array([0, 2, 0, 3], np.float32)) == 2
