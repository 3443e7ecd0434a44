"""``onnx2snn``, and ``python -m onnx2snn``."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line; Ctrl-C ends it quietly even while it is still being loaded.

    A background job of a shell without job control inherits SIGINT as ignored: it stays ignored.
    """
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from onnx2snn.cli import main as run  # noqa: PLC0415 - the time in which Ctrl-C has nobody to answer it

    if raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run(prog_name="onnx2snn")


if __name__ == "__main__":
    main()
