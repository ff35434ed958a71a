"""The site about contracts: what it shows, that it is safe, always the same, and keeps to its own directory."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from celery import Celery
from click.testing import CliRunner, Result
from tests.support.nasty_contracts import SCRIPT, catalog

import shop_contracts
from pico_celery import default_catalog
from pico_celery.contract.definition import ContractDefinition
from pico_celery.contract.naming import prefix_of
from pico_celery.document.build import document_of
from pico_celery.document.records import Document
from pico_celery_tooling.cli.main import pico_celery
from pico_celery_tooling.describe.docstrings import read_docstring
from pico_celery_tooling.evolution.rules import Finding, Level
from pico_celery_tooling.schema.words import duration
from pico_celery_tooling.site.build import MARKER, ForeignDirectoryError, build_site, example_of, write_site
from pico_celery_tooling.site.changes import Changes, changes_since
from pico_celery_tooling.site.markup import inline, prose
from pico_celery_tooling.site.snippets import WIDTH, plain_call, typed_call

SHOP_CONTRACTS = [
    one for one in default_catalog.contracts if one.cls.__module__.partition(".")[0] == shop_contracts.__name__
]
SHOP = document_of(SHOP_CONTRACTS)
NASTY_CONTRACTS = list(catalog.contracts)
NASTY = document_of(NASTY_CONTRACTS)
VOID = {"br", "hr", "img", "input", "link", "meta"}


@pytest.fixture(scope="module")
def shop() -> Mapping[str, str]:
    return build_site(SHOP, title="Shop", contracts=SHOP_CONTRACTS)


@pytest.fixture(scope="module")
def nasty() -> Mapping[str, str]:
    return build_site(NASTY, title=f"Nasty {SCRIPT}", contracts=NASTY_CONTRACTS)


@dataclass
class Read:
    """What stands in a page."""

    text: str
    elements: list[tuple[str, dict[str, str | None]]]

    def of(self, name: str, **attributes: str) -> list[dict[str, str | None]]:
        wanted = attributes.items()
        return [told for found, told in self.elements if found == name and wanted <= told.items()]


class Reader(HTMLParser):
    """Reads a page, and refuses one whose elements are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.read = Read("", [])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.read.elements.append((tag, dict(attrs)))
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice in {tag}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.read.text += data


def read(page: str) -> Read:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader.read


def pages(site: Mapping[str, str]) -> Iterator[tuple[str, Read]]:
    return ((path, read(text)) for path, text in site.items() if path.endswith(".html"))


# What it shows


def test_a_task_page_tells_all_that_the_contract_says(shop: Mapping[str, str]) -> None:
    text = " ".join(read(shop["tasks/orders.place.html"]).text.split())

    for told in (
        "Charge the customer and book the order",
        "async def place( order: Order, *, dry_run: bool = False, ) -> Receipt",
        "Whether to compute only the receipt.",
        "ISO 3166 code, such as DE",
        "matching ^[A-Z]{2}$",
        "greater than 0",
        "at least 1 item",
        "orders.payment_declined",
        "If the payment does not cover the order.",
        "the amount still to be paid",
        "Time limit30 s",
        "Deadline1 min",
        "Keyorder_key",
        SHOP.tasks["orders.place"].digest,
        '"additionalProperties": false',
    ):
        assert told in text, told


