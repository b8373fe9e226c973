"""The public parameters (SSM) in which AWS keeps the newest release of each AMI type. Of Windows none is known here."""

from aliquot.eks.versions.minor import Minor

_AL2023 = "/aws/service/eks/optimized-ami/{minor}/amazon-linux-2023/{what}/recommended/release_version"
_AL2 = "/aws/service/eks/optimized-ami/{minor}/amazon-linux-2{what}/recommended/release_version"
_BOTTLEROCKET = "/aws/service/bottlerocket/aws-k8s-{minor}{what}/latest/image_version"
PARAMETERS = {
    "AL2_x86_64": (_AL2, ""),
    "AL2_x86_64_GPU": (_AL2, "-gpu"),
    "AL2_ARM_64": (_AL2, "-arm64"),
    "AL2023_x86_64_STANDARD": (_AL2023, "x86_64/standard"),
    "AL2023_ARM_64_STANDARD": (_AL2023, "arm64/standard"),
    "AL2023_x86_64_NEURON": (_AL2023, "x86_64/neuron"),
    "AL2023_x86_64_NVIDIA": (_AL2023, "x86_64/nvidia"),
    "AL2023_ARM_64_NVIDIA": (_AL2023, "arm64/nvidia"),
    "BOTTLEROCKET_x86_64": (_BOTTLEROCKET, "/x86_64"),
    "BOTTLEROCKET_ARM_64": (_BOTTLEROCKET, "/arm64"),
    "BOTTLEROCKET_x86_64_FIPS": (_BOTTLEROCKET, "-fips/x86_64"),
    "BOTTLEROCKET_ARM_64_FIPS": (_BOTTLEROCKET, "-fips/arm64"),
    "BOTTLEROCKET_x86_64_NVIDIA": (_BOTTLEROCKET, "-nvidia/x86_64"),
    "BOTTLEROCKET_ARM_64_NVIDIA": (_BOTTLEROCKET, "-nvidia/arm64"),
    "BOTTLEROCKET_x86_64_NVIDIA_FIPS": (_BOTTLEROCKET, "-nvidia-fips/x86_64"),
    "BOTTLEROCKET_ARM_64_NVIDIA_FIPS": (_BOTTLEROCKET, "-nvidia-fips/arm64"),
}


def parameter(ami_type: str, minor: Minor) -> str | None:
    """Its name; None: none is known."""
    found = PARAMETERS.get(ami_type)
    return found[0].format(minor=minor, what=found[1]) if found else None
