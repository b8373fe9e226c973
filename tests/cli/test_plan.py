from pathlib import Path

import pytest
import yaml

from aliquot.access.audit import cluster_side
from aliquot.cli.auditing import Webhook
from aliquot.cli.plan import LocalClusterError, Plan, encode, plan
from aliquot.cli.pod_networks import MOST_NODES
from aliquot.cli.state import Running, StateDirectory
from aliquot.emulator.versions import DEFAULT, Surface
from aliquot.gpu import inventory


def planned(state: Path, **options: object) -> Plan:
    defaults: dict[str, object] = {
        "nodes": None,
        "gpus": None,
        "inventory": None,
        "kubernetes_version": None,
        "runtime_config": None,
        "runtime": None,
        "agents": True,
        "operator": None,
        "operator_outside": False,
        "faults": None,
        "port": 0,
        "patience_s": 1.0,
        "audit_policy": None,
        "audit_log": None,
        "audit_webhook": None,
        "authentication": {},
        "partitioning": None,
    }
    return plan(StateDirectory(state), **{**defaults, **options})  # type: ignore[arg-type]


def last_start(
    state: Path,
    inventory_yaml: str,
    *,
    runtime: str = "process",
    partitioning: str = "static",
    operator: bool = False,
    operator_outside: bool = False,
) -> None:
    directory = StateDirectory(state)
    directory.inventory.write_bytes(encode(inventory.parse(inventory_yaml, source="f")))
    directory.write_running(
        Running(
            pid=1,
            server="https://127.0.0.1:7",
            ready=True,
            nodes=1,
            joined_by="memory",
            runtime=runtime,
            partitioning=partitioning,
            operator=operator,
            operator_outside=operator_outside,
        )
    )


def test_the_first_start_has_one_node_of_eight_gpus(tmp_path: Path) -> None:
    found = planned(tmp_path)
    assert [(node.name, [g.count for g in node.gpus]) for node in found.inventory.nodes] == [("node-0", [8])]
    assert (found.runtime, found.last_runtime, found.last_port, found.gone) == ("simulated", "", 0, ())


def test_what_is_not_said_is_as_last_time(tmp_path: Path) -> None:
    said = "nodes: [{name: a, labels: {k: v}, gpus: [{board: gb200, count: 2}], clique: 0}, {name: b}]"
    last_start(tmp_path, said)
    found = planned(tmp_path)
    assert found.inventory == inventory.parse(said, source="f")
    assert (found.runtime, found.last_runtime, found.last_port) == ("process", "process", 7)


@pytest.mark.parametrize(
    ("last", "asked", "wanted"),
    [
        ("", None, "static"),
        ("", "onDemand", "onDemand"),
        ("onDemand", None, "onDemand"),
        ("onDemand", "budgeted", "budgeted"),
        ("onDemand", "static", "static"),
    ],
)
def test_how_nodes_are_cut_stays_until_another_way_is_asked_for(
    tmp_path: Path, last: str, asked: str | None, wanted: str
) -> None:
    if last:
        last_start(tmp_path, "nodes: [{name: a}]", partitioning=last)
    assert planned(tmp_path, partitioning=asked).partitioning == wanted


def test_what_the_inventory_gave_up_is_named(tmp_path: Path) -> None:
    last_start(tmp_path, "nodes: [{name: a, labels: {old: x, kept: y}}, {name: b, labels: {k: v}}]")
    (tmp_path / "new.yaml").write_text("nodes: [{name: a, labels: {kept: other, new: z}}, {name: c}]")
    found = planned(tmp_path, inventory=tmp_path / "new.yaml")
    assert found.gone == ("b",)
    assert found.dropped_labels == {"a": {"old": "x"}}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"nodes": MOST_NODES + 1}, "pod networks for 32768"),
        ({"nodes": 10**20}, "pod networks for 32768"),  # not even counted out
        ({"operator_outside": True}, "give --operator as well"),
        ({"operator": True, "agents": False}, "agents are the operator's there; leave one out"),
        ({"operator": True, "runtime": "process"}, "--operator needs --runtime simulated, not process"),
        ({"nodes": 51, "agents": False}, "--no-agents needs sockets, which 51 nodes do not get"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(LocalClusterError, match=said) as caught:
        planned(tmp_path, **options)
    assert "\n" not in str(caught.value)


DEVICES = "resource.k8s.io/v1beta1"
LATEST = Surface("1.37", frozenset({DEVICES}))


@pytest.mark.parametrize(
    ("last", "options", "wanted"),
    [
        (None, {}, Surface(DEFAULT)),
        (None, {"kubernetes_version": "1.31"}, Surface("1.31")),
        (None, {"kubernetes_version": "1.37", "runtime_config": f"{DEVICES}=true"}, LATEST),
        (None, {"runtime_config": f"{DEVICES}=false"}, Surface(DEFAULT)),
        (LATEST, {}, LATEST),
        (LATEST, {"kubernetes_version": "1.36"}, Surface("1.36", LATEST.enabled)),
        (LATEST, {"runtime_config": ""}, Surface("1.37")),
    ],
)
def test_the_version_stays_until_another_is_asked_for(
    tmp_path: Path, last: Surface | None, options: dict[str, str], wanted: Surface
) -> None:
    if last is not None:
        StateDirectory(tmp_path).write_running(
            Running(
                pid=1,
                server="https://127.0.0.1:7",
                ready=True,
                nodes=0,
                joined_by="memory",
                runtime="simulated",
                kubernetes_version=last.version,
                enabled_apis=tuple(last.enabled),
            )
        )
    assert planned(tmp_path, **options).surface == wanted


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (
            {"kubernetes_version": "1.30"},
            r"--kubernetes-version: no Kubernetes 1\.30; there are 1\.31, .* 1\.37$",
        ),
        (
            {"runtime_config": "apps/v2"},
            r"--runtime-config: apps/v2 cannot be turned on in Kubernetes 1\.36; what",
        ),
        ({"runtime_config": "apps/v1=yes"}, r"--runtime-config: apps/v1=yes: true or false is expected"),
    ],
)
def test_a_version_that_there_is_not(tmp_path: Path, options: dict[str, str], problem: str) -> None:
    with pytest.raises(LocalClusterError, match=problem):
        planned(tmp_path, **options)


