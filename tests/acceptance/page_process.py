"""The interpreter of one page: executes blocks that it reads from its standard input, one JSON line each.

A script of its own, run without the project on the path, so that a page sees only what its reader has.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import sys
import traceback
import types
from pathlib import Path


def main() -> None:
    sys.path.insert(0, str(Path.cwd()))
    page = types.ModuleType("page")
    sys.modules["page"] = page
    answers = sys.stdout
    with asyncio.Runner() as runner:
        for number, line in enumerate(sys.stdin):
            text = io.StringIO()
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                execute(json.loads(line), f"{Path.cwd()}/block_{number}.py", page, runner)
            answers.write(json.dumps(text.getvalue()) + "\n")
            answers.flush()


def execute(source: str, name: str, page: types.ModuleType, runner: asyncio.Runner) -> None:
    """Execute one block; ``await`` may stand at its top, as in ``python -m asyncio``."""
    try:
        code = compile(source, name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        outcome = eval(code, vars(page))
        if code.co_flags & inspect.CO_COROUTINE:
            runner.run(outcome)
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    main()
