"""Which AMI type of EKS goes with an AMI family of the file and the instances of a group."""

from collections.abc import Sequence

from aliquot.eks.provision.site import InstanceType


def ami_type(family: str, types: Sequence[InstanceType]) -> str:
    """Raises ValueError: why there is none, and what to do."""
    kinds = {(one.arm, _accelerator(one)) for one in types}
    if len(kinds) > 1:
        raise ValueError(
            "these have no AMI in common (architecture, or GPUs and none): make a group of each kind"
        )
    ((arm, accelerator),) = kinds
    other = next((one for one in types if one.gpus and "NVIDIA" not in one.gpus), None)
    if other is not None:
        raise ValueError(f"{other.name} has GPUs of {other.gpus}: EKS has AMIs for NVIDIA alone")
    found = _TYPES.get((family, arm, accelerator))
    if found is None:
        chip = "ARM" if arm else "x86"
        raise ValueError(
            f"{family} has no AMI for {accelerator or 'plain'} instances of {chip}: use AmazonLinux2023"
        )
    return found


def _accelerator(one: InstanceType) -> str:
    if one.neuron:
        return "Neuron"
    return "NVIDIA" if one.gpus else ""


_TYPES = {
    ("AmazonLinux2023", False, ""): "AL2023_x86_64_STANDARD",
    ("AmazonLinux2023", True, ""): "AL2023_ARM_64_STANDARD",
    ("AmazonLinux2023", False, "NVIDIA"): "AL2023_x86_64_NVIDIA",
    ("AmazonLinux2023", True, "NVIDIA"): "AL2023_ARM_64_NVIDIA",
    ("AmazonLinux2023", False, "Neuron"): "AL2023_x86_64_NEURON",
    ("AmazonLinux2", False, ""): "AL2_x86_64",
    ("AmazonLinux2", True, ""): "AL2_ARM_64",
    ("AmazonLinux2", False, "NVIDIA"): "AL2_x86_64_GPU",
    ("AmazonLinux2", False, "Neuron"): "AL2_x86_64_GPU",
    ("Bottlerocket", False, ""): "BOTTLEROCKET_x86_64",
    ("Bottlerocket", True, ""): "BOTTLEROCKET_ARM_64",
    ("Bottlerocket", False, "NVIDIA"): "BOTTLEROCKET_x86_64_NVIDIA",
    ("Bottlerocket", True, "NVIDIA"): "BOTTLEROCKET_ARM_64_NVIDIA",
    ("BottlerocketFips", False, ""): "BOTTLEROCKET_x86_64_FIPS",
    ("BottlerocketFips", True, ""): "BOTTLEROCKET_ARM_64_FIPS",
    ("BottlerocketFips", False, "NVIDIA"): "BOTTLEROCKET_x86_64_NVIDIA_FIPS",
    ("BottlerocketFips", True, "NVIDIA"): "BOTTLEROCKET_ARM_64_NVIDIA_FIPS",
}
