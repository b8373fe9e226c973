"""`aliquot install` where no cluster is asked, and what both commands refuse before they ask one."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from aliquot.cli.main import cli
from aliquot.kube import crds


def aliquot(*args: str, text: str = "") -> Result:
    return CliRunner().invoke(cli, args, input=text)


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_the_namespace_is_not_to_be_chosen(command: str) -> None:
    done = aliquot(command, "-n", "gpus")
    assert done.exit_code == 2
    assert "'gpus': Aliquot is in aliquot-system alone" in done.stderr
    assert "namespace" not in aliquot(command, "--help").stdout


def test_our_own_namespace_may_be_said() -> None:
    assert aliquot("install", "-n", "aliquot-system", "--images").exit_code == 0


def test_it_prints_what_it_would_apply_the_kinds_first_and_a_policy_last() -> None:
    found = list(yaml.safe_load_all(aliquot("install", "-o", "yaml", "--policy", "default").stdout))
    kinds = [one["kind"] for one in found]
    assert kinds[: len(crds.ALL)] == ["CustomResourceDefinition"] * len(crds.ALL)
    assert kinds[len(crds.ALL)] == "Namespace"
    assert kinds[-1] == "GPUPolicy"
    assert "PodMonitor" not in kinds
    assert list(yaml.safe_load_all(aliquot("install", "-o", "crds").stdout)) == list(crds.ALL)


@pytest.mark.parametrize("given", [("scheduler,discovery",), ("scheduler", "discovery")])
def test_parts_are_left_out_with_commas_or_one_by_one(given: tuple[str, ...]) -> None:
    words = [word for one in given for word in ("--without", one)]
    found = yaml.safe_load_all(aliquot("install", "-o", "yaml", *words).stdout)
    names = {one["metadata"]["name"] for one in found if one["kind"] in ("Deployment", "DaemonSet")}
    assert names == {"aliquot-operator", "aliquot-partitioner"}


@pytest.mark.parametrize(
    ("served", "there", "not_there"),
    [
        ((), "MutatingAdmissionPolicy", "Service"),
        (("monitoring.coreos.com/v1/PodMonitor",), "PodMonitor", "MutatingAdmissionPolicy"),
        (("cert-manager.io/v1/Certificate",), "Certificate", "MutatingAdmissionPolicy"),
    ],
)
def test_it_goes_by_what_the_cluster_is_said_to_serve(
    served: tuple[str, ...], there: str, not_there: str
) -> None:
    given = [word for one in served for word in ("--api-version", one)]
    kinds = {one["kind"] for one in yaml.safe_load_all(aliquot("install", "-o", "yaml", *given).stdout)}
    assert there in kinds
    assert not_there not in kinds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedular: {}", ":1: unknown field 'schedular'; did you mean 'scheduler'?"),
        ("image: aliquot", ": image: 'aliquot' is no image with a tag or a digest"),
        ("operator: {enabled: false}", ": operator.enabled: the operator is what is installed"),
    ],
)
def test_values_that_cannot_be_are_told_with_their_file(tmp_path: Path, text: str, said: str) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(f"{text}\n")
    done = aliquot("install", "--values", str(values), "-o", "yaml")
    assert done.exit_code == 1
    assert f"{values}{said}" in done.stderr
    assert not done.stdout


def test_a_cluster_policy_comes_out_as_a_gpu_policy_and_what_is_lost_beside_it() -> None:
    given = {
        "apiVersion": "nvidia.com/v1",
        "kind": "ClusterPolicy",
        "metadata": {"name": "cluster-policy"},
        "spec": {"driver": {"version": "580.95.05"}, "gdrcopy": {"enabled": True}},
    }
    done = aliquot("install", "--from-clusterpolicy", "-", text=yaml.safe_dump(given))
    policy = yaml.safe_load(done.stdout)
    assert (policy["kind"], policy["spec"]) == ("GPUPolicy", {"driver": {"version": "580.95.05"}})
    assert (
        "lost: ClusterPolicy cluster-policy: spec.gdrcopy.enabled: true: gdrdrv is not brought" in done.stderr
    )
