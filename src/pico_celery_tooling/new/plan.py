"""`Plan`: what is going to be written, as it grows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pico_celery_tooling.new.drafts import Drafts
from pico_celery_tooling.new.names import TaskName
from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.rendering import Expression
from pico_celery_tooling.new.request import Request


@dataclass
class Plan:
    """What is going to be written.

    Attributes:
        project: The package.
        request: What was asked for.
        drafts: The files.
        contract_module: Name of the module of the contract.
        contract: Name of its class.
        queue: Its queue: what was asked for, or that of the contract's other tasks.
        annotations: The types of the parameters, as they stand in the files.
        result: The type of the result.
        errors: The classes of the errors.
        names: Where the names of these types and of the defaults are from, by what they are called.
        models: The models that are new.
        new_errors: The errors that are new.
        sample: What the worker returns until it is written; ``None`` where nothing can be made up.
        sample_names: What that needs, as module and name.
        arguments: Of the call in the test.
        argument_names: What they need.
        refused: Whether the test's arguments do not fit, since none that fit could be made up.
        worker: The method that does the task, such as ``OrdersWorker.place``.
        worker_module: Name of its module.
        client: Name of the client's class.
        client_module: Name of its module.
        application: The Celery application as ``celery -A`` takes it; ``None`` if none is known.
        test_path: The file of the test.
        notes: What the user should know.
    """

    project: Project
    request: Request
    drafts: Drafts
    contract_module: str = ""
    contract: str = ""
    queue: str | None = None
    annotations: list[str] = field(default_factory=list)
    result: str = "None"
    errors: list[str] = field(default_factory=list)
    names: dict[str, Found] = field(default_factory=dict)
    error_names: dict[str, Found] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    new_errors: list[str] = field(default_factory=list)
    sample: Expression | None = None
    sample_names: set[tuple[str, str]] = field(default_factory=set)
    arguments: list[Expression] = field(default_factory=list)
    argument_names: set[tuple[str, str]] = field(default_factory=set)
    refused: bool = False
    worker: str = ""
    worker_module: str = ""
    client: str = ""
    client_module: str = ""
    application: str | None = None
    test_path: Path = Path()
    notes: list[str] = field(default_factory=list)

    @property
    def name(self) -> TaskName:
        """The task's name."""
        return self.request.name

    @property
    def width(self) -> int:
        """Characters of a line."""
        return self.project.width

    @property
    def made(self) -> list[str]:
        """The classes that are new."""
        return [*self.models, *self.new_errors]
