"""Files as they are to be: what is there, and what is added to it, before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pico_celery_tooling.new.editing import add_definition, add_import, add_member, add_module_import
from pico_celery_tooling.new.files import Defined, Imported, PythonFile
from pico_celery_tooling.new.project import Found, Project
from pico_celery_tooling.new.rendering import docstring
from pico_celery_tooling.output import ToolError


@dataclass
class Draft:
    """A file as it is to be.

    Attributes:
        file: With all that was added so far.
        before: As it is on the disk; ``None`` if it is not there.
        added: What was added, for people.
    """

    file: PythonFile
    before: PythonFile | None
    added: list[str] = field(default_factory=list)


@dataclass
class Drafts:
    """All files that a command writes.

    Attributes:
        project: The package.
        drafts: By path, in the order in which they were opened.
    """

    project: Project
    drafts: dict[Path, Draft] = field(default_factory=dict)

    def open(self, path: Path, module: str, doc: str) -> Draft:
        """Open a file that is there, or begin it.

        Args:
            path: Where it is.
            module: Name by which it is imported.
            doc: Its docstring, if it is new.

        Returns:
            It.
        """
        if path not in self.drafts:
            before = PythonFile.read(path, module) if path.exists() else None
            fresh = PythonFile(path, module, docstring(doc, width=self.project.width) + "\n")
            self.drafts[path] = Draft(before or fresh, before)
        return self.drafts[path]

    def packages(self, module: str) -> None:
        """Begin the packages above a module, as far as they are not there."""
        parts = module.split(".")[:-1]
        for count in range(1, len(parts) + 1):
            name = ".".join(parts[:count])
            path = self.project.path_of(name, package=True)
            is_namespace = path.parent.is_dir() and count < len(parts)
            if not path.exists() and not is_namespace and path not in self.drafts:
                title = (
                    f"The package ``{name}``." if count == 1 else f"{parts[count - 1].capitalize()} of ``{parts[0]}``."
                )
                self.open(path, name, title).added.append("the package")

    def require(self, draft: Draft, local: str, found: Found) -> None:
        """Have a name in a file.

        Args:
            draft: The file.
            local: What it is called there.
            found: Where it is from.

        Raises:
            ToolError: If the name is something else there.
        """
        if found.module == draft.file.module:
            return
        binding = draft.file.bindings.get(local)
        if binding is not None:
            self._refuse_other(draft, local, binding, found)
            return
        first_party = self.project.first_party(draft.file.module)
        if found.name == "":
            text = add_module_import(draft.file.text, found.module, local, first_party=first_party)
        else:
            name = found.name if found.name == local else f"{found.name} as {local}"
            text = add_import(draft.file.text, found.module, name, first_party=first_party, width=self.project.width)
        draft.file = replace(draft.file, text=text)

    def require_all(self, draft: Draft, names: Iterable[tuple[str, str]]) -> None:
        """Have names in a file, each given as module and name, or ``name as other``."""
        for module, text in sorted(names):
            name, _, local = text.partition(" as ")
            self.require(draft, local or name, Found(module, name))

    def _refuse_other(self, draft: Draft, local: str, binding: Imported | Defined, found: Found) -> None:
        place = f"{self.project.shown(draft.file.path)}:{binding.line}"
        if isinstance(binding, Imported) and binding.typing_only:
            raise ToolError(
                f"{place} imports {local!r} under TYPE_CHECKING only, and it is needed at run time",
                "move that import out of the if",
            )
        there = self.project.resolve(draft.file, local)
        if there is None or (there.module, there.name) != (found.module, found.name):
            raise ToolError(
                f"{place}: {local!r} is something else there than {found.module}.{found.name or local}",
                "rename one of them",
            )

    def member(self, draft: Draft, class_name: str, block: str, *, blank: bool = True) -> None:
        """Put a member at the end of a class."""
        draft.file = replace(draft.file, text=add_member(draft.file.text, class_name, block, blank=blank))

    def define(self, draft: Draft, block: str, *, before: str | None = None) -> None:
        """Put a class or function into a file."""
        draft.file = replace(draft.file, text=add_definition(draft.file.text, block, before=before))

    def append(self, draft: Draft, block: str) -> None:
        """Put statements at the end of a file, after a blank line."""
        draft.file = replace(draft.file, text=f"{draft.file.text.rstrip()}\n\n{block}\n")
