from typing import Any

import pytest

from aliquot.emulator.pod_security import Level, Policy, Standard, policy_of, violations
from aliquot.emulator.pod_security.policy import PREFIX

SOUND = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def spec(*contexts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    listed = contexts or ({},)
    containers = [
        {"name": f"c{place}", **({"securityContext": one} if one else {})} for place, one in enumerate(listed)
    ]
    return {"containers": containers, **fields}


def told(pod: dict[str, Any], level: Level, minor: int = 36, **annotations: str) -> list[str]:
    return list(map(str, violations({"annotations": annotations}, pod, level, minor)))


BASELINE = [
    (spec(), []),
    (spec({"privileged": True}), ['privileged (container "c0" must not set securityContext.privileged=true)']),
    (spec(hostNetwork=True, hostIPC=True), ["host namespaces (hostNetwork=true, hostIPC=true)"]),
    (spec({"capabilities": {"add": ["KILL", "SYS_ADMIN"]}}, {"capabilities": {"add": ["NET_RAW"]}}), ['non-default capabilities (containers "c0", "c1" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)']),
    (spec(volumes=[{"name": "a", "hostPath": {}}, {"name": "b", "emptyDir": {}}]), ['hostPath volumes (volume "a")']),
    ({"containers": [{"name": "a", "ports": [{"hostPort": 80}, {"hostPort": 81}]}]}, ['hostPort (container "a" uses hostPorts 80, 81)']),
    ({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "h"}}}]}, ['probe or lifecycle host (container "a" uses probe or lifecycle host "h")']),
    (spec({"procMount": "Unmasked"}), ['procMount (container "c0" must not set securityContext.procMount to "Unmasked")']),
    (spec({"procMount": "Unmasked"}, hostUsers=False), []),
    (spec({"seLinuxOptions": {"type": "odd", "user": "u"}}), ['seLinuxOptions (container "c0" set forbidden securityContext.seLinuxOptions: type "odd"; user may not be set)']),
    (spec({"seccompProfile": {"type": "Unconfined"}}, securityContext={"seccompProfile": {"type": "Unconfined"}}), ['seccompProfile (pod and container "c0" must not set securityContext.seccompProfile.type to "Unconfined")']),
    (spec(securityContext={"sysctls": [{"name": "kernel.msgmax"}, {"name": "net.ipv4.tcp_rmem"}]}), ["forbidden sysctls (kernel.msgmax)"]),
    (spec({"windowsOptions": {"hostProcess": True}}), ['hostProcess (container "c0" must not set securityContext.windowsOptions.hostProcess=true)']),
    (spec({"appArmorProfile": {"type": "Unconfined"}}), ['forbidden AppArmor profile (container "c0" must not set AppArmor profile type to "Unconfined")']),
]  # fmt: skip


@pytest.mark.parametrize(("pod", "texts"), BASELINE)
def test_baseline(pod: dict[str, Any], texts: list[str]) -> None:
    assert told(pod, Level.BASELINE) == texts
    assert told(pod, Level.PRIVILEGED) == []


