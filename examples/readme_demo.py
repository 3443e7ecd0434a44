"""Keep the README's demonstration as ``make demo`` prints it.

    python examples/readme_demo.py README.md

Two machines differ in times, and in the few levels that float32's rounding decides; everything else is the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

BLOCK = re.compile(r"(?<=<!-- demo -->\n```text\n).*?(?=```\n<!-- /demo -->)", re.DOTALL)
#: Numbers of this machine: durations, rates, file sizes, rounding.
OWN = (
    re.compile(r"[\d.,]+ (?:ms|min|s|kB|MB)\b"),
    re.compile(r"[\d.,]+ a second"),
    re.compile(r"(?<=largest output error ).*(?=, top-1)"),
    re.compile(r"(?<=at most )[\d.]+ %(?= of the rounding bound)"),
    re.compile(r"^In [\d,]+ of [\d,]+ samples all levels are equal[\s\S]*?(?=^accuracy)"),
    re.compile(r"(?: +[\d,]+){5}(?= +0$)"),  # a row of the certificate: no level unexplained
)


def printed() -> str:
    """What the demonstration prints into a pipe, 80 columns wide."""
    demo = Path(__file__).with_name("demo.py").resolve()
    environment = {**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"}
    root = demo.parent.parent
    shown = subprocess.run(
        [sys.executable, demo],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return "".join(f"{line.rstrip()}\n" for line in shown.stdout.strip().splitlines())


def essence(text: str) -> list[list[str]]:
    """The words of each line that are the same on every machine."""
    for numbers in OWN:
        text = re.sub(numbers.pattern, "#", text, flags=re.MULTILINE)
    return [line.split() for line in text.splitlines() if line != "#"]


def main() -> None:
    readme = Path(sys.argv[1])
    text = readme.read_text(encoding="utf-8")
    if not BLOCK.search(text):
        sys.exit(f"{readme} has no demonstration to replace")
    shown = printed()
    readme.write_text(BLOCK.sub(lambda _: shown, text), encoding="utf-8")


if __name__ == "__main__":
    main()
