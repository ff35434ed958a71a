"""A call by its contract as data, ready to be sent with options given as text: no model of the contract is needed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, get_args, get_origin, get_type_hints

from celery import Celery

from pico_celery.app.embedded import EmbeddedBroker, directory_of, is_embedded
from pico_celery.app.factory import create_app
from pico_celery.app.settings import CelerySettings
from pico_celery.client.idempotency import IdempotencyKey
from pico_celery.client.options import SendOptions, check_send_options, merge_options
from pico_celery.client.publishing.prepare import fix_deadline
from pico_celery.contract.idempotency_key import key_of
from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.options import SENDING
from pico_celery.document.records import TaskRecord
from pico_celery.errors import Fault, OptionError
from pico_celery.messaging.headers import CONTRACT_HEADER, DIGEST_HEADER
from pico_celery_tooling.call.arguments import check_arguments, shown_arguments
from pico_celery_tooling.call.find_task import FoundTask

_SOCKET_SECONDS: Final = 5.0
"""Celery's own limit, two minutes, is for workers; somebody waits here."""


def application_at(broker: str, backend: str | None) -> Celery:
    """Make an application that only sends."""
    chosen = broker if backend is None and is_embedded(broker) else backend
    broker_url, backend_url = _place(broker, 0), None if chosen is None else _place(chosen, 1)
    app = create_app(CelerySettings(broker_url=broker_url, backend_url=backend_url), name="pico-celery")
    # CELERY_BROKER_URL and CELERY_RESULT_BACKEND in the environment would win over broker_url and result_backend.
    app.conf.update(broker_read_url=broker_url, broker_write_url=broker_url)
    app.backend_cls = backend_url or "disabled://"
    app.conf.update(redis_socket_timeout=_SOCKET_SECONDS, redis_socket_connect_timeout=_SOCKET_SECONDS)
    return app


def _place(url: str, database: int) -> str:
    return EmbeddedBroker(directory_of(url)).start().url(database) if is_embedded(url) else url


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCall:
    """A call that is ready to be sent."""

    task: str
    """Name of the task."""
    kwargs: Mapping[str, Any] = field(repr=False)
    options: Mapping[str, Any]
    """Options of `celery.Celery.send_task`, headers included."""
    deadline: datetime | None
    """When it is to have ended."""
    key: IdempotencyKey | None
    keyless: bool
    """Whether the contract gives its calls a key that cannot be computed here."""

    @property
    def ignores_result(self) -> bool:
        """Whether it is sent so that no result is stored."""
        return bool(self.options.get("ignore_result"))


def prepare(found: FoundTask, data: Mapping[str, Any], options: Mapping[str, Any]) -> TaskCall:
    """Hold arguments against the contract, and settle what they are sent with. No I/O."""
    task, definition = found.task, found.definition
    check_arguments(task, found.document, data, definition)
    resolved, deadline = fix_deadline(task.name, options)
    text, ttl = resolved.pop("idempotency_key", None), resolved.pop("idempotency_ttl", None)
    has_key = "key" in task.options
    if text is None and has_key and definition is not None:
        text = key_of(definition, definition.arguments.decode(data))
    headers = {**(resolved.get("headers") or {}), CONTRACT_HEADER: found.contract, DIGEST_HEADER: task.digest}
    return TaskCall(
        task=task.name,
        kwargs=data,
        options={
            **resolved,
            "headers": headers,
            "argsrepr": "()",
            "kwargsrepr": shown_arguments(task, found.document, data, definition),
        },
        deadline=deadline,
        key=None if text is None else _key(task.name, text, ttl),
        keyless=text is None and has_key and definition is None,
    )


def _key(task: str, text: str, ttl: float | None) -> IdempotencyKey:
    if not text or (ttl is not None and ttl <= 0):
        path = "idempotency_ttl" if text else "idempotency_key"
        expected, got = ("more than 0 s", f"{ttl:g} s") if text else ("a text", "an empty one")
        fault = Fault(task=task, path=path, expected=expected, got=got, remedy="leave it out", code="idempotency_value")
        raise OptionError.of(task, [fault])
    return IdempotencyKey(task=task, text=text, ttl_seconds=ttl)


_NOT_HERE: Final = frozenset({"link", "link_error", "add_to_parent", "reply_to", "mandatory"})
"""What a program gives: signatures, and what belongs to the task that sends or to the way of waiting."""


def options_of(task: TaskRecord, texts: Iterable[str]) -> dict[str, Any]:
    """Return what a call is sent with: the options of the contract, and those that the user gives, which win."""
    own = {name: value for name, value in task.options.items() if name in SENDING}
    faults: list[Fault] = []
    given: dict[str, Any] = {}
    for text in texts:
        name, is_pair, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not is_pair:
            remedy = "write name=value, such as queue=fast or countdown=10"
            faults.append(_fault(task, text, "name=value", "no '='", remedy, "option_shape"))
        elif name in _NOT_HERE or name not in _HINTS:
            remedy = did_you_mean(name, _HINTS.keys() - _NOT_HERE)
            got = "one that only a program can give" if name in _NOT_HERE else "an unknown one"
            faults.append(_fault(task, name, "a known option", got, remedy, "unknown_option"))
        else:
            given[name] = _value(_HINTS[name], value)
    try:
        checked = check_send_options(given, task.name)
    except OptionError as error:
        raise OptionError.of(task.name, [*faults, *error.faults]) from None
    if faults:
        raise OptionError.of(task.name, faults)
    return merge_options(check_send_options(own, task.name), checked)


_HINTS: Final[Mapping[str, Any]] = get_type_hints(SendOptions)


def _value(hint: Any, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return _moment(text) if _takes(hint, datetime) else text
    if isinstance(value, str):
        return _moment(value) if _takes(hint, datetime) else value
    return text if hint is str else value


def _moment(text: str) -> datetime | str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text  # the check of its type says what is expected
    return moment.astimezone() if moment.tzinfo is None else moment


def _takes(hint: Any, wanted: type) -> bool:
    return hint is wanted or (get_origin(hint) is not None and any(_takes(one, wanted) for one in get_args(hint)))


def _fault(task: TaskRecord, path: str, expected: str, got: str, remedy: str, code: str) -> Fault:  # noqa: PLR0917 - as a fault has attributes
    return Fault(task=task.name, path=path, expected=expected, got=got, remedy=remedy, code=code)
