"""How a call ended, as JSON data: the result, the declared error, or whatever else became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import to_jsonable_python

from pico_celery.document.records import Document, JsonSchema, TaskRecord
from pico_celery.messaging.failures import StoredFailure
from pico_celery_tooling.call.arguments import joined

_SUCCESS: Final = "SUCCESS"
_REVOKED: Final = "REVOKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallAnswer:
    """How a call ended."""

    state: str
    """Celery's name of the state."""
    result: Any = None
    """The result, of one that succeeded."""
    error: Mapping[str, Any] | None = None
    """What failed, of one that did not: ``type``, ``message``, and for a declared error ``code`` and ``fields``."""
    misfits: tuple[str, ...] = ()
    """Why the result, or the fields of the error, are not what the contract says; one line each."""
    traceback: str = ""
    """Text of the traceback on the worker."""

    @property
    def succeeded(self) -> bool:
        """Whether the task returned what its contract says."""
        return self.state == _SUCCESS and not self.misfits

    @property
    def revoked(self) -> bool:
        """Whether the task was revoked."""
        return self.state == _REVOKED

    @property
    def told(self) -> dict[str, Any]:
        """The result or the error, by name."""
        return {"result": self.result} if self.error is None else {"error": dict(self.error)}


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads what is stored of a task by its contract."""

    task: TaskRecord
    document: Document = field(repr=False)
    """Where its schemas are."""

    def read(self, meta: Mapping[str, Any]) -> CallAnswer:
        """Read what a result backend keeps."""
        state, stored = str(meta["status"]), meta.get("result")
        if state == _SUCCESS:
            result = _json(stored)
            return CallAnswer(
                state=state, result=result, misfits=self._misfits(self.task.result.accepted, result, "return")
            )
        failure = StoredFailure.of(stored, meta.get("traceback"))
        declared = self._declared(failure)
        if declared is not None:
            error, misfits = declared
            return CallAnswer(state=state, error=error, misfits=misfits, traceback=failure.traceback)
        told: dict[str, Any] = {"type": failure.full_name, "message": failure.text}
        faults = (failure.data or {}).get("faults")
        if isinstance(faults, list) and faults:
            told["faults"] = _json(faults)
        return CallAnswer(state=state, error=told, traceback=failure.traceback)

    def _declared(self, failure: StoredFailure) -> tuple[dict[str, Any], tuple[str, ...]] | None:
        data = failure.data or {}
        code = data.get("code")
        record = self.task.error(code) if isinstance(code, str) else None
        if record is None:
            return None
        fields = _json(data.get("fields"))
        told = {
            "code": record.code,
            "type": record.type,
            "message": failure.text,
            "retryable": record.retryable,
            "fields": fields,
        }
        return told, self._misfits(record.accepted, fields, record.code)

    def _misfits(self, schema: JsonSchema, value: Any, name: str) -> tuple[str, ...]:
        from pico_celery_tooling.schema.validation import violations  # noqa: PLC0415 - most calls check no value

        found = violations(self.document, schema, value)
        return tuple(f"{joined(name, one.path)}: expected {one.expected}, got {one.got}" for one in found)


def _json(value: Any) -> Any:
    """Return what kombu has read as JSON data: it makes Decimals and datetimes of what plain Celery workers store."""
    return to_jsonable_python(value, fallback=str, inf_nan_mode="constants")