def test_every_task_contract_and_model_has_a_page_that_the_start_leads_to(shop: Mapping[str, str]) -> None:
    seen, waiting = set[str](), ["index.html"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        for link in read(shop[path]).of("a"):
            target = (link["href"] or "").partition("#")[0]
            if target:
                waiting.append(os.path.normpath(PurePosixPath(path).parent / target))
    assert seen == {path for path in shop if path.endswith(".html")}
    assert len(seen) == 2 + len(SHOP.tasks) + len(SHOP.contracts) + len(SHOP.schemas)


@pytest.mark.parametrize("site", ["shop", "nasty"])
def test_every_link_and_anchor_leads_somewhere(request: pytest.FixtureRequest, site: str) -> None:
    files: Mapping[str, str] = request.getfixturevalue(site)
    anchors = {path: {told.get("id") for _, told in page.elements} for path, page in pages(files)}
    for path, page in pages(files):
        targets = [(told.get("href") or told.get("src") or "") for _, told in page.elements]
        for target in targets:
            if not target or target.startswith("data:"):
                continue
            assert "://" not in target, f"{path}: {target}"
            file, _, anchor = target.partition("#")
            wanted = os.path.normpath(PurePosixPath(path).parent / file) if file else path
            assert wanted in files, f"{path}: {target}"
            assert not anchor or anchor in anchors[wanted], f"{path}: {target}"


@pytest.mark.parametrize("site", ["shop", "nasty"])
def test_every_page_has_landmarks_one_heading_and_ids_that_are_its_own(
    request: pytest.FixtureRequest, site: str
) -> None:
    for path, page in pages(request.getfixturevalue(site)):
        ids = [told["id"] for _, told in page.elements if "id" in told]
        assert len(ids) == len(set(ids)), path
        assert [len(page.of(name)) for name in ("main", "header", "h1", "title")] == [1, 1, 1, 1], path
        assert page.of("html", lang="en")
        assert all(told.get("aria-label") for told in page.of("nav")), path
        assert all(told.get("aria-label") for told in page.of("pre", tabindex="0")), path
        assert all(told["aria-labelledby"] in ids for told in page.of("section") if "aria-labelledby" in told), path


def test_what_is_on_its_way_out_and_what_is_new_is_marked() -> None:
    old = SHOP.tasks["orders.cancel"]
    changed = old.model_copy(
        update={"deprecated": "use `orders.v2.cancel`", "aliases": ("orders.stop",), "since": "1.1"}
    )
    document = with_task(SHOP, changed)
    files = build_site(document, title="Shop")
    page, start = read(files["tasks/orders.cancel.html"]).text, read(files["index.html"]).text

    assert "Deprecated: use orders.v2.cancel" in page
    assert "since 1.1" in page
    assert "Also takenorders.stop" in page
    assert "deprecated" in start
    entry = next(one for one in entries(files) if one["name"] == "orders.cancel")
    assert "orders.stop" in entry["words"]
    assert entry["gone"] is True


def with_task(document: Document, *tasks: Any, without: str = "") -> Document:
    contract = document.contracts["orders"]
    known = {name: task for name, task in contract.tasks.items() if name != without}
    known.update({task.name: task for task in tasks})
    contracts = {**document.contracts, "orders": contract.model_copy(update={"tasks": known})}
    return Document(contracts=contracts, schemas=document.schemas)


def entries(files: Mapping[str, str]) -> list[dict[str, Any]]:
    text = files["assets/search-data.js"]
    assert text.startswith("window.contractEntries = ")
    found: list[dict[str, Any]] = json.loads(text.removeprefix("window.contractEntries = ").removesuffix(";\n"))
    return found


def test_everything_can_be_searched_for(shop: Mapping[str, str]) -> None:
    found = entries(shop)

    assert {one["name"] for one in found if one["kind"] == "task"} == set(SHOP.tasks)
    assert {one["path"].partition("#")[0] for one in found} <= shop.keys()
    assert {one["kind"] for one in found} == {"task", "contract", "error", "model"}
    assert any("PaymentDeclined" in one["words"] for one in found)


def test_it_shows_what_changed_since() -> None:
    cancel, status = SHOP.tasks["orders.cancel"], SHOP.tasks["orders.status"]
    told = status.model_copy(update={"doc": "Told in other words."})
    longer = cancel.parameters[0].model_copy(update={"name": "order_number"})
    renamed = cancel.model_copy(update={"parameters": (longer,), "digest": "0" * 16})
    new = with_task(SHOP, renamed, told, without="orders.place")
    changes = changes_since(with_task(SHOP), new, "contracts.lock.json")
    files = build_site(new, title="Shop", changes=changes)
    whole = read(files["changes.html"]).text

    assert (changes.tasks, list(changes.removed)) == (
        {"orders.cancel": "changed", "orders.status": "reworded"},
        ["orders.place"],
    )
    assert "order_id" in read(files["tasks/orders.cancel.html"]).text
    assert "Only its documentation changed" in read(files["tasks/orders.status.html"]).text
    assert "None since contracts.lock.json" in read(files["tasks/notifications.send_email.html"]).text
    assert "orders.placeremoved" in whole
    assert "orders.cancelchanged" in whole
    finding = changes.findings["orders.cancel"][0]
    assert re.sub(r"[`*]", "", finding.message)[:20] in whole
    assert "1 task changed, 1 task reworded, 1 task removed" in read(files["index.html"]).text
    assert not changes_since(SHOP, SHOP, "x")


def test_what_a_finding_says_is_shown_as_it_is() -> None:
    text = "lines[*].a was `x` & lines[*].b <was> **y**"
    finding = Finding(
        rule="r",
        level=Level.BREAK,
        categories=frozenset(),
        task="orders.cancel",
        message=text,
        remedy=text,
        payload=None,
    )
    changes = Changes(since="x", tasks={"orders.cancel": "changed"}, findings={"orders.cancel": [finding]})
    files = build_site(SHOP, title="Shop", changes=changes)

    for path in ("changes.html", "tasks/orders.cancel.html"):
        assert read(files[path]).text.count(text) == 2
        assert "null" in read(files[path]).text


# Text is text


@pytest.mark.parametrize("with_contracts", [True, False])
def test_no_text_becomes_an_element(with_contracts: bool) -> None:
    files = build_site(NASTY, title=SCRIPT, contracts=NASTY_CONTRACTS if with_contracts else ())
    for path, page in pages(files):
        assert len(page.of("script")) == 3, path
        assert all((told["src"] or "").startswith(("assets/", "../assets/")) for told in page.of("script"))
        assert page.of("b") == [], path
        assert not [name for _, told in page.elements for name in told if name.startswith("on")], path
    grown = read(files["tasks/trees.of-life.grow.html"]).text
    assert "<script>alert(1)</script>" in grown
    assert SCRIPT in grown
    assert [one["text"] for one in entries(files) if one["name"] == "trees.of-life.grow"] == [
        "Grow a tree <script>alert(1)</script>."
    ]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a <b> & `c<d>`", "<p>a &lt;b&gt; &amp; <code>c&lt;d&gt;</code></p>"),
        ("one\ntwo\n\nthree", "<p>one\ntwo</p><p>three</p>"),
        ("``a b`` and :class:`~x.Y`", "<p><code>a b</code> and <code>x.Y</code></p>"),
        ("**bold** *soft* 2 * 3 * 4", "<p><strong>bold</strong> <em>soft</em> 2 * 3 * 4</p>"),
        ("So::\n\n    x < 1\n\n    y\n\nafter", "<p>So:</p><pre><code>x &lt; 1\n\ny</code></pre><p>after</p>"),
        ("```python\na<b\n```", '<pre><code class="language-python">a&lt;b</code></pre>'),
        ("```\n:class:`x`::\n\n  y\n```", "<pre><code>:class:`x`::\n\n  y</code></pre>"),
        ("So::\n\n    ```\n    x\n", "<p>So:</p><pre><code>```\nx</code></pre>"),
        ("Note:\n    One.\n\n    Two.", "<p>Note:\nOne.</p><p>Two.</p>"),
        ("of __init__ and _private_", "<p>of __init__ and _private_</p>"),
        (">>> 1 < 2\nTrue", "<pre><code>&gt;&gt;&gt; 1 &lt; 2\nTrue</code></pre>"),
        ("- one\n  more\n- `two`", "<ul><li>one\nmore</li><li><code>two</code></li></ul>"),
        ("1. one\n2. two", "<ol><li>one</li><li>two</li></ol>"),
        (
            "see https://example.org/a?b=1&c=2.",
            '<p>see <a href="https://example.org/a?b=1&amp;c=2" rel="noreferrer">https://example.org/a?b=1&amp;c=2</a>.</p>',
        ),
        ("mailto:a@b.example [x](y.html) www.example.org", "<p>mailto:a@b.example [x](y.html) www.example.org</p>"),
        ("javascript:alert(1) [x](javascript:alert(1))", "<p>javascript:alert(1) [x](javascript:alert(1))</p>"),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        ("an `unclosed <name", "<p>an `unclosed &lt;name</p>"),
        ("", ""),
    ],
)
def test_a_docstring_is_simple_html(text: str, html: str) -> None:
    assert re.sub(r"\n +", "\n", re.sub(r"\n(?=<|$)", "", prose(text))) == re.sub(r"\n +", "\n", html)


