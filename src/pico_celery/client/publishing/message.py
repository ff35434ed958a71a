"""Posting: from a call that is ready to the message on the broker.

`celery.Celery.send_task` does the same for everything that a task may be sent with. Most calls need little of that, and
it takes longer than the rest of the way; they are made into messages here, of the same public parts of Celery and with the
same signals. Everything else goes through ``send_task``, and so does everything where that was replaced (by a tracer,
say).
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any, Final

from celery.app import base
from celery.utils.nodenames import anon_nodename
from kombu.exceptions import OperationalError

from pico_celery.client.results.waiters import Sent
from pico_celery.contract.definition import TaskDefinition
from pico_celery.messaging.calls import EncodedCall

_PLAIN: Final = frozenset(
    {
        "compression",
        "delivery_mode",
        "exchange",
        "headers",
        "ignore_result",
        "priority",
        "queue",
        "reply_to",
        "retry",
        "retry_policy",
        "routing_key",
        "shadow",
        "soft_time_limit",
        "time_limit",
    }
)
handed_over_by: Final[contextvars.ContextVar[Any]] = contextvars.ContextVar("pico_celery_handed_over_by", default=None)
"""Request of the task whose body handed a call over: it may have ended when the call is published."""
_OF_THE_MESSAGE: Final = ("ignore_result", "shadow", "soft_time_limit", "time_limit")


class Post:
    """Posts calls of one application."""

    def __init__(self, app: Any) -> None:  # noqa: ANN401 - Celery's types lack what is used
        self._app = app
        self._amqp = app.amqp
        self._origin = anon_nodename()

    def send(
        self,
        definition: TaskDefinition,
        call: EncodedCall,
        options: Mapping[str, object],
        result: Sent,
        producer: object = None,
    ) -> object:
        """Post a call."""
        if not _PLAIN.issuperset(options) or not self._is_celerys():
            chosen: dict[str, Any] = {} if producer is None else {"producer": producer}
            gone = None if self._app.current_worker_task else handed_over_by.get()
            if gone is not None:
                chosen.update(root_id=gone.root_id or gone.id, parent_id=gone.id)
            return self._app.send_task(
                definition.name,
                call.args,
                call.kwargs,
                # Celery calls result_cls with the id alone, and takes any callable.
                result_cls=lambda _: result,
                argsrepr=call.argsrepr,
                kwargsrepr=call.kwargsrepr,
                **{**chosen, **options, "task_id": result.id},
            )
        if producer is not None:
            return self._post(producer, definition, call, dict(options), result)
        with self._app.producer_or_acquire() as acquired:
            return self._post(acquired, definition, call, dict(options), result)

    def _is_celerys(self) -> bool:
        # By type: a proxy of wrapt's, say, shows the attributes of what it wraps, its code included.
        method = self._app.send_task
        function = method.__func__ if type(method) is MethodType else None
        return type(function) is FunctionType and function.__code__.co_filename == base.__file__

    def _post(
        self,
        producer: Any,  # noqa: ANN401 - Celery's types lack what is used
        definition: TaskDefinition,
        call: EncodedCall,
        options: dict[str, object],
        result: Sent,
    ) -> Sent:
        parent = self._app.current_worker_task
        inherited: dict[str, Any] = {}
        request = parent.request if parent else handed_over_by.get()
        if request is not None:
            inherited = {"root_id": request.root_id or request.id, "parent_id": request.id}
            if self._app.conf.task_inherit_parent_priority:
                options.setdefault("priority", request.delivery_info.get("priority"))
        message = self._amqp.create_task_message(
            result.id,
            definition.name,
            call.args,
            call.kwargs,
            reply_to=options.pop("reply_to", None) or self._app.thread_oid,
            create_sent_event=self._app.conf.task_send_sent_event,
            argsrepr=call.argsrepr,
            kwargsrepr=call.kwargsrepr,
            origin=self._origin,
            **inherited,
            **{name: options.pop(name) for name in _OF_THE_MESSAGE if name in options},
        )
        headers = options.pop("headers", None)
        route = self._amqp.router.route(options, definition.name, call.args, call.kwargs)
        connection = producer.connection
        try:
            queue = route.get("queue")
            if queue is not None and hash(queue) in connection.declared_entities:
                route["declare"] = []  # kombu knows it too, and takes longer to see it
            self._amqp.send_task_message(producer, definition.name, message, headers=headers, **route)
        except connection.recoverable_connection_errors + connection.recoverable_channel_errors as error:
            if isinstance(error, OperationalError):
                raise
            raise OperationalError(str(error)) from error
        if parent:
            parent.add_trail(result)
        return result
