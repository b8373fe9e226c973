from pathlib import Path

import pytest
from msgspec.structs import replace

from aliquot.eks.aws.model import against_model
from aliquot.eks.plan.calls import CALLS, call_of
from aliquot.eks.plan.checking import wrong
from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan
from aliquot.eks.upgrade import acts
from aliquot.eks.upgrade.acts.addon import AddonBuild
from aliquot.eks.upgrade.acts.group_config import GroupConfig
from aliquot.eks.upgrade.acts.table import DOINGS
from aliquot.eks.upgrade.steps import Step
from aliquot.eks.upgrade.verdicts import Call
from tests.eks.plan.estates import M133, TARGETS, estate, gpus, group


def test_every_call_of_a_plan_is_one_that_aws_takes() -> None:
    made = plan(estate(group("web"), gpus("gpu")), M133, TARGETS, Options(no_surge=("gpu",)))
    assert any(isinstance(step.act, GroupConfig) for step in made.steps)
    assert wrong(made.id, made.steps) == ()


def test_a_plan_shows_the_calls_that_its_acts_make_without_their_token() -> None:
    made = plan(estate(group("web"), gpus("gpu")), M133, TARGETS, Options(no_surge=("gpu",)))
    for step in made.steps:
        call = call_of(step.act, "t")
        if call is None or step.call is None:
            assert step.call is call is None
        else:
            rest = {name: value for name, value in call.parameters.items() if name != "clientRequestToken"}
            assert step.call == Call(call.service, call.operation, rest)
    operations = {step.call.operation for step in made.steps if step.call}
    assert operations == {
        "StartInsightsRefresh",
        "UpdateClusterVersion",
        "UpdateAddon",
        "UpdateNodegroupVersion",
        "UpdateNodegroupConfig",
    }


def test_a_step_with_a_parameter_that_aws_does_not_take_is_found() -> None:
    made = plan(estate(), M133, TARGETS, Options())

    def broken(step: Step) -> Step:
        return replace(step, act=replace(step.act, build=7)) if isinstance(step.act, AddonBuild) else step

    steps = tuple(broken(step) for step in made.steps)
    lines = wrong(made.id, steps)
    assert len(lines) == len([step for step in steps if isinstance(step.act, AddonBuild)])
    assert lines[0].startswith(
        "step 1.32/kube-proxy: eks:UpdateAddon: Invalid type for parameter addonVersion"
    )


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (Call("eks", "UpdateClusterVersion", {"name": "prod", "version": "1.32"}), ""),
        (Call("eks", "UpdateClusterVersion", {}), 'Missing required parameter in input: "name"'),
        (
            Call("eks", "UpdateClusterVersion", {"name": "p", "version": "1", "minor": "1"}),
            'Unknown parameter in input: "minor"',
        ),
        (Call("eks", "UpdateClusterMinor", {}), "the service has no such operation"),
        (Call("esk", "UpdateCluster", {}), "AWS has no such service"),
        (
            Call(
                "eks",
                "UpdateNodegroupConfig",
                {"clusterName": "p", "nodegroupName": "g", "updateConfig": {"updateStrategy": "FAST"}},
            ),
            "updateConfig.updateStrategy: 'FAST' is none of DEFAULT, MINIMAL",
        ),
        (
            Call("eks", "UpdateAddon", {"clusterName": "p", "addonName": "a", "resolveConflicts": "KEEP"}),
            "resolveConflicts: 'KEEP' is none of OVERWRITE, NONE, PRESERVE",
        ),
    ],
)
def test_a_call_is_held_against_the_model_of_its_service(call: Call, line: str) -> None:
    assert next(against_model(call.service, call.operation, call.parameters), "").startswith(line)
    assert bool(line) == bool(list(against_model(call.service, call.operation, call.parameters)))


def test_acts_that_know_their_call_are_all_checked() -> None:
    with_call = {
        path.stem for path in Path(acts.__path__[0]).glob("*.py") if "\ndef call_of(" in path.read_text()
    }
    assert with_call == {one.__module__.rpartition(".")[2] for one in CALLS}
    assert set(CALLS) <= set(DOINGS)
