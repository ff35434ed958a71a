"""Messages put straight on a queue, past every check of a client."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from kombu import Producer

from tests.support.sites import Site

JSON = "application/json"


def headers_of(task: str, task_id: str, /, **changes: Any) -> dict[str, Any]:
    """Return the headers of a message of Celery's protocol 2."""
    headers = {
        "lang": "py",
        "task": task,
        "id": task_id,
        "root_id": task_id,
        "parent_id": None,
        "group": None,
        "argsrepr": "()",
        "kwargsrepr": "{}",
        "retries": 0,
        "eta": None,
        "expires": None,
        "timelimit": [None, None],
        "shadow": None,
        "origin": "a test",
    }
    return {**headers, **changes}


def embed() -> dict[str, Any]:
    """Return the third part of a message's body."""
    return {"callbacks": None, "errbacks": None, "chain": None, "chord": None}


def body_of(args: Any, kwargs: Any) -> bytes:
    """Return the body of a message of protocol 2."""
    return json.dumps([args, kwargs, embed()]).encode()


def put(
    site: Site,
    body: bytes | str,
    headers: Mapping[str, Any] | None,
    *,
    content_type: str | None = JSON,
    content_encoding: str | None = "utf-8",
    **properties: Any,
) -> None:
    """Put a message on the site's queue."""
    with site.connection() as connection:
        Producer(connection).publish(
            body,
            exchange="",
            routing_key=site.queue,
            content_type=content_type,
            content_encoding=content_encoding,
            headers=None if headers is None else dict(headers),
            correlation_id=properties.pop("correlation_id", str(uuid4())),
            **properties,
        )
