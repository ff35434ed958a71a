"""From a method's signature to a task's frozen definition, with every fault on the way."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from types import MappingProxyType
from typing import Any, Final, NotRequired, Required, get_args

from pydantic import BaseModel, ConfigDict, with_config
from typing_extensions import TypedDict

from pico_celery.contract.definition import ParameterDefinition, TaskDefinition
from pico_celery.contract.digest import digest
from pico_celery.contract.error_definition import ErrorDefinition
from pico_celery.contract.payload import NativePayload, Payload, UnusableTypeError, payload_of
from pico_celery.contract.signature import KINDS, MISSING, VARIADIC, MethodParameter, MethodSignature, read_signature
from pico_celery.contract.typenames import type_name, value_text
from pico_celery.errors import Fault

_PAYLOAD: Final = "a type that pydantic turns into JSON and back"


def compile_task(  # noqa: PLR0917 - one argument for each thing that a declaration says
    function: Callable[..., object],
    name: str,
    contract: str,
    options: Mapping[str, object],
    subject: str,
    namespace: Mapping[str, object],
    errors: tuple[ErrorDefinition, ...] = (),
) -> tuple[TaskDefinition | None, list[Fault]]:
    """Compile a contract's method."""
    signature = read_signature(function, subject, namespace=namespace)
    faults = list(signature.faults)
    if not signature.is_async:
        faults.append(_not_async(function, subject, signature.where))
    unresolved = {fault.path for fault in signature.faults}
    parameters = [
        _parameter(parameter, subject, signature.where, faults)
        for parameter in signature.parameters
        if parameter.name not in unresolved
    ]
    result = None if "return" in unresolved else _result(signature, subject, faults)
    if faults or result is None:
        return None, faults
    complete = [parameter for parameter in parameters if parameter is not None]
    return _define(function, name, contract, options, signature, complete, result, errors), []


def imply_task(function: Callable[..., object], name: str) -> TaskDefinition:
    """Compile a definition from the signature of an implementation or client whose name no contract declares.

    What has no annotation, or a type that is no payload, is passed on unchecked.
    """
    signature = read_signature(function, name)
    parameters = [_implied_parameter(parameter) for parameter in signature.parameters]
    result = _payload_or_any(Any if signature.result is MISSING else signature.result)
    return _define(function, name, "", {}, signature, parameters, result)


def _define(  # noqa: PLR0917 - as compile_task
    function: Callable[..., object],
    name: str,
    contract: str,
    options: Mapping[str, object],
    signature: MethodSignature,
    parameters: list[ParameterDefinition],
    result: Payload,
    errors: tuple[ErrorDefinition, ...] = (),
) -> TaskDefinition:
    named = [parameter for parameter in parameters if parameter.kind not in VARIADIC]
    kinds = {parameter.kind for parameter in parameters}
    open_keywords = inspect.Parameter.VAR_KEYWORD in kinds
    kind = Payload if contract else NativePayload
    return TaskDefinition(
        name=name,
        contract=contract,
        method=function.__name__,
        parameters=tuple(named),
        arguments=kind(_arguments_type(name, named, open_keywords=open_keywords), parts_known=True),
        positional=tuple(parameter.name for parameter in named if parameter.kind is not inspect.Parameter.KEYWORD_ONLY),
        open_positional=inspect.Parameter.VAR_POSITIONAL in kinds,
        open_keywords=open_keywords,
        result=result,
        errors=errors,
        options=MappingProxyType(dict(options)),
        doc=signature.doc,
        where=signature.where,
        digest=_task_digest(name, named, result, errors),
    )


def _arguments_type(name: str, parameters: list[ParameterDefinition], *, open_keywords: bool) -> object:
    fields = {
        parameter.name: Required[parameter.annotation] if parameter.required else NotRequired[parameter.annotation]
        for parameter in parameters
    }
    arguments = TypedDict(name, fields)  # type: ignore[misc]  # made from a contract, not from source text
    return with_config(
        ConfigDict(
            extra="allow" if open_keywords else "forbid",
        )
    )(arguments)


def _task_digest(
    name: str, parameters: list[ParameterDefinition], result: Payload, errors: tuple[ErrorDefinition, ...]
) -> str:
    raised = sorted([error.code, error.retryable, error.payload.digest] for error in errors)
    return digest(
        {
            **({"errors": raised} if raised else {}),
            "name": name,
            "parameters": [
                {
                    "name": parameter.name,
                    "positional": parameter.kind is not inspect.Parameter.KEYWORD_ONLY,
                    "required": parameter.required,
                    "default": parameter.default_data,
                    "type": parameter.payload.digest,
                }
                for parameter in sorted(parameters, key=lambda parameter: _digest_order(parameter, parameters))
            ],
            "result": result.digest,
        }
    )


