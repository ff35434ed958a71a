"""How a call ended, as a value to match: `Ok` or `Err`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ok(Generic[R_co]):
    """The task succeeded.

    Attributes:
        value: Its validated result.
    """

    value: R_co


@dataclass(frozen=True, slots=True)
class Err:
    """The task failed.

    Attributes:
        error: What ``get`` would raise: a declared error, a `RemoteError`, or one of this library's or Celery's own, such as
            a revocation.
    """

    error: Exception
