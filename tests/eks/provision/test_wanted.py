import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from aliquot.document import DocumentError
from aliquot.eks.provision.checking import wrong
from aliquot.eks.provision.resources import CLUSTER_TAG, NAME_TAG, Call, Ref, Resource
from aliquot.eks.provision.site import ExistingSubnet, Reservation
from aliquot.eks.provision.wanted.graph import Graph, graph
from aliquot.eks.versions.calendar import Support
from aliquot.eks.versions.minor import Minor
from tests.eks.provision.files import GPU, PLAIN
from tests.eks.provision.sites import SITE, planned, wanted

GROUP = PLAIN + "managedNodeGroups:\n- name: gpu\n  "
EFA = GROUP + "instanceType: p4d.24xlarge\n  privateNetworking: true\n  efaEnabled: true\n  placement: {}\n"
EVERYTHING = (
    EFA.replace('"1.33"', '"1.34"\n  tags: {team: vision}')
    + """\
  capacityReservation: {capacityReservationTarget: {capacityReservationID: cr-1}}
  instanceMarketOptions: {marketType: capacity-block}
  volumeIOPS: 6000
  updateConfig: {maxUnavailable: 1, updateStrategy: MINIMAL}
  nodeRepairConfig: {enabled: true, maxParallelNodesRepairedCount: 1}
  iam: {attachPolicyARNs: ['arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore']}
  taints: [{key: nvidia.com/gpu, effect: NoSchedule}]
- name: cpu
  spot: true
  instanceTypes: [m5.large]
fargateProfiles: [{name: web, selectors: [{namespace: web, labels: {a: b}}]}, {name: jobs, selectors: [{namespace: jobs}]}]
vpc: {nat: {gateway: HighlyAvailable}, clusterEndpoints: {privateAccess: true}, publicAccessCIDRs: [203.0.113.0/24]}
kubernetesNetworkConfig: {serviceIPv4CIDR: 10.100.0.0/16}
secretsEncryption: {}
deletionProtection: true
cloudWatch: {clusterLogging: {enableTypes: [audit], logRetentionInDays: 30}}
addons: [{name: aws-ebs-csi-driver, version: v2.0.0, useDefaultPodIdentityAssociations: true}]
iam:
  withOIDC: true
  podIdentityAssociations:
  - {namespace: shop, serviceAccountName: cart, permissionPolicy: {Version: "2012-10-17", Statement: []}}
accessConfig:
  accessEntries:
  - principalARN: arn:aws:iam::123456789012:role/ops
    accessPolicies: [{policyARN: 'arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy', accessScope: {type: namespace, namespaces: [shop]}}]
"""
)
BLOCK = {"reservations": {"cr-1": Reservation(id="cr-1", type="p4d.24xlarge", zone="eu-west-1c")}}


def of(plan: Graph, key: str) -> Resource:
    return next(one for one in plan.resources if one.key == key)


def parameters(plan: Graph, key: str) -> dict[str, Any]:
    return of(plan, key).make.parameters


def refused(text: str, **site: Any) -> str:
    with pytest.raises(DocumentError) as caught:
        planned(text, **site)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("text", "site"), [(PLAIN, {}), (GPU, {}), (EFA, {}), (EVERYTHING, BLOCK)])
def test_each_resource_comes_after_what_it_needs_once_and_as_aws_knows_it(text: str, site: Any) -> None:
    plan = planned(text, **site)
    seen: set[str] = set()
    for one in plan.resources:
        assert one.key not in seen
        assert set(one.needs) <= seen, one.key
        seen.add(one.key)
        assert wrong(one.make) == ""
        look = Call(service=one.look.service, operation=one.look.operation, parameters=one.look.parameters)
        assert wrong(look) == ""


def test_all_that_can_have_tags_has_ours() -> None:
    plan = planned(EVERYTHING, **BLOCK)
    bare = []
    for one in plan.resources:
        text = json.dumps(one.make.parameters, default=str)
        if CLUSTER_TAG in text and NAME_TAG in text:
            assert "vision" in text
        else:
            bare.append(one.make.operation)
    assert set(bare) == {
        "AssociateAccessPolicy",
        "AssociateRouteTable",
        "AttachInternetGateway",
        "AttachRolePolicy",
        "AuthorizeSecurityGroupEgress",
        "AuthorizeSecurityGroupIngress",
        "CreateAlias",
        "CreateRoute",
        "EnableKeyRotation",
        "ModifySubnetAttribute",
        "ModifyVpcAttribute",
        "PutRetentionPolicy",
        "PutRolePolicy",
    }


