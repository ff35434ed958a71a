"""Files before they are written, and writing them: all or none.

Code is inserted with libcst, so that everything else in a file keeps its form and its comments.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Final

import libcst as cst

from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.python_file import Imported, PythonFile
from pico_celery_tooling.new.rendering import docstring
from pico_celery_tooling.output import ToolError
from pico_celery_tooling.source_layout import INDENT


@dataclass
class Draft:
    """A file with what was added so far."""

    file: PythonFile
    before: PythonFile | None
    """The file on the disk; ``None`` if there is none."""
    added: list[str] = field(default_factory=list)
    """What was added, for the report."""
    imports: dict[str, Found] = field(default_factory=dict)
    """What has to be imported, by the name that it has in the file."""


@dataclass
class Drafts:
    """All files that a command writes."""

    project: Project
    by_path: dict[Path, Draft] = field(default_factory=dict)
    """In the order in which they were opened."""

    def open(self, path: Path, module: str, doc: str = "") -> Draft:
        """Open a file, or begin it with a docstring."""
        if path not in self.by_path:
            before = PythonFile.read(path, module) if path.exists() else None
            fresh = PythonFile(path, module, docstring(doc, width=self.project.width) + "\n")
            self.by_path[path] = Draft(before or fresh, before)
        return self.by_path[path]

    def packages(self, module: str) -> None:
        """Begin those packages above a module that do not exist."""
        parts = module.split(".")[:-1]
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            path = self.project.path_of(name, package=True)
            is_namespace = path.parent.is_dir() and count < len(parts)
            if not path.exists() and not is_namespace and path not in self.by_path:
                doc = (
                    f"The package ``{name}``." if count == 1 else f"{parts[count - 1].capitalize()} of ``{parts[0]}``."
                )
                self.open(path, name, doc).added.append("the package")

    def require(self, draft: Draft, local: str, found: Found) -> None:
        """Import a name into a file, unless the file has it."""
        if found.module == draft.file.module:
            return
        binding = draft.file.bindings.get(local)
        if binding is None:
            draft.imports.setdefault(local, found)
            there = draft.imports[local]
        else:
            there = self.project.resolve(draft.file, local) or Found("", "")
        place = self.project.shown(draft.file.path) + ("" if binding is None else f":{binding.line}")
        if isinstance(binding, Imported) and binding.typing_only:
            raise ToolError(
                f"{place} imports {local!r} under TYPE_CHECKING only, and it is needed at run time",
                "move that import out of the if",
            )
        if (there.module, there.name) != (found.module, found.name):
            raise ToolError(
                f"{place}: {local!r} is something other than {found.module}.{found.name or local} there",
                "rename one of them",
            )

    def require_all(self, draft: Draft, names: Iterable[tuple[str, str]]) -> None:
        """Import names into a file, each given as module and name, or ``name as other``."""
        for module, text in sorted(names):
            name, _, local = text.partition(" as ")
            self.require(draft, local or name, Found(module, name))

    def member(self, draft: Draft, class_name: str, block: str, *, blank: bool = True) -> None:
        """Put a member at the end of a class."""
        draft.file = replace(draft.file, text=add_member(draft.file.text, class_name, block, blank=blank))

    def define(self, draft: Draft, block: str, *, before: str | None = None) -> None:
        """Put a class or function into a file."""
        draft.file = replace(draft.file, text=add_definition(draft.file.text, block, before=before))

    def append(self, draft: Draft, block: str) -> None:
        """Put statements at the end of a file, after a blank line."""
        draft.file = replace(draft.file, text=f"{draft.file.text.rstrip()}\n\n{block}\n")

    def finish(self) -> None:
        """Add the imports; run the project's formatter on new files, and on those that had its form before."""
        for draft in self.by_path.values():
            first_party = self.project.first_party(draft.file.module)
            text = add_imports(draft.file.text, draft.imports, first_party=first_party, width=self.project.width)
            draft.file = replace(draft.file, text=text)
            if draft.before is None or self.project.formatted(draft.before) == draft.before.text:
                draft.file = replace(draft.file, text=self.project.formatted(draft.file))

    def changes(self) -> list[Change]:
        """Return what is to be written."""
        return [
            Change(path=path, before=draft.before.raw if draft.before else None, after=draft.file.raw)
            for path, draft in self.by_path.items()
        ]


