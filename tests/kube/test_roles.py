from pathlib import Path

from aliquot.kube import roles


def test_the_manifest_is_what_the_code_says() -> None:
    """`make generate` writes it."""
    assert (Path(__file__).parents[2] / "deploy/roles.yaml").read_text() == roles.manifests()


def test_no_role_is_wider_than_it_looks() -> None:
    for one in roles.ALL:
        for rule in one.get("rules", ()):
            assert "*" not in {*rule["verbs"], *rule["apiGroups"], *rule["resources"]}, one["metadata"][
                "name"
            ]
            assert "secrets" not in rule["resources"]
