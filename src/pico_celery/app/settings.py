"""`CelerySettings`: the container's configuration of Celery, checked against the settings that Celery knows."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Final

from celery.app.defaults import NAMESPACES, flatten
from kombu.utils.url import maybe_sanitize_url
from pico_ioc import PicoContainer
from pydantic import BeforeValidator, InstanceOf, TypeAdapter

from pico_celery.containers import check_container, configured_tree, configured_value
from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.typenames import value_text
from pico_celery.errors import Fault, SettingsError
from pico_celery.worker.engine_options import SETTING_KINDS, EngineOptions

PREFIX: Final = "celery"
DEFAULT_BROKER_URL: Final = "redis://localhost:6379/0"
DEFAULT_BACKEND_URL: Final = "redis://localhost:6379/1"
_JSON: Final = frozenset({"json", "application/json"})
_SERIALIZERS: Final = ("task_serializer", "result_serializer", "event_serializer")
_CONTENT: Final = ("accept_content", "result_accept_content")
_SAFE_DEFAULTS: Final[Mapping[str, Any]] = {
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "broker_connection_retry_on_startup": True,
}


@dataclass
class CelerySettings:
    """Settings of the application.

    They come from any configuration source of the container: a tree under the key ``celery``, flat sources under names
    that begin with ``CELERY_`` (``CELERY_BROKER_URL`` in the environment).

    Attributes:
        broker_url: URL of the broker, or ``embedded`` / ``embedded:///path`` for a private Redis server.
        backend_url: URL of the result backend, or ``None`` for no results; with an embedded broker, that broker unless
            another is given.
        task_track_started: Whether a running task has the state STARTED.
        strict_contracts: Whether a task name that no contract declares is an error, not a warning.
        options: Any other Celery setting, by its lower-case name.
    """

    broker_url: str = DEFAULT_BROKER_URL
    backend_url: str | None = DEFAULT_BACKEND_URL
    task_track_started: bool = True
    strict_contracts: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what was given by hand.

        Raises:
            SettingsError: If a setting is unknown, of a wrong type, or unsafe.
        """
        faults: list[Fault] = []
        for name, kinds in _OWN_KINDS.items():
            if not isinstance(getattr(self, name), kinds):
                got = _shown(getattr(self, name))
                faults.append(Fault(task=PREFIX, path=name, expected=_OWN_NAMES[name], got=got, code="setting_type"))
        if not faults:
            self.options = _checked_options(self.options, faults)
            faults.extend(_unsafe(self.options))
        if faults:
            raise SettingsError.of(PREFIX, faults)
        EngineOptions.of_settings(self.options)

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> CelerySettings:
        """Build settings from a flat mapping of names to values, as a configuration source has them.

        Args:
            values: Settings by lower-case name; texts are converted.

        Returns:
            Checked settings.

        Raises:
            SettingsError: If a setting is unknown, of a wrong type, or unsafe; all faults in one error.
        """
        named = _named(values)
        faults: list[Fault] = []
        options = named.pop("options", None)
        named.update(_checked_options(options, faults) if options is not None else {})
        checked: dict[str, Any] = {name: _checked(name, value, faults) for name, value in named.items()}
        faults.extend(_unsafe(checked))
        if faults:
            raise SettingsError.of(PREFIX, faults)
        own = {name: checked.pop(name) for name in _OWN if name in checked}
        return cls(**own, options=checked)

    def celery_settings(self) -> dict[str, Any]:
        """Return the settings as Celery takes them, broker and backend left out.

        Returns:
            Setting names and values, safe defaults included.
        """
        given = {name: value for name, value in self.options.items() if value is not None or name not in _SAFE_DEFAULTS}
        return {**_SAFE_DEFAULTS, **given, "task_track_started": self.task_track_started}


