"""Pages of the documentation as lists of blocks."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from tests.acceptance.commands import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|yaml|toml|ini))\n")
_LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
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

    @property
    def has_top_level_await(self) -> bool:
        """Whether the block runs only where ``await`` may stand at the top, such as in ``python -m asyncio``."""
        if self.language != "python" or self.file_name is not None:
            return False
        code = compile(self.source, "<block>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        return bool(code.co_flags & inspect.CO_COROUTINE)


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
        return [link for link, _ in _LINK.findall(self.prose) if link and "://" not in link]

    @property
    def linked_headings(self) -> list[tuple[str, str]]:
        """Pages and headings of links such as ``worker.md#options``; the page is empty for a link within this page."""
        return [(link, anchor) for link, anchor in _LINK.findall(self.prose) if anchor and "://" not in link]

    @property
    def anchors(self) -> set[str]:
        """What GitHub makes of the headings of this page."""
        headings = (heading.lower().replace("`", "") for heading in _HEADING.findall(self.prose))
        return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in headings}

    def prose_before(self, block: Block) -> str:
        """What a reader has read when they come to a block."""
        return "\n".join(self.text.splitlines()[: block.line - 1])

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _BLOCK.sub("", self.text)

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
INDEX = Page(ROOT / "docs" / "index.md")
PAGES = [README, Page(ROOT / "CHANGELOG.md"), *(Page(path) for path in sorted((ROOT / "docs").rglob("*.md")))]
