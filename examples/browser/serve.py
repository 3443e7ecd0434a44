"""Serve the page on this machine: convert and compile a network of digits, and hand it to the browser beside onnxruntime-web.

    npm install --prefix examples/browser
    python examples/browser/serve.py            # then open http://127.0.0.1:8000
    python examples/browser/serve.py --network mnist_int8.onnx --samples mnist_int8.npz

Without ``--network`` it is that of ``examples/digits``; any that reads a picture of 28 × 28 and has ten outputs will do, its
pixels floats of 0 to 1 or integers. Its samples are an .npz with the pictures under the input's name, and ``labels``.

Everything that the page may load is listed in one table, in memory: no path leads anywhere else, and the headers forbid
the page to ask any other server.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

import onnx2snn
from onnx2snn.data import input_specs

PAGE = Path(__file__).parent
DIGITS = PAGE.parent / "digits"
RUNTIME = PAGE / "node_modules" / "onnxruntime-web" / "dist"
RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
SAMPLES = 20
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}
POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; img-src 'self' data:"
)


def contents(
    network: Path = DIGITS / "digits.onnx", samples: Path = DIGITS / "digits.npz"
) -> dict[str, bytes]:
    """Everything that the server hands out, by path."""
    page = [path for path in PAGE.iterdir() if path.suffix in (".html", ".css", ".js", ".svg")]
    found = {f"/{path.name}": path.read_bytes() for path in page}
    found["/"] = found["/index.html"]
    found |= {f"/ort/{name}": (RUNTIME / name).read_bytes() for name in RUNTIME_FILES}
    conversion = onnx2snn.convert(network)
    with np.load(samples) as held:
        pictures = held[input_specs(conversion.model)[0].name][:SAMPLES]
        found["/samples.bin"] = shown(pictures).astype("<f4").tobytes()
        labels = held["labels"][:SAMPLES] if "labels" in held else np.arange(len(pictures))
        found["/labels.json"] = json.dumps(labels.tolist()).encode()
    for execution in ("fused", "step"):
        compiled = onnx2snn.compile(conversion, execution=execution, batch=1)
        found[f"/digits_{execution}.onnx"] = compiled.model.SerializeToString()
    return found


def shown(pictures: np.ndarray) -> np.ndarray:
    """Pixels of 0 to 1; integers are of 8 bits, those of int8 less 128."""
    if pictures.dtype.kind == "f":
        return pictures
    return (pictures.astype(np.float32) + 128 * (pictures.dtype == np.int8)) / 255


def make_server(files: Mapping[str, bytes], *, port: int = 0) -> ThreadingHTTPServer:
    """A server of ``files`` on the loopback address; port 0 takes any that is free."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files.get(self.path.partition("?")[0])
            self.send_response(200 if content is not None else 404)
            self.send_header(
                "Content-Type", TYPES.get(Path(self.path).suffix or ".html", "application/octet-stream")
            )
            self.send_header("Content-Length", str(len(content or b"")))
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Cache-Control", "no-cache")
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing of each request."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--network", type=Path, default=DIGITS / "digits.onnx")
    parser.add_argument("--samples", type=Path, default=DIGITS / "digits.npz")
    arguments = parser.parse_args()
    if not RUNTIME.is_dir():
        parser.error("onnxruntime-web is missing: run 'npm install --prefix examples/browser' first")
    with make_server(contents(arguments.network, arguments.samples), port=arguments.port) as server:
        print(f"http://127.0.0.1:{server.server_address[1]}   (Ctrl+C ends)", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
