"""Claims about declaring contracts: what a contract becomes, and every fault, named, with its remedy, in one error."""

import importlib
import inspect
import pickle
import sys
import types
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, ClassVar, Optional, Protocol, TypeVar

import pytest
from pydantic import AliasGenerator, BaseModel, ConfigDict, Field, computed_field
from pydantic.alias_generators import to_camel
from typing_extensions import TypeAliasType, TypedDict

from pico_celery import (
    Catalog,
    ContractDefinition,
    ContractError,
    Fault,
    OptionError,
    TaskDefinition,
    UnknownTaskError,
    contract,
    default_catalog,
    task_options,
)
from pico_celery.contract.marks import marks_of
from pico_celery.contract.naming import did_you_mean, snake_case

T = TypeVar("T")
PAYLOAD = "a type that pydantic turns into JSON and back"


class Order(BaseModel):
    id: int


class Thing:
    """What pydantic has no schema for."""


def here(offset: int = 0) -> str:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return f"{__file__}:{frame.f_back.f_lineno + offset}"


def task_of(method: Any) -> TaskDefinition:
    definition = marks_of(method).definition
    assert definition is not None
    return definition


def contract_of(cls: type[Any]) -> ContractDefinition:
    definition = marks_of(cls).contract
    assert definition is not None
    return definition


def refused(declare: Callable[[], Any]) -> ContractError:
    with pytest.raises(ContractError) as raised:
        declare()
    error = raised.value
    assert f"cannot be a contract, {len(error.faults)} fault" in str(error)
    for fault in error.faults:
        assert str(fault) in str(error)
    return error


def only(error: ContractError) -> Fault:
    (fault,) = error.faults
    return fault


# --- what a contract becomes


def test_a_contract_without_docstring_has_not_the_one_of_protocol() -> None:
    @contract("bare", catalog=Catalog())
    class Bare(Protocol):
        async def run(self) -> None: ...

    found = contract_of(Bare)
    assert (found.doc, [task.doc for task in found.tasks.values()]) == ("", [""])


def test_a_contract_is_compiled_to_a_frozen_definition() -> None:
    catalog = Catalog()

    @contract("orders", catalog=catalog)
    class Orders(Protocol):
        """Taking orders."""

        @task_options(queue="orders", expires=timedelta(minutes=2), idempotent=True)
        async def place(self, order: Order, *, dry_run: bool = False) -> list[Order]:
            """Book the order."""
            ...

    line = Orders.place.__code__.co_firstlineno
    definition = task_of(Orders.place)
    assert definition.name == "orders.place"
    assert definition.contract == "orders"
    assert definition.method == "place"
    assert definition.doc == "Book the order."
    assert definition.where == f"{__file__}:{line}"
    assert dict(definition.options) == {"queue": "orders", "expires": 120.0, "idempotent": True}
    expected: list[tuple[Any, ...]] = [
        ("order", "POSITIONAL_OR_KEYWORD", Order, inspect.Parameter.empty, True),
        ("dry_run", "KEYWORD_ONLY", bool, False, False),
    ]
    assert [(p.name, p.kind.name, p.annotation, p.default, p.required) for p in definition.parameters] == expected
    assert [str(p) for p in definition.parameters] == [
        "order: Order (positional or keyword)",
        "dry_run: bool = False (keyword-only)",
    ]
    assert definition.positional == ("order",)
    assert definition.result.annotation == list[Order]
    assert definition.schema["arguments"]["required"] == ["order"]
    assert definition.schema["result"]["type"] == "array"
    assert definition.declared
    assert catalog.get("orders.place") is definition
    whole = contract_of(Orders)
    assert (whole.name, whole.version, whole.cls, whole.doc) == ("orders", 1, Orders, "Taking orders.")
    assert dict(whole.tasks) == {"place": definition}
    for frozen, attribute in ((definition, "name"), (whole, "name"), (definition.parameters[0], "name")):
        with pytest.raises(AttributeError):
            setattr(frozen, attribute, "other")
    with pytest.raises(TypeError):
        whole.tasks["other"] = definition  # type: ignore[index]


