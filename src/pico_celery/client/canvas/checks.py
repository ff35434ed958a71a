"""What is checked of a signature when it is sent, linked or given options."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, TypeVar

from celery import Celery
from celery.canvas import Signature
from pydantic import ValidationError

from pico_celery.client.canvas.workflow_spec import Flow, join
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


class _Flowing(Protocol):
    @property
    def flow(self) -> Flow: ...


_Signature = TypeVar("_Signature", bound=Signature[Any])


def checked_options(options: Mapping[str, Any], subject: str) -> dict[str, Any]:
    """Check options of sending, those of Celery's own parts left alone.

    Args:
        options: What was given.
        subject: Whose options they are, for the message.

    Returns:
        The options, with every duration in seconds.

    Raises:
        OptionError: If an option is unknown or has a wrong type.
    """
    own = {*_INTERNAL, *(options.get("stamped_headers") or ())}
    given = {name: value for name, value in options.items() if value is not None or name == "timeout"}
    checked = check_send_options({name: value for name, value in given.items() if name not in own}, subject)
    return {**checked, **{name: value for name, value in given.items() if name in own}}


def step_options(task: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a call as a part of a workflow has them.

    Args:
        task: Name of the task.
        options: Checked options.

    Returns:
        Those that Celery's signatures carry.

    Raises:
        OptionError: If an idempotency key is among them: what a workflow sends is never another call.
    """
    refuse_options_of_one_call(task, options, "an option of a signature", ("idempotency_key",))
    return defer_timeout(options)


def set_options(signature: _Signature, immutable: bool | None, options: Mapping[str, Any]) -> _Signature:
    """Change the options of a call's signature, in place.

    Args:
        signature: The signature.
        immutable: As Celery's ``set``.
        options: The options, unchecked.

    Returns:
        The signature itself.

    Raises:
        OptionError: If an option is unknown or has a wrong type.
    """
    if immutable is not None:
        signature.set_immutable(immutable)
    checked = step_options(str(signature.task), checked_options(options, str(signature.task)))
    signature["options"] = merge_options(signature.options, checked)
    return signature


def send_workflow(flow: Flow, app: Celery, options: Mapping[str, Any], send: Callable[..., Any]) -> Any:
    """Send a workflow of several calls by Celery's own means.

    Args:
        flow: The workflow.
        app: The application.
        options: What was given. A ``timeout`` is the deadline of the whole workflow.
        send: Sends it; called with options as Celery takes them.

    Returns:
        What Celery's canvas gives.

    Raises:
        OptionError: If an option is unknown or has a wrong type, or is for one call only.
        DeadlineExceeded: If the running task that sends it has no time left.
    """
    checked = checked_options(options, flow.name)
    refuse_options_of_one_call(flow.name, checked, "an option of a workflow", ("idempotency_key", "idempotency_ttl"))
    _, deadline = fix_deadline(flow.name, {name: value for name, value in checked.items() if name != "headers"})
    checked.pop("timeout", None)
    if app.conf.task_always_eager:
        return run_within(deadline, lambda: send(**checked))[0]
    with hub_of(app).sending():
        result, deadlines = run_within(deadline, lambda: send(**checked))
    deadlines.tell(result)
    return result


def require_app(signature: Any) -> Celery:
    """Return the application of a signature.

    Args:
        signature: The signature.

    Returns:
        The application that sends it.

    Raises:
        UnboundClientError: If it has none.
    """
    app: Celery | None = signature.bound_app
    if app is None:
        name = signature.flow.name
        raise UnboundClientError(
            f"the signature of {name} has no Celery application: it was made from a client's class; "
            "make it from an instance, which the container gives: client.task.s(...)",
            {"task": name},
        )
    return app


