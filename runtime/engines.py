"""The engines of a session: the network of each execution, with what it counts, made when it is first asked for."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any

from onnx2snn.errors import InputError
from onnx2snn.runtime.backends import Engine, make_engine
from onnx2snn.runtime.session_file import SessionFile

_LOG = logging.getLogger(__name__)


class Engines:
    """Engines by execution and by what they count; safe to ask from several threads.

    Args:
        source: Where the networks come from.
        backend: One of ``BACKENDS``.
        options: Of the backend, by name.
    """

    def __init__(self, source: SessionFile, backend: str, options: Mapping[str, Any]) -> None:
        self.closed = False
        self._source, self._backend, self._options = source, backend, options
        self._made: dict[tuple[str, str], Engine] = {}
        self._lock = threading.RLock()

    def close(self) -> None:
        """Let go of all of them; what runs in other threads runs to its end."""
        with self._lock:
            self.closed = True
            self._made.clear()

    def engine(self, execution: str, count: str) -> Engine:
        """The network of an execution, as compiled files call it, with what it counts.

        Raises:
            InputError: they are closed.
        """
        with self._lock:
            if self.closed:
                raise InputError("this session is closed", remedy="make another one")
            if (execution, count) not in self._made:
                began = time.perf_counter()
                model = self._source.model(execution, count)
                self._made[execution, count] = make_engine(model, self._backend, **self._options)
                took = 1000 * (time.perf_counter() - began)
                _LOG.debug("%s execution in %s, counting %s: %.0f ms", execution, self._backend, count, took)
            return self._made[execution, count]
