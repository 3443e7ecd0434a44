"""Commands as they are typed."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner, Result

from onnx2snn.cli import main


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def answer(*words: object) -> dict[str, Any]:
    """The one object that --json prints; nothing else may stand on stdout."""
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    facts: dict[str, Any] = json.loads(result.stdout)
    return facts
