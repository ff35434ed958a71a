"""Log, once per process, that a deprecated task, alias or upcaster is still in use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.upcasting import names_of, upcasters_of
from pico_celery.messaging.calls import shown
from pico_celery.messaging.headers import CONTRACT_HEADER, is_current

_told: Final[set[tuple[str, str]]] = set()
_logger = logging.getLogger(__name__)


def tell_old_call(definition: TaskDefinition, name: str, request: Any, headers: Mapping[str, Any]) -> None:
    """Tell in the log of a call of a deprecated task, by an old name, or by older arguments: the first of each kind."""
    if name != definition.name:
        _tell(name, "alias", "%s is an old name of %s, and still called", definition.name, request, headers)
    if definition.deprecated is not None:
        _tell(
            definition.name,
            "deprecated",
            "%s is deprecated (%s), and still called",
            definition.deprecated,
            request,
            headers,
        )
    if not is_current(definition, headers) and (upcasters := upcasters_of(definition)):
        text = "%s is called by another contract than this worker has, and its arguments pass through %s"
        _tell(definition.name, "upcast", text, names_of(upcasters), request, headers)


def _tell(name: str, kind: str, text: str, more: str, request: Any, headers: Mapping[str, Any]) -> None:  # noqa: PLR0917
    if (name, kind) in _told:
        return
    _told.add((name, kind))
    origin, contract = getattr(request, "origin", None), headers.get(CONTRACT_HEADER)
    sender = f"by {shown(origin)}" if origin else "by a sender that does not say who it is"
    peer = f"contract {shown(contract)}" if contract else "plain Celery"
    _logger.info("%s, %s (%s); later calls are not logged", text % (name, more), sender, peer)


def forget_told() -> None:
    """Forget what was logged, for tests."""
    _told.clear()