def test_one_paragraph_is_html_without_an_element_of_its_own() -> None:
    assert inline("a `b` <c>") == "a <code>b</code> &lt;c&gt;"


def test_a_docstring_is_read_in_its_sections() -> None:
    doc = read_docstring(
        """Do it.

        More.

        Args:
            one: First,
                over two lines.
            *two (int): Second.

        Returns:
            What: it is.

        Raises:
            x.Late: If late.

        Note:
            Kept.
        """
    )

    assert doc.text == "Do it.\n\nMore.\n\nNote:\n    Kept."
    assert doc.summary == "Do it."
    assert doc.arguments == {"one": "First, over two lines.", "two": "Second."}
    assert (doc.returns, doc.raises) == ("What: it is.", {"x.Late": "If late."})
    assert read_docstring("").text == ""
    assert read_docstring("Args:\nnot indented").text == "Args:\nnot indented"


@pytest.mark.parametrize(
    ("value", "text"), [(0.5, "0.5 s"), (30, "30 s"), (90, "1 min 30 s"), (3600, "1 h"), (90000, "1 d 1 h")]
)
def test_durations_are_told_for_people(value: float, text: str) -> None:
    assert duration(value) == text


# The code that it shows


def snippets() -> list[Any]:
    return [
        pytest.param(contract, name, id=f"{contract.cls.__name__}-{name}")
        for document, contracts in ((SHOP, SHOP_CONTRACTS), (NASTY, NASTY_CONTRACTS))
        for contract in contracts
        for name in document.contracts[prefix_of(contract.name, contract.version)].tasks
    ]