_OWN: Final = ("broker_url", "backend_url", "task_track_started", "strict_contracts")
_OWN_TYPES: Final = {
    "backend_url": "string",
    "strict_contracts": "bool",
    "worker_concurrency": "int",
    "task_default_delivery_mode": "any",
    **SETTING_KINDS,
}
_OWN_KINDS: Final[Mapping[str, Any]] = {
    "broker_url": str,
    "backend_url": (str, type(None)),
    "task_track_started": bool,
    "strict_contracts": bool,
    "options": Mapping,
}
_OWN_NAMES: Final = {
    "broker_url": "a URL",
    "backend_url": "a URL, or None for no results",
    "task_track_started": "true or false",
    "strict_contracts": "true or false",
    "options": "a mapping of settings",
}
# Celery writes a few types in other words.
_KINDS: Final[Mapping[Any, str]] = {int: "int", "str": "string", "bytes": "any"}


def load_settings(container: PicoContainer) -> CelerySettings:
    """Read the settings of a container.

    From the strongest: a value that a user's own ``@configured(prefix="celery")`` class holds and that is not its
    field's default; flat sources (the environment); tree sources; the defaults of that class; those of this library.
    """
    check_container(container)
    defaults, chosen = _user_values(container)
    tree = configured_tree(container, PREFIX)
    flat = {name: value for name in _known() if (value := _flat_value(container, name)) is not None}
    return CelerySettings.of({**_named(defaults), **_named(tree), **_named(flat), **_named(chosen)})


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by the names that this library uses."""
    lower = {str(name).lower(): value for name, value in values.items()}
    if "result_backend" in lower:
        lower.setdefault("backend_url", lower.pop("result_backend"))
    if isinstance(lower.get("broker_url"), (list, tuple)):
        lower["broker_url"] = ";".join(map(str, lower["broker_url"]))  # as Celery writes several, for failover
    return lower


def _checked_options(options: object, faults: list[Fault]) -> dict[str, Any]:
    if not isinstance(options, Mapping):
        faults.append(
            Fault(
                task=PREFIX,
                path="options",
                expected=_OWN_NAMES["options"],
                got=value_text(options),
                code="setting_type",
            )
        )
        return {}
    return {name: _checked(name, value, faults) for name, value in _named(options).items()}


def _shown(value: object) -> str:
    text = maybe_sanitize_url(value) if isinstance(value, str) and "://" in value else value
    return value_text(text)


def _flat_value(container: PicoContainer, name: str) -> str | None:
    value = configured_value(container, f"{PREFIX.upper()}_{name.upper()}")
    # A source may carry the prefix itself, as EnvSource(prefix="CELERY_") does.
    return configured_value(container, name.upper()) if value is None and name in _OWN else value


@cache
def _known() -> Mapping[str, str]:
    """Names and types of all settings."""
    options: Any = flatten(NAMESPACES)  # celery-types takes it for a flat mapping
    kinds: dict[str, str] = {name: _KINDS.get(option.type) or option.type for name, option in options}
    return {**kinds, **_OWN_TYPES}


def _user_values(container: PicoContainer) -> tuple[dict[str, Any], dict[str, Any]]:
    defaults: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for settings in _user_settings(container):
        for name, value, default in _fields(settings):
            if name in _known():
                (defaults if value == default else chosen)[name] = value
            elif close := get_close_matches(name, _known(), n=1, cutoff=0.85):
                fault = Fault(
                    task=PREFIX,
                    path=name,
                    expected="a setting",
                    got=f"an unknown one in {type(settings).__qualname__}",
                    remedy=f"did you mean {close[0]!r}?",
                    code="unknown_setting",
                )
                raise SettingsError.of(PREFIX, [fault])
    return defaults, chosen


def _user_settings(container: PicoContainer) -> Iterator[object]:
    for key in container.keys():  # noqa: SIM118 - a container is not a mapping
        metadata = container.metadata_for(key)
        if metadata and metadata.infra == "configured" and metadata.pico_name == PREFIX and key is not CelerySettings:
            yield container.get(key)


def _fields(settings: object) -> Iterator[tuple[str, Any, Any]]:
    if not dataclasses.is_dataclass(settings):
        for name, value in vars(settings).items():
            yield name, value, dataclasses.MISSING
        return
    for info in dataclasses.fields(settings):
        default = info.default if info.default_factory is dataclasses.MISSING else info.default_factory()
        yield info.name, getattr(settings, info.name), default


def _checked(name: str, value: object, faults: list[Fault]) -> object:
    kind = _known().get(name)
    if kind is None:
        faults.append(
            Fault(
                task=PREFIX,
                path=name,
                expected="a setting of Celery or of this library",
                got="an unknown one",
                remedy=_remedy(name),
                code="unknown_setting",
            )
        )
        return value
    if value is None:
        return None
    try:
        return _adapter(kind).validate_python(value)
    except ValueError:  # of pydantic
        faults.append(
            Fault(
                task=PREFIX,
                path=name,
                expected=_KIND_NAMES.get(kind, kind),
                got=_shown(value),
                code="setting_type",
            )
        )
        return value


def _remedy(name: str) -> str:
    close = get_close_matches(name, _known(), n=3, cutoff=0.6)
    return did_you_mean(name, close) if close else "see https://docs.celeryq.dev/en/stable/userguide/configuration.html"


def _from_json(value: object) -> object:
    return json.loads(value) if isinstance(value, str) else value


def _maybe_json(value: object) -> object:
    return _from_json(value) if isinstance(value, str) and value.lstrip()[:1] in {"{", "["} else value


def _from_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.lstrip().startswith("[") else [item.strip() for item in value.split(",")]


def _seconds(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("true and false are not numbers")  # noqa: TRY004 - pydantic makes an error of this one
    return value.total_seconds() if isinstance(value, timedelta) else value


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _text(value: object) -> object:
    if isinstance(value, (int, float, Mapping)):
        raise ValueError("neither a number nor a mapping is text")  # noqa: TRY004 - as above
    return value


_Mapping = InstanceOf[Mapping[str, object]]
_Sequence = InstanceOf[list[object]] | InstanceOf[tuple[object, ...]]
_Several = _Sequence | InstanceOf[set[object]] | InstanceOf[frozenset[object]]
_TYPES: Final[Mapping[str, Any]] = {
    # broker_use_ssl is a bool to Celery, and takes a mapping
    "bool": Annotated[bool | _Mapping, BeforeValidator(_stripped)],
    "int": Annotated[int, BeforeValidator(_seconds)],
    "float": Annotated[float, BeforeValidator(_seconds)],
    # Celery takes lists of URLs, and callables, where it says string
    "string": Annotated[Any, BeforeValidator(_text)],
    "dict": Annotated[_Mapping | _Sequence, BeforeValidator(_from_json)],
    "list": Annotated[_Several, BeforeValidator(_from_list)],
    "tuple": Annotated[_Several, BeforeValidator(_from_list)],
}
_ANY: Final[Any] = Annotated[Any, BeforeValidator(_maybe_json)]


@cache
def _adapter(kind: str) -> TypeAdapter[Any]:
    """Return what converts settings of a kind, built at the first of them."""
    return TypeAdapter(_TYPES.get(kind, _ANY))


_KIND_NAMES: Final = {"bool": "true or false", "int": "a whole number", "float": "a number", "string": "a text"}


def _unsafe(settings: Mapping[str, Any]) -> Iterator[Fault]:
    for name in (*_SERIALIZERS, *_CONTENT):
        value = settings.get(name)
        formats = {value} if isinstance(value, str) else set(value or ())
        if not formats <= _JSON:
            yield Fault(
                task=PREFIX,
                path=name,
                expected="json",
                got=", ".join(sorted(formats - _JSON)),
                remedy="leave it out: contracts travel as JSON, and pickle runs whatever a message says",
                code="unsafe_serializer",
            )
