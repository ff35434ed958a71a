"""Check what a signature is sent with, linked to or given as options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from celery import Celery
from celery.result import ResultBase
from pydantic import ValidationError

from pico_celery.client.canvas.step import CopiedSignature
from pico_celery.client.canvas.workflow_spec import AnySignature, WorkflowSpec, join
from pico_celery.client.deadlines import defer_timeout, run_within
from pico_celery.client.options import check_send_options, merge_options, refuse_options_of_one_call
from pico_celery.client.publishing.prepare import fix_deadline
from pico_celery.client.results.hub import hub_of
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.typenames import type_name
from pico_celery.errors import CompositionError, Fault, UnboundClientError
from pico_celery.messaging.calls import encode_first, first_parameter

# What Celery's canvas passes to the parts of a workflow beside a caller's options.
_INTERNAL: Final = frozenset(
    {"producer", "publisher", "connection", "router", "chord", "chain", "group_index", "route_name", "retries"}
    | {"replaced_task_nesting", "result_cls", "stamped_headers", "argsrepr", "kwargsrepr"}
)


_Signature = TypeVar("_Signature", bound=AnySignature)


def checked_options(options: Mapping[str, Any], subject: str) -> dict[str, object]:
    """Return checked send options, durations in seconds; what Celery's canvas adds is passed on unchecked."""
    internal = {*_INTERNAL, *(options.get("stamped_headers") or ())}
    given = {name: value for name, value in options.items() if value is not None or name == "timeout"}
    checked = check_send_options({name: value for name, value in given.items() if name not in internal}, subject)
    return {**checked, **{name: value for name, value in given.items() if name in internal}}


def step_options(task: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return checked options as Celery's signature carries them.

    An idempotency key is an `OptionError`: a workflow sends its steps as new calls.
    """
    refuse_options_of_one_call(task, options, "an option of a signature", ("idempotency_key",))
    return defer_timeout(options)


def set_options(signature: _Signature, immutable: bool | None, options: Mapping[str, object]) -> _Signature:
    """Change the options of a call's signature in place, and return it."""
    if immutable is not None:
        signature.set_immutable(immutable)
    task = str(signature.task)
    signature["options"] = merge_options(signature.options, step_options(task, checked_options(options, task)))
    return signature


def send_workflow(
    spec: WorkflowSpec, app: Celery, options: Mapping[str, object], send: Callable[..., ResultBase]
) -> ResultBase:
    """Send a workflow by Celery's own ``apply_async``; a ``timeout`` among the options is that of the whole workflow."""
    checked = checked_options(options, spec.name)
    refuse_options_of_one_call(spec.name, checked, "an option of a workflow", ("idempotency_key", "idempotency_ttl"))
    _, deadline = fix_deadline(spec.name, {name: value for name, value in checked.items() if name != "headers"})
    checked.pop("timeout", None)
    if app.conf.task_always_eager:
        return run_within(deadline, lambda: send(**checked))[0]
    with hub_of(app).sending():
        result, deadlines = run_within(deadline, lambda: send(**checked))
    deadlines.give_to(result)
    return result


def require_app(signature: CopiedSignature[object]) -> Celery:
    """Return the application that sends a signature; without one it is an `UnboundClientError`."""
    app = signature.bound_app
    if app is None:
        name = signature.spec.name
        raise UnboundClientError(
            f"the signature of {name} has no Celery application: it was made from a client's class; "
            "make it from an instance, which the container gives: client.task.s(...)",
            {"task": name},
        )
    return app


def check_joinable(spec: WorkflowSpec, app: Celery) -> None:
    """Raise a `CompositionError` if a workflow joins the results of a group and the result backend cannot."""
    if not spec.chords or app.conf.task_always_eager:
        return
    try:
        app.backend.ensure_chords_allowed()
    except NotImplementedError:
        fault = Fault(
            task=spec.name,
            expected="a result backend that joins the results of a group",
            got=type(app.backend).__name__,
            remedy="set backend_url to one that does, such as redis://; rpc:// does not, whatever the broker is",
            code="no_chords",
        )
        raise CompositionError.of(spec.name, [fault]) from None


def as_callback(workflow: CopiedSignature[object], callback: AnySignature) -> AnySignature:
    """Return a callback as Celery keeps it; a typed one must take the result, one of Celery's is not checked."""
    if not isinstance(callback, CopiedSignature):
        return callback
    join(workflow.spec, callback.spec)
    return callback.plain()


def as_errback(workflow: CopiedSignature[object], errback: AnySignature) -> AnySignature:
    """Return an errback as Celery keeps it; a typed one must take a task id, one of Celery's is not checked."""
    if not isinstance(errback, CopiedSignature):
        return errback
    for head in errback.spec.heads:
        parameter = first_parameter(head)
        if parameter is not None and not accepts([head], "id"):
            fault = Fault(
                task=head.name,
                path=parameter.name,
                expected=f"{type_name(parameter.annotation)}, as its parameter says",
                got=f"the id of the task that failed, a str, from {workflow.spec.name}",
                remedy="use a task that takes the id, or ignore it with .si(...)",
                where=(head.where,),
                code="id_into_parameter",
            )
            raise CompositionError.of(f"{workflow.spec.name}.link_error({head.name})", [fault])
    return errback.plain()


def accepts(heads: Iterable[TaskDefinition], value: object) -> bool:
    """Return whether the first parameter of each task accepts a value."""
    for head in heads:
        parameter = first_parameter(head)
        if parameter is None:
            return False
        try:
            parameter.payload.validate(value)
        except ValidationError:
            return False
    return True


def first_argument(spec: WorkflowSpec, args: object, own: Sequence[object]) -> tuple[object, ...]:
    """Return the first argument of a partial signature, validated and encoded; nothing where Celery's canvas gave it."""
    if own and not args:
        return ()
    heads = dict.fromkeys(spec.heads)
    names = ", ".join(head.name for head in heads)
    if not isinstance(args, (tuple, list)) or len(args) != 1:
        got = f"{len(args)} arguments" if isinstance(args, (tuple, list)) and args else "nothing"
        fault = Fault(
            task=names,
            expected="the result of a task before it, or one argument in its place",
            got=got,
            remedy="put it after a task (first.s(...) | this), or give the argument: .delay(argument)",
            code="partial_sent",
        )
        raise CompositionError.of(names, [fault])
    encoded = [encode_first(head, args[0]) for head in heads]
    if any(one != encoded[0] for one in encoded):
        fault = Fault(
            task=names,
            expected="tasks that write their first argument in the same way",
            got="tasks whose parameters differ",
            remedy="put a task before the group that returns the argument",
            code="different_heads",
        )
        raise CompositionError.of(names, [fault])
    return (encoded[0],)