@pytest.mark.parametrize(
    ("pod", "texts"),
    [
        (spec(SOUND), []),
        (spec(), [
            'allowPrivilegeEscalation != false (container "c0" must set securityContext.allowPrivilegeEscalation=false)',
            'unrestricted capabilities (container "c0" must set securityContext.capabilities.drop=["ALL"])',
            'runAsNonRoot != true (pod or container "c0" must set securityContext.runAsNonRoot=true)',
            'seccompProfile (pod or container "c0" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")',
        ]),
        (spec({"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}, securityContext={"runAsNonRoot": True, "seccompProfile": {"type": "Localhost"}}), []),
        (spec({**SOUND, "capabilities": {"drop": ["ALL"], "add": ["CHOWN", "NET_BIND_SERVICE"]}}), ['unrestricted capabilities (container "c0" must not include "CHOWN" in securityContext.capabilities.add)']),
        (spec({**SOUND, "runAsNonRoot": False}), ['runAsNonRoot != true (container "c0" must not set securityContext.runAsNonRoot=false)']),
        (spec({**SOUND, "runAsUser": 0}, SOUND, securityContext={"runAsUser": 0}), ['runAsUser=0 (pod and container "c0" must not set runAsUser=0)']),
        (spec({**SOUND, "runAsNonRoot": None, "runAsUser": 0}, hostUsers=False), []),
        (spec(SOUND, volumes=[{"name": "a", "hostPath": {}}, {"name": "b", "nfs": {}}]), ['restricted volume types (volumes "a", "b" use restricted volume types "hostPath", "nfs")']),
        (spec({"runAsNonRoot": True}, os={"name": "windows"}), []),
        # What baseline refuses and restricted does not replace comes first.
        (spec({**SOUND, "privileged": True}), ['privileged (container "c0" must not set securityContext.privileged=true)']),
    ],
)  # fmt: skip
def test_restricted(pod: dict[str, Any], texts: list[str]) -> None:
    assert told(pod, Level.RESTRICTED) == texts


@pytest.mark.parametrize(
    ("pod", "minor", "broken"),
    [
        (spec(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), 31, True),
        (spec(securityContext={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), 32, False),
        ({"containers": [{"name": "a", "livenessProbe": {"httpGet": {"host": "h"}}}]}, 33, False),
        (spec({"procMount": "Unmasked"}, hostUsers=False), 34, True),
        (spec({"seLinuxOptions": {"type": "container_engine_t"}}), 30, True),
        (spec({"seLinuxOptions": {"type": "container_engine_t"}}), 31, False),
    ],
)
def test_a_version_of_the_standard(pod: dict[str, Any], minor: int, broken: bool) -> None:
    assert bool(told(pod, Level.BASELINE, minor)) is broken


def test_annotations_of_old_count_too() -> None:
    unconfined = {"container.apparmor.security.beta.kubernetes.io/c0": "unconfined"}
    [text] = told(spec(), Level.BASELINE, 36, **unconfined)
    assert text.startswith("forbidden AppArmor profile (annotation must not set")


def labels(**modes: str) -> dict[str, str]:
    return {PREFIX + mode.replace("_", "-"): value for mode, value in modes.items()}


BASE, FULL = Standard(Level.BASELINE), Standard(Level.RESTRICTED)


@pytest.mark.parametrize(
    ("found", "policy"),
    [
        ({}, Policy()),
        (labels(enforce="baseline"), Policy(enforce=BASE, warn=BASE)),
        (labels(enforce="baseline", warn="restricted"), Policy(enforce=BASE, warn=FULL)),
        (labels(enforce="baseline", enforce_version="v1.30"), Policy(enforce=Standard(Level.BASELINE, 30), warn=Standard(Level.BASELINE, 30))),
        (labels(enforce="baseline", warn_version="v1.30"), Policy(enforce=BASE, warn=Standard(Level.BASELINE, 30))),
        (labels(audit="restricted", warn="privileged"), Policy(audit=FULL)),
    ],
)  # fmt: skip
def test_what_labels_ask_for(found: dict[str, str], policy: Policy) -> None:
    assert policy_of(found) == (policy, [])


def test_labels_that_say_nothing_close_the_door() -> None:
    policy, errors = policy_of(labels(enforce="odd", audit="odd", warn_version="1.2"))
    assert policy == Policy(enforce=FULL)
    assert list(map(str, errors)) == [
        f'metadata.labels[{PREFIX}enforce]: Invalid value: "odd": must be one of privileged, baseline, restricted',
        f'metadata.labels[{PREFIX}audit]: Invalid value: "odd": must be one of privileged, baseline, restricted',
        f'metadata.labels[{PREFIX}warn-version]: Invalid value: "1.2": must be "latest" or "v1.x"',
    ]
