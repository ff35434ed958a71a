"""Claims about settings: from every source, converted, checked all at once, safe; users' own classes honoured."""

import types
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from celery import Celery
from celery.app.defaults import NAMESPACES, flatten
from pico_ioc import (
    ComponentCreationError,
    DictSource,
    EnvSource,
    FlatDictSource,
    PicoContainer,
    configuration,
    configured,
    factory,
    init,
    provides,
)

from pico_celery import CelerySettings, SettingsError, create_app
from pico_celery.app.settings import load_settings

ModuleOf = Callable[..., types.ModuleType]


def container_of(module: types.ModuleType | None, *sources: Any) -> PicoContainer:
    """Start a container without the registrar, whose failure would wrap that of the settings."""
    modules = [module] if module else [types.ModuleType("unit_nothing")]
    config = configuration(*sources) if sources else None
    container: PicoContainer = init(modules=modules, config=config) if config else init(modules=modules)
    return container


def loaded(*sources: Any, module: types.ModuleType | None = None) -> CelerySettings:
    container = container_of(module, *sources)
    try:
        return load_settings(container)
    finally:
        container.shutdown()


# --- sources


def test_without_any_source_the_defaults_hold() -> None:
    settings = loaded()
    assert settings == CelerySettings()
    assert settings.broker_url == "redis://localhost:6379/0"
    assert settings.backend_url == "redis://localhost:6379/1"
    assert settings.task_track_started is True
    assert settings.strict_contracts is False
    assert settings.celery_settings() == {
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "task_serializer": "json",
        "result_serializer": "json",
        "event_serializer": "json",
        "broker_connection_retry_on_startup": True,
        "task_track_started": True,
    }


def test_a_tree_gives_settings() -> None:
    tree = {"broker_url": "redis://b", "backend_url": "redis://r", "strict_contracts": True, "task_acks_late": True}
    settings = loaded(DictSource({"celery": tree}))
    assert settings == CelerySettings("redis://b", "redis://r", strict_contracts=True, options={"task_acks_late": True})


def test_the_environment_gives_settings_converted_from_text(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "CELERY_BROKER_URL": "redis://env",
        "CELERY_BACKEND_URL": "redis://envr",
        "CELERY_TASK_TRACK_STARTED": "false",
        "CELERY_STRICT_CONTRACTS": "on",
        "CELERY_TASK_ACKS_LATE": "1",
        "CELERY_WORKER_PREFETCH_MULTIPLIER": "8",
        "CELERY_TASK_TIME_LIMIT": "1.5",
        "CELERY_IMPORTS": "a, b",
        "CELERY_BROKER_TRANSPORT_OPTIONS": '{"visibility_timeout": 5}',
        "CELERY_WORKER_CONCURRENCY": "4",
    }
    for name, text in texts.items():
        monkeypatch.setenv(name, text)
    settings = loaded(EnvSource(prefix=""))
    assert (settings.broker_url, settings.backend_url) == ("redis://env", "redis://envr")
    assert settings.task_track_started is False
    assert settings.strict_contracts is True
    assert settings.options == {
        "task_acks_late": True,
        "worker_prefetch_multiplier": 8,
        "task_time_limit": 1.5,
        "imports": ["a", "b"],
        "broker_transport_options": {"visibility_timeout": 5},
        "worker_concurrency": 4,
    }


def test_a_flat_dictionary_gives_settings() -> None:
    assert loaded(FlatDictSource({"CELERY_BROKER_URL": "redis://flat"})).broker_url == "redis://flat"


def test_flat_sources_win_over_trees() -> None:
    settings = loaded(
        DictSource({"celery": {"broker_url": "redis://tree"}}), FlatDictSource({"CELERY_BROKER_URL": "redis://flat"})
    )
    assert settings.broker_url == "redis://flat"


def test_names_may_be_in_any_case() -> None:
    assert CelerySettings.of({"BROKER_URL": "redis://b"}).broker_url == "redis://b"
    assert CelerySettings.of({"options": {"TASK_ACKS_LATE": True}}).options == {"task_acks_late": True}


