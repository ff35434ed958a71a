"""Pages of the documentation as lists of blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from tests.acceptance.commands import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|yaml|toml|ini))\n")
_LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)(?:#[^)]*)?\)")
_WORKER = "<!-- a worker runs -->"


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block, with the ``text`` block right after it."""

    language: str
    source: str
    line: int
    shown: str | None

    @property
    def file_name(self) -> str | None:
        """The name in a first line such as ``# orders.py``."""
        match = _FILE_NAME.match(self.source)
        return match[1] if match else None


@dataclass(frozen=True)
class Page:
    """A Markdown file."""

    path: Path

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def wants_worker(self) -> bool:
        return _WORKER in self.text

    @property
    def links(self) -> list[str]:
        return [link for link in _LINK.findall(self.text) if "://" not in link]

    @property
    def blocks(self) -> list[Block]:
        found = list(_BLOCK.finditer(self.text))
        blocks = []
        for match, following in zip_longest(found, found[1:]):
            if match[1] == "text":
                continue
            adjacent = following is not None and not self.text[match.end() : following.start()].strip()
            shown = following[2] if following is not None and following[1] == "text" and adjacent else None
            line = self.text.count("\n", 0, match.start()) + 1
            blocks.append(Block(language=match[1], source=match[2], line=line, shown=shown))
        return blocks

    @property
    def orphans(self) -> int:
        """How many ``text`` blocks belong to no block before them."""
        shown = sum(1 for block in self.blocks if block.shown is not None)
        return sum(1 for match in _BLOCK.finditer(self.text) if match[1] == "text") - shown


README = Page(ROOT / "README.md")
PAGES = [README, Page(ROOT / "CHANGELOG.md"), *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md")))]
