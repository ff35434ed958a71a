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
    """A broker.

    Attributes:
        host: Host, and port where it is told.
        protocol: ``redis``, ``amqp`` or ``amqps``.
        pathname: Number of the database, or virtual host.
        tls: Whether the connection is encrypted.
    """

    host: str
    protocol: str
    pathname: str = ""
    tls: bool = False

    @classmethod
    def of(cls, url: str) -> BrokerServer:
        """Read a broker's URL.

        Args:
            url: As Celery takes it. User, password and parameters are left out: the document is there to be passed on.

        Returns:
            The server.

        Raises:
            ValueError: If it is none.
        """
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
    """What a document says beside the contracts.

    Attributes:
        title: Title of the API.
        version: Its version.
        view: Whose operations they are: a worker receives calls, a client sends them.
        protocol: How messages are carried.
        server: The broker, where it is told.
        default_queue: Queue of tasks whose contract names none; Celery's ``task_default_queue``.
        example: Makes example values.
    """

    title: str
    version: str
    view: View = "worker"
    protocol: Protocol = "redis"
    server: BrokerServer | None = None
    default_queue: str = "celery"
    example: Example