class Section(IntEnum):
    """Groups of imports, in their order."""

    FUTURE = 0
    STANDARD = 1
    THIRD_PARTY = 2
    FIRST_PARTY = 3
    LOCAL = 4


_Key = tuple[tuple[int, int, str], ...]
_Place = tuple[Section, int, _Key]
_Import = cst.Import | cst.ImportFrom
_Statement = cst.BaseStatement
_BLANK: Final = cst.EmptyLine(indent=False)
_DIGITS: Final = re.compile(r"(\d+)")


def _section(module: str, first_party: Collection[str]) -> Section:
    top = module.partition(".")[0]
    if module == "__future__":
        return Section.FUTURE
    if module.startswith("."):
        return Section.LOCAL
    if top in first_party:
        return Section.FIRST_PARTY
    return Section.STANDARD if top in sys.stdlib_module_names else Section.THIRD_PARTY


def _natural(name: str) -> _Key:
    """Return a sort key: numbers in a name count by their value, letters without case."""
    parts = _DIGITS.split(name)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part.lower()) for part in parts if part)


def _member_key(name: str) -> tuple[int, _Key, str]:
    """Return the sort key of an imported name: constants, then classes, then the others."""
    plain = name.partition(" as ")[0]
    kind = 0 if len(plain) > 1 and plain.isupper() else 1 if plain[:1].isupper() else 2
    return kind, _natural(plain), name


def _place(node: _Import, first_party: Collection[str]) -> _Place:
    if isinstance(node, cst.Import):
        name = _code(node.names[0].name)
        return _section(name, first_party), 0, _natural(name)
    module = "." * len(node.relative) + (_code(node.module) if node.module else "")
    return _section(module, first_party), 1, _natural(module)


def _code(node: cst.BaseExpression | cst.BaseSmallStatement) -> str:
    """Return a part of a file as text."""
    return cst.Module([]).code_for_node(node)


def add_imports(text: str, wanted: Mapping[str, Found], *, first_party: Collection[str], width: int) -> str:
    """Import names at the top of a file, where sorted imports have them."""
    if not wanted:
        return text
    tree = cst.parse_module(text)
    for local, found in sorted(wanted.items(), key=lambda item: (item[1].module, item[0])):
        name = found.name if found.name == local else f"{found.name} as {local}"
        if found.name:
            tree = _with_code(tree, found.module, name, first_party, width)
        else:
            line = f"import {local}" if found.module == local else f"import {found.module} as {local}"
            tree = _with_import(
                tree, line, (_section(found.module, first_party), 0, _natural(found.module)), first_party
            )
    return tree.code


def _with_code(tree: cst.Module, module: str, name: str, first_party: Collection[str], width: int) -> cst.Module:
    """Add ``from module import name``, to an import of that module if there is one."""
    for index, line, node in _header(tree):
        if not isinstance(node, cst.ImportFrom) or node.relative or node.module is None or _code(node.module) != module:
            continue
        there = [] if isinstance(node.names, cst.ImportStar) else [_alias(alias) for alias in node.names]
        extended = line if name in there else _extended(line, node, name, there, width)
        if extended is not None:
            return tree.with_changes(body=[*tree.body[:index], extended, *tree.body[index + 1 :]])
    place = (_section(module, first_party), 1, _natural(module))
    return _with_import(tree, _import_line(module, [name], width), place, first_party)


def _alias(alias: cst.ImportAlias) -> str:
    return _code(alias.name) + (f" as {alias.evaluated_alias}" if alias.asname else "")


def _import_line(module: str, names: Sequence[str], width: int) -> str:
    """Return an import, with a name in each line if one line is too long."""
    ordered = sorted(names, key=_member_key)
    line = f"from {module} import {', '.join(ordered)}"
    return (
        line if len(line) <= width else "\n".join([f"from {module} import (", *(f"{INDENT}{n}," for n in ordered), ")"])
    )


