"""What a plan's steps will take is asked for once, before any of them."""

from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan
from aliquot.eks.upgrade import rights
from aliquot.eks.upgrade.acts.control_plane import ControlPlane
from aliquot.eks.upgrade.acts.rights_check import Action, Right, RightsCheck
from aliquot.eks.upgrade.acts.smoke_job import SmokeJob
from tests.eks.plan.estates import M133, TARGETS, estate, gpus, group

MANIFEST = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"namespace": "ml"},
    "spec": {"template": {"spec": {}}},
}
JOB = SmokeJob(name="nccl", manifest=MANIFEST, group="gpu")


def test_it_stands_once_before_what_changes_anything() -> None:
    made = plan(estate(group("web"), gpus("gpu")), M133, TARGETS, Options(smokes=(JOB,)))
    (number,) = (n for n, step in enumerate(made.steps) if isinstance(step.act, RightsCheck))
    assert made.steps[number].id == "1.32/preflight/rights"
    assert made.steps[number - 1].id == "1.32/preflight"
    assert not any(isinstance(step.act, ControlPlane) for step in made.steps[:number])
    act = made.steps[number].act
    assert isinstance(act, RightsCheck)
    assert {Right("create", "batch", "jobs", "ml"), Right("patch", "jobset.x-k8s.io", "jobsets")} <= set(
        act.in_cluster
    )
    assert Right("delete", "karpenter.sh", "nodeclaims") not in act.in_cluster
    of = "arn:aws:eks:eu-west-1:123456789012"
    assert {
        Action("eks:UpdateClusterVersion", f"{of}:cluster/prod"),
        Action("eks:UpdateNodegroupVersion", f"{of}:nodegroup/prod/gpu/*"),
        Action("eks:UpdateAddon", f"{of}:addon/prod/coredns/*"),
        Action("eks:CreateNodegroup", f"{of}:cluster/prod"),
    } <= set(act.at_aws)


def test_without_gpus_nobody_is_suspended() -> None:
    made = plan(estate(group("web")), M133, TARGETS, Options())
    (act,) = (step.act for step in made.steps if isinstance(step.act, RightsCheck))
    assert Right("patch", "jobset.x-k8s.io", "jobsets") not in act.in_cluster
    assert set(act.in_cluster) < set(rights.most())