def test_decorators_return_the_same_objects() -> None:
    async def place(self: Any) -> None: ...

    assert task_options(queue="a")(place) is place
    cls = types.new_class("Places", (Protocol,), {}, lambda body: body.update(place=place))
    assert contract("places", catalog=Catalog())(cls) is cls
    assert vars(cls)["place"] is place


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("Orders", "orders"),
        ("OrderBook", "order_book"),
        ("HTTPCalls", "http_calls"),
        ("V2Orders", "v2_orders"),
        ("A", "a"),
    ],
)
def test_without_a_domain_the_class_name_in_snake_case_is_taken(name: str, domain: str) -> None:
    assert snake_case(name) == domain

    async def run(self: Any) -> None: ...

    cls = types.new_class(name, (Protocol,), {}, lambda body: body.update(run=run))
    contract(catalog=Catalog())(cls)
    assert task_of(run).name == f"{domain}.run"


def test_the_bare_decorator_registers_in_the_default_catalog() -> None:
    @contract
    class UnitBareContract(Protocol):
        async def run(self) -> None: ...

    assert default_catalog.get("unit_bare_contract.run") is task_of(UnitBareContract.run)


@pytest.mark.parametrize(("version", "name"), [(1, "orders.place"), (2, "orders.v2.place"), (11, "orders.v11.place")])
def test_versions_from_2_on_are_part_of_the_task_name(version: int, name: str) -> None:
    @contract("orders", version=version, catalog=Catalog())
    class Orders(Protocol):
        async def place(self) -> None: ...

    assert task_of(Orders.place).name == name


def test_two_versions_of_a_contract_live_side_by_side() -> None:
    catalog = Catalog()

    @contract("orders", catalog=catalog)
    class Orders(Protocol):
        async def place(self, a: int) -> None: ...

    @contract("orders", version=2, catalog=catalog)
    class Orders2(Protocol):
        async def place(self, a: str) -> None: ...

    assert [task.name for task in catalog] == ["orders.place", "orders.v2.place"]
    assert task_of(Orders2.place).contract == "orders.v2"


def test_an_option_may_give_the_whole_name() -> None:
    @contract("orders", catalog=Catalog())
    class Orders(Protocol):
        @task_options(name="legacy.place-order")
        async def place(self) -> None: ...

    definition = task_of(Orders.place)
    assert definition.name == "legacy.place-order"
    assert "name" not in definition.options


@pytest.mark.parametrize("name", ["", " ", "a b"])
def test_an_empty_or_blank_task_name_is_refused(name: str) -> None:
    with pytest.raises((OptionError, ContractError)):

        @contract("orders", catalog=Catalog())
        class Orders(Protocol):
            @task_options(name=name)
            async def place(self) -> None: ...


def test_contracts_may_inherit_contracts() -> None:
    catalog = Catalog()

    @contract("orders", catalog=catalog)
    class Orders(Protocol):
        async def place(self, order: Order) -> None: ...

        async def cancel(self, order: Order) -> None: ...

    @contract("bulk", catalog=catalog)
    class Bulk(Orders, Protocol):
        async def cancel(self, order: Order) -> None: ...

        async def import_all(self) -> None: ...

    assert {name: task.name for name, task in contract_of(Bulk).tasks.items()} == {
        "place": "orders.place",
        "cancel": "bulk.cancel",
        "import_all": "bulk.import_all",
    }
    assert task_of(Bulk.place) is task_of(Orders.place)
    assert [task.name for task in catalog] == ["bulk.cancel", "bulk.import_all", "orders.cancel", "orders.place"]


def test_a_contract_may_only_inherit() -> None:
    @contract("orders", catalog=Catalog())
    class Orders(Protocol):
        async def place(self) -> None: ...

    @contract("more", catalog=Catalog())
    class More(Orders, Protocol):
        """Nothing of its own."""

    assert set(contract_of(More).tasks) == {"place"}