def _digest_order(parameter: ParameterDefinition, parameters: list[ParameterDefinition]) -> tuple[int, str]:
    # The order of keyword-only parameters is not on the wire.
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
        return len(parameters), parameter.name
    return parameters.index(parameter), ""


def _parameter(parameter: MethodParameter, subject: str, where: str, faults: list[Fault]) -> ParameterDefinition | None:
    def fault(code: str, expected: str, got: str, remedy: str) -> None:
        faults.append(
            Fault(
                task=subject, path=parameter.name, expected=expected, got=got, remedy=remedy, where=(where,), code=code
            )
        )

    if parameter.kind in VARIADIC:
        fault("variadic", "named parameters", KINDS[parameter.kind], "declare each parameter: its name is the wire")
    elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
        fault("positional_only", "a parameter that can be given by name", "a positional-only one", "remove the '/'")
    elif parameter.annotation is MISSING:
        fault("no_annotation", "a type", "no annotation", "annotate the parameter")
    elif _type_variables(parameter.annotation):
        fault(
            "type_variable", "a concrete type", f"the generic {type_name(parameter.annotation)}", "use a concrete type"
        )
    else:
        try:
            payload = payload_of(parameter.annotation)
        except UnusableTypeError as error:
            fault(error.code, _PAYLOAD, _got(parameter.annotation, error), error.remedy)
            return None
        if parameter.default is MISSING or _default_fits(payload, parameter.default):
            return _defined(parameter, payload)
        fault("default", type_name(parameter.annotation), f"the default {value_text(parameter.default)}", "correct it")
    return None


def _defined(parameter: MethodParameter, payload: Payload) -> ParameterDefinition:
    return ParameterDefinition(
        name=parameter.name,
        kind=parameter.kind,
        annotation=payload.annotation,
        default=parameter.default,
        payload=payload,
    )


def _default_fits(payload: Payload, default: object) -> bool:
    try:
        valid = payload.validate(default, strict=True)
        payload.encode(valid)
    except (ValueError, TypeError):
        return False
    # Strict mode still makes a model of a mapping; without a caller's value the implementation would get the mapping.
    is_object = isinstance(valid, BaseModel) or is_dataclass(valid)
    return not is_object or type(valid) is type(default)


def _result(signature: MethodSignature, subject: str, faults: list[Fault]) -> Payload | None:
    def fault(code: str, expected: str, got: str, remedy: str) -> None:
        faults.append(
            Fault(
                task=subject,
                path="return",
                expected=expected,
                got=got,
                remedy=remedy,
                where=(signature.where,),
                code=code,
            )
        )

    if signature.result is MISSING:
        fault("no_annotation", "a type", "no annotation", "annotate the result, with None where there is none")
        return None
    if _type_variables(signature.result):
        fault("type_variable", "a concrete type", f"the generic {type_name(signature.result)}", "use a concrete type")
        return None
    try:
        return payload_of(signature.result)
    except UnusableTypeError as error:
        fault(error.code, _PAYLOAD, _got(signature.result, error), error.remedy)
        return None


def _got(annotation: object, error: UnusableTypeError) -> str:
    return f"{type_name(annotation)}: {error.reason}"


def _type_variables(annotation: object) -> bool:
    if type(annotation).__name__ in {"TypeVar", "ParamSpec", "TypeVarTuple"}:
        return True
    return any(_type_variables(argument) for argument in get_args(annotation))


def _not_async(function: Callable[..., object], subject: str, where: str) -> Fault:
    got = "an async generator" if inspect.isasyncgenfunction(function) else "def"
    return Fault(
        task=subject, expected="async def", got=got, remedy="write async def", where=(where,), code="not_async"
    )


def _implied_parameter(parameter: MethodParameter) -> ParameterDefinition:
    annotation = Any if parameter.annotation is MISSING or parameter.kind in VARIADIC else parameter.annotation
    return _defined(parameter, _payload_or_any(annotation))


def _payload_or_any(annotation: object) -> Payload:
    try:
        return payload_of(annotation, NativePayload)
    except UnusableTypeError:
        return payload_of(Any, NativePayload)
