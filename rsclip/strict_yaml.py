"""YAML as people mean it: a key written twice is a mistake, where YAML would keep the last."""

from typing import Any

import yaml

from rsclip.errors import InputError

__all__ = ["parse_yaml"]


def parse_yaml(text: str, where: object, kind: type[InputError]) -> Any:
    """Read YAML into plain Python values.

    Args:
        text: The document.
        where: The file, for the message.
        kind: The error to raise.

    Raises:
        InputError: Of `kind`: the text is not YAML, or a key stands twice in one mapping.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" at line {mark.line + 1}" if mark else ""
        raise kind(f"not valid YAML{line}: {error.problem}", where=where) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise kind(f"not valid YAML: {reason}", where=where) from error


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                problem = f"the key `{key.value}` stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
