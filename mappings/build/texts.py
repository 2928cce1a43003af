"""The text table: where each type has words, by the data types of its elements, and what in it is required.

A step `item**` is an element inside which it stands again: `item`, `item.item`, `item.answer.item`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mappings.build.definitions import Definitions

WORDS = {
    "Annotation", "Attachment", "Narrative", "markdown", "string", "xhtml",
    # Definitions, which a record of somebody hardly has, are words as a whole.
    "Contributor", "DataRequirement", "Expression", "ParameterDefinition", "RelatedArtifact",
    "TriggerDefinition",
}  # fmt: skip
CONCEPTS = {"CodeableConcept", "CodeableReference", "Coding"}
# Data types whose texts name, count or point at something, and are looked at no further.
NAMES = {
    "Address", "Age", "ContactDetail", "ContactPoint", "Count", "Distance", "Duration",
    "ExtendedContactDetail", "Extension", "HumanName", "Identifier", "Meta", "Money", "Period",
    "Quantity", "Range", "Ratio", "RatioRange", "Reference", "Resource", "SampledData", "Signature",
    "VirtualServiceDetail",
}  # fmt: skip


def text_table(definitions: Definitions) -> dict[str, dict[str, list[str]]]:
    """{type: {"words": [path], "required": [path]}} with every concrete type present. `required` are the
    elements below the top that have words, or say something in words or by a code."""
    known = Tree(definitions)
    table: dict[str, dict[str, list[str]]] = {}
    for type_ in sorted(definitions.types):
        words: dict[str, None] = {}
        required: dict[str, None] = {}
        for path, _, kind, mandatory in known.below(type_, (), (type_,)):
            if kind in WORDS:
                words.setdefault(path)
            if mandatory and "." in path and kind not in NAMES and _can_speak(kind):
                required.setdefault(path)
        table[type_] = {"words": list(words), "required": list(required)}
    return table


def _can_speak(kind: str) -> bool:
    """Whether a value of the type may hold words; of the primitive types, which are in small letters, few."""
    return kind in WORDS or kind in CONCEPTS or kind[0].isupper()


class Tree:
    """The elements of one release, with those inside them."""

    def __init__(self, definitions: Definitions) -> None:
        self._definitions = definitions
        self._children: dict[str, list[str]] = {}
        for path in (*definitions.element_types, *definitions.choices, *definitions.alike):
            parent, dot, name = path.rpartition(".")
            if dot and name not in ("id", "contained"):
                self._children.setdefault(parent, []).append(path)
        self._again = _recursive(definitions.alike)

    def below(
        self, parent: str, names: tuple[str, ...], inside: tuple[str, ...]
    ) -> Iterator[tuple[str, str, str, bool]]:
        """The elements in the definition `parent`, which stands at `names`: path, own definition, data type,
        whether it must be there. `inside` are the definitions around it."""
        for path in self._children.get(parent, ()):
            mandatory = path in self._definitions.mandatory
            alike = self._definitions.alike.get(path)
            if alike in inside:
                if alike not in self._again:  # no step says it: it is taken as words, whole
                    yield ".".join((*names, path.rpartition(".")[2])), path, "string", mandatory
                continue
            for name, kind in self._spelled(path):
                here = (*names, name + "**" if path in self._again else name)
                yield ".".join(here), path, kind, mandatory
                definition = alike or (path if kind in ("BackboneElement", "Element") else kind)
                if kind not in NAMES | WORDS | CONCEPTS and definition not in inside:
                    yield from self.below(definition, here, (*inside, definition))

    def _spelled(self, path: str) -> Iterator[tuple[str, str]]:
        """Names and data types of an element; a choice has one of each."""
        name = path.rpartition(".")[2]
        if path in self._definitions.choices:
            yield from ((name + kind[0].upper() + kind[1:], kind) for kind in self._definitions.choices[path])
        else:
            yield from (
                (name, kind) for kind in self._definitions.element_types.get(path, ["BackboneElement"])
            )


def _recursive(alike: Mapping[str, str]) -> set[str]:
    """The elements inside which one made like them stands, of the same name."""
    return {
        target
        for path, target in alike.items()
        if path.startswith(target + ".") and path.rpartition(".")[2] == target.rpartition(".")[2]
    }
