"""Whether broker and result backend answer, within a bounded time, whatever they do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from celery import Celery, uuid
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from kombu.utils.url import maybe_sanitize_url

from pico_celery_tooling.check.application.facts import setup_finding
from pico_celery_tooling.evolution.findings import Finding, Level

REACH_SECONDS: Final = 3.0
"""How long each of the two may take."""

REACH_RULES: Final = {
    "broker_unreachable": "the broker does not answer",
    "backend_unreachable": "the result backend does not answer",
}


def unreachable(app: Celery, seconds: float = REACH_SECONDS) -> Iterator[Finding]:
    """Connect to broker and result backend."""
    # Clients of some servers block however short the timeouts are that they take: each is asked on a thread.
    probes = [
        _Probe("broker", "broker_url", lambda: _connect(app, seconds), lambda: _broker_urls(app)),
        _Probe("backend", "backend_url", lambda: _read(app), lambda: _backend_urls(app)),
    ]
    for probe in probes:
        probe.start()
    until = monotonic() + seconds
    for probe in probes:
        probe.wait(until - monotonic())
        if probe.error is None and probe.is_waiting:
            probe.error = f"no answer within {seconds:g} s"
    for probe in probes:
        if probe.error is not None:
            what = "broker" if probe.name == "broker" else "result backend"
            shown = ", ".join(maybe_sanitize_url(url) for url in probe.urls)
            message = f"expected the {what} at {shown} to answer, got {_without_passwords(probe.error, probe.urls)}"
            remedy = f"start it, or correct {probe.setting}; without a connection: check --no-connect"
            yield setup_finding(
                f"{probe.name}_unreachable", Level.BREAK, probe.setting, message, remedy, who="everybody"
            )


@dataclass
class _Probe:
    name: str
    setting: str
    ask: Callable[[], None]
    find_urls: Callable[[], list[str]]
    error: str | None = None
    _thread: threading.Thread = field(init=False)

    @property
    def urls(self) -> list[str]:
        return self.find_urls()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"pico-celery-{self.name}-probe", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        self._thread.join(max(0.0, seconds))

    @property
    def is_waiting(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self.ask()
        except Exception as error:  # noqa: BLE001 - whatever a client library raises, it is the answer
            self.error = f"{type(error).__name__}: {error}"


def _connect(app: Celery, seconds: float) -> None:
    for make in (app.connection_for_write, app.connection_for_read):
        options = _TIMEOUTS.get(make().transport.driver_type, ())
        made: Any = make(connect_timeout=seconds, transport_options=dict.fromkeys(options, seconds))
        with made as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=seconds)


def _read(app: Celery) -> None:
    backend: Any = app.backend
    # Results by messages come through the broker.
    if not isinstance(backend, (DisabledBackend, RPCBackend)):
        backend.get_task_meta(uuid())


_TIMEOUTS: Final = {"redis": ("socket_connect_timeout", "socket_timeout"), "amqp": ("read_timeout", "write_timeout")}
"""Options of kombu's transports, by their kind."""


def _broker_urls(app: Celery) -> list[str]:
    conf: Any = app.conf
    given = dict.fromkeys(url for url in (conf.broker_write_url, conf.broker_read_url) if url)
    urls = [part for url in given for part in (url.split(";") if isinstance(url, str) else url)]
    return urls or [app.connection_for_write().as_uri()]


def _backend_urls(app: Celery) -> list[str]:
    conf: Any = app.conf
    url = conf.result_backend
    return url.split(";") if isinstance(url, str) else [type(url).__name__]


def _without_passwords(text: str, urls: list[str]) -> str:
    for url in urls:
        password = urlsplit(url).password
        for secret in {password, unquote(password or "")} - {"", "**", None}:
            text = text.replace(str(secret), "**")
    return text
