"""What MkDocs does besides: Sphinx roles in docstrings become plain names."""

from __future__ import annotations

import re
from typing import Any

ROLE = re.compile(r":(?:class|data|func|meth|mod):(?=<code>)")


def on_page_content(html: str, **_: Any) -> str:
    """:func:`name` of a docstring is shown as the name alone."""
    return ROLE.sub("", html)
