"""Code with a little colour: JSON and Python, as blocks of HTML."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pico_celery_tooling.site.html import Html, marked, tag

_JSON: Final = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*")(?=\s*:)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?\b[\d.eE+-]+\b)|(?P<word>\b(?:true|false|null)\b)'
)
_PYTHON: Final = re.compile(
    r"(?P<comment>#[^\n]*)"
    r"|(?P<text>\b[bBrR]?(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\")|(?:'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"))"
    r"|(?P<number>\b\d[\d_.]*\b)"
    r"|(?P<word>\b(?:from|import|class|def|async|await|return|True|False|None|print)\b)"
    r"|(?P<key>@\w+)"
)


def json_text(data: Any) -> str:
    """Return data as JSON on one line."""
    return json.dumps(data, ensure_ascii=False)


def json_block(data: Any, label: str) -> Html:
    """Return data as a block of JSON."""
    return _block(marked(json.dumps(data, indent=2, ensure_ascii=False), _JSON), label)


def python_block(source: str, label: str) -> Html:
    """Return a block of Python code."""
    return _block(marked(source, _PYTHON), label)


def _block(content: Html, label: str) -> Html:
    # It can be scrolled, so it has to be reached by the keyboard.
    return tag("pre", tag("code", content), tabindex="0", role="region", aria_label=label)
