"""YAML 1.2 read as values with their lines, for what is told with its line when it is wrong.

YAML 1.1 would read `no` as a truth value, and most readers keep the last of two keys; here a text is a text,
and both keys are there for whoever checks. A value with a tag of its own is of no use; anchors are refused.
"""

from __future__ import annotations

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from gateway.core.roles.source import Listed, Other, Spot, Table, Text

TEXT = "tag:yaml.org,2002:str"


class NotYaml(ValueError):
    """`line` is where reading stopped, counted from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line = line


def read_yaml(text: str) -> Spot:
    """The one document in `text`. Raises NotYaml."""
    try:
        root = YAML(typ="rt", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise NotYaml(1 if mark is None else mark.line + 1, str(error.problem or error.context)) from error
    except YAMLError as error:
        raise NotYaml(1, "this is not YAML") from error
    if root is None:
        raise NotYaml(1, "there is nothing in it")
    return _spot(root)


def _spot(node: Node) -> Spot:
    line = node.start_mark.line + 1
    if node.anchor:
        raise NotYaml(line, "anchors are not used here")
    if isinstance(node, MappingNode):
        return Table(tuple((_spot(key), _spot(value)) for key, value in node.value), line)
    if isinstance(node, SequenceNode):
        return Listed(tuple(_spot(one) for one in node.value), line)
    if isinstance(node, ScalarNode) and str(node.tag) == TEXT:
        return Text(str(node.value), line)
    return Other(line)
