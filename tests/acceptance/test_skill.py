"""The skill for coding assistants can be installed: its front matter, and that it needs no other file.

Its blocks are executed with those of all pages, by ``test_docs``.
"""

from __future__ import annotations

import re

import pico_celery
from tests.acceptance.commands import ROOT
from tests.acceptance.pages import PAGES, Page

SKILL = Page(ROOT / "docs" / "skills" / "pico-task" / "SKILL.md")
FRONT = re.match(r"---\n(.*?)\n---\n\n# ", SKILL.text, re.DOTALL)
PARTS = ("Rules", "Contract", "Worker", "Client", "Configuration", "Test", "Verify", "Checklist", "Common mistakes")


def fields() -> dict[str, str]:
    assert FRONT is not None
    return dict(line.split(": ", 1) for line in FRONT[1].splitlines())


def test_the_front_matter_is_what_assistants_read() -> None:
    """Source: the format of Agent Skills, whose names and descriptions have these limits."""
    found = fields()

    assert found.keys() == {"name", "description"}
    assert found["name"] == SKILL.path.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", found["name"])
    assert 50 < len(found["description"]) <= 1024
    assert "Use when" in found["description"]
    assert not re.search(r": |[<>#]|^[\"'&*!|{\[]", found["description"])  # plain YAML without quotes


def test_its_blocks_are_executed_with_those_of_the_docs() -> None:
    assert SKILL in PAGES
    assert len([block for block in SKILL.blocks if block.shown is not None]) > 8


def test_it_needs_no_other_file() -> None:
    assert SKILL.links == []


def test_it_has_all_parts() -> None:
    headings = re.findall(r"^## (.+)$", SKILL.text, re.MULTILINE)

    assert [part for part in PARTS if not any(heading.startswith(part) for heading in headings)] == []


def test_it_names_only_what_the_library_has() -> None:
    names = {
        name
        for block in SKILL.blocks
        for line in re.findall(r"from pico_celery import (.+)", block.source)
        for name in line.split(", ")
    }
    errors = set(re.findall(r"`(\w+(?:Error|Warning))`", SKILL.text)) - {"NotImplementedError"}

    assert names | errors <= set(dir(pico_celery))
    assert len(names) > 6