def check_joinable(flow: Flow, app: Celery) -> None:
    """Check that the result backend can do what a workflow needs.

    Args:
        flow: The workflow.
        app: The application that sends it.

    Raises:
        CompositionError: If it joins the results of a group, and the backend cannot.
    """
    if not flow.chords or app.conf.task_always_eager:
        return
    backend: Any = app.backend
    try:
        backend.ensure_chords_allowed()
    except NotImplementedError:
        fault = Fault(
            task=flow.name,
            expected="a result backend that joins the results of a group",
            got=type(backend).__name__,
            remedy="set backend_url to one that does, such as redis://; rpc:// does not, whatever the broker is",
            code="no_chords",
        )
        raise CompositionError.of(flow.name, [fault]) from None


def as_callback(workflow: _Flowing, callback: Any) -> Signature[Any]:
    """Return a callback of a workflow as Celery keeps it.

    Args:
        workflow: What has the result.
        callback: What takes it.

    Returns:
        The callback; one of Celery's own is not checked.

    Raises:
        CompositionError: If the result does not fit.
    """
    flow: Flow | None = getattr(callback, "flow", None)
    if flow is not None:
        join(workflow.flow, flow)
    plain: Signature[Any] = callback if flow is None else callback.plain()
    return plain


def as_errback(workflow: _Flowing, errback: Any) -> Signature[Any]:
    """Return an errback of a workflow as Celery keeps it.

    Args:
        workflow: What may fail.
        errback: What takes the id of the task that has failed.

    Returns:
        The errback; one of Celery's own is not checked.

    Raises:
        CompositionError: If it takes no text.
    """
    flow: Flow | None = getattr(errback, "flow", None)
    if flow is None:
        return errback  # type: ignore[no-any-return]  # whatever Celery takes
    for head in flow.heads:
        parameter = first_parameter(head)
        if parameter is not None and not accepts([head], "id"):
            fault = Fault(
                task=head.name,
                path=parameter.name,
                expected=f"{type_name(parameter.annotation)}, as its parameter says",
                got=f"the id of the task that failed, a str, from {workflow.flow.name}",
                remedy="use a task that takes the id, or ignore it with .si(...)",
                where=(head.where,),
                code="id_into_parameter",
            )
            raise CompositionError.of(f"{workflow.flow.name}.link_error({head.name})", [fault])
    plain: Signature[Any] = errback.plain()
    return plain


def accepts(heads: Iterable[TaskDefinition], value: Any) -> bool:
    """Tell whether tasks accept a value as their first argument.

    Args:
        heads: The tasks.
        value: The value.

    Returns:
        Whether the first parameter of each accepts it.
    """
    for head in heads:
        parameter = first_parameter(head)
        if parameter is None:
            return False
        try:
            parameter.payload.validate(value)
        except ValidationError:
            return False
    return True


def first_argument(flow: Flow, args: Any, own: Any) -> tuple[Any, ...]:
    """Return the first argument of a part of a workflow, validated and encoded.

    Args:
        flow: The part.
        args: The argument alone.
        own: What Celery's canvas has given to the part already.

    Returns:
        What travels by position; nothing where Celery gave it.

    Raises:
        PayloadError: If the argument does not fit.
        CompositionError: If there is none.
    """
    if own and not args:
        return ()
    heads = dict.fromkeys(flow.heads)
    if not isinstance(args, (tuple, list)) or len(args) != 1:
        names = ", ".join(head.name for head in heads)
        fault = Fault(
            task=names,
            expected="the result of a task before it, or one argument in its place",
            got="nothing" if not args else f"{len(args)} arguments",
            remedy="put it after a task (first.s(...) | this), or give the argument: .delay(argument)",
            code="partial_sent",
        )
        raise CompositionError.of(names, [fault])
    encoded = [encode_first(head, args[0]) for head in heads]
    if any(one != encoded[0] for one in encoded):
        names = ", ".join(head.name for head in heads)
        fault = Fault(
            task=names,
            expected="tasks that write their first argument in the same way",
            got="tasks whose parameters differ",
            remedy="put a task before the group that returns the argument",
            code="different_heads",
        )
        raise CompositionError.of(names, [fault])
    return (encoded[0],)
