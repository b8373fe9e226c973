"""The server in a cluster: what its objects say, and what cannot be one."""

from typing import Any

import pytest
from msgspec.structs import replace

from aliquot.access.cluster.naming import AGENT
from aliquot.access.serving.configuration import Configuration
from aliquot.access.serving.objects import DATA, NAME, SECRET, NotServable, Wanted, objects
from aliquot.document import parse
from aliquot.emulator.pod_security.checks import violations
from aliquot.emulator.pod_security.policy import Level
from tests.access.serving.test_paths import TEXT

POSTGRESQL = "postgresql://access@db.example.com:5433/access"
SQLITE = f"sqlite:///{DATA}/access.db"


def configuration(database: str = POSTGRESQL, **more: Any) -> Configuration:
    found = parse(TEXT, source="access.yaml").into(Configuration)
    return replace(
        found,
        database=database,
        journal=more.pop("journal", "" if database == SQLITE else f"{DATA}/access.journal"),
        listen="0.0.0.0:8443",
        tls=replace(found.tls, key_file="tls.key"),  # type: ignore[type-var]
        clusters=found.clusters[:1],
        **more,
    )


def wanted(**more: Any) -> Wanted:
    settings: dict[str, Any] = {
        "image": "registry.example.com/aliquot:1",
        "files": {"access.yaml": TEXT, "policy.yaml": "p", "templates/one.yaml": "t"},
        "secrets": ["log.key", "secrets/jira"],
    }
    return Wanted(**{**settings, **more})


def made(of: Configuration, **more: Any) -> dict[str, Any]:
    return {one["kind"]: one for one in objects(of, wanted(**more))}


def test_on_postgresql_two_stand_beside_each_other() -> None:
    found = made(configuration())
    spec = found["Deployment"]["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert "PersistentVolumeClaim" not in found
    assert found["ServiceAccount"]["automountServiceAccountToken"] is False
    ports = found["NetworkPolicy"]["spec"]["egress"][1]["ports"]
    assert [one["port"] for one in ports] == [443, 587, 5433, 6443]


def test_on_sqlite_one_stands_on_its_volume_and_never_two() -> None:
    found = made(configuration(SQLITE), replicas=1, storage="5Gi", storage_class="fast")
    spec = found["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert found["PersistentVolumeClaim"]["spec"]["storageClassName"] == "fast"
    volumes = {one["name"]: one for one in spec["template"]["spec"]["volumes"]}
    assert volumes["data"]["persistentVolumeClaim"] == {"claimName": NAME}


def test_on_postgresql_each_may_have_a_volume_for_its_journal() -> None:
    spec = made(configuration(), storage="1Gi", storage_class="fast")["StatefulSet"]["spec"]
    assert (spec["replicas"], spec["podManagementPolicy"]) == (2, "Parallel")
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    pod = spec["template"]["spec"]
    assert claim["metadata"]["name"] not in [one["name"] for one in pod["volumes"]]
    (container,) = pod["containers"]
    mounted = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert mounted[claim["metadata"]["name"]] == DATA


@pytest.mark.parametrize("database", [POSTGRESQL, SQLITE])
def test_its_pod_may_do_as_little_as_any(database: str) -> None:
    pod = made(configuration(database), replicas=1)["Deployment"]["spec"]["template"]
    assert violations(pod["metadata"], pod["spec"], Level.RESTRICTED, 36) == []
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_everything_lies_beside_the_configuration_and_secrets_are_only_named() -> None:
    found = made(configuration())
    assert set(found["ConfigMap"]["data"]) == {"access.yaml", "policy.yaml", "templates.one.yaml"}
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (projected,) = (one["projected"] for one in pod["volumes"] if one["name"] == "configuration")
    public, secret = projected["sources"]
    assert {"key": "templates.one.yaml", "path": "templates/one.yaml"} in public["configMap"]["items"]
    assert secret["secret"] == {
        "name": SECRET,
        "items": [{"key": "log.key", "path": "log.key"}, {"key": "secrets.jira", "path": "secrets/jira"}],
    }


def test_who_looks_after_its_own_cluster_is_its_agent() -> None:
    own = parse(TEXT, source="access.yaml").into(Configuration).clusters[1]
    found = made(replace(configuration(), clusters=(own,)))
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (AGENT, True)
    assert "ServiceAccount" not in found


def test_a_server_that_cannot_reach_others_is_still_asked() -> None:
    (container,) = made(configuration())["Deployment"]["spec"]["template"]["spec"]["containers"]
    path = container["readinessProbe"]["httpGet"]["path"]
    for one in ("database", "cluster", "policy", "log", "journal"):
        assert f"exclude={one}" in path


@pytest.mark.parametrize(
    ("changed", "more", "said"),
    [
        ({"database": "sqlite:///access.db"}, {"replicas": 1}, f"keeps nothing but what lies in {DATA}"),
        ({"database": SQLITE}, {"replicas": 2}, "SQLite is for one server"),
        ({"tls": None}, {}, "tls: others reach a pod"),
        ({"listen": "127.0.0.1:8443"}, {}, "listen: nobody reaches 127.0.0.1:8443"),
        ({"listen": "0.0.0.0:8080"}, {}, "that of the metrics"),
        ({}, {"secrets": ["/etc/log.key"]}, "/etc/log.key: in a pod everything lies beside"),
        ({}, {"files": {"../policy.yaml": "p"}}, "../policy.yaml: in a pod"),
        ({"journal": ""}, {}, "write journal: /var/lib/aliquot/access.journal"),
        ({"journal": "access.journal"}, {}, "a pod keeps nothing but what lies in /var/lib/aliquot"),
    ],
)
def test_what_is_no_pod(changed: dict[str, Any], more: dict[str, Any], said: str) -> None:
    with pytest.raises(NotServable, match=said):
        objects(replace(configuration(), **changed), wanted(**more))