def test_a_definition_is_pickled_by_name() -> None:
    @contract("unit_pickled")
    class Pickled(Protocol):
        async def run(self) -> None: ...

    definition = task_of(Pickled.run)
    assert pickle.loads(pickle.dumps(definition)) is definition


def test_a_pickled_definition_that_this_process_lacks_is_an_unknown_task() -> None:
    @contract("unit_lost", catalog=Catalog())
    class Lost(Protocol):
        async def run(self) -> None: ...

    data = pickle.dumps(task_of(Lost.run))
    with pytest.raises(
        UnknownTaskError, match=r"unit_lost\.run: expected a declared task, got a name that no contract"
    ):
        pickle.loads(data)


# --- spellings of annotations


def test_pep_604_and_optional_and_strings_mean_the_same() -> None:
    @contract("spellings", catalog=Catalog())
    class Spellings(Protocol):
        async def a(self, x: int | None) -> None: ...

        async def b(self, x: Optional[int]) -> None: ...  # noqa: UP045 - one of the spellings

        async def c(self, x: "int | None") -> "None": ...

        async def d(self, x: "Optional[int]") -> None: ...  # noqa: UP045 - one of the spellings

    schemas = [
        task_of(m).schema["arguments"]["properties"] for m in (Spellings.a, Spellings.b, Spellings.c, Spellings.d)
    ]
    assert all(schema == schemas[0] for schema in schemas)


def test_a_type_alias_type_is_a_payload() -> None:
    ids = TypeAliasType("ids", list[int])

    @contract("aliases", catalog=Catalog())
    class Aliases(Protocol):
        async def take(self, x: ids) -> ids: ...

    assert task_of(Aliases.take).arguments.validate({"x": ["1"]}) == {"x": [1]}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="PEP 695 needs Python 3.12")
def test_pep_695_aliases_are_payloads(load_module: Callable[[str], types.ModuleType]) -> None:
    module = load_module(
        "from typing import Protocol\n"
        "from pico_celery import Catalog, contract\n"
        "type Ids = list[int]\n"
        "type Pair[T] = tuple[T, T]\n"
        "@contract('pep695', catalog=Catalog())\n"
        "class Pep695(Protocol):\n"
        "    async def take(self, ids: Ids, pair: Pair[int]) -> Ids | None: ...\n"
    )
    assert task_of(module.Pep695.take).arguments.validate({"ids": [1], "pair": (1, 2)}) == {"ids": [1], "pair": (1, 2)}


FUTURE = """
from __future__ import annotations
from typing import TYPE_CHECKING, Protocol
from pydantic import BaseModel
from pico_celery import Catalog, contract
if TYPE_CHECKING:
    from decimal import Decimal

class Top(BaseModel):
    id: int
"""


def test_postponed_annotations_see_the_module_and_local_classes(
    load_module: Callable[[str], types.ModuleType],
) -> None:
    module = load_module(
        FUTURE
        + """
def declare():
    class Local(BaseModel):
        id: int
        top: Top | None = None

    @contract("postponed", catalog=Catalog())
    class Postponed(Protocol):
        class Nested(BaseModel):
            id: int
        async def take(self, local: Local, tops: list[Top], nested: Nested | None = None) -> Local | None: ...
    return Postponed, Local
"""
    )
    cls, local = module.declare()
    definition = task_of(cls.take)
    assert [p.annotation for p in definition.parameters] == [
        local,
        list.__class_getitem__(module.Top),
        cls.Nested | None,
    ]
    assert definition.result.annotation == local | None


def test_a_name_imported_under_type_checking_is_named_with_what_to_do(
    load_module: Callable[[str], types.ModuleType],
) -> None:
    source = FUTURE + (
        "@contract('checking', catalog=Catalog())\n"
        "class Checking(Protocol):\n"
        "    async def take(self, price: Decimal) -> dict[str, Decimal]: ...\n"
    )
    error = refused(lambda: load_module(source))
    assert [(f.task, f.path, f.got) for f in error.faults] == [
        ("Checking.take", "price", "'Decimal', in which 'Decimal' is not defined"),
        ("Checking.take", "return", "'dict[str, Decimal]', in which 'Decimal' is not defined"),
    ]
    assert {f.remedy for f in error.faults} == {
        "import 'Decimal' where the module is loaded, not only under TYPE_CHECKING"
    }
    assert {f.code for f in error.faults} == {"unresolved_annotation"}


