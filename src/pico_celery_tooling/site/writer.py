"""The files of a site in a directory that is the site's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

MARKER: Final = ".pico-celery-docs.json"
"""Lists what the site has written, so that it removes that, and nothing else, when it is written again."""


class ForeignDirectoryError(Exception):
    """A directory has files, and none of them says that it is a site's."""


@dataclass(frozen=True, slots=True)
class Written:
    """What was done."""

    changed: int
    """Files that are new or different."""
    removed: int
    """Files of the site before, that it has no more."""


def write_site(folder: Path, pages: Mapping[str, str]) -> Written:
    """Write a site."""
    before = _own_files(folder)
    folder.mkdir(parents=True, exist_ok=True)
    # First, so that a site that could not be written whole is still known as one.
    _write(folder / MARKER, _marker({*before, *pages}))
    changed = sum(_write(folder / path, text) for path, text in pages.items())
    gone = [path for path in before if path not in pages]
    removed = sum(_remove(folder, path) for path in gone)
    _write(folder / MARKER, _marker(set(pages)))
    return Written(changed=changed, removed=removed)


def _own_files(folder: Path) -> list[str]:
    if folder.exists() and not folder.is_dir():
        raise ForeignDirectoryError(f"{folder} is a file")
    if not folder.exists() or not any(folder.iterdir()):
        return []
    try:
        listed = json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ForeignDirectoryError(f"{folder} has files that are not those of a site") from None
    return [path for path in listed if isinstance(path, str) and _is_inside(path)] if isinstance(listed, list) else []


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and "\\" not in path


def _marker(paths: set[str]) -> str:
    about = "Written by 'pico-celery docs', which removes these files when the contracts no longer have them."
    return json.dumps({"about": about, "files": sorted(paths)}, indent=1) + "\n"


def _write(path: Path, text: str) -> bool:
    data = text.encode("utf-8")
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return True


def _remove(folder: Path, path: str) -> bool:
    file = folder / path
    if not file.is_file():
        return False
    file.unlink()
    if file.parent != folder and not any(file.parent.iterdir()):
        file.parent.rmdir()
    return True
