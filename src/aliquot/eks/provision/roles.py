"""What IAM is told: who may take a role, and which of AWS' policies it gets. No more than its part needs."""

import json
from typing import Any

VERSION = "2012-10-17"

CLUSTER = ("AmazonEKSClusterPolicy",)
NODES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
CNI = "AmazonEKS_CNI_Policy"
"""By pod identity for aws-node; on nodes only where the CNI is not ours to set up."""
FARGATE = ("AmazonEKSFargatePodExecutionRolePolicy",)

RECOMMENDED: dict[str, tuple[str, str]] = {
    "vpc-cni": ("aws-node", CNI),
    "aws-ebs-csi-driver": ("ebs-csi-controller-sa", "service-role/AmazonEBSCSIDriverPolicy"),
    "aws-efs-csi-driver": ("efs-csi-controller-sa", "service-role/AmazonEFSCSIDriverPolicy"),
    "amazon-cloudwatch-observability": ("cloudwatch-agent", "CloudWatchAgentServerPolicy"),
}
"""Service account and policy of add-ons that call AWS, as the EKS user guide has them."""
NAMESPACES = {"amazon-cloudwatch-observability": "amazon-cloudwatch"}
"""Of add-ons that are not in kube-system."""
EBS_CSI, EFS_CSI = RECOMMENDED["aws-ebs-csi-driver"][1], RECOMMENDED["aws-efs-csi-driver"][1]


def trust_service(service: str) -> str:
    return _document({"Principal": {"Service": service}, "Action": "sts:AssumeRole"})


def trust_fargate(cluster_arn: str) -> str:
    """Only profiles of this cluster."""
    profiles = cluster_arn.replace(":cluster/", ":fargateprofile/", 1) + "/*"
    return _document(
        {
            "Principal": {"Service": "eks-fargate-pods.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {"ArnLike": {"aws:SourceArn": profiles}},
        }
    )


def trust_pods(cluster_arn: str, namespace: str, service_account: str) -> str:
    """Only pods of this service account in this cluster: EKS says whose they are by tags of the session."""
    return _document(
        {
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
            "Condition": {
                "StringEquals": {
                    "aws:RequestTag/eks-cluster-arn": cluster_arn,
                    "aws:RequestTag/kubernetes-namespace": namespace,
                    "aws:RequestTag/kubernetes-service-account": service_account,
                }
            },
        }
    )


def policy(document: dict[str, Any]) -> str:
    return json.dumps(document, sort_keys=True)


def _document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": VERSION, "Statement": [{"Effect": "Allow", **statement}]})
