"""What an AsyncAPI document says beside the contracts: title, broker, view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from pico_celery.document.records import JsonSchema
from pico_celery_tooling.asyncapi.bindings import Protocol
from pico_celery_tooling.asyncapi.messages import View

Example = Callable[[JsonSchema], Any]
"""Makes a value that a schema accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerServer:
    """A broker."""

    host: str
    """Host, and port where it is told."""
    protocol: str
    """``redis``, ``amqp`` or ``amqps``."""
    pathname: str = ""
    """Number of the database, or virtual host."""
    tls: bool = False
    """Whether the connection is encrypted."""

    @classmethod
    def of(cls, url: str) -> BrokerServer:
        """Read a broker's URL."""
        parts = urlsplit(url)
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not parts.hostname:
            raise ValueError("expected redis://host:6379/0, rediss://..., amqp://host/vhost or amqps://...")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port is None else f":{parts.port}"
        return cls(host=host + port, protocol=scheme, pathname=parts.path.rstrip("/"), tls=parts.scheme in _TLS)

    @property
    def family(self) -> Protocol:
        """How messages are carried."""
        return "redis" if self.protocol == "redis" else "amqp"


_SCHEMES: Final = {"redis": "redis", "rediss": "redis", "amqp": "amqp", "pyamqp": "amqp", "amqps": "amqps"}
_TLS: Final = frozenset({"rediss", "amqps"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a document says beside the contracts."""

    title: str
    """Title of the API."""
    version: str
    view: View = "worker"
    """Whose operations they are: a worker receives calls, a client sends them."""
    protocol: Protocol = "redis"
    """How messages are carried."""
    server: BrokerServer | None = None
    """The broker, where it is told."""
    default_queue: str = "celery"
    """Queue of tasks whose contract names none; Celery's ``task_default_queue``."""
    example: Example
