"""Insertions into source text: imports, methods, classes. What is there already keeps its form and comments."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection

from pico_celery_tooling.new.source_text import INDENT, Section, import_line, member_key, natural, section_of

_PLAIN = re.compile(r"from\s+[\w.]+\s+import\s+(?P<names>[\w ,]+)")
_Place = tuple[Section, int, tuple[tuple[int, int, str], ...]]
_GUARD = re.compile(r"""__name__ == ['"]__main__['"]""")


def add_import(text: str, module: str, name: str, *, first_party: Collection[str], width: int) -> str:
    """Import a name at the top of a file, where sorted imports have it."""
    header = _header(ast.parse(text))
    for node in header:
        if not isinstance(node, ast.ImportFrom) or node.level or node.module != module:
            continue
        if any(alias.name == name and alias.asname is None for alias in node.names):
            return text
        extended = _extended(text, node, name, width)
        if extended is not None:
            return extended
    place = (section_of(module, first_party), 1, natural(module))
    return _with_line(text, header, import_line(module, [name], width=width), place, first_party)


def add_module_import(text: str, module: str, local: str, *, first_party: Collection[str]) -> str:
    """Import a module at the top of a file."""
    line = f"import {module}" if module == local else f"import {module} as {local}"
    place = (section_of(module, first_party), 0, natural(module))
    return _with_line(text, _header(ast.parse(text)), line, place, first_party)


def _header(tree: ast.Module) -> list[ast.Import | ast.ImportFrom]:
    found: list[ast.Import | ast.ImportFrom] = []
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            break
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            found.append(node)
    return found


def _extended(text: str, node: ast.ImportFrom, name: str, width: int) -> str | None:
    """Return the file with a name more in an import, or ``None`` if the import has a form of its own."""
    lines = text.split("\n")
    first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
    if first == last:
        match = _PLAIN.fullmatch(lines[first])
        if match is None:
            return None
        names = [*(part.strip() for part in match["names"].split(",")), name]
        lines[first] = import_line(node.module or "", names, width=width)
        return "\n".join(lines)
    places = [alias.lineno - 1 for alias in node.names]
    if len(set(places)) != len(places) or first in places or last in places:
        return None
    ending = lines[places[-1]]
    head, tail = _split(ending, node.names[-1].end_col_offset or len(ending))
    if not tail.lstrip().startswith(","):
        lines[places[-1]] = f"{head},{tail}"
    indent = ending[: len(ending) - len(ending.lstrip())]
    later = [
        place for place, alias in zip(places, node.names, strict=True) if member_key(alias.name) > member_key(name)
    ]
    lines.insert(later[0] if later else places[-1] + 1, f"{indent}{name},")
    return "\n".join(lines)


def _with_line(
    text: str,
    header: list[ast.Import | ast.ImportFrom],
    line: str,
    place: _Place,
    first_party: Collection[str],
) -> str:
    lines = text.split("\n")
    known = [(_place(node, first_party), node) for node in header]
    before = [node for other, node in known if other[0] == place[0] and other <= place]
    within = [node for other, node in known if other[0] == place[0]]
    earlier = [node for other, node in known if other[0] < place[0]]
    if before:
        return _insert(lines, _end(before[-1]), [line])
    if within:
        return _insert(lines, within[0].lineno - 1, [line])
    if earlier:
        return _insert(lines, _end(earlier[-1]), ["", line, *_gap(lines, _end(earlier[-1]))])
    if header:
        return _insert(lines, header[0].lineno - 1, [line, ""])
    top = _top(text)
    return _insert(lines, top, [*([""] if top else []), line, *_gap(lines, top)])


def _place(node: ast.Import | ast.ImportFrom, first_party: Collection[str]) -> _Place:
    if isinstance(node, ast.Import):
        return section_of(node.names[0].name, first_party), 0, natural(node.names[0].name)
    module = "." * node.level + (node.module or "")
    return section_of(module, first_party), 1, natural(module)


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _gap(lines: list[str], index: int) -> list[str]:
    """Return a blank line where the line after an insertion is not one."""
    return [""] if index < len(lines) and lines[index].strip() else []


