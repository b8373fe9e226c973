"""Objects with holes, as text with a template's actions."""

import re
from collections.abc import Iterable
from typing import Any

from aliquot.installation.labels import Json

_MARK = re.compile(
    r"^(?P<indent> *)(?P<before>(?:- )*)(?:(?P<key>[^\s:'\"]+): )?'?HOLE (?P<kind>\w+) (?P<what>[^']+)'?$"
)


def inline(expression: str) -> str:
    """A scalar."""
    return f"HOLE inline {expression}"


def block(expression: str) -> str:
    """What stands under a key, or as the next items of a list; with nothing to be put there, the key is left out."""
    return f"HOLE block {expression}"


def text(objects: Iterable[Json]) -> str:
    import yaml

    class Plain(yaml.SafeDumper):
        """What comes up twice is written twice."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    dumped = yaml.dump_all(objects, Dumper=Plain, sort_keys=False, explicit_start=True, width=2**31)
    if "{{" in dumped:
        raise ValueError("an object has what a template would take for an action: it needs a hole")
    return "\n".join(_filled(line) for line in dumped.splitlines()) + "\n"


def _filled(line: str) -> str:
    found = _MARK.match(line)
    if found is None:
        if "HOLE" in line:
            raise ValueError(f"a hole that is no whole value: {line.strip()}")
        return line
    indent, before, key, what = found["indent"], found["before"], found["key"], found["what"]
    if found["kind"] == "inline":
        return f"{indent}{before}{key + ': ' if key else ''}{{{{ {what} }}}}"
    if key and before:
        # The item begins with it: it cannot be left out.
        deeper = len(indent) + len(before) + 2
        return f"{indent}{before}{key}:\n{' ' * deeper}{{{{- toYaml ({what}) | nindent {deeper} }}}}"
    if key:
        return (
            f"{indent}{{{{- with {what} }}}}\n{indent}{key}:\n"
            f"{indent}  {{{{- toYaml . | nindent {len(indent) + 2} }}}}\n{indent}{{{{- end }}}}"
        )
    return f"{indent}{{{{- with {what} }}}}\n{indent}{{{{- toYaml . | nindent {len(indent)} }}}}\n{indent}{{{{- end }}}}"
