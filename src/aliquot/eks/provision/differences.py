"""Where a cluster that is there is not as the file has it: told, and left to whoever changes clusters. Making is all that happens here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aliquot.eks.provision.looking import Found
from aliquot.eks.provision.resources import Ref, Resource

_SKIPPED = frozenset(
    {
        "tags",
        "clientRequestToken",
        "bootstrapSelfManagedAddons",
        "bootstrapClusterCreatorAdminPermissions",
        "resolveConflicts",
        "addonVersion",
        "desiredSize",
        "subnetIds",
        "subnets",
        "launchTemplate",
        "podIdentityAssociations",
        "encryptionConfig",
    }
)
"""What AWS does not tell as it was asked for, what others move (autoscalers, upgrades), and what looks find by themselves."""


def differences(resources: Sequence[Resource], known: Mapping[str, Found]) -> list[str]:
    """One line each."""
    return [
        f"{one.title}: {path} is {found}, not {wished} as in the file; it is left so"
        for one in resources
        if one.make.service == "eks" and one.key in known and not one.look.where
        for path, found, wished in _between(one.make.parameters, known[one.key], "")
    ]


def _between(wished: Any, found: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Of what both tell."""
    if isinstance(wished, Ref) or found is None:
        return
    if isinstance(wished, Mapping) and isinstance(found, Mapping):
        for name, one in wished.items():
            if name not in _SKIPPED and name in found:
                yield from _between(one, found[name], f"{path}.{name}".removeprefix("."))
    elif isinstance(wished, list) and isinstance(found, list):
        plain = not any(isinstance(one, (Mapping, Ref)) for one in (*wished, *found))
        if plain and sorted(wished) != sorted(found):
            yield path, ", ".join(map(str, found)), ", ".join(map(str, wished))
    elif wished != found:
        yield path, found, wished