class Served:
    """An application that runs tasks where they are called, and keeps what they got."""

    def __init__(self, name: str, result: Any) -> None:
        self.got: list[dict[str, Any]] = []
        self.app = Celery("snippets", broker="memory://", backend="cache+memory://", set_as_current=False)
        self.app.conf.task_always_eager = True
        self.app.conf.task_serializer = "json"

        def run(**arguments: Any) -> Any:
            self.got.append(json.loads(json.dumps(arguments)))
            return result

        self.app.task(name=name, shared=False)(run)


@pytest.mark.parametrize("from_package", [True, False])
@pytest.mark.parametrize(("contract", "name"), snippets())
def test_the_code_that_calls_a_task_calls_it(
    contract: ContractDefinition, name: str, from_package: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    document = SHOP if name in SHOP.tasks else NASTY
    record, task = document.tasks[name], contract.tasks[document.tasks[name].method]
    arguments, result = examples_of(document, name)
    source = typed_call(record, document.contract_of(name), arguments, contract if from_package else None)
    names: dict[str, Any] = {} if from_package else {contract.cls.__name__: contract.cls}
    exec(compile(source, "snippet.py", "exec"), names)
    served = Served(name, result)
    client = names[f"{contract.cls.__name__}Client"](served.app)
    names["call"](client)

    assert [task.arguments.decode(got) for got in served.got] == [task.arguments.decode(arguments)]
    printed = capsys.readouterr().out
    assert printed == ("" if record.options.get("ignore_result") else f"{task.result.decode(result)}\n")
    assert max(map(len, source.splitlines())) <= max(WIDTH, len(f"class {contract.cls.__name__}Client(CeleryClient):"))
    if from_package:
        assert "#" not in source.replace("  # or: await result", "").replace('"#', "")


@pytest.mark.slow
def test_a_type_checker_finds_nothing_wrong_with_the_code(tmp_path: Path) -> None:
    from mypy import api

    root = Path(__file__).parents[2]
    for number, case in enumerate(snippets()):
        contract, name = case.values
        document = SHOP if name in SHOP.tasks else NASTY
        arguments = examples_of(document, name)[0]
        source = typed_call(document.tasks[name], document.contract_of(name), arguments, contract)
        (tmp_path / f"snippet_{number}.py").write_text(source, encoding="utf-8")
    options = ["--config-file", str(root / "mypy.ini"), "--cache-dir", str(root / ".mypy_cache" / "docs")]
    output, _, status = api.run([*options, *map(str, tmp_path.glob("*.py"))])

    assert status == 0, output


@pytest.mark.parametrize(("contract", "name"), snippets())
def test_the_code_without_the_contract_calls_it_too(contract: ContractDefinition, name: str) -> None:
    document = SHOP if name in SHOP.tasks else NASTY
    arguments, result = examples_of(document, name)
    source = plain_call(document.tasks[name], arguments)
    sent: list[Any] = []

    class Application:
        def send_task(self, *args: Any, **options: Any) -> Any:
            sent.append((args, options))
            return self

        def get(self, timeout: float) -> Any:
            return result

    exec(compile(source, "snippet.py", "exec"), {"app": Application()})

    ((called,), options) = sent[0]
    assert (called, options.pop("kwargs")) == (name, arguments)
    known = document.tasks[name].options
    assert options == {key: known[key] for key in ("queue", "exchange", "routing_key", "priority") if key in known}
    del contract


def examples_of(document: Document, name: str) -> tuple[dict[str, Any], Any]:
    example = example_of(document, document.tasks[name])
    return dict(example.arguments), example.result


# Files


def test_the_same_contracts_give_the_same_bytes(nasty: Mapping[str, str]) -> None:
    program = (
        "import sys, json; sys.path[:0] = ['.'];"
        "from tests.support.nasty_contracts import SCRIPT, catalog;"
        "from pico_celery.document.build import document_of;"
        "from pico_celery_tooling.site.build import build_site;"
        "contracts = list(catalog.contracts);"
        "print(json.dumps(build_site(document_of(contracts), title=f'Nasty {SCRIPT}', contracts=contracts)))"
    )
    again = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "1"},
    )
    assert json.loads(again.stdout) == nasty