def test_a_forward_reference_inside_a_model_that_does_not_resolve_is_named() -> None:
    class Inner(BaseModel):
        lost: "Lost"  # type: ignore[name-defined]  # noqa: F821 - it is the claim

    def declare() -> None:
        @contract("forward", catalog=Catalog())
        class Forward(Protocol):
            async def take(self, inner: Inner) -> None: ...

    fault = only(refused(declare))
    assert (fault.task, fault.path) == ("Forward.take", "inner")
    assert "'Lost'" in fault.got
    assert "'Lost'" in fault.remedy


def test_an_annotation_that_is_no_python_says_so() -> None:
    def declare() -> None:
        @contract("broken", catalog=Catalog())
        class Broken(Protocol):
            async def take(self, x: "list[") -> None: ...  # type: ignore[valid-type]  # noqa: F722 - it is the claim

    fault = only(refused(declare))
    assert (fault.task, fault.path, fault.remedy) == ("Broken.take", "x", "correct the annotation")
    assert fault.got.startswith("'list[', which raises SyntaxError")


# --- what cannot be a contract


def test_all_faults_of_a_class_are_in_one_error() -> None:
    def declare() -> None:
        @contract("faulty", catalog=Catalog())
        class Faulty(Protocol):
            attribute: int

            def blocking(self) -> None: ...

            async def stream(self) -> AsyncIterator[int]:
                yield 1

            async def no_annotations(self, a, b=1): ...  # type: ignore[no-untyped-def]

            async def variadic(self, *args: int, **kwargs: int) -> None: ...

            async def positional(self, a: int, /, b: int) -> None: ...

            async def unsendable(self, a: Thing, b: Callable[[], int], c: Iterator[int]) -> Thing: ...

            async def generic(self, a: T, b: list[T]) -> T: ...

            async def defaults(self, a: int = "x", b: Order = {"id": 1}, c: str = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013, B006 - it is the claim

            async def lost(self, a: "Nowhere", b: "list[Nowhere]") -> "Nowhere": ...  # type: ignore[name-defined]  # noqa: F821 - it is the claim

            @property
            def prop(self) -> int: ...

            @staticmethod
            async def static(a: int) -> int: ...

            @classmethod
            async def cls_method(cls) -> int: ...

    error = refused(declare)
    assert error.subject.endswith("Faulty")
    found = {(f.task, f.path, f.code): f for f in error.faults}
    assert sorted(found) == [(f.task, f.path, f.code) for f in error.faults], "sorted, and none twice"
    assert sorted(found) == sorted(
        [
            ("Faulty.attribute", "", "not_a_method"),
            ("Faulty.blocking", "", "not_async"),
            ("Faulty.cls_method", "", "not_a_method"),
            ("Faulty.defaults", "a", "default"),
            ("Faulty.defaults", "b", "default"),
            ("Faulty.defaults", "c", "default"),
            ("Faulty.generic", "a", "type_variable"),
            ("Faulty.generic", "b", "type_variable"),
            ("Faulty.generic", "return", "type_variable"),
            ("Faulty.lost", "a", "unresolved_annotation"),
            ("Faulty.lost", "b", "unresolved_annotation"),
            ("Faulty.lost", "return", "unresolved_annotation"),
            ("Faulty.no_annotations", "a", "no_annotation"),
            ("Faulty.no_annotations", "b", "no_annotation"),
            ("Faulty.no_annotations", "return", "no_annotation"),
            ("Faulty.positional", "a", "positional_only"),
            ("Faulty.prop", "", "not_a_method"),
            ("Faulty.static", "", "not_a_method"),
            ("Faulty.stream", "", "not_async"),
            ("Faulty.stream", "return", "no_schema"),
            ("Faulty.unsendable", "a", "no_schema"),
            ("Faulty.unsendable", "b", "not_json"),
            ("Faulty.unsendable", "c", "no_schema"),
            ("Faulty.unsendable", "return", "no_schema"),
            ("Faulty.variadic", "args", "variadic"),
            ("Faulty.variadic", "kwargs", "variadic"),
        ]
    )

    def told(task: str, path: str, code: str) -> tuple[str, str, str]:
        fault = found[f"Faulty.{task}", path, code]
        return fault.expected, fault.got, fault.remedy

    assert told("attribute", "", "not_a_method") == (
        "async def methods only",
        "an attribute",
        "move it out of the contract",
    )
    assert told("blocking", "", "not_async") == ("async def", "def", "write async def")
    assert told("stream", "", "not_async") == ("async def", "an async generator", "write async def")
    assert told("prop", "", "not_a_method") == ("async def methods only", "a property", "move it out of the contract")
    assert told("static", "", "not_a_method")[1] == "a staticmethod"
    assert told("cls_method", "", "not_a_method")[1] == "a classmethod"
    assert told("no_annotations", "a", "no_annotation") == ("a type", "no annotation", "annotate the parameter")
    assert told("no_annotations", "return", "no_annotation") == (
        "a type",
        "no annotation",
        "annotate the result, with None where there is none",
    )
    assert told("variadic", "args", "variadic") == (
        "named parameters",
        "*args",
        "declare each parameter: its name is the wire",
    )
    assert told("variadic", "kwargs", "variadic")[1] == "**kwargs"
    assert told("positional", "a", "positional_only") == (
        "a parameter that can be given by name",
        "a positional-only one",
        "remove the '/'",
    )
    assert told("unsendable", "a", "no_schema") == (
        PAYLOAD,
        f"Thing: Unable to generate pydantic-core schema for {Thing!r}",
        "use a type that pydantic has a schema for",
    )
    assert told("unsendable", "b", "not_json") == (
        PAYLOAD,
        "Callable[[], int]: JSON cannot carry a function",
        f"use {PAYLOAD}",
    )
    assert told("unsendable", "c", "no_schema")[1].startswith("Iterator[int]: Unable to generate pydantic-core schema")
    assert told("generic", "a", "type_variable") == ("a concrete type", "the generic ~T", "use a concrete type")
    assert told("generic", "b", "type_variable")[1] == "the generic list[~T]"
    assert told("defaults", "a", "default") == ("int", "the default 'x' (str)", "correct it")
    assert told("defaults", "b", "default") == ("Order", "the default {'id': 1} (dict)", "correct it")
    assert told("defaults", "c", "default") == ("str", "the default None (NoneType)", "correct it")
    assert told("lost", "a", "unresolved_annotation") == (
        "an annotation that resolves at run time",
        "'Nowhere', in which 'Nowhere' is not defined",
        "import 'Nowhere' where the module is loaded, not only under TYPE_CHECKING",
    )


def test_every_fault_says_where() -> None:
    def declare() -> None:
        @contract("places", catalog=Catalog())
        class Places(Protocol):
            attribute: int

            def blocking(self) -> None: ...

            async def positional(self, a: int, /) -> None: ...

    start = declare.__code__.co_firstlineno
    error = refused(declare)
    lines = {fault.task: fault.where for fault in error.faults}
    assert lines["Places.blocking"] == (f"{__file__}:{start + 5}",)
    assert lines["Places.positional"] == (f"{__file__}:{start + 7}",)
    assert lines["Places.attribute"], "an attribute has a place too: its class's"


def test_a_plain_class_is_no_contract() -> None:
    def declare() -> None:
        @contract("plain", catalog=Catalog())
        class Plain:
            async def run(self) -> None: ...

    fault = only(refused(declare))
    assert (fault.task, fault.expected, fault.got) == ("Plain", "a typing.Protocol", "a plain class")
    assert fault.remedy == "write class Plain(Protocol)"
    assert fault.where[0].startswith(__file__)


def test_a_plain_class_with_other_faults_tells_all_of_them() -> None:
    def declare() -> None:
        @contract("plain", catalog=Catalog())
        class Plain:
            def run(self, *args: int) -> None: ...

    assert {fault.code for fault in refused(declare).faults} == {"not_a_protocol", "not_async", "variadic"}


def test_a_class_that_implements_a_contract_is_no_contract() -> None:
    @contract("orders", catalog=Catalog())
    class Orders(Protocol):
        async def place(self) -> None: ...

    class Worker(Orders):
        async def place(self) -> None: ...

    assert only(refused(lambda: contract("worker", catalog=Catalog())(Worker))).code == "not_a_protocol"


@pytest.mark.parametrize("domain", ["", "a b", "1a", "orders.", ".orders", "a..b", "ä", 5])
def test_a_domain_is_identifiers_joined_by_dots(domain: Any) -> None:
    def declare() -> None:
        @contract(domain, catalog=Catalog())
        class Named(Protocol):
            async def run(self) -> None: ...

    fault = only(refused(declare))
    assert fault.expected == "a domain of identifiers joined by dots"
    assert (fault.got, fault.remedy) == (repr(domain), "such as 'orders'")


@pytest.mark.parametrize("version", [0, -1, True, "2", 1.0])
def test_versions_count_from_1(version: Any) -> None:
    def declare() -> None:
        @contract("versions", version=version, catalog=Catalog())
        class Versions(Protocol):
            async def run(self) -> None: ...

    fault = only(refused(declare))
    assert (fault.expected, fault.got, fault.remedy) == ("a version from 1", repr(version), "count from 1")


def test_an_empty_contract_is_refused_with_a_remedy() -> None:
    def declare() -> None:
        @contract("empty", catalog=Catalog())
        class Empty(Protocol): ...

    fault = only(refused(declare))
    assert (fault.expected, fault.got) == ("async def methods", "none")
    assert fault.remedy


def test_a_base_that_is_no_contract_is_named() -> None:
    class Base(Protocol):
        async def place(self) -> None: ...

    def declare() -> None:
        @contract("derived", catalog=Catalog())
        class Derived(Base, Protocol):
            async def cancel(self) -> None: ...

    fault = only(refused(declare))
    assert (fault.task, fault.got) == ("Derived.place", "a method of Base, which is no contract")
    assert fault.remedy == "decorate Base with @contract"


def test_a_generic_protocol_is_refused() -> None:
    def declare() -> None:
        @contract("generic", catalog=Catalog())
        class Generic_(Protocol[T]):  # type: ignore[misc]
            async def take(self, x: T) -> None: ...

    assert only(refused(declare)).code == "type_variable"


def test_a_method_without_self_is_refused() -> None:
    def declare() -> None:
        @contract("selfless", catalog=Catalog())
        class Selfless(Protocol):
            async def take(order: Order) -> None: ...  # type: ignore[misc]

    assert only(refused(declare)).task == "Selfless.take"


def test_a_member_that_is_no_async_method_is_never_silent() -> None:
    import functools

    async def helper(a: int, self: Any = None) -> None: ...

    def declare() -> None:
        @contract("members", catalog=Catalog())
        class Members(Protocol):
            run = functools.partial(helper, 1)  # type: ignore[misc]

            async def other(self) -> None: ...

    assert only(refused(declare)).task == "Members.run"


class OneWay(BaseModel):
    id: int = Field(serialization_alias="written")


class Camel(BaseModel):
    model_config = ConfigDict(alias_generator=AliasGenerator(serialization_alias=to_camel))
    my_id: int


@dataclass
class OneWayDataclass:
    id: Annotated[int, Field(validation_alias="read")]


class OneWayDict(TypedDict):
    id: Annotated[int, Field(serialization_alias="written")]


class Nested(BaseModel):
    inner: list[OneWay]


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    id: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.id


class Excluding(BaseModel):
    id: int = Field(exclude=True)


@pytest.mark.parametrize(
    ("annotation", "model", "field", "got", "expected"),
    [
        (OneWay, "OneWay", "id", "written as written", "to read it as id"),
        (list[OneWay] | None, "OneWay", "id", "written as written", "to read it as id"),
        (dict[str, Nested], "OneWay", "id", "written as written", "to read it as id"),
        (Camel, "Camel", "my_id", "written as myId", "to read it as my_id"),
        (OneWayDataclass, "OneWayDataclass", "id", "written as id", "to read it as read"),
        (OneWayDict, "OneWayDict", "id", "written as written", "to read it as id"),
    ],
    ids=str,
)
def test_a_model_that_cannot_read_its_own_json_is_refused(
    annotation: Any, model: str, field: str, got: str, expected: str
) -> None:
    def declare() -> None:
        @contract("asymmetric", catalog=Catalog())
        class Asymmetric(Protocol):
            async def take(self, x: annotation) -> None: ...

            async def give(self) -> annotation: ...

    give, take = refused(declare).faults
    assert (give.task, give.path, take.task, take.path) == ("Asymmetric.give", "return", "Asymmetric.take", "x")
    assert give.code == take.code == "alias_asymmetry"
    assert f"{model} cannot read its own JSON: field {field!r} is {got}, the model expects {expected}" in take.got
    assert take.remedy == "give it one alias for both directions (alias=...)"


@pytest.mark.parametrize("annotation", [Forbidding, Excluding])
def test_a_field_that_is_only_written_or_only_read_is_refused(annotation: Any) -> None:
    def declare() -> None:
        @contract("asymmetric", catalog=Catalog())
        class Asymmetric(Protocol):
            async def take(self, x: annotation) -> None: ...

    fault = only(refused(declare))
    assert "cannot read its own JSON" in fault.got
    assert "alias" not in fault.remedy, "an alias is no remedy here"


def test_every_asymmetric_field_is_told() -> None:
    class Two(BaseModel):
        a: int = Field(serialization_alias="x")
        b: int = Field(serialization_alias="y")

    def declare() -> None:
        @contract("two", catalog=Catalog())
        class TwoFields(Protocol):
            async def take(self, x: Two) -> None: ...

    text = str(refused(declare))
    assert "'a'" in text
    assert "'b'" in text


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (int, "1"),
        (int, True),
        (int, 1.5),
        (str, None),
        (list[int], ()),
        (Order, {"id": 1}),
        (Annotated[int, Field(gt=0)], 0),
        (bool, 1),
        (timedelta, 5),
        (int, Field(5)),
    ],
    ids=str,
)
def test_a_default_that_is_not_valid_for_its_type_is_refused(annotation: Any, default: Any) -> None:
    def declare() -> None:
        @contract("defaults", catalog=Catalog())
        class Defaults(Protocol):
            async def take(self, x: annotation = default) -> None: ...

    fault = only(refused(declare))
    assert (fault.task, fault.path, fault.code, fault.remedy) == ("Defaults.take", "x", "default", "correct it")


