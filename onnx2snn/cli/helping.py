"""Help that can be used: examples on lines of their own, to be copied; options for images apart from the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from onnx2snn.listings import MEANINGS

#: A path: shells complete it; what is wrong with it, the reader or writer of the file knows best.
PATH = click.Path(readable=False)

_IMAGES = "--image-"


class Command(click.Command):
    """A command whose epilog holds its examples, one a line.

    Args:
        columns: Heads of the table that it prints, which its help explains.
    """

    def __init__(self, *args: Any, columns: Sequence[str] = (), **options: Any) -> None:
        super().__init__(*args, **options)
        self.columns = tuple(columns)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Data that was given without its option is what the error speaks of."""
        words = list(args)  # click takes them away as it reads them
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            bare = self._bare_data(ctx, words)
            if bare is None:
                raise
            raise click.UsageError(f"{bare} is data: it goes behind --data", ctx) from error

    def _bare_data(self, ctx: click.Context, words: list[str]) -> str | None:
        """A word that is called like data and stands behind no option; None where the command takes none, or has it."""
        if not any("--data" in param.opts for param in self.get_params(ctx)):
            return None
        before = ["", *words]
        data = [
            w for b, w in zip(before, words, strict=False) if w.endswith((".npz", ".npy")) and b[:1] != "-"
        ]
        return data[0] if data else None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The command's own options first; how folders of images are read, and what a table says, behind them."""
        sections: dict[str, list[tuple[str, str]]] = {"Options": [], "Folders of images": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx) if isinstance(param, click.Option) else None
            if record is not None:
                images = any(option.startswith(_IMAGES) for option in param.opts)
                sections["Folders of images" if images else "Options"].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        if self.columns:
            with formatter.section("Columns"):
                formatter.write_dl([(head, MEANINGS[head]) for head in self.columns])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples as they are typed: lines are not wrapped."""
        del ctx
        lines = [line.strip().removeprefix("Example:").strip() for line in (self.epilog or "").splitlines()]
        examples = [line for line in lines if line]
        if not examples:
            return
        formatter.write_paragraph()
        formatter.write(f"{'Example' if len(examples) == 1 else 'Examples'}:\n")
        for example in examples:
            formatter.write(f"  {example}\n")
