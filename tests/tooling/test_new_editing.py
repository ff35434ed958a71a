"""Insertions of ``pico-celery new`` into source text, held against the formatter and Python's own parser."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from pathlib import Path

import pytest

from pico_celery_tooling.new.drafts import add_definition, add_imports, add_member
from pico_celery_tooling.new.project import Found

NAMES = {
    "datetime": ("date", "datetime", "UTC", "timedelta"),
    "typing": ("Any", "Protocol", "TYPE_CHECKING", "cast"),
    "collections.abc": ("Iterator", "Mapping"),
    "pico_celery": ("task", "contract", "TaskError", "task_options", "CeleryClient", "celery"),
    "pydantic": ("BaseModel", "Field"),
    "pico_ioc": ("init", "component", "DictSource", "EnvSource"),
    "shop.contracts": ("Order", "Orders", "OrdersV2", "Receipt", "A1", "A10", "A2", "aB", "URL", "X"),
    "shop.v10.x": ("Q",),
    "shop.v2.x": ("R",),
    "uuid": ("UUID",),
    "shop": ("thing",),
}
PAIRS = [(module, name) for module, names in NAMES.items() for name in names]
MODULES = ("pytest", "json", "shop.clients", "os")
HEADS = (
    "",
    '"""Text."""\n',
    "from __future__ import annotations\n",
    '"""Text."""\n\nfrom __future__ import annotations\n\nimport os\nimport sys\n\nX = 1\n',
    "# comment\n",
    '#!/usr/bin/env python\n"""Text."""\n\nfrom typing import (\n    Any,\n    Protocol,\n)\n\nimport pytest\n\nfrom . import a\n\n\ndef f(): ...\n',
    "import os\n\n\nclass A: ...\n",
)
OWN = {"shop"}


def test_imports_are_where_the_formatter_puts_them(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    for number in range(80):
        choice = random.Random(number)
        text = choice.choice(HEADS)
        for module, name in choice.sample(PAIRS, choice.randint(1, 18)):
            text = add_imports(text, {name: Found(module, name)}, first_party=OWN, width=88)
            assert add_imports(text, {name: Found(module, name)}, first_party=OWN, width=88) == text
        for module in choice.sample(MODULES, choice.randint(0, 2)):
            if f"import {module}\n" not in text:
                text = add_imports(text, {module: Found(module, "")}, first_party=OWN, width=88)
        (tmp_path / "shop" / f"module_{number}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "I", "."],
        check=False,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from a import b  # why\n", "from a import b  # why\nfrom a import c\n"),
        ("from a import (b,\n    d)\n", "from a import (b,\n    d)\nfrom a import c\n"),
        ("from a import (\n    b,  # why\n    d\n)\n", "from a import (\n    b,  # why\n    c,\n    d,\n)\n"),
        ("from a import b as x\n", "from a import b as x, c\n"),
        ("from a import *\n", "from a import *\nfrom a import c\n"),
        ("if True:\n    from a import c\n", "from a import c\n\nif True:\n    from a import c\n"),
    ],
)
def test_an_import_with_a_form_of_its_own_keeps_it(before: str, after: str) -> None:
    assert add_imports(before, {"c": Found("a", "c")}, first_party=(), width=88) == after


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    x = 1\n",
        "class A:\n    x = 1",
        "class A: x = 1\n",
        "class A:\n    def f(self): ...\n    # end\n\n# after\ny = 1\n",
        'class A:\n    """Größe."""\n\n\nclass B: ...\n',
        "@d\nclass A(\n    B,\n): pass\n",
        'class A:\n    """Text"""; x = 1\n',
        "class A:\n    @property\n    def f(self): return '''\n# no comment\n'''\n",
    ],
)
def test_a_member_is_added_and_nothing_else_changes(text: str) -> None:
    block = "    async def new(self) -> None:\n        ..."
    changed = ast.parse(add_member(text, "A", block))
    before = ast.parse(text)
    cls = next(node for node in changed.body if isinstance(node, ast.ClassDef) and node.name == "A")
    old = next(node for node in before.body if isinstance(node, ast.ClassDef) and node.name == "A")

    added = cls.body.pop()
    cls.body[:0] = old.body if not cls.body else []
    assert isinstance(added, ast.AsyncFunctionDef)
    assert ast.dump(changed) == ast.dump(before)


def test_a_definition_goes_before_what_runs_at_the_end() -> None:
    text = "import a\n\n\ndef f(): ...\n    # of f\n\n\nif __name__ == '__main__':\n    f()\n"

    assert add_definition(text, "class A: ...") == (
        "import a\n\n\ndef f(): ...\n    # of f\n\n\nclass A: ...\n\n\nif __name__ == '__main__':\n    f()\n"
    )
    assert add_definition("import a\n\nif __name__ == '__main__':\n    a()\n", "class A: ...") == (
        "import a\n\n\nclass A: ...\n\n\nif __name__ == '__main__':\n    a()\n"
    )


def test_a_definition_above_a_class_is_below_the_title_of_a_section() -> None:
    text = "import a\n\n\n# --- section\n\n\n# of A\nclass A: ...\n"

    assert add_definition(text, "class B: ...", before="A") == (
        "import a\n\n\n# --- section\n\n\nclass B: ...\n\n\n# of A\nclass A: ...\n"
    )
