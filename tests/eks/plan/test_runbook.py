from aliquot.eks.plan.plan import Options
from aliquot.eks.plan.planning import plan
from aliquot.eks.plan.runbook import markdown
from aliquot.eks.plan.times import duration
from aliquot.eks.plan.wording import aws_command
from aliquot.eks.upgrade.verdicts import Call
from tests.eks.plan.estates import M132, M133, TARGETS, estate, gpus, group

MADE = plan(estate(group("web"), gpus("gpu"), objects=None), M133, TARGETS, Options(no_surge=("gpu",)))


def test_each_step_is_told_with_its_command_and_with_a_way_back() -> None:
    text = markdown(MADE)
    for step in MADE.steps:
        assert f"`{step.id}`" in text
    assert (
        "### 8. control plane from 1.31 to 1.32\n\n"
        "`1.32/control-plane`: 10 min, 1 h at most\n\n"
        "```sh\n"
        "aws eks update-cluster-version --name prod --kubernetes-version 1.32 --region eu-west-1\n"
        "```\n\n"
        "- Disturbs: whoever talks to the API server: connections break off, and are taken up again\n"
        "- Done when: `aws eks describe-cluster --name prod --query 'cluster.[status,version]'` says ACTIVE, 1.32\n"
        "- Back: EKS takes back what fails; after it, for seven days and until the next hop: aliquot eks rollback prod\n"
    ) in text
    assert "- **Not checked**: gangs, and who moves: no API server was asked" in text


def test_where_it_can_be_stopped_is_said_before_the_first_step_that_changes_it() -> None:
    lines = markdown(MADE).splitlines()
    stops = [line for line in lines if line.startswith("**From here on:**")]
    assert (
        stops
        == [
            "**From here on:** stop at any time: this hop has changed nothing.",
            "**From here on:** stop, and put back what was changed so far: the control plane is as it was.",
            "**From here on:** hold and go on, or roll back.",
        ]
        * 2
    )
    rollback = lines.index(stops[2])
    assert lines.index("`1.32/control-plane`: 10 min, 1 h at most") < rollback
    assert rollback < lines.index("`1.32/control-plane-verify`: 3 min, 30 min at most")


def test_every_call_of_a_step_is_a_command() -> None:
    text = markdown(MADE)
    commands = [aws_command(step.call, MADE.region) for step in MADE.steps if step.call]
    assert len(commands) > 8
    assert all(f"```sh\n{command}\n```" in text for command in commands)
    assert all("client-request-token" not in command for command in commands)


def test_options_are_named_as_the_aws_cli_names_them() -> None:
    roll = Call(
        "eks",
        "UpdateNodegroupVersion",
        {
            "clusterName": "prod",
            "nodegroupName": "gpu",
            "version": "1.32",
            "launchTemplate": {"id": "lt-1", "version": "5"},
            "force": False,
        },
    )
    assert aws_command(roll, "") == (
        "aws eks update-nodegroup-version --cluster-name prod --nodegroup-name gpu --kubernetes-version 1.32 "
        """--launch-template '{"id": "lt-1", "version": "5"}' --no-force"""
    )
    addon = Call("eks", "UpdateAddon", {"clusterName": "p", "configurationValues": '{"a": "it\'s"}'})
    assert aws_command(addon, "") == (
        """aws eks update-addon --cluster-name p --configuration-values '{"a": "it'"'"'s"}'"""
    )


def test_durations_are_told_as_people_do() -> None:
    assert [duration(seconds) for seconds in (0, 180, 8400, 86400, 90060)] == [
        "0 min",
        "3 min",
        "2 h 20 min",
        "1 d",
        "1 d 1 h 1 min",
    ]
    assert M132 < M133
