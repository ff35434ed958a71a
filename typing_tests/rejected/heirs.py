"""Components that inherit a contract.

What mypy does not see here is found when the container starts: pyright alone refuses a renamed parameter, which is one
reason to name tasks by reference (`task`), where both checkers see it.
"""

from pico_ioc import component
from typing_tests.shop import Order, Orders, Parcels, Receipt


@component
class Renamed(Orders):
    async def place(self, oder: Order, *, dry_run: bool = False) -> Receipt:  # pyright: ignore[reportIncompatibleMethodOverride]  # renamed, which mypy lets pass
        raise NotImplementedError

    async def cancel(self, id: int, reason: str = "") -> None: ...  # pyright: ignore[reportIncompatibleMethodOverride]  # renamed, which mypy lets pass


@component
class Different(Orders):
    async def place(self, order: int, *, dry_run: bool = False) -> Receipt:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # wrong type
        raise NotImplementedError

    async def cancel(self, order_id: int) -> None: ...  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # a missing parameter

    async def find(self, text: str, limits: dict[str, int] | None = None) -> list[Receipt]:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # another result
        raise NotImplementedError

    def count(self) -> int:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # def
        return 0


class RenamedKeyword(Orders):
    async def place(self, order: Order, *, dryrun: bool = False) -> Receipt:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # renamed keyword-only parameter
        raise NotImplementedError


class MoreRequired(Parcels):
    async def send(self, to: str, weight: float, sender: str) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]  # a new required parameter
        raise NotImplementedError


@component
class Incomplete(Orders):
    async def count(self) -> int:
        return 0


def misuse() -> None:
    Incomplete()  # type: ignore[abstract]  # pyright: ignore[reportAbstractUsage]  # tasks are left out