def _header(tree: cst.Module) -> list[tuple[int, cst.SimpleStatementLine, _Import]]:
    """Return the imports above the first definition, with their places in the body."""
    found: list[tuple[int, cst.SimpleStatementLine, _Import]] = []
    for index, line in enumerate(tree.body):
        if isinstance(line, cst.ClassDef | cst.FunctionDef):
            break
        if isinstance(line, cst.SimpleStatementLine) and isinstance(line.body[0], cst.Import | cst.ImportFrom):
            found.append((index, line, line.body[0]))
    return found


def _extended(
    line: cst.SimpleStatementLine, node: cst.ImportFrom, name: str, there: list[str], width: int
) -> cst.SimpleStatementLine | None:
    """Return an import with one more name, or ``None`` if it has a form of its own."""
    if isinstance(node.names, cst.ImportStar) or node.module is None or len(line.body) > 1:
        return None
    if node.lpar is None:
        if line.trailing_whitespace.comment is not None:
            return None
        new = cst.parse_module(_import_line(_code(node.module), [*there, name], width)).body[0]
        return new.with_changes(leading_lines=line.leading_lines) if isinstance(new, cst.SimpleStatementLine) else None
    index = next((at for at, other in enumerate(there) if _member_key(other) > _member_key(name)), len(there))
    before, _, after = name.partition(" as ")
    new_name = cst.ImportAlias(cst.Name(before), cst.AsName(cst.Name(after)) if after else None)
    gaps = _gaps(node, node.lpar)
    if gaps is None:
        return None
    plain = cst.ParenthesizedWhitespace(indent=gaps[0].indent, last_line=gaps[0].last_line)
    gaps.insert(index + 1, plain)
    if index == len(there):  # the bracket closes where it did
        last = gaps[-2]
        gaps[-2:] = [last.with_changes(last_line=plain.last_line), plain.with_changes(last_line=last.last_line)]
    names = [*node.names[:index], new_name, *node.names[index:]]
    commas = [
        alias.with_changes(comma=cst.Comma(whitespace_after=gap)) for alias, gap in zip(names, gaps[1:], strict=True)
    ]
    return line.with_changes(body=[node.with_changes(names=commas, rpar=cst.RightParen())])


def _gaps(node: cst.ImportFrom, opening: cst.LeftParen) -> list[cst.ParenthesizedWhitespace] | None:
    """Return the line ends after the opening bracket and after each name, or ``None`` if a line has several names."""
    found: list[cst.BaseParenthesizableWhitespace] = [opening.whitespace_after]
    for alias in [] if isinstance(node.names, cst.ImportStar) else node.names:
        if isinstance(alias.comma, cst.Comma):
            found.append(alias.comma.whitespace_after)
        elif node.rpar is not None:
            found.append(node.rpar.whitespace_before)
    gaps = [gap for gap in found if isinstance(gap, cst.ParenthesizedWhitespace)]
    return gaps if len(gaps) == len(found) else None


def _with_import(tree: cst.Module, line: str, place: _Place, first_party: Collection[str]) -> cst.Module:
    """Add an import as a line of its own."""
    body: list[_Statement] = list(tree.body)
    new = cst.parse_module(line).body[0]
    known = [(_place(node, first_party), index) for index, _, node in _header(tree)]
    before = [index for other, index in known if other[0] == place[0] and other <= place]
    within = [index for other, index in known if other[0] == place[0]]
    earlier = [index for other, index in known if other[0] < place[0]]
    if before:
        body.insert(before[-1] + 1, new)
    elif within:
        _put_above(body, within[0], new, [])
    elif earlier:
        _put_below(body, earlier[-1] + 1, new, [_BLANK])
    elif known:
        _put_above(body, known[0][1], new, [_BLANK])
    else:
        index = 1 if body and _is_docstring(body[0]) else 0
        _put_below(body, index, new, [_BLANK] if index or tree.header else [])
    return tree.with_changes(body=body, has_trailing_newline=True)