@pytest.mark.parametrize(
    ("family", "type_", "ami"),
    [
        ("AmazonLinux2023", "m5.large", "AL2023_x86_64_STANDARD"),
        ("AmazonLinux2023", "m7g.large", "AL2023_ARM_64_STANDARD"),
        ("AmazonLinux2023", "g5.xlarge", "AL2023_x86_64_NVIDIA"),
        ("AmazonLinux2023", "g5g.xlarge", "AL2023_ARM_64_NVIDIA"),
        ("AmazonLinux2023", "trn1.2xlarge", "AL2023_x86_64_NEURON"),
        ("Bottlerocket", "m5.large", "BOTTLEROCKET_x86_64"),
        ("Bottlerocket", "g5.xlarge", "BOTTLEROCKET_x86_64_NVIDIA"),
        ("BottlerocketFips", "g5g.xlarge", "BOTTLEROCKET_ARM_64_NVIDIA_FIPS"),
    ],
)
def test_a_group_gets_the_ami_type_of_its_instances(family: str, type_: str, ami: str) -> None:
    plan = planned(GROUP + f"instanceType: {type_}\n  amiFamily: {family}\n")
    assert parameters(plan, "nodegroup/gpu")["amiType"] == ami
    disk = parameters(plan, "launch-template/gpu")["LaunchTemplateData"]["BlockDeviceMappings"][0]
    assert disk["DeviceName"] == ("/dev/xvdb" if family.startswith("Bottle") else "/dev/xvda")


def test_efa_has_an_interface_on_each_card_one_zone_and_a_group_that_lets_its_own_in_and_out() -> None:
    plan = planned(EFA)
    data = parameters(plan, "launch-template/gpu")["LaunchTemplateData"]
    assert [one["NetworkCardIndex"] for one in data["NetworkInterfaces"]] == [0, 1, 2, 3]
    assert [one["DeviceIndex"] for one in data["NetworkInterfaces"]] == [0, 1, 1, 1]
    cluster_group = Ref("cluster", "resourcesVpcConfig.clusterSecurityGroupId")
    assert data["NetworkInterfaces"][0]["Groups"] == [cluster_group, Ref("security-group/efa", "GroupId")]
    assert data["Placement"] == {"GroupName": Ref("placement-group/gpu", "GroupName")}
    assert parameters(plan, "placement-group/gpu")["Strategy"] == "cluster"
    assert parameters(plan, "nodegroup/gpu")["subnets"] == [Ref("subnet/private/eu-west-1b", "SubnetId")]
    for way in ("in", "out"):
        rule = parameters(plan, f"security-group/efa/{way}")
        assert rule["IpPermissions"][0]["UserIdGroupPairs"] == [{"GroupId": rule["GroupId"]}]
        assert f"security-group/efa/{way}" in of(plan, "nodegroup/gpu").after


def test_a_capacity_block_is_taken_in_its_zone() -> None:
    plan = planned(EVERYTHING, **BLOCK)
    group = parameters(plan, "nodegroup/gpu")
    assert group["capacityType"] == "CAPACITY_BLOCK"
    assert group["subnets"] == [Ref("subnet/private/eu-west-1c", "SubnetId")]
    assert group["updateConfig"] == {"maxUnavailable": 1, "updateStrategy": "MINIMAL"}
    data = parameters(plan, "launch-template/gpu")["LaunchTemplateData"]
    assert data["InstanceMarketOptions"] == {"MarketType": "capacity-block"}
    target = data["CapacityReservationSpecification"]["CapacityReservationTarget"]
    assert target == {"CapacityReservationId": "cr-1"}
    assert parameters(plan, "nodegroup/cpu")["capacityType"] == "SPOT"


def test_nodes_have_no_rights_of_the_cni_where_it_has_its_own() -> None:
    plan = planned(GPU)
    attached = {one.key for one in plan.resources if one.make.operation == "AttachRolePolicy"}
    assert attached == {
        "role/cluster/AmazonEKSClusterPolicy",
        "role/node/AmazonEKSWorkerNodePolicy",
        "role/node/AmazonEC2ContainerRegistryPullOnly",
        "role/addon.vpc-cni.aws-node/AmazonEKS_CNI_Policy",
    }
    bare = planned(GPU + "addonsConfig: {disableDefaultAddons: true}\n")
    keys = {one.key for one in bare.resources}
    assert "role/node/AmazonEKS_CNI_Policy" in keys
    assert not any(key.startswith("addon/") for key in keys)


