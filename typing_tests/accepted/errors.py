"""Errors: what they carry, and what they may be caught as."""

import warnings
from typing import Any, assert_type

from typing_tests.accepted.calls import OrdersClient

from pico_celery import (
    ConformanceError,
    ContractError,
    DeadlineExceeded,
    DecoratorError,
    EmbeddedBrokerError,
    ExecutionError,
    Fault,
    IncompatibleContainerError,
    OptionError,
    PayloadError,
    PicoCeleryError,
    ResultError,
    SettingsError,
    UnboundClientError,
    UndeclaredTaskWarning,
    UnknownTaskError,
)


def caught(client: OrdersClient) -> None:
    try:
        client.count().get(timeout=1)
    except (PayloadError, ResultError) as error:
        assert_type(error.task, str)
        assert_type(error.paths, tuple[str, ...])
        assert_type(error.faults, tuple[Fault, ...])
        assert_type(error.faults[0].path, str)
        assert_type(error.faults[0].where, tuple[str, ...])
        assert_type(error.faults[0].code, str)
    except (ContractError, DecoratorError, OptionError, ConformanceError, SettingsError) as error:
        assert_type(error.subject, str)
        assert_type(error.faults, tuple[Fault, ...])
    except PicoCeleryError as error:
        assert_type(error.message, str)
        assert_type(error.data, dict[str, Any])


def every_error_is_the_library_s() -> list[type[PicoCeleryError]]:
    return [
        ConformanceError,
        ContractError,
        DeadlineExceeded,
        DecoratorError,
        EmbeddedBrokerError,
        ExecutionError,
        IncompatibleContainerError,
        OptionError,
        PayloadError,
        ResultError,
        SettingsError,
        UnboundClientError,
        UnknownTaskError,
    ]


def what_python_code_expects() -> list[type[TypeError]]:
    return [DecoratorError, OptionError, PayloadError]


def an_unknown_task_is_a_difference() -> type[ConformanceError]:
    return UnknownTaskError


def built_by_hand() -> None:
    fault = Fault(task="shop.place", path="order", expected="an Order", got="a text", remedy="give an Order")
    assert_type(PayloadError.of("shop.place", [fault]), PayloadError)
    assert_type(str(ExecutionError("no", {"task": "shop.place"})), str)
    warnings.simplefilter("error", UndeclaredTaskWarning)
