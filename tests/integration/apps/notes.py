"""Lines in files, by which tasks tell a test that they ran, and wait for it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

NOTES_VARIABLE = "PICO_TEST_NOTES"


def note(key: str, text: str = "ran") -> int:
    """Append a line, and return how many there are."""
    path = Path(os.environ[NOTES_VARIABLE], key)
    with path.open("a") as file:
        file.write(f"{text}\n")
    return len(path.read_text().splitlines())


async def wait_for_note(key: str, seconds: float) -> None:
    """Wait until the test has noted something."""
    path = Path(os.environ[NOTES_VARIABLE], key)
    async with asyncio.timeout(seconds):
        while not path.exists():
            await asyncio.sleep(0.02)
