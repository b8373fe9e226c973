import pytest

from aliquot.eks.versions import changes
from aliquot.eks.versions.minor import Minor
from aliquot.eks.versions.removals import KUBERNETES, Removals, Served, Stage, State, shipped


def test_the_shipped_table_holds_together() -> None:
    rows = shipped().rows
    assert len([row for row in rows if row.component == KUBERNETES]) == 146
    assert len({(row.group, row.version, row.kind) for row in rows}) == len(rows)
    for row in rows:
        if row.stage is Stage.ALPHA:
            assert row.served is not Served.YES, row
        if row.deprecated is not None and row.removed is not None and row.component == KUBERNETES:
            assert row.deprecated <= row.removed, row


REMOVED, DEPRECATED = State.REMOVED, State.DEPRECATED


@pytest.mark.parametrize(
    ("api_version", "kind", "at", "state", "use"),
    [
        (
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "FlowSchema",
            "1.31",
            DEPRECATED,
            "flowcontrol.apiserver.k8s.io/v1",
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "FlowSchema",
            "1.32",
            REMOVED,
            "flowcontrol.apiserver.k8s.io/v1",
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1beta3",
            "FlowSchemaList",
            "1.32",
            REMOVED,
            "flowcontrol.apiserver.k8s.io/v1",
        ),
        ("policy/v1beta1", "PodSecurityPolicy", "1.25", REMOVED, ""),
        ("policy/v1beta1", "PodDisruptionBudget", "1.24", DEPRECATED, "policy/v1"),
        ("batch/v1beta1", "CronJob", "1.25", REMOVED, "batch/v1"),
        ("extensions/v1beta1", "Ingress", "1.22", REMOVED, "networking.k8s.io/v1"),
        ("v1", "Endpoints", "1.33", DEPRECATED, "discovery.k8s.io/v1 EndpointSlice"),
    ],
)
def test_what_ends_when(api_version: str, kind: str, at: str, state: State, use: str) -> None:
    row = shipped().of(api_version, kind)
    assert row is not None
    assert (row.state(Minor.parse(at)), row.use) == (state, use)


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("apps/v1", "Deployment"),
        ("v1", "Pod"),
        ("example.com/v1beta1", "CronJob"),
        ("policy/v1", "PodDisruptionBudget"),
    ],
)
def test_what_does_not_end(api_version: str, kind: str) -> None:
    assert shipped().of(api_version, kind) is None


def test_a_kind_may_stand_for_all_of_its_group() -> None:
    removals: Removals = shipped()
    found = removals.of("authentication.istio.io/v1alpha1", "Policy")
    assert found is not None
    assert found.component == "istio"


def test_each_change_of_behaviour_is_named_once_and_lies_on_its_way() -> None:
    ids = [change.id for change in changes.shipped()]
    assert len(set(ids)) == len(ids)
    assert [c.minor for c in changes.between(Minor(1, 31), Minor(1, 32))] == [Minor(1, 32)] * 4
    assert changes.between(Minor(1, 33), Minor(1, 33)) == ()
