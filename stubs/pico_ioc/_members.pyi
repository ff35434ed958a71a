from collections.abc import Iterator
from typing import Any

def pico_methods(obj: Any, flag: str) -> Iterator[tuple[str, Any]]: ...
