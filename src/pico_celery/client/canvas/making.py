"""From a sender's arguments to typed signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from celery import Celery

from pico_celery.client.canvas.checks import step_options
from pico_celery.client.canvas.kinds import made
from pico_celery.client.canvas.step import Step
from pico_celery.client.canvas.workflow_spec import Flow, parallel
from pico_celery.client.options import refuse_options_of_one_call
from pico_celery.client.publishing.prepare import message_options
from pico_celery.contract.definition import TaskDefinition
from pico_celery.messaging.calls import EncodedCall, encode_call, encode_rest, first_parameter

SentWith = tuple[Celery | None, Mapping[str, Any]]
"""The application, where there is one, and the options of the call."""


def call_or_part(task: TaskDefinition, args: Any, kwargs: Mapping[str, Any], sent_with: SentWith) -> Any:
    """Return a complete call, or one without its first argument where no argument is given and the first is needed.

    Args:
        task: The task.
        args: Positional arguments.
        kwargs: Keyword arguments.
        sent_with: Application and options.

    Returns:
        The typed signature.

    Raises:
        PayloadError: If the arguments do not fit the contract.
    """
    first = first_parameter(task)
    if not args and not kwargs and first is not None and first.required:
        return part(task, args, kwargs, sent_with)
    return complete(task, args, kwargs, sent_with, immutable=False)


def complete(
    task: TaskDefinition, args: Any, kwargs: Mapping[str, Any], sent_with: SentWith, *, immutable: bool
) -> Any:
    """Return a call with all its arguments.

    Args:
        task: The task.
        args: Positional arguments.
        kwargs: Keyword arguments.
        sent_with: Application and options.
        immutable: Whether it ignores the result before it.

    Returns:
        The typed signature.

    Raises:
        PayloadError: If the arguments do not fit the contract.
    """
    return made(_call(task, args, kwargs, sent_with, immutable=immutable))


def part(task: TaskDefinition, args: Any, kwargs: Mapping[str, Any], sent_with: SentWith) -> Any:
    """Return a call with all its arguments but the first.

    Args:
        task: The task.
        args: Positional arguments from the second parameter on.
        kwargs: Keyword arguments.
        sent_with: Application and options.

    Returns:
        The typed signature.

    Raises:
        PayloadError: If the arguments do not fit the contract.
        CompositionError: If the task has no parameter that takes a result.
    """
    app, step = _step(task, encode_rest(task, args, kwargs), sent_with, immutable=False)
    return made(Flow(steps=(step,), heads=(task,), partial=True, ends=(task,), app=app))


def mapped(
    task: TaskDefinition, items: Iterable[Any], args: Any, kwargs: Mapping[str, Any], sent_with: SentWith
) -> Any:
    """Return one call for each item, as a group.

    Args:
        task: The task.
        items: First arguments.
        args: The other positional arguments.
        kwargs: The other keyword arguments.
        sent_with: Application and options.

    Returns:
        The typed group.

    Raises:
        PayloadError: If the arguments of a call do not fit the contract.
        OptionError: If an option is given that only one call can have.
    """
    refuse_options_of_one_call(task.name, sent_with[1], "an option that many calls can share")
    flows = [_call(task, (item, *args), kwargs, sent_with, immutable=False) for item in items]
    return made(replace(parallel(flows, named=False), app=sent_with[0]))


def _call(task: TaskDefinition, args: Any, kwargs: Mapping[str, Any], sent_with: SentWith, *, immutable: bool) -> Flow:
    app, step = _step(task, encode_call(task, args, kwargs), sent_with, immutable=immutable)
    return Flow(steps=(step,), immutable=immutable, ends=(task,), app=app)


def _step(
    task: TaskDefinition, call: EncodedCall, sent_with: SentWith, *, immutable: bool
) -> tuple[Celery | None, Step[Any]]:
    app, options = sent_with
    return app, Step(task, call, message_options(task, step_options(task.name, options)), immutable=immutable, app=app)
