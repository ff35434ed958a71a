"""Headers that say which contract a message was made from. Plain Celery peers neither need nor mind them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from pico_celery.contract.definition import TaskDefinition

CONTRACT_HEADER: Final = "pico_contract"
DIGEST_HEADER: Final = "pico_digest"


@lru_cache(maxsize=4096)
def contract_headers(definition: TaskDefinition) -> Mapping[str, str]:
    """Return the headers of a message of a task."""
    return {CONTRACT_HEADER: definition.contract, DIGEST_HEADER: definition.digest}


def headers_of(request: object) -> Mapping[str, object]:
    """Return the headers of a message that name its sender's contract."""
    digest = getattr(request, DIGEST_HEADER, None)
    if digest is not None:
        return {DIGEST_HEADER: digest, CONTRACT_HEADER: getattr(request, CONTRACT_HEADER, "")}
    headers = getattr(request, "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def is_from_contract_peer(headers: Mapping[str, object] | None) -> bool:
    """Return whether a message was made by this library."""
    return headers is not None and DIGEST_HEADER in headers


def is_current(definition: TaskDefinition, headers: Mapping[str, object] | None) -> bool:
    """Return whether a message was made from the very contract that this process knows."""
    return headers is not None and headers.get(DIGEST_HEADER) == definition.digest


def mismatch_note(definition: TaskDefinition, headers: Mapping[str, object] | None) -> str:
    """Describe how a message's contract differs from the one here, for an error that happened anyway."""
    sent = (headers or {}).get(DIGEST_HEADER)
    if not sent or sent == definition.digest:
        return ""
    return (
        f"the sender's contract of {definition.name} differs from this one (digest {sent} there, {definition.digest} here): "
        "deploy the same version of the contract on both sides"
    )
