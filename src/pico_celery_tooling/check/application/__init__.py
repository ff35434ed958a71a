"""``check -A``: run all checks of an application, and check that broker and result backend answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from celery import Celery, uuid
from celery.backends.base import DisabledBackend
from celery.backends.rpc import RPCBackend
from kombu.utils.url import maybe_sanitize_url

from pico_celery.document.records import Document
from pico_celery.errors import PicoCeleryError
from pico_celery_tooling.check.application.facts import ApplicationFacts, Rules, setup_finding
from pico_celery_tooling.check.application.names import NAME_RULES, SCHEDULE_RULES
from pico_celery_tooling.check.application.policies import POLICY_RULES
from pico_celery_tooling.check.application.settings import SETTING_RULES
from pico_celery_tooling.evolution.rules import Finding, Level
from pico_celery_tooling.output import ToolError

REACH_SECONDS: Final = 3.0
"""How long broker and result backend each may take."""

REACH_RULES: Final = {
    "broker_unreachable": "the broker does not answer",
    "backend_unreachable": "the result backend does not answer",
}

_RULES: Final = Rules({**NAME_RULES, **POLICY_RULES, **SCHEDULE_RULES, **SETTING_RULES})

APPLICATION_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {**{name: meaning for name, (meaning, _) in _RULES.items()}, **REACH_RULES}
)
"""The rules by name: what each one means."""


def check_application(app: Celery, document: Document | None = None, *, reach: bool = True) -> list[Finding]:
    """Check an application against its contracts, and for settings that are easily forgotten.

    What stops an application from being loaded is not among the findings: a component that differs from its contract,
    two components for one task, a method that is not ``async def``, a client of an unknown name.
    """
    facts = _load(app, document)
    findings = [finding for _, rule in _RULES.values() for finding in rule(facts)]
    if reach:
        findings.extend(unreachable(app))
    order = list(Level)
    return sorted(findings, key=lambda finding: (order.index(finding.level), finding.task, finding.rule, finding.path))


def contracts_of(app: Celery) -> Document:
    """Return the contracts that an application knows."""
    return _load(app, None).document


def _load(app: Celery, document: Document | None) -> ApplicationFacts:
    try:
        return ApplicationFacts(app, document)
    except PicoCeleryError as error:
        raise ToolError.of(error) from error
    except Exception as error:
        raise ToolError(f"the application cannot be loaded: {type(error).__name__}: {error}") from error


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
        options = _TIMEOUT_OPTIONS.get(make().transport.driver_type, ())
        made: Any = make(connect_timeout=seconds, transport_options=dict.fromkeys(options, seconds))
        with made as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=seconds)


def _read(app: Celery) -> None:
    backend: Any = app.backend
    # Results by messages come through the broker.
    if not isinstance(backend, (DisabledBackend, RPCBackend)):
        backend.get_task_meta(uuid())


_TIMEOUT_OPTIONS: Final = {
    "redis": ("socket_connect_timeout", "socket_timeout"),
    "amqp": ("read_timeout", "write_timeout"),
}
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