def test_result_backend_is_another_name_of_backend_url() -> None:
    assert CelerySettings.of({"result_backend": "redis://r"}).backend_url == "redis://r"
    assert loaded(FlatDictSource({"CELERY_RESULT_BACKEND": "redis://r"})).backend_url == "redis://r"


def test_the_stronger_source_wins_also_by_the_other_name(module_of: ModuleOf) -> None:
    tree = DictSource({"celery": {"backend_url": "redis://tree"}})
    assert loaded(tree, FlatDictSource({"CELERY_RESULT_BACKEND": "redis://flat"})).backend_url == "redis://flat"

    @configured(prefix="celery")
    @dataclass
    class Own:
        backend_url: str = "redis://class"

    flat = FlatDictSource({"CELERY_RESULT_BACKEND": "redis://flat"})
    assert loaded(flat, module=module_of(Own)).backend_url == "redis://flat"


def test_options_may_be_nested_or_flat() -> None:
    assert CelerySettings.of({"options": {"task_acks_late": "yes"}}).options == {"task_acks_late": True}
    assert CelerySettings.of({"task_acks_late": "yes"}).options == {"task_acks_late": True}


@pytest.mark.parametrize("options", [5, "text", [1]], ids=repr)
def test_options_that_are_no_mapping_are_a_settings_error(options: Any) -> None:
    with pytest.raises(SettingsError):
        CelerySettings.of({"options": options})


# --- checks


def faults_of(values: dict[str, Any]) -> dict[str, tuple[str, str, str, str]]:
    with pytest.raises(SettingsError) as raised:
        CelerySettings.of(values)
    assert str(raised.value).startswith("celery: wrong settings, ")
    return {f.path: (f.code, f.expected, f.got, f.remedy) for f in raised.value.faults}


def test_misspelt_and_ill_typed_settings_are_told_all_at_once_with_the_nearest_names() -> None:
    faults = faults_of(
        {
            "task_acks_lat": True,
            "broker_ulr": "x",
            "task_always_eagre": True,
            "utter_nonsense_xyz": 1,
            "task_acks_late": "maybe",
            "worker_prefetch_multiplier": "many",
            "task_time_limit": "long",
            "broker_transport_options": "{",
            "broker_url": 5,
        }
    )
    unknown = ("unknown_setting", "a setting of Celery or of this library", "an unknown one")
    assert faults["task_acks_lat"][:3] == unknown
    assert faults["task_acks_lat"][3].startswith("did you mean 'task_acks_late'")
    assert faults["broker_ulr"][3].startswith("did you mean 'broker_url'")
    assert faults["task_always_eagre"][3].startswith("did you mean 'task_always_eager'")
    assert faults["utter_nonsense_xyz"][3].startswith("see https://docs.celeryq.dev/")
    assert faults["task_acks_late"][:3] == ("setting_type", "true or false", "'maybe' (str)")
    assert faults["worker_prefetch_multiplier"][:3] == ("setting_type", "a whole number", "'many' (str)")
    assert faults["task_time_limit"][:3] == ("setting_type", "a number", "'long' (str)")
    assert faults["broker_transport_options"][0] == "setting_type"
    assert faults["broker_url"][:3] == ("setting_type", "a text", "5 (int)")


def test_a_misspelt_name_in_a_tree_is_found_when_the_container_starts() -> None:
    with pytest.raises(SettingsError, match="did you mean 'broker_url'"):
        loaded(DictSource({"celery": {"broker_ulr": "x"}}))


def test_a_settings_error_reaches_the_user_as_the_cause_that_the_container_tells(
    boot: Callable[..., PicoContainer],
) -> None:
    with pytest.raises(
        ComponentCreationError, match=r"SettingsError: celery: wrong settings.*\n.*did you mean 'broker_url'"
    ):
        boot(settings={"broker_ulr": "x"})


