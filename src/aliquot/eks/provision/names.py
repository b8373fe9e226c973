"""Names and tags of all that belongs to a cluster, from its name and region: the same in every run."""

from msgspec import Struct

from aliquot.eks.provision.resources import CLUSTER_TAG, NAME_TAG, fitting

_ROLE_MOST, _TEMPLATE_MOST, _GROUP_MOST = 64, 128, 255


class Names(Struct, frozen=True):
    cluster: str
    region: str
    tags: dict[str, str]
    """Those of the file."""

    @property
    def partition(self) -> str:
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    @property
    def role_path(self) -> str:
        """Under which all roles of the cluster are, and none of another: IAM is of all regions."""
        return f"/aliquot/{self.region}/{self.cluster}/"

    def role(self, what: str) -> str:
        return fitting(f"{self.cluster}-{what}-{self.region}", _ROLE_MOST)

    def template(self, group: str) -> str:
        return fitting(f"{self.cluster}-{group}", _TEMPLATE_MOST)

    def placement(self, group: str) -> str:
        return fitting(f"{self.cluster}-{group}", _GROUP_MOST)

    @property
    def alias(self) -> str:
        return f"alias/aliquot/{self.cluster}"

    @property
    def log_group(self) -> str:
        """As EKS has it."""
        return f"/aws/eks/{self.cluster}/cluster"

    def policy(self, name: str) -> str:
        """The ARN of one of AWS' own."""
        return f"arn:{self.partition}:iam::aws:policy/{name}"

    def labels(self, key: str, more: dict[str, str] | None = None) -> dict[str, str]:
        return {
            **self.tags,
            **(more or {}),
            "Name": f"{self.cluster}/{key}",
            CLUSTER_TAG: self.cluster,
            NAME_TAG: key,
        }

    def pairs(self, key: str, more: dict[str, str] | None = None) -> list[dict[str, str]]:
        """As EC2 and IAM write tags."""
        return [{"Key": name, "Value": value} for name, value in self.labels(key, more).items()]

    def specification(
        self, kind: str, key: str, more: dict[str, str] | None = None
    ) -> list[dict[str, object]]:
        return [{"ResourceType": kind, "Tags": self.pairs(key, more)}]

    def filters(self, key: str) -> list[dict[str, object]]:
        return [
            {"Name": f"tag:{CLUSTER_TAG}", "Values": [self.cluster]},
            {"Name": f"tag:{NAME_TAG}", "Values": [key]},
        ]
