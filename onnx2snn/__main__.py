"""``onnx2snn``, and ``python -m onnx2snn``."""

from __future__ import annotations

import signal
import sys


def _missing(error: ModuleNotFoundError) -> int:
    """Say what the command line needs beside the runtime; an exit code."""
    print(
        f"Error: the command line of onnx2snn needs more than its runtime: there is no {error.name}\n"
        "  remedy: pip install onnx2snn, with all that it requires (Python 3.11 or later)\n"
        "          compiled files run without: onnx2snn.runtime.SpikingSession('fast.onnx')",
        file=sys.stderr,
    )
    return 4


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly even while it is still being loaded.

    A background job of a shell without job control inherits SIGINT as ignored: it stays ignored.
    """
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from onnx2snn.cli import main as run  # noqa: PLC0415 - the time in which Ctrl-C has nobody to answer it
    except ModuleNotFoundError as error:  # installed alone, for its runtime
        sys.exit(_missing(error))

    if raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run(prog_name="onnx2snn")


if __name__ == "__main__":
    main()
