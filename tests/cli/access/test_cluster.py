"""`aliquot access cluster-objects`, as kubectl gets it."""

from pathlib import Path

import yaml
from click.testing import CliRunner

from aliquot.cli.access.group import access


def run(*args: str) -> tuple[int, str]:
    answered = CliRunner().invoke(access, ["cluster-objects", *args])
    return answered.exit_code, answered.output


def objects(*args: str) -> list[dict[str, object]]:
    code, text = run(*args)
    assert code == 0, text
    return list(yaml.safe_load_all(text))


def test_policies_come_before_the_rights_that_they_hold_in_check() -> None:
    kinds = [one["kind"] for one in objects()]
    last = max(index for index, kind in enumerate(kinds) if kind == "ValidatingAdmissionPolicyBinding")
    assert last < min(index for index, kind in enumerate(kinds) if kind == "ClusterRoleBinding")
    assert kinds[-1] == "Deployment"


def test_templates_of_ones_own_have_their_roles_too(tmp_path: Path) -> None:
    shown = CliRunner().invoke(access, ["templates", "show", "pod-logs"]).output
    (tmp_path / "own.yaml").write_text(shown.replace("name: pod-logs", "name: shop-logs"))
    text = run(str(tmp_path))[1]
    assert "aliquot-bg:shop-logs" in text
    assert "aliquot-bg:pod-logs" in text


def test_what_speaks_against_a_template_is_told_and_nothing_printed(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("name: x\n")
    code, text = run(str(file))
    assert code == 1
    assert str(file) in text
    assert "kind:" not in text


def test_a_shorter_cap_is_in_the_policy() -> None:
    assert f"{24 * 3600 + 20}s" in run("--longest-days", "1")[1]


def test_tokens_of_the_cluster_are_asked_about_only_where_that_is_wanted() -> None:
    def delegators(*args: str) -> list[object]:
        return [
            one["subjects"]
            for one in objects(*args)
            if one["kind"] == "ClusterRoleBinding" and one["roleRef"]["name"] == "system:auth-delegator"  # type: ignore[index]
        ]

    assert delegators() == []
    agent = {"kind": "ServiceAccount", "name": "aliquot-access-agent", "namespace": "aliquot-system"}
    assert delegators("--token-reviews") == [[agent]]
