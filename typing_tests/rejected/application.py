"""Settings, application, broker and errors, used wrongly: refused by both checkers."""

from pico_celery import (
    Catalog,
    CelerySettings,
    EmbeddedBroker,
    Fault,
    PayloadError,
    RegistrationPolicy,
    TaskDefinition,
    UnboundClientError,
    create_app,
    default_catalog,
)


def settings() -> None:
    CelerySettings(brker_url="embedded")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt
    CelerySettings(task_track_started="yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # wrong type
    CelerySettings(worker_concurrency=4)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # Celery's own settings go into options
    CelerySettings.of("embedded")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # settings have names
    create_app("redis://localhost")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a URL is no settings
    create_app(None, "shop")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # the name is a keyword
    RegistrationPolicy(strict=True)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # misspelt
    EmbeddedBroker()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no directory
    EmbeddedBroker("data").url("0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a database has a number


def definitions(task: TaskDefinition, error: PayloadError, unbound: UnboundClientError) -> None:
    task.name = "shop.place"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # frozen
    default_catalog.get("shop.place").name  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]  # there may be no such task
    default_catalog.declare(task)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a task is no contract
    Catalog(task)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # contracts are declared, not given
    Fault("shop.place")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # keywords only
    error.faults[0].path = ""  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # frozen
    unbound.faults  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]  # an error without faults
