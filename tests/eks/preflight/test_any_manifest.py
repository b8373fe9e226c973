"""Whatever is written in a file: no check of manifests falls over it."""

import json
from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from aliquot.eks.preflight.checks.table import CHECKS
from aliquot.eks.preflight.judging import judge
from aliquot.eks.preflight.reports import as_json, html, junit, sarif, text
from aliquot.eks.preflight.subject import Need, Subject
from aliquot.eks.sightings.files import in_text
from aliquot.eks.sightings.sighting import Sighting, Unchecked
from aliquot.eks.versions.minor import Minor

KEYS = ("path", "repository", "type", "name", "value", "limits", "nvidia.com/gpu", "cidr", "except", "x")
SCALARS = (
    some.none()
    | some.booleans()
    | some.integers(-1, 3)
    | some.sampled_from(["", "x", "010.1.2.3", "10.0.0.1/8", "/var/run/docker.sock"])
)
ANYTHING = some.recursive(
    SCALARS,
    lambda inner: (
        some.lists(inner, max_size=3) | some.dictionaries(some.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=6,
)


def parts(**of: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    """An object with these; now and then there is something else in the place of one."""
    return some.fixed_dictionaries(
        {name.rstrip("_"): some.one_of(part, part, part, part, ANYTHING) for name, part in of.items()}
    )


def several(of: some.SearchStrategy[Any]) -> some.SearchStrategy[Any]:
    return some.lists(some.one_of(of, of, of, ANYTHING), max_size=2)


CONTAINER = parts(
    image=ANYTHING,
    env=several(parts(name=ANYTHING, valueFrom=ANYTHING)),
    securityContext=ANYTHING,
    resources=ANYTHING,
)
VOLUME = parts(hostPath=parts(path=SCALARS), name=ANYTHING) | parts(gitRepo=ANYTHING, name=ANYTHING)
META = parts(name=ANYTHING, namespace=ANYTHING, labels=ANYTHING, annotations=ANYTHING)
POD = parts(
    metadata=META,
    spec=parts(
        containers=several(CONTAINER),
        initContainers=several(CONTAINER),
        volumes=several(VOLUME),
        securityContext=ANYTHING,
        nodeSelector=ANYTHING,
        affinity=ANYTHING,
    ),
)
RULE = parts(
    from_=several(parts(ipBlock=parts(cidr=SCALARS))), to=several(parts(ipBlock=parts(cidr=SCALARS)))
)
SPEC = parts(
    template=POD,
    jobTemplate=parts(spec=parts(template=POD)),
    externalIPs=ANYTHING,
    loadBalancerIP=ANYTHING,
    loadBalancerSourceRanges=ANYTHING,
    ingress=several(RULE),
    egress=several(RULE),
    containers=several(CONTAINER),
    volumes=several(VOLUME),
    rbd=ANYTHING,
    awsElasticBlockStore=ANYTHING,
    maxUnavailable=ANYTHING,
    minAvailable=ANYTHING,
    amiFamily=ANYTHING,
    amiSelectorTerms=several(parts(alias=ANYTHING, tags=ANYTHING)),
)
BODY = some.fixed_dictionaries(
    {"metadata": META}, optional={"spec": SPEC, "items": several(POD), "template": POD, "endpoints": several(parts(addresses=ANYTHING)), "provisioner": ANYTHING, "data": ANYTHING, "subjects": several(parts(name=ANYTHING))}
)  # fmt: skip
KINDS = some.sampled_from(
    [
        *((version, kind) for version in ("v1", "apps/v1", "a/b/c", "/", "") for kind in ("Pod", "Deployment", "Service", "List")),
        ("batch/v1", "CronJob"),
        ("networking.k8s.io/v1", "NetworkPolicy"),
        ("discovery.k8s.io/v1", "EndpointSlice"),
        ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema"),
        ("v1", "PersistentVolume"),
        ("v1", "ConfigMap"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
        ("policy/v1", "PodDisruptionBudget"),
        ("karpenter.k8s.aws/v1", "EC2NodeClass"),
    ]
)  # fmt: skip


@settings(max_examples=200)
@given(KINDS, BODY)
def test_no_check_falls_over_a_manifest(what: tuple[str, str], body: dict[str, Any]) -> None:
    api_version, kind = what
    found = list(in_text(json.dumps({"apiVersion": api_version, "kind": kind, **body}), "f.json"))
    subject = Subject(
        name="f.json",
        now=Minor(1, 22),
        to=Minor(1, 37),
        today=date(2026, 11, 29),
        has=frozenset({Need.SIGHTINGS}),
        sightings=tuple(one for one in found if isinstance(one, Sighting)),
        unchecked=tuple(one for one in found if isinstance(one, Unchecked)),
    )
    result = judge(subject, CHECKS)
    assert all(one.why and one.fix for one in result.findings)
    for told in (text.text(result), junit.text(result), html.text(result, {})):
        assert told
    assert json.dumps([as_json.document(result), sarif.document(result, {})])