@pytest.mark.parametrize(
    ("annotation", "default"),
    [
        (int, 1),
        (float, 1),
        (str | None, None),
        (list[int], [1]),
        (Order, Order(id=1)),
        (timedelta, timedelta(5)),
        (Any, 1),
    ],
    ids=str,
)
def test_a_default_of_its_type_is_kept(annotation: Any, default: Any) -> None:
    @contract("defaults", catalog=Catalog())
    class Defaults(Protocol):
        async def take(self, x: annotation = default) -> None: ...

    (parameter,) = task_of(Defaults.take).parameters
    assert parameter.default == default
    assert not parameter.required


def test_class_vars_and_self_types_are_faults_not_crashes() -> None:
    def declare() -> None:
        @contract("odd", catalog=Catalog())
        class Odd(Protocol):
            async def take(self, x: ClassVar[int]) -> None: ...  # type: ignore[misc]

            async def other(self, x: "Self") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    assert {fault.task for fault in refused(declare).faults} == {"Odd.take", "Odd.other"}


# --- names are unique


def test_one_name_twice_in_a_class_names_both_places() -> None:
    def declare() -> None:
        @contract("twice", catalog=Catalog())
        class Twice(Protocol):
            @task_options(name="twice.same")
            async def a(self) -> None: ...

            @task_options(name="twice.same")
            async def b(self) -> None: ...

    start = declare.__code__.co_firstlineno
    fault = only(refused(declare))
    assert (fault.task, fault.got) == ("Twice.b", "'twice.same', the name of Twice.a")
    assert fault.remedy == "change name= of one of them"
    assert fault.where == (f"{__file__}:{start + 3}", f"{__file__}:{start + 6}")


