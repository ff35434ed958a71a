"""Contracts that are hard to describe, in a catalog of their own: names, types and texts that break careless writers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from typing_extensions import TypedDict

from pico_celery import Catalog, RetryPolicy, TaskError, contract, task_options

catalog = Catalog()

SCRIPT = "<script>document.title = 'taken'</script>"


class Leaf(BaseModel):
    """A leaf: `Leaf` & <b>bold</b>."""

    kind: Literal["leaf"] = "leaf"
    value: Decimal = Field(ge=0, max_digits=8, decimal_places=2, description=f"worth {SCRIPT}")


class Branch(BaseModel):
    """A branch.

    Attributes:
        kind: Which one it is.
        left: The first ``Node``.
    """

    model_config = ConfigDict(title=SCRIPT)
    kind: Literal["branch"] = "branch"
    left: Node
    right: Node | None = None


Node = Annotated[Leaf | Branch, Field(discriminator="kind")]
Branch.model_rebuild()


class Level(Enum):
    LOW = 1
    HIGH = "</script>"


class Point(NamedTuple):
    x: float
    y: float = float("inf")


@dataclass(frozen=True)
class Window:
    """A span of time.

    Attributes:
        start: From when, `datetime` with a zone.
    """

    start: datetime
    end: datetime | None = None


class Extra(TypedDict, total=False):
    title: str
    default: Leaf
    description: Annotated[str, Field(pattern="^[<>]*$")]


class Aliased(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_by_name=False)
    from_: str = Field(alias="from", examples=["<a>"])
    dashed: int = Field(alias="with-dash", gt=1, lt=9, multiple_of=2, deprecated=True)


class Refused(TaskError, retryable=True):
    """Refused: `amount` is <too> much."""

    amount: Decimal
    node: Node | None = None


class Bare(TaskError):
    """It has no fields."""


@contract("trees.of-life", catalog=catalog)
class Trees(Protocol):
    """All about <trees> & "leaves".

    Twice::

        grow(1 < 2)

    - one *item*
    - ``two``
    """

    @task_options(
        queue="trees/<q>",
        errors=[Refused, Bare],
        retries=RetryPolicy(max_attempts=4, delay=timedelta(seconds=2)),
        priority=7,
        expires=timedelta(minutes=90),
        time_limit=timedelta(seconds=30),
    )
    async def grow(self, node: Node, levels: set[Level], *, near: tuple[Point, int] | None = None) -> list[Node]:
        """Grow a tree <script>alert(1)</script>.

        Args:
            node: Where to grow; `Leaf` or ``Branch``,
                over two lines.
            levels: How <far>.
            near: Near what.

        Returns:
            All ``Node`` that grew.

        Raises:
            Refused: If it is too much.
        """
        ...

    async def rest(self) -> None: ...

    @task_options(ignore_result=True, exchange="woods", routing_key="woods.fell")
    async def fell(
        self,
        names: dict[str, list[bytes]] = {},  # noqa: B006 - a default that is a collection
        window: Window | None = None,
        aliased: Aliased | None = None,
        key: SecretStr = SecretStr("pst"),  # noqa: B008 - as above
    ) -> None:
        """Fell."""
        ...


@contract("trees.of-life", version=2, catalog=catalog)
class TreesV2(Protocol):
    @task_options(errors=[Bare], name="trees/grow~it")
    async def grow(self, extra: Extra, count: Annotated[int, Field(ge=3, le=5)] = 3, anything: Any = None) -> Point:
        """
        Args:
            extra: Only that.
        """
        ...


@contract("forests", catalog=catalog)
class Forests(Trees, Protocol):
    """Everything of `Trees`, and more."""

    async def plant(
        self, when: date | uuid.UUID | timedelta | float, how: dict[Literal["a", "b"], int] | bool = False
    ) -> dict[int, Level | None]: ...