def test_a_role_of_pods_is_of_one_service_account_in_one_cluster() -> None:
    trust = json.loads(
        parameters(planned(EVERYTHING, **BLOCK), "role/pod.shop.cart")["AssumeRolePolicyDocument"]
    )
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:eu-west-1:123456789012:cluster/prod",
        "aws:RequestTag/kubernetes-namespace": "shop",
        "aws:RequestTag/kubernetes-service-account": "cart",
    }


def test_a_vpc_that_is_there_is_used_and_nothing_is_made_in_it() -> None:
    text = GPU + (
        "vpc:\n  id: vpc-9\n  subnets:\n    public: {a: {id: s-1}}\n"
        "    private: {b: {id: s-2}, eu-west-1c: {id: s-3, az: eu-west-1c}}\n"
    )
    there = {
        f"s-{at}": ExistingSubnet(id=f"s-{at}", zone=f"eu-west-1{zone}", vpc="vpc-9")
        for at, zone in ((1, "a"), (2, "b"), (3, "c"))
    }
    plan = planned(text, subnets=there)
    assert not [one for one in plan.resources if one.make.operation in ("CreateVpc", "CreateSubnet")]
    assert parameters(plan, "cluster")["resourcesVpcConfig"]["subnetIds"] == ["s-2", "s-3"]
    assert parameters(plan, "nodegroup/cpu")["subnets"] == ["s-1"]
    assert parameters(plan, "nodegroup/gpu")["subnets"] == ["s-2", "s-3"]
    assert "there is no subnet s-2" in refused(text, subnets={"s-1": there["s-1"]})
    elsewhere = {**there, "s-2": ExistingSubnet(id="s-2", zone="eu-west-1b", vpc="vpc-8")}
    assert "cluster.yaml:23: vpc.subnets.private.b.id: s-2 is of vpc-8, not of vpc-9" in refused(
        text, subnets=elsewhere
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (GROUP + "instanceType: x9.large\n", "cluster.yaml:9: managedNodeGroups[0].instanceType: eu-west-1 does not offer x9.large"),
        (GROUP + "instanceType: p5.48xlarge\n", "instanceType: eu-west-1 does not offer p5.48xlarge: take another type or region"),
        (GROUP + "instanceType: p4d.24xlarge\n  availabilityZones: [eu-west-1a]\n", "p4d.24xlarge cannot be had in eu-west-1a, but in eu-west-1b, eu-west-1c"),
        (GROUP + "instanceTypes: [m5.large, g5.xlarge]\n", "amiFamily: these have no AMI in common"),
        (GROUP + "instanceType: g4ad.xlarge\n", "g4ad.xlarge has GPUs of AMD: EKS has AMIs for NVIDIA alone"),
        (GROUP + "amiFamily: Bottlerocket\n  instanceType: trn1.2xlarge\n", "Bottlerocket has no AMI for Neuron instances of x86"),
        (GROUP + "instanceType: m5.large\n  privateNetworking: true\n  efaEnabled: true\n", "efaEnabled: m5.large has no EFA"),
        (EVERYTHING, "capacityReservationID: there is no reservation cr-1 in eu-west-1"),
        (PLAIN + "addons: [{name: corednss}]\n", "cluster.yaml:7: addons[0]: EKS has no add-on corednss for 1.33"),
        (PLAIN + "addons: [{name: coredns, version: v9}]\n", "addons[0].version: coredns has no v9 for 1.33 (v2.0.0-eksbuild.3 is the default)"),
        (PLAIN + "availabilityZones: [eu-west-1a, eu-west-1x]\n", "availabilityZones[1]: eu-west-1x cannot be had; there are eu-west-1a"),
        (PLAIN.replace("1.33", "1.30"), "cluster.yaml:6: metadata.version: support of 1.30 ended on 2026-07-23: no cluster of it can be made; choose one of 1.31"),
        (PLAIN.replace("1.33", "1.99"), "metadata.version: EKS has no 1.99: choose one of 1.31"),
        (PLAIN + "upgradePolicy: {supportType: STANDARD}\n", "upgradePolicy.supportType: 1.33 has extended support alone, since 2026-07-29"),
    ],
)  # fmt: skip
def test_what_region_or_calendar_do_not_have_is_refused_before_anything_is_made(text: str, line: str) -> None:
    assert line in refused(text)


def test_a_reservation_of_another_type_is_refused() -> None:
    other = {"cr-1": Reservation(id="cr-1", type="p5.48xlarge", zone="eu-west-1a")}
    assert "cr-1 is of p5.48xlarge, the group of p4d.24xlarge" in refused(EVERYTHING, reservations=other)