@pytest.mark.parametrize("name", ["accept_content", "result_accept_content"])
@pytest.mark.parametrize(
    "value", [["json", "pickle"], "pickle", "json, pickle", ["yaml"], ["application/x-python-serialize"]], ids=repr
)
def test_unsafe_content_is_refused(name: str, value: Any) -> None:
    fault = faults_of({name: value})[name]
    assert fault[0] == "unsafe_serializer"
    assert fault[1] == "json"
    assert fault[3] == "leave it out: contracts travel as JSON, and pickle runs whatever a message says"


@pytest.mark.parametrize("name", ["task_serializer", "result_serializer", "event_serializer"])
@pytest.mark.parametrize("value", ["pickle", "yaml", "msgpack"])
def test_unsafe_serializers_are_refused(name: str, value: str) -> None:
    assert faults_of({name: value})[name][:3] == ("unsafe_serializer", "json", value)
    with pytest.raises(SettingsError):
        create_app(CelerySettings(broker_url="memory://", options={name: value}))


@pytest.mark.parametrize("name", ["accept_content", "task_serializer", "result_serializer"])
def test_none_does_not_switch_safety_off(name: str) -> None:
    app = create_app(CelerySettings(broker_url="memory://", backend_url="cache+memory://", options={name: None}))
    assert app.conf[name] in ("json", ["json"])


@pytest.mark.parametrize(("name", "option"), [*flatten(NAMESPACES)], ids=lambda it: it if isinstance(it, str) else "")
def test_every_default_of_celery_is_a_value_that_is_accepted(name: str, option: Any) -> None:
    if name in {"accept_content", "result_backend", "broker_url"} or option.default is None:
        return
    assert CelerySettings.of({name: option.default}) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("broker_use_ssl", {"ca_certs": "ca.pem"}),
        ("broker_use_ssl", True),
        ("result_expires", timedelta(days=1)),
        ("result_expires", 60),
        ("task_default_delivery_mode", 2),
        ("task_default_delivery_mode", "transient"),
        ("task_routes", {"a.*": {"queue": "q"}}),
        ("task_soft_time_limit", 5),
        ("worker_concurrency", 4),
        ("beat_schedule", {"a": {"task": "b", "schedule": 5.0}}),
        ("task_default_rate_limit", "10/m"),
        ("worker_pool", "threads"),
        ("timezone", "Europe/Berlin"),
    ],
    ids=str,
)
def test_what_celerys_documentation_shows_is_accepted(name: str, value: Any) -> None:
    settings = CelerySettings.of({name: value})
    wanted = value.total_seconds() if isinstance(value, timedelta) else value
    assert getattr(settings, name, None) == value or settings.options[name] in (value, wanted)


def test_a_text_for_a_structure_is_read_as_json_also_where_celery_takes_anything() -> None:
    settings = loaded(FlatDictSource({"CELERY_TASK_ROUTES": '{"a.*": {"queue": "q"}}'}))
    assert settings.options == {"task_routes": {"a.*": {"queue": "q"}}}


