"""What one side refuses of what the other sends, in words for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pico_celery.document.records import Document, JsonSchema
from pico_celery.evolution.findings import NOTHING
from pico_celery.evolution.pairs import Memory
from pico_celery.evolution.refusals import Described, Refusal, refusals


@dataclass(frozen=True, slots=True)
class Refused:
    """A `Refusal`, told."""

    refusal: Refusal

    @property
    def rule(self) -> str:
        """Its rule, without the place."""
        return self.refusal.rule

    @property
    def is_certain(self) -> bool:
        """Whether something is refused for certain."""
        return self.refusal.certain

    @property
    def witness(self) -> Any:
        """A whole payload that is refused, or `NOTHING`."""
        return self.refusal.witness if self.refusal.certain else NOTHING

    @property
    def identity(self) -> object:
        """What makes it the same as another one."""
        return self.refusal.rule, self.refusal.path, self.refusal.sent, self.refusal.accepted

    @property
    def told(self) -> str:
        """What is wrong, in words."""
        words = f"expected {self.refusal.accepted}, got {self.refusal.sent}"
        return words if self.refusal.certain else f"cannot be known: {words}"

    def path_in(self, root: str) -> str:
        """Return where it is, in a payload that has a name."""
        path = self.refusal.path
        return f"{root}.{path}" if path and path[0] not in "[{" else f"{root}{path}"


def refused(
    sent: tuple[Document, JsonSchema],
    accepted: tuple[Document, JsonSchema],
    *,
    read: JsonSchema | None = None,
    payloads: bool = True,
) -> list[Refused]:
    """Return what is refused of what is sent.

    Args:
        sent: Describes it, with the document that holds its models.
        accepted: What the receiver takes, likewise.
        read: What the sender reads itself, where that is not what it sends.
        payloads: Whether to look for payloads that show what is known without.

    Returns:
        One for each place and reason.
    """
    source = Described(document=sent[0], schema=sent[1], read=None if read == sent[1] else read)
    target = Described(document=accepted[0], schema=accepted[1])
    return [Refused(refusal) for refusal in refusals(source, target, payloads=payloads)]


def remembered(
    memory: Memory,
    sent: tuple[Document, JsonSchema],
    accepted: tuple[Document, JsonSchema],
    read: tuple[Document, JsonSchema] | None = None,
) -> list[Refused]:
    """Return what `refused` does, for `Memory.of`: payloads are looked for until there are enough of them."""
    found = refused(sent, accepted, read=None if read is None else read[1], payloads=memory.payloads)
    if found:
        memory.show()
    return found