def test_a_block_that_is_over_is_refused() -> None:
    over = {"cr-1": replace(BLOCK["reservations"]["cr-1"], state="expired")}
    assert "capacityReservationID: cr-1 is expired: no instance comes of it" in refused(
        EVERYTHING, reservations=over
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("iam: {serviceRoleARN: 'arn:aws:iam::999999999999:role/x'}\n", "iam.serviceRoleARN"),
        ("fargateProfiles: [{name: a, selectors: [{namespace: a}], podExecutionRoleARN: 'arn:aws:iam::999999999999:role/x'}]\n", "fargateProfiles[0].podExecutionRoleARN"),
        ("managedNodeGroups: [{name: a, iam: {instanceRoleARN: 'arn:aws:iam::999999999999:role/x'}}]\n", "managedNodeGroups[0].iam.instanceRoleARN"),
        ("managedNodeGroups: [{name: a, iam: {attachPolicyARNs: ['arn:aws:iam::999999999999:policy/x']}}]\n", "managedNodeGroups[0].iam.attachPolicyARNs[0]"),
        ("addons: [{name: aws-ebs-csi-driver, serviceAccountRoleARN: 'arn:aws:iam::999999999999:role/x'}]\n", "addons[0].serviceAccountRoleARN"),
        ("iam: {podIdentityAssociations: [{namespace: a, serviceAccountName: b, roleARN: 'arn:aws:iam::999999999999:role/x'}]}\n", "iam.podIdentityAssociations[0].roleARN"),
    ],
)  # fmt: skip
def test_roles_and_policies_of_another_account_are_refused(text: str, place: str) -> None:
    line = refused(PLAIN + text)
    assert f"{place}: arn:aws:iam::999999999999:" in line
    assert line.endswith("is of account 999999999999, and you are in 123456789012: name one of that")


def test_the_day_decides_which_minors_can_be_made() -> None:
    text = PLAIN.replace("1.33", "1.31")
    note, to_all = graph(wanted(text), SITE, date(2026, 11, 25)).notes
    assert "on 2026-11-26 its support ends" in note
    with pytest.raises(DocumentError, match=r"support of 1\.31 ended on 2026-11-26"):
        graph(wanted(text), SITE, date(2026, 11, 26))
    assert to_all.startswith("the API server can be reached from everywhere")
    narrow = text + "vpc: {publicAccessCIDRs: [203.0.113.0/24]}\n"
    assert graph(wanted(narrow), SITE, date(2026, 11, 25)).notes == (note,)
    # AWS' own word counts, by its own clock.
    later = replace(SITE, support={Minor(1, 31): Support.EXTENDED, Minor(1, 34): Support.ENDED})
    assert graph(wanted(text), later, date(2026, 11, 29)).notes == (note, to_all)
    with pytest.raises(
        DocumentError, match=r"support of 1\.34 ended .* choose one of 1\.31, 1\.32, 1\.33, 1\.35"
    ):
        graph(wanted(PLAIN.replace("1.33", "1.34")), later, date(2026, 11, 25))
    with pytest.raises(DocumentError, match=r"EKS has 1\.37 from 2026-10-01 on"):
        graph(wanted(PLAIN.replace("1.33", "1.37")), SITE, date(2026, 9, 30))


def test_a_version_is_newest_default_exact_or_the_newest_build_of_it() -> None:
    def version(addon: str) -> Any:
        plan = planned(PLAIN + f"addons: [{{name: coredns, {addon}}}]\n")
        return parameters(plan, "addon/coredns")["addonVersion"]

    assert version("tags: {}") == "v2.0.0-eksbuild.3"
    assert version("version: latest") == "v2.1.0-eksbuild.1"
    assert version("version: v2.0.0") == "v2.0.0-eksbuild.3"
    assert version("version: v2.0.0-eksbuild.2") == "v2.0.0-eksbuild.2"


@given(name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", fullmatch=True))
def test_names_fit_are_the_same_each_time_and_differ_by_cluster(name: str) -> None:
    text = GPU.replace("name: prod", f"name: '{name}'")
    plan, other = planned(text), planned(GPU.replace("name: prod", f"name: '{name[:99]}0'"))
    assert plan.resources == planned(text).resources
    roles = [one.make.parameters["RoleName"] for one in plan.resources if one.make.operation == "CreateRole"]
    others = [
        one.make.parameters["RoleName"] for one in other.resources if one.make.operation == "CreateRole"
    ]
    assert all(len(role) <= 64 for role in roles)
    assert len(set(roles)) == len(roles)
    if name != f"{name[:99]}0":
        assert not set(roles) & set(others)