def _top(text: str) -> int:
    """Return the index of the line after the docstring of a module, or after the comments at its top."""
    body = ast.parse(text).body
    if body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        return _end(body[0])
    lines = text.split("\n")
    return next((index for index, line in enumerate(lines) if not line.startswith("#")), 0)


def _insert(lines: list[str], index: int, new: list[str]) -> str:
    return "\n".join([*lines[:index], *new, *lines[index:]])


def add_member(text: str, class_name: str, block: str, *, blank: bool = True) -> str:
    """Put a method or attribute at the end of a class."""
    node = next(node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == class_name)
    lines = (text if text.endswith("\n") else f"{text}\n").split("\n")
    last = node.body[-1]
    indent = _indent_of(lines, node)
    new = [_reindented(line, indent) for line in block.split("\n")]
    head, body = _split(lines[node.body[0].lineno - 1], node.body[0].col_offset)
    if head.strip() and not head.strip().startswith("@"):  # class Orders(Protocol): ...
        kept = [] if _is_filler(node.body[0]) else [f"{INDENT}{body}"]
        return "\n".join([*lines[: last.lineno - 1], head.rstrip(), *kept, *new, *lines[_end(last) :]])
    if _is_filler(last) and (len(node.body) == 1 or (len(node.body) == 2 and _is_text(node.body[0]))):  # noqa: PLR2004
        gap = [""] if len(node.body) > 1 and lines[last.lineno - 2].strip() else []
        return "\n".join([*lines[: last.lineno - 1], *gap, *new, *lines[_end(last) :]])
    index = _end(last)
    while index < len(lines) and lines[index].startswith(f"{indent}#"):
        index += 1
    return _insert(lines, index, ["", *new] if blank or _is_text(last) else new)


def _split(line: str, column: int) -> tuple[str, str]:
    """Split a line where the tree says, which counts bytes."""
    raw = line.encode()
    return raw[:column].decode(), raw[column:].decode()


def _indent_of(lines: list[str], node: ast.ClassDef) -> str:
    first = node.body[0]
    start = min([first.lineno, *(decorator.lineno for decorator in getattr(first, "decorator_list", []))])
    line = lines[start - 1]
    indent = line[: len(line) - len(line.lstrip())]
    return indent or INDENT


def _reindented(line: str, indent: str) -> str:
    depth = (len(line) - len(line.lstrip(" "))) // len(INDENT)
    return indent * depth + line[depth * len(INDENT) :] if line else ""


def _is_filler(node: ast.stmt) -> bool:
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...
    return isinstance(node, ast.Pass) or constant


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def add_definition(text: str, block: str, *, before: str | None = None) -> str:
    """Put a class or function at the top level of a file, with two blank lines around it."""
    body = ast.parse(text).body
    lines = text.rstrip("\n").split("\n")
    defined = [node for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))]
    named = [node for node in defined if node.name == before]
    if named:
        index = _start(named[0], lines)
    elif defined:
        index = _end(defined[-1])
    else:
        guards = [
            node.lineno - 1 for node in body if isinstance(node, ast.If) and _GUARD.search(ast.unparse(node.test))
        ]
        index = guards[0] if guards else len(lines)
    head, tail = lines[:index], lines[index:]
    while not named and tail and tail[0].startswith((" ", "\t", "#")) and _is_of_definition(tail[0]):
        head.append(tail.pop(0))
    return "\n".join([*head, *_missing_blanks(head), block, *_blanks_before(tail), *tail]) + "\n"


def _start(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    index = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1
    while index and lines[index - 1].startswith("#"):
        index -= 1
    return index


def _is_of_definition(line: str) -> bool:
    """Return whether a comment belongs to the body above it: it is indented."""
    return line.startswith((" ", "\t")) and line.lstrip().startswith("#")


def _missing_blanks(head: list[str]) -> list[str]:
    if not any(line.strip() for line in head):
        return []
    there = 0
    while there < len(head) and not head[-1 - there].strip():
        there += 1
    return [""] * max(0, 2 - there)


def _blanks_before(tail: list[str]) -> list[str]:
    there = 0
    while there < len(tail) and not tail[there].strip():
        there += 1
    return [""] * max(0, 2 - there) if there < len(tail) else []
