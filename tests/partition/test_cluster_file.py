import pytest

from aliquot.document import DocumentError
from aliquot.partition.cluster import Instance
from aliquot.partition.cluster_file import parse

GOOD = """
gpus:
- {node: a, board: h100-80gb, slices: [{profile: 3g.40gb, start: 4, pod: ml/x}, {profile: 1g.10gb, start: 0}]}
- {node: a, board: h100-80gb, count: 2, labels: {zone: west}}
pods: {ml/x: {priority: 3, budget: ml/b, ranFor: 60}}
budgets: {ml/b: 1}
pending: [{pod: ml/w, needs: {7g.80gb: 1}, count: 2, nodeSelector: {zone: west}, required: true}]
"""


def test_what_files_say() -> None:
    found = parse(GOOD, source="c.yaml")
    assert [gpu.uuid for gpu in found.gpus] == ["GPU-a-0", "GPU-a-1", "GPU-a-2"]
    assert found.gpus[0].instances == (Instance("1g.10gb", 0, 1), Instance("3g.40gb", 4, 4, ("ml/x",)))
    assert found.running["ml/x"].started_s == -60 and found.running["ml/x"].budget == "ml/b"
    assert [pod.key for pod in found.pending] == ["ml/w-0", "ml/w-1"] and found.pending[0].required
    assert found.pending[0].where.allows(found.node["a"].has())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (
            "h100-80gb, slices",
            "h100-80, slices",
            "c.yaml:3: unknown board 'h100-80'; did you mean 'h100-80gb'?",
        ),
        ("3g.40gb", "3g.40g", "c.yaml:3: h100-80gb has no profile '3g.40g'; did you mean '3g.40gb'?"),
        ("start: 4", "start: 3", "c.yaml:3: 3g.40gb cannot start at slot 3"),
        ("start: 0}", "start: 5}", "c.yaml:3: 1g.10gb at slot 5 overlaps another slice"),
        ("7g.80gb", "7g.8gb", "c.yaml:7: no board here has a profile '7g.8gb'; did you mean '7g.80gb'?"),
        ("{ml/b: 1}", "{ml/c: 1}", "c.yaml:5: there is no budget 'ml/b'; did you mean 'ml/c'?"),
        ("pods: {ml/x:", "pods: {ml/y:", "c.yaml:5: pod 'ml/y' holds no slice; did you mean 'ml/x'?"),
        ("{7g.80gb: 1}", "{}", "c.yaml:7: ml/w needs no slice"),
        ("ranFor", "ranfor", "c.yaml:5: unknown field 'ranfor' in pods.ml/x; did you mean 'ranFor'?"),
        (
            "h100-80gb, slices",
            "h100-80gb, count: 2, slices",
            "c.yaml:3: GPUs that pods are on are given one by one",
        ),
    ],
)
def test_complaints_name_the_place(old: str, new: str, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(DocumentError) as error:
        parse(GOOD.replace(old, new), source="c.yaml")
    assert str(error.value) == complaint