def test_one_name_in_two_contracts_names_both_places_and_registers_nothing() -> None:
    catalog = Catalog()

    @contract("twice", catalog=catalog)
    class First(Protocol):
        async def a(self) -> None: ...

        async def b(self) -> None: ...

    def declare() -> None:
        @contract("twice", catalog=catalog)
        class Second(Protocol):
            async def a(self) -> None: ...

            async def b(self) -> None: ...

            async def c(self) -> None: ...

    error = refused(declare)
    start = declare.__code__.co_firstlineno
    assert [fault.task for fault in error.faults] == ["twice.a", "twice.b"]
    assert error.faults[0].where == (task_of(First.a).where, f"{__file__}:{start + 3}")
    assert (error.faults[0].expected, error.faults[0].got) == ("one declaration", "two")
    assert error.faults[0].remedy == "rename one of them, or give its contract another domain or version"
    assert set(catalog.tasks) == {"twice.a", "twice.b"}
    assert catalog.get("twice.a") is task_of(First.a)


def test_a_version_and_a_domain_may_not_make_one_name() -> None:
    catalog = Catalog()

    @contract("orders", version=2, catalog=catalog)
    class One(Protocol):
        async def a(self) -> None: ...

    def declare() -> None:
        @contract("orders.v2", catalog=catalog)
        class Other(Protocol):
            async def a(self) -> None: ...

    assert only(refused(declare)).task == "orders.v2.a"


