"""The kinds that rules are read by, against Kubernetes' own discovery, which the emulator has as data, and our own."""

import json
from importlib.resources import files

from aliquot.access.core.hazards import kinds
from aliquot.kube import resources
from aliquot.kube.resources import Resource

KUBERNETES = json.loads((files("aliquot.emulator") / "data" / "resources.json").read_text())


def test_all_that_kubernetes_has_is_known() -> None:
    for group, versions in KUBERNETES.items():
        for row in (row for rows in versions.values() for row in rows):
            plural = row["plural"]
            wanted = {plural, *(f"{plural}/{sub}" for sub in row.get("subresources", ()))}
            assert wanted <= kinds.known(group), (group, plural)
            own_name = (group, plural) == ("", "namespaces")
            assert kinds.is_of_the_cluster(group, plural) == (not row["namespaced"] and not own_name)


def test_nothing_is_known_twice() -> None:
    for group in kinds.GROUPS:
        both = set(kinds.NAMESPACED.get(group, "").split()) & set(kinds.OF_THE_CLUSTER.get(group, "").split())
        assert not both


def test_what_of_ours_is_in_no_namespace_is_known() -> None:
    ours = [
        one for one in vars(resources).values() if isinstance(one, Resource) and one.group == "aliquot.dev"
    ]
    assert len(ours) >= 5
    for one in ours:
        assert kinds.is_of_the_cluster(one.group, one.plural) == (not one.namespaced)
