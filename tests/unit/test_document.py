"""Contracts as data: what is told, in which form, and how it is read back."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Protocol

import pytest
from jsonschema import Draft202012Validator
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, SecretStr, model_validator

import shop_contracts
from pico_celery import Catalog, RetryPolicy, TaskError, contract, default_catalog, task_options
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import from_text, read, to_data, to_text
from pico_celery.document.records import LOCK_VERSION, Document
from pico_celery.errors import LockFileError


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def even(number: int) -> int:
    if number % 2:
        raise ValueError("odd")
    return number


class Part(BaseModel):
    """A part, which may have parts."""

    model_config = ConfigDict(strict=True)
    name: str = Field(min_length=1, description="as on the drawing")
    parts: list[Part] = []
    weight: Annotated[int, AfterValidator(even)] = 2


class Machine(BaseModel):
    built: AwareDatetime
    price: Decimal = Field(max_digits=8, decimal_places=2)
    root: Part
    colour: Colour = Colour.RED

    @model_validator(mode="after")
    def check(self) -> Machine:
        return self


class Broken(TaskError, retryable=True):
    """It does not run."""

    part: str


def declared(*, backwards: bool = False) -> Document:
    catalog = Catalog()

    def machines() -> None:
        @contract("machines", catalog=catalog)
        class Machines(Protocol):
            """All about machines."""

            @task_options(
                queue="m", time_limit=timedelta(seconds=5), errors=[Broken], retries=RetryPolicy(max_attempts=2)
            )
            async def build(self, machine: Machine, *, secret: SecretStr = SecretStr("pst")) -> Machine:  # noqa: B008
                """Build one."""
                ...

            async def stop(self, names: set[str] = {"b", "a"}) -> None: ...  # noqa: B006

        class _Unused(Machines, Protocol): ...

        contract("special", catalog=catalog)(_Unused)

    def others() -> None:
        @contract("machines", version=2, catalog=catalog)
        class MachinesV2(Protocol):
            async def build(self, machine: Machine) -> int: ...

    for declare in [others, machines] if backwards else [machines, others]:
        declare()
    return document_of(catalog.contracts)


@pytest.fixture(scope="module")
def document() -> Document:
    return declared()


def test_the_order_of_declaration_does_not_matter(document: Document) -> None:
    assert to_text(declared(backwards=True)) == to_text(document)


def test_a_document_survives_its_text(document: Document) -> None:
    text = to_text(document)
    assert from_text(text, "here") == document
    assert to_text(from_text(text, "here")) == text
    assert json.loads(text) == to_data(document)


def test_every_task_is_told_once_by_the_contract_that_declares_it(document: Document) -> None:
    assert list(document.tasks) == ["machines.build", "machines.stop", "machines.v2.build"]
    assert document.contract_of("machines.stop").key == "machines"
    assert document.contract_of("machines.v2.build").key == "machines.v2"
    assert document.contracts["special"].tasks == {}
    alone = document_of([one for one in default_catalog.contracts if one.cls is shop_contracts.Reminders])
    assert set(alone.tasks) == {"notifications.send_email", "reminders.remind"}


def test_a_task_is_told_whole(document: Document) -> None:
    build = document.tasks["machines.build"]
    machine, secret = build.parameters
    assert (machine.name, machine.type, machine.required, machine.keyword_only) == ("machine", "Machine", True, False)
    assert (secret.required, secret.keyword_only, secret.default) == (False, True, "(not shown)")
    assert machine.accepts == {"$ref": "#/schemas/Machine-Input"}
    assert machine.sent == build.result.sends == {"$ref": "#/schemas/Machine-Output"}
    assert build.doc == "Build one."
    assert [(error.code, error.retryable, error.doc) for error in build.errors] == [
        ("machines.broken", True, "It does not run.")
    ]
    assert build.error("machines.broken") is build.errors[0]
    assert build.error("machines.other") is None
    assert build.parameter("other") is None
    assert build.options["time_limit"] == 5.0
    assert build.options["retries"]["max_attempts"] == 2
    stop = document.tasks["machines.stop"].parameters[0]
    assert (stop.default, stop.accepts["uniqueItems"]) == (["a", "b"], True)
    assert "pst" not in to_text(document)


def test_what_json_schema_has_no_words_for_is_told(document: Document) -> None:
    machine, part = document.schemas["Machine-Input"], document.schemas["Part-Input"]
    assert machine["properties"]["built"]["x-pydantic"] == {"tz_constraint": "aware"}
    assert machine["properties"]["price"]["x-pydantic"] == {"decimal_places": 2, "max_digits": 8}
    assert machine["x-pydantic"] == {"functions": ["after:tests.unit.test_document.Machine.check"]} or machine[
        "x-pydantic"
    ]["functions"][0].endswith("Machine.check")
    assert part["x-strict"] is True
    assert part["properties"]["weight"]["x-pydantic"]["functions"][0].startswith("after:")
    assert part["properties"]["parts"]["items"] == {"$ref": "#/schemas/Part-Input"}


def test_schemas_stand_alone_and_are_json_schema(document: Document) -> None:
    schema = document.standalone(document.tasks["machines.build"].arguments)
    Draft202012Validator.check_schema(schema)
    assert set(schema["$defs"]) == {"Colour", "Machine-Input", "Part-Input"}
    call = {
        "machine": {"built": "2026-01-01T00:00:00Z", "price": "1.20", "root": {"name": "a", "parts": [{"name": "b"}]}}
    }
    assert Draft202012Validator(schema).is_valid(call)
    call["machine"]["root"]["parts"][0]["name"] = ""  # type: ignore[index]  # the mapping above
    assert not Draft202012Validator(schema).is_valid(call)


def test_a_part_of_a_document_has_the_models_that_it_needs(document: Document) -> None:
    part = document.only({"machines.stop"})
    assert (list(part.tasks), dict(part.schemas)) == (["machines.stop"], {})
    whole = document.only({"machines.v2.build"})
    assert list(whole.contracts) == ["machines.v2"]
    assert set(whole.schemas) == {"Machine-Input", "Machine-Output", "Part-Input", "Part-Output", "Colour"}
    assert from_text(to_text(whole), "here") == whole


def test_fields_may_be_called_as_keywords_of_json_schema_are() -> None:
    catalog = Catalog()

    class Heading(BaseModel):
        text: str

    class Page(BaseModel):
        title: Heading
        default: list[Heading] = []

    @contract("pages", catalog=catalog)
    class Pages(Protocol):
        async def write(self, page: Page) -> None: ...

    document = document_of(catalog.contracts)
    schema = document.standalone(document.tasks["pages.write"].arguments)
    assert set(schema["$defs"]) == {"Page-Input", "Heading"}
    assert Draft202012Validator(schema).is_valid({"page": {"title": {"text": "a"}, "default": [{"text": "b"}]}})
    assert not Draft202012Validator(schema).is_valid({"page": {"title": {"text": 1}}})
    assert "Heading" in document.only({"pages.write"}).schemas


def test_which_arguments_must_stay_out_of_logs_is_told(document: Document) -> None:
    machine, secret = document.tasks["machines.build"].parameters
    assert (machine.sensitive, secret.sensitive) == (False, True)


def test_models_of_one_name_are_told_apart() -> None:
    catalog = Catalog()
    one, other = ModuleType("one"), ModuleType("other")
    for module, annotation in ((one, int), (other, str)):
        module.Thing = type(  # type: ignore[attr-defined]  # a module made for the test
            "Thing", (BaseModel,), {"__annotations__": {"value": annotation}, "__module__": module.__name__}
        )

    @contract("things", catalog=catalog)
    class Things(Protocol):
        async def swap(self, thing: one.Thing) -> other.Thing: ...  # type: ignore[name-defined]

    document = document_of(catalog.contracts)
    task = document.tasks["things.swap"]
    assert document.resolve(task.parameters[0].accepts)["properties"]["value"] == {"type": "integer"}
    assert document.resolve(task.result.sends)["properties"]["value"] == {"type": "string"}


def test_falsy_defaults_and_empty_schemas_are_kept() -> None:
    catalog = Catalog()

    @contract("odd", catalog=catalog)
    class Odd(Protocol):
        async def call(
            self, anything: Any, number: int = 0, text: str = "", flag: bool = False, no: int | None = None
        ) -> Any: ...

    document = document_of(catalog.contracts)
    again = from_text(to_text(document), "here")
    assert again == document
    assert [parameter.default for parameter in again.tasks["odd.call"].parameters] == [None, 0, "", False, None]
    assert again.tasks["odd.call"].parameters[0].accepts == again.tasks["odd.call"].result.sends == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "expected JSON"),
        ("[]", "expected the version of a lock file, got list"),
        ("{}", "is it the right file?"),
        (json.dumps({"lock_version": LOCK_VERSION + 1}), "upgrade pico-celery"),
        (json.dumps({"lock_version": LOCK_VERSION, "contracts": {"a": {}}}), "contracts.a.name"),
    ],
)
def test_what_is_no_lock_file_is_refused(text: str, words: str) -> None:
    with pytest.raises(LockFileError, match=r"x\.json") as caught:
        from_text(text, "x.json")
    assert words in str(caught.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LockFileError, match="No such file"):
        read(tmp_path / "none.json")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(LockFileError, match="write it with"):
        read(tmp_path / "binary")


def test_what_a_newer_reader_wrote_into_a_record_is_skipped(document: Document) -> None:
    data = to_data(document)
    data["contracts"]["machines"]["tasks"]["machines.stop"]["colour"] = "red"
    assert from_text(json.dumps(data), "here") == document


def test_two_classes_of_one_domain_are_one_record() -> None:
    catalog = Catalog()

    @contract("shared", catalog=catalog)
    class Second(Protocol):
        """The second part."""

        async def b(self) -> int: ...

    @contract("shared", catalog=catalog)
    class First(Protocol):
        """The first part."""

        async def a(self) -> int: ...

    record = document_of(catalog.contracts).contracts["shared"]
    assert list(record.tasks) == ["shared.a", "shared.b"]
    assert record.doc == "The first part.\n\nThe second part."
    assert document_of(reversed(catalog.contracts)).contracts["shared"] == record
