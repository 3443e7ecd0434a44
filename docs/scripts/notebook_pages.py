"""The notebooks of examples/notebooks as pages: run from top to bottom, with what each cell shows behind it.

Files hold no outputs, so what a page shows is what this version of the package answers; a cell that fails ends the build.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import functools
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "examples" / "notebooks"


def notebooks() -> list[Path]:
    """In the order in which they are read."""
    return sorted(FOLDER.glob("*.ipynb"), key=lambda path: path.stem != "first_conversion")


def page(notebook: Path) -> str:
    """Markdown of a notebook that was run here."""
    return _page(notebook, notebook.read_text(encoding="utf-8"))


@functools.cache  # mkdocs serve builds again and again
def _page(notebook: Path, content: str) -> str:
    title, *cells = json.loads(content)["cells"]
    with _in_its_folder(notebook):
        scope: dict[str, object] = {}
        parts = [
            "".join(title["source"]),
            f"A notebook, run when these pages were made: [{notebook.name}]({notebook.name}).",
        ]
        for cell in cells:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(source)
            else:
                parts += [f"```python\n{source}\n```", *_outputs(source, notebook.name, scope)]
    return "\n\n".join(parts) + "\n"


@contextlib.contextmanager
def _in_its_folder(notebook: Path) -> Iterator[None]:
    import matplotlib as mpl  # noqa: PLC0415 - of the extra report; other pages need it not

    backend = mpl.get_backend()
    mpl.use("agg")
    try:
        with contextlib.chdir(notebook.parent):
            yield
    finally:
        mpl.use(backend)


def _outputs(source: str, name: str, scope: dict[str, object]) -> list[str]:
    """Run a cell; what it prints, the value of its last expression, and figures of pyplot, as Jupyter shows them."""
    import matplotlib.pyplot as plt  # noqa: PLC0415

    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    value = None
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(tree, name, "exec"), scope)  # noqa: S102 - our own notebook
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), name, "eval"), scope)  # noqa: S307
    shown = [_text(printed.getvalue())] if printed.getvalue() else []
    if value is not None:
        shown.append(_shown(value))
    for number in plt.get_fignums():
        stream = io.BytesIO()
        plt.figure(number).savefig(stream, format="png", dpi=100)
        shown.append(_picture(stream.getvalue()))
    plt.close("all")
    return shown


def _shown(value: Any) -> str:
    """The richest form that a value has."""
    if hasattr(value, "_repr_png_"):
        return _picture(value._repr_png_())
    if hasattr(value, "_repr_html_"):
        lines = (line.strip() for line in value._repr_html_().splitlines())  # indented, they would be code
        return f'<div class="output">{"".join(lines)}</div>'
    return _text(repr(value))


def _picture(png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    return f'<img class="output" alt="The figure that this cell draws" src="data:image/png;base64,{data}">'


def _text(words: str) -> str:
    return f"```text\n{words.rstrip()}\n```"
