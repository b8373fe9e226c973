import pytest

from aliquot.document import DocumentError
from aliquot.eks.provision.cluster_config.not_done import NOT_DONE
from aliquot.eks.provision.cluster_config.reading import log_types, parse
from tests.eks.provision.files import FULL, GPU, PLAIN

GROUP = PLAIN + "managedNodeGroups:\n- name: gpu\n  "


def refused(text: str) -> str:
    with pytest.raises(DocumentError) as caught:
        parse(text, source="cluster.yaml")
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_defaults_are_eksctls_where_nothing_is_said() -> None:
    config = parse(GPU, source="cluster.yaml").config
    cpu, gpu = config.groups
    assert (cpu.sizes, gpu.sizes) == ((2, 2, 2), (0, 1, 4))
    assert cpu.types == ("m5.large",)
    assert cpu.volume_size_gib == 80
    assert config.vpc.cidr == "192.168.0.0/16"
    assert config.vpc.nat.gateway == "Single"
    assert config.vpc.endpoints.public
    assert not config.vpc.endpoints.private


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (PLAIN.replace("prod", "-x"), "cluster.yaml:4: metadata.name: letters, digits"),
        (PLAIN.replace('"1.33"', "1.30"), 'cluster.yaml:6: metadata.version: YAML reads it as a number: write it in quotes, as "1.32"'),
        (PLAIN.replace('"1.33"', "latest"), "cluster.yaml:6: metadata.version: 'latest' is not a Kubernetes version: write it as 1.32"),
        (PLAIN.replace("eu-west-1", "Ireland"), "cluster.yaml:5: metadata.region: 'Ireland' is no region: write it as eu-west-1"),
        (PLAIN.replace("v1alpha5", "v1alpha4"), "cluster.yaml:1: apiVersion: 'eksctl.io/v1alpha4' is not a known value"),
        (PLAIN.replace("  region: eu-west-1\n", ""), "cluster.yaml:4: metadata: field 'region' is missing"),
        (PLAIN + "manegedNodeGroups: []\n", "cluster.yaml:7: unknown field 'manegedNodeGroups'; did you mean 'managedNodeGroups'?"),
        (PLAIN + "nodeGroups: []\n", "cluster.yaml:7: nodeGroups: eksctl has it, aliquot does not do it; use managedNodeGroups"),
        (GROUP + "ssh: {allow: true}\n", "cluster.yaml:9: managedNodeGroups[0].ssh: eksctl has it, aliquot does not do it; use aws ssm"),
        (GROUP + "maxSize: many\n", "cluster.yaml:9: managedNodeGroups[0].maxSize: a whole number is expected, not text"),
        (GROUP + "minSize: 3\n  maxSize: 2\n", "managedNodeGroups[0]: minSize 3, desiredCapacity 3, maxSize 2"),
        (GROUP + "instanceType: a\n  instanceTypes: [b]\n", "cluster.yaml:9: managedNodeGroups[0].instanceType: it, or instanceTypes: not both"),
        (GROUP + "efaEnabled: true\n", "cluster.yaml:9: managedNodeGroups[0].efaEnabled: an instance with several interfaces gets no public address"),
        (GROUP + "amiFamily: AmazonLinux2\n", "cluster.yaml:9: managedNodeGroups[0].amiFamily: there is no AmazonLinux2 for 1.33"),
        (GROUP + "amiFamily: Ubuntu2404\n", "cluster.yaml:9: managedNodeGroups[0].amiFamily: 'Ubuntu2404' is not a known value"),
        (GROUP + "instanceMarketOptions: {marketType: capacity-block}\n", "cluster.yaml:9: managedNodeGroups[0].instanceMarketOptions: a capacity block is named, too"),
        (GROUP + "updateConfig: {updateStrategy: MINIMAL}\n", "cluster.yaml:9: managedNodeGroups[0].updateConfig: one of maxUnavailable"),
        (GROUP + "iam: {instanceRoleARN: 'arn:aws:s3:::x'}\n", "managedNodeGroups[0].iam.instanceRoleARN: 'arn:aws:s3:::x' is no ARN of iam"),
        (GROUP + "labels: {kubernetes.io/role: x}\n", "managedNodeGroups[0].labels.kubernetes.io/role: Kubernetes and EKS keep"),
        (GROUP + "subnets: [subnet-1]\n", "cluster.yaml:9: managedNodeGroups[0].subnets[0]: subnet-1 is none of vpc.subnets"),
        (GPU + "- name: gpu\n", "managedNodeGroups[2].name: gpu is there twice"),
        (GPU + "vpc: {nat: {gateway: Disable}}\n", "managedNodeGroups[1].privateNetworking: vpc.nat.gateway is Disable"),
        (PLAIN + "vpc: {cidr: 10.0.0.1/16}\n", "cluster.yaml:7: vpc.cidr: '10.0.0.1/16' is an address within a block: write 10.0.0.0/16"),
        (PLAIN + "vpc: {cidr: 10.0.0.0/26}\n", "vpc.cidr: 10.0.0.0/26 has a prefix of /26: /16 to /24 can be used"),
        (PLAIN + "vpc: {id: vpc-1}\n", "vpc.id: name its subnets, too"),
        (PLAIN + "vpc: {clusterEndpoints: {publicAccess: false}}\n", "vpc.clusterEndpoints: nobody would reach the API server"),
        (PLAIN + "vpc: {subnets: {private: {a: {id: s-1, cidr: 10.0.0.0/24}}}}\n", "vpc.subnets.private.a.cidr: eksctl has it"),
        (PLAIN + "kubernetesNetworkConfig: {serviceIPv4CIDR: 192.168.0.0/20}\n", "overlaps with the VPC's 192.168.0.0/16"),
        (PLAIN + "kubernetesNetworkConfig: {serviceIPv4CIDR: 8.8.0.0/16}\n", "8.8.0.0/16 is not private"),
        (PLAIN + "availabilityZones: [eu-west-1a]\n", "cluster.yaml:7: availabilityZones: EKS asks for two zones at least"),
        (PLAIN + "secretsEncryption: {keyARN: alias/x}\n", "secretsEncryption.keyARN: 'alias/x' is no ARN of kms"),
        (PLAIN + "cloudWatch: {clusterLogging: {enableTypes: [audits]}}\n", "did you mean 'audit'?"),
        (PLAIN + "cloudWatch: {clusterLogging: {enableTypes: [audit], logRetentionInDays: 8}}\n", "CloudWatch does not keep logs for 8 days"),
        (PLAIN + "addons: [{name: coredns}, {name: coredns}]\n", "addons[1].name: coredns is there twice"),
        (PLAIN + "iam: {podIdentityAssociations: [{namespace: a, serviceAccountName: b}]}\n", "give roleARN, or what a role is made of"),
        (PLAIN + "iam: {serviceAccounts: []}\n", "iam.serviceAccounts: eksctl has it, aliquot does not do it; use podIdentityAssociations"),
        (PLAIN + "kubernetesNetworkConfig: {ipFamily: IPv6}\n", "cluster.yaml:7: kubernetesNetworkConfig.ipFamily: eksctl has IPv6, aliquot does not do it; use IPv4"),
        (PLAIN + "kubernetesNetworkConfig: {ipFamily: IPv5}\n", "kubernetesNetworkConfig.ipFamily: 'IPv5' is not a known value"),
        (PLAIN + "accessConfig: {authenticationMode: CONFIG_MAP}\n", "accessConfig.authenticationMode: 'CONFIG_MAP' is not a known value"),
        (PLAIN.replace("metadata:", "metadata:\n  tags: {aliquot.dev/cluster: x}"), "tags that begin with aws: or aliquot.dev/ are not yours to set"),
        (GROUP + "labels: {a b: c}\n", "managedNodeGroups[0].labels.a b: 'a b' is no key of a label"),
        (GROUP + "labels: {a: b c}\n", "managedNodeGroups[0].labels.a: 'b c' is no value of a label"),
        (GROUP + "labels: {a: ''}\n", "managedNodeGroups[0].labels.a: EKS takes no empty value"),
        (GROUP + "labels: {node-role.kubernetes.io/gpu: x}\n", "Kubernetes and EKS keep that prefix for themselves"),
        (GROUP + "taints: [{key: a b, effect: NoSchedule}]\n", "managedNodeGroups[0].taints[0].key: 'a b' is no key of a taint"),
        (GROUP + "taints: [{key: a, value: b c, effect: NoSchedule}]\n", "taints[0].value: 'b c' is no value of a taint"),
        (GROUP + "taints: [{key: a, effect: NoSchedule}, {key: a, effect: NoSchedule}]\n", "taints[1]: a with NoSchedule is there twice"),
        (GROUP + "tags: {AWS:x: y}\n", "tags that begin with aws: or aliquot.dev/ are not yours to set"),
        (GROUP + "tags: {Name: y}\n", "tags.Name: each resource gets a Name of its own"),
        (GROUP + "tags: {a: '\U0001f600'}\n", "tags.a: letters, digits, spaces and"),
        (GROUP + f"tags: {{a: {'y' * 257}}}\n", "a tag's key has 1 to 128 characters, its value 256 at most"),
        (GROUP + f"tags: {{{', '.join(f't{n}: x' for n in range(48))}}}\n", "tags: 48 tags: AWS takes 50, of which three"),
        (GROUP + "iam: {attachPolicyARNs: ['arn:aws:iam::aws:policy/A', 'arn:aws:iam::aws:policy/b/A']}\n", "attachPolicyARNs[1]: A is there twice"),
        (GROUP + "iam: {instanceRoleARN: 'arn:aws:iam::123456789012:user/x'}\n", "iam.instanceRoleARN: 'arn:aws:iam::123456789012:user/x' is no role"),
        (GROUP + "volumeIOPS: 5\n", "volumeIOPS: 3000 to 80000 can be had of gp3"),
        (GROUP + "volumeType: gp2\n  volumeIOPS: 3000\n", "volumeIOPS: gp2 has no choice of it"),
        (GROUP + "volumeThroughput: 5000\n", "volumeThroughput: 125 to 2000 MiB/s can be had of gp3"),
        (GROUP + "updateConfig: {maxUnavailable: 0}\n", "updateConfig.maxUnavailable: 1 to 100 is expected"),
        (GROUP + "nodeRepairConfig: {maxUnhealthyNodeThresholdCount: 1, maxUnhealthyNodeThresholdPercentage: 1}\n", "maxUnhealthyNodeThresholdPercentage: not both"),
        (GROUP + "instanceTypes: [a, a]\n", "instanceTypes: a type is named twice"),
        (GPU + "- name: GPU\n", "managedNodeGroups[2].name: gpu is there twice"),
        (PLAIN + "vpc: {cidr: 127.0.0.0/16}\n", "vpc.cidr: 127.0.0.0/16 is of no network"),
        (PLAIN + "vpc: {publicAccessCIDRs: [10.0.0.0/8]}\n", "vpc.publicAccessCIDRs[0]: 10.0.0.0/8 is private"),
        (PLAIN + "secretsEncryption: {keyARN: 'arn:aws:kms:us-east-1:123456789012:key/x'}\n", "keyARN: the key is not in eu-west-1"),
        (PLAIN + "addons: [{name: ''}]\n", "addons[0].name: the name of an add-on is expected"),
        (PLAIN + "addons: [{name: coredns, configurationValues: '{'}]\n", "addons[0].configurationValues: YAML or JSON is expected"),
        (PLAIN + "iam: {podIdentityAssociations: [{namespace: a, serviceAccountName: b, permissionPolicy: {a: 1}}]}\n", "permissionPolicy: a Statement is expected"),
        (PLAIN + "iam: {podIdentityAssociations: [{namespace: a, serviceAccountName: b, roleARN: 'arn:aws:iam::1:role/a'}]}\n", "is no ARN of iam"),
        (FULL.replace("  - namespace: shop", "  - {namespace: shop, serviceAccountName: cart, wellKnownPolicies: {ebsCSIController: true}}\n  - namespace: shop"), "podIdentityAssociations[1]: shop/cart is there twice"),
        (PLAIN + "fargateProfiles: [{name: '', selectors: [{namespace: a}]}]\n", "fargateProfiles[0].name: letters, digits"),
        (PLAIN + "fargateProfiles: [{name: a, selectors: [{namespace: ''}]}]\n", "selectors[0].namespace: '' is no name of a namespace"),
        (PLAIN + "fargateProfiles: [{name: a, podExecutionRoleARN: x, selectors: [{namespace: a}]}]\n", "podExecutionRoleARN: 'x' is no ARN of iam"),
        (PLAIN + "fargateProfiles: [{name: a, selectors: [{namespace: a}], tags: {aliquot.dev/cluster: b}}]\n", "are not yours to set"),
        (PLAIN + "accessConfig: {accessEntries: [{principalARN: 'arn:aws:iam::123456789012:role/x', kubernetesGroups: ['system:masters']}]}\n", "accessEntries[0].kubernetesGroups: system:masters: EKS takes none that begins with system:"),
        ("", "cluster.yaml: the document is empty"),
        ("[]", "an object is expected, not"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_its_place(text: str, line: str) -> None:
    assert line in refused(text)


def test_every_field_that_is_not_done_is_named_so() -> None:
    """Planted one by one, each with its path; none of them is one that is done."""
    for pattern, names in NOT_DONE.items():
        for name in names:
            body, indent = "", 0
            for part in pattern:
                if part == "*" and body.rstrip().endswith(("public:", "private:")):
                    part = "one"
                body += f"{' ' * indent}- \n" if part == "*" else f"{' ' * indent}{part}:\n"
                indent += 2
            body += f"{' ' * indent}{name}: x\n"
            text = body if pattern[:1] == ("metadata",) else PLAIN + body
            assert f"{name}: eksctl has it, aliquot does not do it; " in refused(text)


def test_all_logs_are_all_there_are() -> None:
    text = PLAIN + 'cloudWatch: {clusterLogging: {enableTypes: ["*"]}}\n'
    assert len(log_types(parse(text, source="x").config)) == 5