@pytest.mark.parametrize(
    "given", [{"broker_url": 5}, {"task_track_started": "yes"}, {"strict_contracts": "maybe"}], ids=str
)
def test_settings_built_by_hand_are_checked_too(given: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        CelerySettings(**given).celery_settings()


@pytest.mark.parametrize("name", ["broker_url", "backend_url"])
def test_an_url_that_is_none_is_a_settings_error_or_taken_as_celery_takes_it(name: str) -> None:
    values: dict[str, Any] = {"broker_url": "memory://", "backend_url": "cache+memory://", name: None}
    try:
        app = create_app(CelerySettings.of(values))
    except SettingsError:
        return
    assert isinstance(app, Celery)


def test_a_password_in_an_url_does_not_show_in_a_settings_error() -> None:
    with pytest.raises(SettingsError) as raised:
        CelerySettings.of({"broker_pool_limit": "redis://:hunter2@host"})
    assert "hunter2" not in str(raised.value)


# --- the application


def test_the_application_takes_the_settings() -> None:
    app = create_app(
        CelerySettings("memory://", "cache+memory://", task_track_started=False, options={"task_acks_late": True}),
        name="mine",
    )
    assert app.main == "mine"
    assert (app.conf.broker_url, app.conf.result_backend) == ("memory://", "cache+memory://")
    assert (app.conf.task_acks_late, app.conf.task_track_started) == (True, False)
    assert app.conf.accept_content == ["json"]


def test_the_container_provides_one_application(boot: Callable[..., PicoContainer]) -> None:
    container = boot(settings={"task_acks_late": True})
    app = container.get(Celery)
    assert app is container.get(Celery)
    assert app.conf.broker_url == "memory://"
    assert app.conf.task_acks_late is True
    assert container.get(CelerySettings).broker_url == "memory://"


def test_an_application_of_the_user_takes_the_place_of_the_librarys(boot: Callable[..., PicoContainer]) -> None:
    own = Celery("own", broker="memory://", set_as_current=False)

    @factory
    class Own:
        @provides(Celery, scope="singleton")
        def app(self) -> Celery:
            return own

    assert boot(Own).get(Celery) is own


# --- a user's own class


def test_a_users_own_class_is_honoured_without_any_source(module_of: ModuleOf) -> None:
    @configured(prefix="celery")
    @dataclass
    class CelerySettings:
        broker_url: str = "redis://own/0"
        backend_url: str = "redis://own/1"
        task_track_started: bool = False
        worker_prefetch_multiplier: int = 9
        something_of_mine: int = 1

    settings = loaded(module=module_of(CelerySettings))
    assert (settings.broker_url, settings.backend_url) == ("redis://own/0", "redis://own/1")
    assert settings.task_track_started is False
    assert settings.options == {"worker_prefetch_multiplier": 9}


def test_the_environment_wins_over_the_defaults_of_a_users_class(
    module_of: ModuleOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    @configured(prefix="celery")
    @dataclass
    class Own:
        broker_url: str = "redis://own/0"
        backend_url: str = "redis://own/1"

    monkeypatch.setenv("CELERY_BROKER_URL", "redis://env")
    settings = loaded(EnvSource(prefix=""), module=module_of(Own))
    assert (settings.broker_url, settings.backend_url) == ("redis://env", "redis://own/1")


def test_a_tree_wins_over_the_defaults_of_a_users_class(module_of: ModuleOf) -> None:
    @configured(prefix="celery", mapping="tree")
    @dataclass
    class Own:
        broker_url: str = "redis://own/0"
        backend_url: str = "redis://own/1"

    settings = loaded(DictSource({"celery": {"broker_url": "redis://tree"}}), module=module_of(Own))
    assert (settings.broker_url, settings.backend_url) == ("redis://tree", "redis://own/1")


def test_a_default_factory_is_a_default_too(module_of: ModuleOf) -> None:
    @configured(prefix="celery", mapping="tree")
    @dataclass
    class Own:
        broker_url: str = "redis://own"
        imports: list[str] = field(default_factory=lambda: ["own"])

    sources = (DictSource({"celery": {}}), FlatDictSource({"CELERY_IMPORTS": "env"}))
    assert loaded(*sources, module=module_of(Own)).options == {"imports": ["env"]}


def test_a_misspelt_field_of_a_users_class_is_told_with_the_class(module_of: ModuleOf) -> None:
    @configured(prefix="celery")
    @dataclass
    class Own:
        broker_urll: str = "redis://own"

    with pytest.raises(SettingsError) as raised:
        loaded(module=module_of(Own))
    (fault,) = raised.value.faults
    assert fault.path == "broker_urll"
    assert "Own" in fault.got
    assert fault.remedy == "did you mean 'broker_url'?"


def test_an_unsafe_field_of_a_users_class_is_refused(module_of: ModuleOf) -> None:
    @configured(prefix="celery")
    @dataclass
    class Own:
        task_serializer: str = "pickle"

    with pytest.raises(SettingsError, match="pickle runs whatever a message says"):
        loaded(module=module_of(Own))


def test_several_brokers_are_written_as_celery_writes_them_for_failover() -> None:
    assert CelerySettings.of({"broker_url": ["redis://a", "redis://b"]}).broker_url == "redis://a;redis://b"
