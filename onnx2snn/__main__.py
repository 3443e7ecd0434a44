"""``onnx2snn``, and ``python -m onnx2snn``."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly even while it is still being loaded."""
    handler = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from onnx2snn.cli import main as run  # noqa: PLC0415 - the time in which Ctrl-C has nobody to answer it

    signal.signal(signal.SIGINT, handler)
    run(prog_name="onnx2snn")


if __name__ == "__main__":
    main()
