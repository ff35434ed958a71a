"""Requests of tasks whose arguments have parts that must not be shown, in logs, events and remote control."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from pico_celery.celery_port import seal_request
from pico_celery.messaging.calls import UNSHOWN
from pico_celery.messaging.headers import is_from_contract_peer


class SealedRequest(Request):
    """As Celery's, but what it shows of the arguments never comes from their raw text."""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        headers = kwargs.get("headers") or message.headers
        if not is_from_contract_peer(headers):
            # A plain client wrote the values themselves into the reprs of its message.
            headers.update(argsrepr=UNSHOWN, kwargsrepr=UNSHOWN)
        super().__init__(message, *args, **kwargs)
        seal_request(self, body=_sealed, headers=_SealedDict)

    def info(self, safe: bool = False) -> Any:  # noqa: ARG002 - it is always safe
        """Return what remote control shows of the request."""
        return super().info(safe=True)


class _SealedBytes(bytes):
    def __repr__(self) -> str:
        return UNSHOWN


class _SealedText(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return UNSHOWN


class _SealedDict(dict[str, Any]):
    def __repr__(self) -> str:
        return UNSHOWN


class _SealedTuple(tuple[Any, ...]):
    __slots__ = ()

    def __repr__(self) -> str:
        return UNSHOWN


def _sealed(body: Any) -> Any:
    """Return a message's body with a repr that shows nothing of it."""
    if isinstance(body, bytes):
        return _SealedBytes(body)
    if isinstance(body, str):
        return _SealedText(body)
    return _SealedTuple(body) if isinstance(body, (tuple, list)) else body