POLICY = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata}]\n"


def test_without_audit_options_nothing_is_recorded(tmp_path: Path) -> None:
    assert planned(tmp_path).audit is None


def test_audit_options_are_read_at_the_door(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    found = planned(
        tmp_path,
        audit_policy=tmp_path / "policy.yaml",
        audit_log=tmp_path / "audit.log",
        audit_webhook="http://127.0.0.1:9/events",
    ).audit
    assert found is not None
    assert (found.log, found.webhook) == (tmp_path / "audit.log", Webhook("http://127.0.0.1:9/events"))
    assert not (tmp_path / "audit.log").exists()


def webhook_config(folder: Path, server: str, *, token_file: str = "") -> Path:
    (folder / "token").write_text("a-token\n")
    written = cluster_side.webhook_config(server, "demo", token_file=token_file or str(folder / "token"))
    (folder / "webhook.yaml").write_text(yaml.safe_dump(written))
    return folder / "webhook.yaml"


def test_audit_events_go_where_a_kubeconfig_says_with_the_token_that_is_there_now(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(cluster_side.audit_policy()))
    path = webhook_config(tmp_path, "https://access.example.com")
    found = planned(tmp_path, audit_policy=tmp_path / "policy.yaml", audit_webhook=str(path)).audit
    assert found is not None
    assert found.webhook == Webhook("https://access.example.com/v1/audit/demo")
    assert found.webhook is not None
    assert found.webhook.token is not None
    assert found.webhook.token() == "a-token"
    (tmp_path / "token").write_text("the-next")
    assert found.webhook.token() == "the-next"


@pytest.mark.parametrize(
    ("server", "token_file", "said"),
    [
        ("http://127.0.0.1:1", "", "webhook.yaml: a token is shown over https:// alone"),
        ("https://h", "/nowhere/token", "--audit-webhook:"),
        ("ftp://h", "", "ftp://h/v1/audit/demo"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_one_line(
    tmp_path: Path, server: str, token_file: str, said: str
) -> None:
    path = webhook_config(tmp_path, server, token_file=token_file)
    with pytest.raises(LocalClusterError) as refusal:
        planned(tmp_path, audit_policy=Path("p.yaml"), audit_webhook=str(path))
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"audit_log": Path("a.log")}, "--audit-log needs --audit-policy FILE"),
        ({"audit_webhook": "https://h/"}, "--audit-webhook needs --audit-policy FILE"),
        ({"audit_policy": Path("p.yaml")}, "--audit-policy needs --audit-log FILE or --audit-webhook URL"),
        (
            {"audit_policy": Path("p.yaml"), "audit_webhook": "collector"},
            "--audit-webhook: collector: https://HOST[:PORT]/PATH or a kubeconfig is expected",
        ),
        (
            {"audit_policy": Path("nowhere.yaml"), "audit_log": Path("a.log")},
            "--audit-policy: nowhere.yaml: cannot be read: No such file or directory",
        ),
    ],
)
def test_audit_options_that_cannot_be_are_one_line(
    tmp_path: Path, options: dict[str, object], said: str
) -> None:
    with pytest.raises(LocalClusterError) as refusal:
        planned(tmp_path, **options)
    assert said in str(refusal.value)


def test_a_file_of_faults_is_read_before_anything_begins(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("rules:\n- {verbs: [list], cut: answer}\n")
    assert planned(tmp_path, faults=path).faults == path
    path.write_text("rules:\n- {verbs: [list]}\n")
    with pytest.raises(LocalClusterError, match=r"faults\.yaml:2: this rule does nothing"):
        planned(tmp_path, faults=path)


@pytest.mark.parametrize(
    ("last", "said", "wanted"),
    [(None, None, False), (None, True, True), (True, None, True), (True, False, False), (False, None, False)],
)
def test_an_operator_stays_until_it_is_left_out(
    tmp_path: Path, last: bool | None, said: bool | None, wanted: bool
) -> None:
    if last is not None:
        last_start(tmp_path, "nodes: [{name: a}]", runtime="simulated", operator=last)
    assert planned(tmp_path, operator=said).operator is wanted


@pytest.mark.parametrize(
    ("outside", "said", "wanted"),
    [(True, None, True), (True, True, False), (True, False, False), (False, None, False)],
)
def test_an_operator_outside_stays_there(
    tmp_path: Path, outside: bool, said: bool | None, wanted: bool
) -> None:
    last_start(tmp_path, "nodes: [{name: a}]", runtime="simulated", operator=True, operator_outside=outside)
    assert planned(tmp_path, operator=said).operator_outside is wanted