def test_a_site_is_written_again_in_place_and_what_it_has_no_more_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "site"
    first = write_site(folder, {"index.html": "a", "tasks/b.html": "b", "tasks/c.html": "c"})
    (folder / "tasks" / "mine.txt").write_text("mine")
    second = write_site(folder, {"index.html": "a", "tasks/b.html": "B"})
    third = write_site(folder, {"index.html": "a"})

    assert [(one.changed, one.removed) for one in (first, second, third)] == [(3, 0), (1, 1), (0, 1)]
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert left == {"index.html", "tasks/mine.txt", MARKER}


def test_a_directory_that_is_not_a_sites_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ForeignDirectoryError):
        write_site(tmp_path, {"index.html": "a"})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with pytest.raises(ForeignDirectoryError):
        write_site(tmp_path / "mine.txt", {"index.html": "a"})


@pytest.mark.parametrize("listed", ["../outside.txt", "/etc/passwd", "..\\outside.txt", 7])
def test_a_forged_marker_removes_nothing_outside(tmp_path: Path, listed: Any) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    folder = tmp_path / "site"
    write_site(folder, {"index.html": "a"})
    (folder / MARKER).write_text(json.dumps({"files": [listed, "index.html"]}))
    write_site(folder, {"b.html": "b"})

    assert outside.read_text() == "mine"
    assert not (folder / "index.html").exists()


# The command


def command(*arguments: str) -> Result:
    return CliRunner().invoke(pico_celery, ["docs", *arguments], prog_name="pico-celery")


def test_the_command_writes_a_site_from_a_package_or_a_lock_file(tmp_path: Path) -> None:
    lock, one, other = tmp_path / "contracts.lock.json", tmp_path / "one", tmp_path / "other"
    CliRunner().invoke(pico_celery, ["lock", "shop_contracts", "-o", str(lock)])
    first = command("shop_contracts", "-o", str(one), "--against", str(lock), "--title", "Shop")
    second = command(str(lock), "-o", str(other), "--json")

    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert f"wrote {one / 'index.html'}: 6 tasks" in first.output
    assert json.loads(second.output)["start"] == str(other / "index.html")
    start = read((one / "index.html").read_text(encoding="utf-8"))
    assert "nothing changed" in start.text
    call = read((one / "tasks" / "orders.place.html").read_text(encoding="utf-8")).text
    assert "from shop_contracts import Address, Card, Line, Order, Orders" in call
    locked = read((other / "tasks" / "orders.place.html").read_text(encoding="utf-8")).text
    assert "# Orders: import it from your contracts" in locked
    again = command("shop_contracts", "-o", str(one), "--against", str(lock), "--title", "Shop")
    assert "0 of them changed" in again.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shop_contract"], ["no module named"]),
        (["missing.json"], ["missing.json", "pico-celery lock"]),
        (["shop_contracts", "--against", "missing.json"], ["missing.json"]),
        (["shop_contracts", "-o", "full"], ["nothing is written", "name a new or empty directory with -o"]),
        ([], ["there is no contracts.lock.json here", "pico-celery lock PACKAGE"]),
    ],
)
def test_a_wrong_use_is_told_with_its_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: list[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    monkeypatch.chdir(tmp_path)
    done = command(*arguments)

    assert done.exit_code == 2
    assert all(part in done.output for part in told), done.output
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["full", "mine.txt"]


@pytest.mark.parametrize("package", ["jinja2", "markdown_it", "linkify_it", "pygments"])
def test_without_the_packages_of_the_extra_the_command_names_it(tmp_path: Path, package: str) -> None:
    # In a process of its own, which has imported none of them: blocked, each is missing.
    program = (
        f"import sys; sys.modules[{package!r}] = None;"
        "from pico_celery_tooling.cli.main import pico_celery;"
        "pico_celery(['docs', 'shop_contracts'], prog_name='pico-celery')"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )

    assert done.returncode == 2, done.stderr
    assert "error: docs needs jinja2" in done.stderr
    assert "pip install 'pico-celery[docs]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