def _put_above(body: list[_Statement], index: int, new: _Statement, between: list[cst.EmptyLine]) -> None:
    """Insert a line above another one, below the comments of that."""
    body[index : index + 1] = [_led(new, _leading(body[index])), _led(body[index], between)]


def _put_below(body: list[_Statement], index: int, new: _Statement, above: list[cst.EmptyLine]) -> None:
    """Insert a line at a place, with a blank line after it."""
    body.insert(index, _led(new, above))
    if index + 1 < len(body):
        below = _leading(body[index + 1])
        body[index + 1] = _led(body[index + 1], below if below and _is_blank(below[0]) else [_BLANK, *below])


def _leading(node: _Statement) -> list[cst.EmptyLine]:
    """Return the blank lines and comments above a statement."""
    return list(node.leading_lines) if isinstance(node, cst.SimpleStatementLine | cst.BaseCompoundStatement) else []


def _led(node: _Statement, lines: Sequence[cst.EmptyLine]) -> _Statement:
    return node.with_changes(leading_lines=lines)


def _is_blank(line: cst.EmptyLine) -> bool:
    return line.comment is None


def _is_docstring(node: _Statement) -> bool:
    """Return whether a line is nothing but a string."""
    parts = node.body if isinstance(node, cst.SimpleStatementLine) else []
    strings = cst.SimpleString | cst.ConcatenatedString
    return len(parts) == 1 and isinstance(parts[0], cst.Expr) and isinstance(parts[0].value, strings)


def _is_filler(node: _Statement) -> bool:
    parts = node.body if isinstance(node, cst.SimpleStatementLine) else []
    return len(parts) == 1 and _code(parts[0]) in {"pass", "..."}


def add_member(text: str, class_name: str, block: str, *, blank: bool = True) -> str:
    """Put a method or attribute at the end of a class."""
    tree = cst.parse_module(text)
    node = next(node for node in tree.body if isinstance(node, cst.ClassDef) and node.name.value == class_name)
    suite = cst.IndentedBlock([])
    if isinstance(node.body, cst.IndentedBlock):
        suite = node.body
    elif isinstance(node.body, cst.SimpleStatementSuite):  # class Orders(Protocol): ...
        suite = cst.IndentedBlock(
            [cst.SimpleStatementLine(node.body.body, trailing_whitespace=node.body.trailing_whitespace)]
        )
    members = list(suite.body)
    above = list(suite.footer)
    if _is_filler(members[-1]) and (len(members) == 1 or (len(members) == 2 and _is_docstring(members[0]))):  # noqa: PLR2004
        above = [*_leading(members.pop()), *above]
    if members and not (above and _is_blank(above[-1])) and (blank or _is_docstring(members[-1])):
        above.append(_BLANK)
    members.append(_led(_parsed(block, suite.indent or tree.default_indent, tree), above))
    changed = node.with_changes(body=suite.with_changes(body=members, footer=[]))
    body = [changed if other is node else other for other in tree.body]
    return tree.with_changes(body=body, has_trailing_newline=True).code


