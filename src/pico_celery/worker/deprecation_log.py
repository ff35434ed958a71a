"""Log, once per process, that a deprecated task, alias or upcaster is still in use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from celery.app.task import Context

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.upcasting import names_of, upcasters_of
from pico_celery.messaging.calls import shown
from pico_celery.messaging.headers import CONTRACT_HEADER, is_current

_logged: Final[set[tuple[str, str]]] = set()
_logger = logging.getLogger(__name__)


def log_outdated_call(definition: TaskDefinition, name: str, request: Context, headers: Mapping[str, object]) -> None:
    """Log the first call of each kind: of a deprecated task, by an old name, or by arguments that are upcast."""
    found: list[tuple[str, str, str]] = []
    if name != definition.name:
        found.append((name, "alias", f"{name} is an old name of {definition.name}, and still called"))
    name = definition.name
    if definition.deprecated is not None:
        found.append((name, "deprecated", f"{name} is deprecated ({definition.deprecated}), and still called"))
    if not is_current(definition, headers) and (upcasters := upcasters_of(definition)):
        text = "is called by another contract than this worker has, and its arguments pass through"
        found.append((name, "upcast", f"{name} {text} {names_of(upcasters)}"))
    for task, kind, text in found:
        if (task, kind) not in _logged:
            _logged.add((task, kind))
            _log(text, request, headers)


def _log(text: str, request: Context, headers: Mapping[str, object]) -> None:
    origin, contract = getattr(request, "origin", None), headers.get(CONTRACT_HEADER)
    sender = f"by {shown(origin)}" if origin else "by a sender that does not say who it is"
    peer = f"contract {shown(contract)}" if contract else "plain Celery"
    _logger.info("%s, %s (%s); later calls are not logged", text, sender, peer)


def forget_logged() -> None:
    """Forget what was logged, for tests."""
    _logged.clear()
