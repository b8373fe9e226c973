"""Objects as kubectl reads them."""

from collections.abc import Iterable
from typing import Any

import yaml


class _Plain(yaml.SafeDumper):
    """What comes up twice is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: _Plain, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def manifests(objects: Iterable[dict[str, Any]]) -> str:
    """As YAML documents. Files in a ConfigMap stay readable."""
    return yaml.dump_all(objects, Dumper=_Plain, sort_keys=False)
