from pathlib import Path

from aliquot.kube import crds


def test_the_manifest_is_what_the_types_say() -> None:
    """`make generate` writes it."""
    assert (Path(__file__).parents[2] / "deploy/crds.yaml").read_text() == crds.manifests()