def test_a_reloaded_module_replaces_its_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from typing import Protocol\n"
        "from pico_celery import contract\n"
        "{blank}"
        "@contract('unit_reloaded')\n"
        "class Reloaded(Protocol):\n"
        "    async def first(self) -> None: ...\n"
        "    async def {second}(self) -> None: ...\n"
    )
    path = tmp_path / "unit_reloaded_contracts.py"
    path.write_text(source.format(blank="", second="second"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.import_module("unit_reloaded_contracts")
    try:
        importlib.reload(module)
        assert default_catalog.get("unit_reloaded.first") is task_of(module.Reloaded.first)
        path.write_text(source.format(blank="# a comment\n\n\n", second="third"))
        importlib.reload(module)
        assert [t.name for t in default_catalog if t.name.startswith("unit_reloaded.")] == [
            "unit_reloaded.first",
            "unit_reloaded.third",
        ]
    finally:
        del sys.modules["unit_reloaded_contracts"]


def test_a_contract_local_to_a_function_may_be_declared_again() -> None:
    catalog = Catalog()

    def declare() -> Any:
        @contract("local", catalog=catalog)
        class Local(Protocol):
            async def run(self) -> None: ...

        return Local

    declare()
    again = declare()
    assert catalog.get("local.run") is task_of(again.run)


# --- nearest names


def test_unknown_names_come_with_the_nearest_of_their_domain() -> None:
    catalog = Catalog()

    @contract("orders", catalog=catalog)
    class Orders(Protocol):
        async def place(self) -> None: ...

        async def cancel(self) -> None: ...

    fault = catalog.unknown("orders.plce", ("file:1",))
    assert fault.expected == "a task of the contract 'orders'"
    assert fault.remedy.startswith("did you mean 'orders.place'")
    assert fault.where == ("file:1", contract_of(Orders).where)
    assert catalog.unknown("ordres.place").remedy.startswith("did you mean 'orders.place'")
    assert catalog.unknown("billing.place").remedy == "did you mean 'orders.place'?"
    assert catalog.unknown("orders.zzz").remedy == "there are 'orders.cancel', 'orders.place'"
    assert Catalog().unknown("x.y").remedy == "there is none"
    assert did_you_mean("x", []) == "there is none"