def _parsed(block: str, indent: str, tree: cst.Module) -> _Statement:
    """Parse a definition, or an indented member of a class, with the indentation of a file, also in docstrings."""
    text = re.sub(r"^ +", lambda found: indent * (len(found[0]) // len(INDENT)), block, flags=re.MULTILINE)
    head = "class _:\n" if block.startswith(INDENT) else ""
    config = cst.PartialParserConfig(default_indent=tree.default_indent)
    parsed = cst.parse_module(f"{head}{text}\n", config).body[0]
    return parsed.body.body[0] if head and isinstance(parsed.body, cst.IndentedBlock) else parsed


def add_definition(text: str, block: str, *, before: str | None = None) -> str:
    """Put a class or function at the top level of a file: above another one, below all, or above ``if __name__``."""
    tree = cst.parse_module(text)
    body: list[_Statement] = list(tree.body)
    defined = {
        index: node.name.value for index, node in enumerate(body) if isinstance(node, cst.ClassDef | cst.FunctionDef)
    }
    named = [index for index, name in defined.items() if name == before]
    guards = [index for index, node in enumerate(body) if isinstance(node, cst.If) and "__name__" in _code(node.test)]
    index = named[0] if named else max(defined) + 1 if defined else guards[0] if guards else len(body)
    is_last = index == len(body)
    below = list(tree.footer) if is_last else _leading(body[index])
    above = list(itertools.takewhile(_is_indented, below))
    if is_last and not defined:
        above = below
    elif named:  # comments that a blank line parts from the class are not about it
        above = below[: len(below) - len(list(itertools.takewhile(lambda line: not _is_blank(line), below[::-1])))]
    below = below[len(above) :]
    gap = [_BLANK] * 2 if index or above or tree.header else []
    new = _led(_parsed(block, tree.default_indent, tree), [*_without_end(above), *gap])
    below = [*[_BLANK] * (2 - len(list(itertools.takewhile(_is_blank, below)))), *below]
    if is_last:
        return tree.with_changes(body=[*body, new], footer=_without_end(below), has_trailing_newline=True).code
    body[index : index + 1] = [new, _led(body[index], below)]
    return tree.with_changes(body=body).code


def _is_indented(line: cst.EmptyLine) -> bool:
    """Return whether a line is a comment that belongs to the definition above it."""
    return line.comment is not None and line.whitespace.value != ""


def _without_end(lines: Sequence[cst.EmptyLine]) -> list[cst.EmptyLine]:
    """Return lines without the blank ones at their end."""
    kept = list(lines)
    while kept and _is_blank(kept[-1]):
        kept.pop()
    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The content of a file before and after."""

    path: Path
    before: bytes | None
    """``None`` if there is no file."""
    after: bytes


def diff(changes: Sequence[Change], root: Path) -> str:
    """Return changes as a unified diff, which ``git apply`` and ``patch`` accept."""
    parts: list[str] = []
    for change in changes:
        name = change.path.relative_to(root).as_posix()
        old = "/dev/null" if change.before is None else f"a/{name}"
        lines = difflib.unified_diff(_lines(change.before or b""), _lines(change.after), old, f"b/{name}")
        parts.extend(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return "".join(parts)


def _lines(raw: bytes) -> list[str]:
    return raw.decode(errors="replace").splitlines(keepends=True)


def write(changes: Sequence[Change]) -> None:
    """Write all files, or none.

    What somebody else wrote meanwhile is never overwritten.
    """
    for change in changes:
        _check_unchanged(change)
    try:
        with contextlib.ExitStack() as undo:
            for change in changes:
                _make_folders(change.path.parent, undo)
                _replace(change, undo) if change.before is not None else _create(change, undo)
            undo.pop_all()
    except OSError as error:
        where = error.filename or ""
        raise ToolError(
            f"nothing was written: {where}: {error.strerror or error}", "see that the directory can be written to"
        ) from None


def _check_unchanged(change: Change) -> None:
    there = change.path.read_bytes() if change.path.exists() else None
    if there != change.before:
        raise ToolError(f"nothing was written: {change.path} was changed meanwhile", "run it again")


def _make_folders(folder: Path, undo: contextlib.ExitStack) -> None:
    for missing in _missing(folder):
        missing.mkdir()
        undo.callback(missing.rmdir)


def _missing(folder: Path) -> Iterator[Path]:
    if not folder.exists():
        yield from _missing(folder.parent)
        yield folder


def _create(change: Change, undo: contextlib.ExitStack) -> None:
    with change.path.open("xb") as file:  # refuses what is there
        undo.callback(change.path.unlink, missing_ok=True)
        file.write(change.after)


def _replace(change: Change, undo: contextlib.ExitStack) -> None:
    path = change.path.resolve()  # a link stays one
    undo.callback(_put, path, change.before or b"")
    _put(path, change.after)


def _put(path: Path, content: bytes) -> None:
    """Replace the content of a file, in one step."""
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(content)
        shutil.copymode(path, name)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
