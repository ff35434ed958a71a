"""Lines in files, by which tasks tell a test that they ran, and wait for it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

NOTES_VARIABLE = "PICO_TEST_NOTES"


def note(key: str, text: str = "ran") -> int:
    """Append a line, and return how many there are."""
    path = Path(os.environ[NOTES_VARIABLE], key)
    with path.open("a") as file:
        file.write(f"{text}\n")
    return len(path.read_text().splitlines())


def hold_for_note(key: str, seconds: float) -> None:
    """Hold the thread until the test has noted something."""
    path, end = Path(os.environ[NOTES_VARIABLE], key), time.monotonic() + seconds
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)


async def wait_for_note(key: str, seconds: float) -> None:
    """Wait until the test has noted something."""
    path = Path(os.environ[NOTES_VARIABLE], key)
    async with asyncio.timeout(seconds):
        while not path.exists():
            await asyncio.sleep(0.02)
