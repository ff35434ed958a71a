"""Claims: how an implementation or a client may differ from its contract, and how each difference is told."""

import inspect
from typing import Annotated, Any, Protocol

import pytest
from celery.result import AsyncResult as CeleryAsyncResult
from pydantic import BaseModel, Field

from pico_celery import (
    AsyncResult,
    Catalog,
    CeleryClient,
    ConformanceError,
    Fault,
    TaskDefinition,
    UnknownTaskError,
    celery,
    contract,
    send_task,
)
from pico_celery.contract.conformance import compare_signature
from pico_celery.contract.marks import marks_of
from pico_celery.contract.signature import location_of, read_signature


class Order(BaseModel):
    id: int


class Receipt(BaseModel):
    total: int


class LongReceipt(Receipt):
    lines: list[str] = []


catalog = Catalog()


@contract("unit_conformance", catalog=catalog)
class Orders(Protocol):
    async def place(self, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt: ...

    async def find(self, ids: list[int], limit: Annotated[int, Field(gt=0)] = 5) -> Receipt | None: ...

    async def ping(self) -> None: ...


# The same by name, for clients, whose classes are checked against the default catalog.
@contract("unit_conformance_client")
class ClientOrders(Protocol):
    async def place(self, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt: ...

    async def table(self) -> dict[str, int]: ...


def task_of(method: Any) -> TaskDefinition:
    definition = marks_of(method).definition
    assert definition is not None
    return definition


def differences(implementation: Any, method: Any = Orders.place) -> list[Fault]:
    definition = task_of(method)
    faults = compare_signature(definition, read_signature(implementation, definition.name), "implementation")
    for fault in faults:
        assert fault.task == definition.name
        if fault.code != "unresolved_annotation":
            assert fault.where == (definition.where, location_of(implementation))
    return faults


def told(faults: list[Fault]) -> list[tuple[str, str, str, str, str]]:
    return [(f.path, f.code, f.expected, f.got, f.remedy) for f in faults]


class Fine:
    async def same(self, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
    async def wider(self, order: Order | None, count: float = 1, *, dry_run: Any = False) -> Receipt: ...  # type: ignore[empty-body]
    async def narrower(self, order: Order, count: int = 1, *, dry_run: bool = False) -> LongReceipt: ...  # type: ignore[empty-body]
    async def anything(self, order: object, count: int | str = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]


@pytest.mark.parametrize("method", [Fine.same, Fine.wider, Fine.narrower, Fine.anything])
def test_wider_parameters_and_narrower_results_conform(method: Any) -> None:
    assert differences(method) == []


def test_a_wider_constraint_and_a_result_that_is_never_none_conform() -> None:
    async def find(self: Any, ids: list[int], limit: int = 5) -> Receipt: ...  # type: ignore[empty-body]

    assert differences(find, Orders.find) == []


async def renamed(self: Any, ordre: Order, count: int = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
async def missing(self: Any, order: Order, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
async def extra(self: Any, order: Order, count: int = 1, *, dry_run: bool = False, force: bool = True) -> Receipt: ...  # type: ignore[empty-body]
async def reordered(self: Any, count: int = 1, order: Order = None, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body, assignment]
async def kind(self: Any, order: Order, *, count: int = 1, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
async def positional(self: Any, order: Order, /, count: int = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
async def other_type(self: Any, order: Order, count: str = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body, assignment]
async def narrower(  # type: ignore[empty-body]
    self: Any, order: Order, count: Annotated[int, Field(gt=0)] = 1, *, dry_run: bool = False
) -> Receipt: ...
async def other_default(self: Any, order: Order, count: int = 2, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
async def equal_default(self: Any, order: Order, count: int = True, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
async def no_default(self: Any, order: Order, count: int, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
async def new_default(self: Any, order: Order = Order(id=1), count: int = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]  # noqa: B008
async def other_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> Order: ...  # type: ignore[empty-body]
async def wider_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt | None: ...
async def no_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False): ...  # type: ignore[no-untyped-def]
async def no_annotation(self: Any, order, count: int = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body, no-untyped-def]
def blocking(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
async def variadic(self: Any, *args: Any, **kwargs: Any) -> Receipt: ...  # type: ignore[empty-body]


DIFFERENT: dict[Any, list[tuple[str, str, str, str, str]]] = {
    renamed: [
        ("order", "missing_parameter", "the parameter order: Order (positional or keyword)", "no such parameter", "add it, or rename 'ordre' to it"),
        ("ordre", "extra_parameter", "no such parameter", "an additional parameter (positional or keyword)", "remove it, or add it to the contract (did you mean 'order'?)"),
    ],
    missing: [("count", "missing_parameter", "the parameter count: int = 1 (positional or keyword)", "no such parameter", "add it")],
    extra: [("force", "extra_parameter", "no such parameter", "an additional parameter (keyword-only)", "remove it, or add it to the contract (did you mean 'order'?)")],
    reordered: [
        ("order", "default", "no default", "the default None", "use the contract's default"),
        ("", "order", "the order (order, count)", "(count, order)", "use the contract's order"),
    ],
    kind: [("count", "kind", "positional or keyword", "keyword-only", "use the contract's kind")],
    positional: [("order", "kind", "positional or keyword", "positional-only", "use the contract's kind")],
    other_type: [("count", "type", "int or wider", "str", "use the contract's type")],
    narrower: [("count", "type", "int or wider", "Annotated[int, FieldInfo(annotation=NoneType, required=True, metadata=[Gt(gt=0)])]", "use the contract's type")],
    other_default: [("count", "default", "the default 1", "the default 2", "use the contract's default")],
    equal_default: [("count", "default", "the default 1", "the default True", "use the contract's default")],
    no_default: [("count", "default", "the default 1", "no default", "use the contract's default")],
    new_default: [("order", "default", "no default", "the default Order(id=1)", "use the contract's default")],
    other_result: [("return", "result", "Receipt or narrower", "Order", "use the contract's result")],
    wider_result: [("return", "result", "Receipt or narrower", "Receipt | None", "use the contract's result")],
    no_result: [("return", "result", "Receipt or narrower", "no annotation", "use the contract's result")],
    no_annotation: [("order", "type", "Order or wider", "no annotation", "use the contract's type")],
    blocking: [("", "not_async", "async def", "def", "write async def")],
    variadic: [
        ("order", "missing_parameter", "the parameter order: Order (positional or keyword)", "no such parameter", "add it"),
        ("count", "missing_parameter", "the parameter count: int = 1 (positional or keyword)", "no such parameter", "add it"),
        ("dry_run", "missing_parameter", "the parameter dry_run: bool = False (keyword-only)", "no such parameter", "add it"),
        ("args", "extra_parameter", "no such parameter", "*args", "name the contract's parameters"),
        ("kwargs", "extra_parameter", "no such parameter", "**kwargs", "name the contract's parameters"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("method", DIFFERENT, ids=lambda method: method.__name__)
def test_a_difference_is_told_with_expected_got_remedy_and_both_places(method: Any) -> None:
    assert told(differences(method)) == DIFFERENT[method]


def test_all_differences_of_a_method_are_told_at_once() -> None:
    def all_wrong(self: Any, count: str = "x", *, dry: bool = False) -> int: ...  # type: ignore[empty-body]

    assert [(f.path, f.code) for f in differences(all_wrong)] == [
        ("", "not_async"),
        ("order", "missing_parameter"),
        ("count", "type"),
        ("count", "default"),
        ("dry_run", "missing_parameter"),
        ("dry", "extra_parameter"),
        ("return", "result"),
    ]


def test_an_annotation_that_does_not_resolve_is_told_alone() -> None:
    async def unresolved(self: Any, order: "Lost", count: int = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[name-defined, empty-body]  # noqa: F821

    (fault,) = differences(unresolved)
    assert (fault.path, fault.code) == ("order", "unresolved_annotation")
    assert fault.remedy == "import 'Lost' where the module is loaded, not only under TYPE_CHECKING"


def test_an_unresolved_result_is_told_once() -> None:
    async def unresolved(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> "Lost": ...  # type: ignore[name-defined]  # noqa: F821

    assert [(f.path, f.code) for f in differences(unresolved)] == [("return", "unresolved_annotation")]


def test_a_default_that_is_no_number_equals_itself() -> None:
    @contract("nan", catalog=Catalog())
    class Nan(Protocol):
        async def take(self, x: float = float("nan")) -> None: ...

    async def take(self: Any, x: float = float("nan")) -> None: ...

    assert differences(take, Nan.take) == []


# --- clients by name


def client_of(method: Any, name: str = "unit_conformance_client.place") -> type[Any]:
    class Client(CeleryClient):
        call = send_task(name)(method)

    return Client


def client_place(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> AsyncResult[Receipt]: ...  # type: ignore[empty-body]
def client_untyped(self, order, count=1, *, dry_run=False): ...  # type: ignore[no-untyped-def]
def client_celery(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> CeleryAsyncResult[Any]: ...  # type: ignore[empty-body]
def client_bare(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> AsyncResult: ...  # type: ignore[empty-body, type-arg]
def client_wider_result(  # type: ignore[empty-body]
    self: Any, order: Order, count: int = 1, *, dry_run: bool = False
) -> AsyncResult[Receipt | None]: ...
def client_narrower(self: Any, order: Order, count: bool = 1, *, dry_run: bool = False) -> Any: ...  # type: ignore[assignment]


@pytest.mark.parametrize(
    "method", [client_place, client_untyped, client_celery, client_bare, client_wider_result, client_narrower], ids=lambda m: m.__name__
)  # fmt: skip
def test_a_client_by_name_with_the_contracts_signature_is_accepted(method: Any) -> None:
    client_of(method)


def client_renamed(self: Any, ordre: Order, count: int = 1, *, dry_run: bool = False) -> AsyncResult[Receipt]: ...  # type: ignore[empty-body]
def client_wider(self: Any, order: Order | None, count: int = 1, *, dry_run: bool = False) -> AsyncResult[Receipt]: ...  # type: ignore[empty-body]
def client_default(self: Any, order: Order, count: int = 2, *, dry_run: bool = False) -> AsyncResult[Receipt]: ...  # type: ignore[empty-body]
def client_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> AsyncResult[Order]: ...  # type: ignore[empty-body]
def client_plain_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt: ...  # type: ignore[empty-body]
def client_list_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> list[Receipt]: ...  # type: ignore[empty-body]
def client_dict_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> dict[str, int]: ...  # type: ignore[empty-body]
def client_union_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> Receipt | None: ...
def client_none_result(self: Any, order: Order, count: int = 1, *, dry_run: bool = False) -> None: ...


@pytest.mark.parametrize(
    ("method", "path", "code", "expected", "got"),
    [
        (client_wider, "order", "type", "Order or narrower", "Order | None"),
        (client_default, "count", "default", "the default 1", "the default 2"),
        (client_result, "return", "result", "AsyncResult[Receipt]", "AsyncResult[Order]"),
        (client_plain_result, "return", "result", "AsyncResult[Receipt]", "Receipt"),
        (client_list_result, "return", "result", "AsyncResult[Receipt]", "list[Receipt]"),
        (client_dict_result, "return", "result", "AsyncResult[Receipt]", "dict[str, int]"),
        (client_union_result, "return", "result", "AsyncResult[Receipt]", "Receipt | None"),
        (client_none_result, "return", "result", "AsyncResult[Receipt]", "None"),
    ],
    ids=lambda it: getattr(it, "__name__", ""),
)
def test_a_client_by_name_that_differs_fails_when_its_class_is_created(
    method: Any, path: str, code: str, expected: str, got: str
) -> None:
    with pytest.raises(ConformanceError) as raised:
        client_of(method)
    (fault,) = raised.value.faults
    assert (fault.path, fault.code, fault.expected, fault.got) == (path, code, expected, got)
    assert fault.remedy.startswith("use the contract's ")
    assert fault.where == (task_of(ClientOrders.place).where, location_of(method))
    assert not isinstance(raised.value, UnknownTaskError)


def test_all_differences_of_a_client_class_are_in_one_error_that_names_it() -> None:
    with pytest.raises(ConformanceError) as raised:

        class Client(CeleryClient):
            one = send_task("unit_conformance_client.place")(client_renamed)
            two = send_task("unit_conformance_client.table")(client_default)
            three = send_task("unit_conformance_client.tabel")(client_place)

    error = raised.value
    assert error.subject.endswith("Client")
    assert not isinstance(error, UnknownTaskError)
    assert {(f.task, f.path, f.code) for f in error.faults} == {
        ("unit_conformance_client.place", "order", "missing_parameter"),
        ("unit_conformance_client.place", "ordre", "extra_parameter"),
        ("unit_conformance_client.table", "order", "extra_parameter"),
        ("unit_conformance_client.table", "count", "extra_parameter"),
        ("unit_conformance_client.table", "dry_run", "extra_parameter"),
        ("unit_conformance_client.table", "return", "result"),
        ("unit_conformance_client.tabel", "", "unknown_task"),
    }


@pytest.mark.parametrize("decorate", [False, True], ids=["CeleryClient", "celery"])
def test_a_name_that_its_domain_does_not_declare_is_an_unknown_task_with_the_nearest(decorate: bool) -> None:
    with pytest.raises(UnknownTaskError) as raised:  # noqa: PT012 - the class is the statement
        if decorate:

            @celery
            class Client:
                call = send_task("unit_conformance_client.plaec")(client_place)

        else:
            client_of(client_place, "unit_conformance_client.plaec")
    (fault,) = raised.value.faults
    assert fault.task == "unit_conformance_client.plaec"
    assert fault.expected == "a task of the contract 'unit_conformance_client'"
    assert fault.got == "a name that no contract declares"
    assert fault.remedy.startswith("did you mean 'unit_conformance_client.place'")
    assert fault.where[0] == location_of(client_place)
    assert len(fault.where) == 2
    assert "names a task that no contract declares, 1 fault:" in str(raised.value)


def test_a_contract_imported_after_the_client_is_compared_when_the_client_is_bound(celery_app: Any) -> None:
    class Client(CeleryClient):
        call = send_task("unit_conformance_late.place")(client_place)

    @contract("unit_conformance_late")
    class Late(Protocol):
        async def place(self, order: int) -> None: ...

    assert inspect.isclass(Late)
    with pytest.raises(ConformanceError) as raised:
        Client(celery_app)
    assert {f.path for f in raised.value.faults} == {"order", "count", "dry_run", "return"}


def test_a_client_class_may_bring_its_own_catalog() -> None:
    own = Catalog()

    @contract("unit_conformance_client", catalog=own)
    class Other(Protocol):
        async def only_here(self, a: int) -> int: ...

    @celery(catalog=own)
    class Plain:
        @send_task("unit_conformance_client.only_here")
        def only_here(self, a: int) -> AsyncResult[int]: ...  # type: ignore[empty-body]

    @celery(catalog=own)
    class Derived(CeleryClient, catalog=own):
        @send_task("unit_conformance_client.only_here")
        def only_here(self, a: int) -> AsyncResult[int]: ...  # type: ignore[empty-body]

    assert Plain.only_here.definition is task_of(Other.only_here)
    assert Derived.only_here.definition is task_of(Other.only_here)
