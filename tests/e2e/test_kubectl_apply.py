"""kubectl apply, in both its ways, diff, and what is refused at the door."""

import json
from pathlib import Path

import pytest

from tests.e2e.commands import Kubectl, eventually
from tests.e2e.manifests import config, manifest, pod, workload

pytestmark = pytest.mark.e2e


def test_a_pod_is_applied_runs_and_is_deleted(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", stdin=pod("a")) == "pod/a created\n"
    assert kubectl("apply", "-f", "-", stdin=pod("a")) == "pod/a unchanged\n"
    kubectl("wait", "pod/a", "--for=condition=Ready", "--timeout=20s")
    header, row = kubectl("get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == ["a", "1/1", "Running", "0"]
    assert kubectl("delete", "pod", "a", "--grace-period=1").startswith('pod "a" deleted')
    assert kubectl.refused("get", "pod", "a").startswith('Error from server (NotFound): pods "a" not found')


def test_what_is_no_longer_said_is_taken_away_and_what_others_set_stays(kubectl: Kubectl) -> None:
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", replicas=2, minReadySeconds=5))
    kubectl("scale", "deployment", "d", "--replicas=4")
    assert kubectl("apply", "-f", "-", stdin=workload("Deployment", "d")) == "deployment.apps/d configured\n"
    spec = kubectl.json("get", "deployment", "d")["spec"]
    assert "minReadySeconds" not in spec
    # It was said before and is not any more: back to the default.
    assert spec["replicas"] == 1
    kubectl("scale", "deployment", "d", "--replicas=4")
    kubectl("apply", "-f", "-", stdin=workload("Deployment", "d", paused=True))
    assert kubectl.json("get", "deployment", "d")["spec"]["replicas"] == 4
    last = json.loads(kubectl("apply", "view-last-applied", "deployment/d", "-o", "json"))
    assert last["spec"]["paused"] is True


def test_server_side_apply_tells_whose_field_it_is(kubectl: Kubectl) -> None:
    def apply(manager: str, value: str, *more: str) -> tuple[str, ...]:
        return ("apply", "--server-side", f"--field-manager={manager}", "-f", "-", *more)

    created = kubectl(*apply("one", "1"), stdin=config("c", k="1"))
    assert created == "configmap/c serverside-applied\n"
    refused = kubectl.refused(*apply("two", "2"), stdin=config("c", k="2"))
    assert 'conflict with "one": .data.k' in refused
    assert "--force-conflicts" in refused
    kubectl(*apply("two", "2", "--force-conflicts"), stdin=config("c", k="2"))
    assert kubectl("get", "configmap", "c", "-o", "jsonpath={.data.k}") == "2"
    kubectl(*apply("two", ""), stdin=config("c"))
    assert kubectl("get", "configmap", "c", "-o", "jsonpath={.data}") == ""


def test_prune_removes_what_is_no_longer_there(kubectl: Kubectl, tmp_path: Path) -> None:
    def labelled(*names: str) -> str:
        items = [json.loads(config(name, k="v")) for name in names]
        for item in items:
            item["metadata"]["labels"] = {"set": "a"}
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

    prune = ("apply", "-f", "-", "--prune", "-l", "set=a", "--prune-allowlist=core/v1/ConfigMap")
    kubectl(*prune, stdin=labelled("a", "b"))
    assert kubectl(*prune, stdin=labelled("a")) == "configmap/a unchanged\nconfigmap/b pruned\n"


def test_a_kustomization(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "pod.json").write_text(pod("p"))
    (tmp_path / "kustomization.yaml").write_text(
        "resources: [pod.json]\nnamePrefix: my-\nconfigMapGenerator: [{name: c, literals: [k=v]}]\n"
    )
    applied = kubectl("apply", "-k", str(tmp_path))
    assert "pod/my-p created\n" in applied
    assert "configmap/my-c-" in applied
    kubectl("delete", "-k", str(tmp_path), "--now")


def test_dry_runs_and_diffs_change_nothing(kubectl: Kubectl, tmp_path: Path) -> None:
    file = tmp_path / "c.json"
    file.write_text(config("c", k="1"))
    for how in ("client", "server"):
        assert f"configmap/c created ({'server ' if how == 'server' else ''}dry run)\n" == kubectl(
            "apply", "-f", str(file), f"--dry-run={how}"
        )
    assert kubectl.run("diff", "-f", str(file)).code == 1
    kubectl("apply", "-f", str(file))
    assert kubectl("diff", "-f", str(file)) == ""
    file.write_text(config("c", k="2"))
    for way in ((), ("--server-side", "--field-manager=kubectl-client-side-apply", "--force-conflicts")):
        changed = kubectl.run("diff", "-f", str(file), *way)
        assert changed.code == 1
        assert '-  k: "1"\n+  k: "2"\n' in changed.out
    assert kubectl("get", "configmap", "c", "-o", "jsonpath={.data.k}") == "1"


def test_a_broken_manifest_changes_nothing(kubectl: Kubectl) -> None:
    unknown = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"contaners":[]}}'
    assert 'unknown field "spec.contaners"' in kubectl.refused("apply", "-f", "-", stdin=unknown)
    missing = manifest("Pod", "x", {"containers": [{"name": "main"}]})
    refused = kubectl.refused("create", "-f", "-", stdin=missing)
    assert "spec.containers[0].image: Required value" in refused
    assert not kubectl.json("get", "pods")["items"]


@pytest.mark.parametrize("level", ["strict", "warn", "ignore"])
def test_how_strictly_fields_are_known(kubectl: Kubectl, level: str) -> None:
    text = json.dumps({**json.loads(config("c")), "dta": {}})
    result = kubectl.run("create", "-f", "-", f"--validate={level}", stdin=text)
    assert result.code == (1 if level == "strict" else 0)
    assert ('unknown field "dta"' in result.err) == (level != "ignore")


def test_an_object_is_replaced_or_made_anew(kubectl: Kubectl) -> None:
    kubectl("create", "-f", "-", stdin=config("c", a="1"))
    uid = ("get", "configmap", "c", "-o", "jsonpath={.metadata.uid}")
    before = kubectl(*uid)
    assert kubectl("replace", "-f", "-", stdin=config("c", b="2")) == "configmap/c replaced\n"
    assert kubectl.json("get", "configmap", "c")["data"] == {"b": "2"}
    assert kubectl(*uid) == before
    kubectl("replace", "--force", "-f", "-", stdin=config("c", b="3"))
    assert eventually(lambda: kubectl(*uid)) != before
    assert "not found" in kubectl.refused("replace", "-f", "-", stdin=config("d"))
