"""A node group whose AMI is its launch template's own: EKS knows no release of it."""

from aliquot.eks.aws.model import against_model
from aliquot.eks.upgrade.acts.group_roll import GroupRoll, Seen, call_of, judged
from aliquot.eks.upgrade.doing import Attempt
from aliquot.eks.upgrade.verdicts import Call, Done
from aliquot.eks.versions.minor import Minor

OWN = GroupRoll(
    cluster="prod", name="own", minor=Minor(1, 32), release="", template={"id": "lt-1", "version": "5"}
)
ATTEMPT = Attempt(run="r", step="1.32/nodes/own", token="t", before=(), began_s=0.0, now_s=0.0)


def test_it_is_asked_for_by_the_version_of_its_template_alone() -> None:
    call = call_of(OWN, "t")
    assert call.parameters == {
        "clusterName": "prod",
        "nodegroupName": "own",
        "force": False,
        "clientRequestToken": "t",
        "launchTemplate": {"id": "lt-1", "version": "5"},
    }
    assert not list(against_model(call.service, call.operation, call.parameters))


def test_it_is_there_once_it_has_that_version_whatever_its_release_is_called() -> None:
    before = Seen(status="ACTIVE", minor="1.31", release="ami-0a", template_version="4")
    assert isinstance(judged(OWN, before, ATTEMPT), Call)
    after = Seen(status="ACTIVE", minor="1.31", release="ami-0b", template_version="5")
    assert isinstance(judged(OWN, after, ATTEMPT), Done)
