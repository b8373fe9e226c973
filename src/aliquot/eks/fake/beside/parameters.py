"""SSM: the public parameters that name AMIs for EKS. What they say are the releases that node groups take."""

import json
from typing import Any

from aliquot.eks.fake.known import image
from aliquot.eks.fake.refusals import Refused
from aliquot.eks.fake.world import World, at

AMAZON_LINUX = "/aws/service/eks/optimized-ami/"
BOTTLEROCKET = "/aws/service/bottlerocket/"
_VARIANTS = {
    "amazon-linux-2023/x86_64/standard": "AL2023_x86_64_STANDARD",
    "amazon-linux-2023/x86_64/nvidia": "AL2023_x86_64_NVIDIA",
    "amazon-linux-2023/x86_64/neuron": "AL2023_x86_64_NEURON",
    "amazon-linux-2023/arm64/standard": "AL2023_ARM_64_STANDARD",
    "amazon-linux-2023/arm64/nvidia": "AL2023_ARM_64_NVIDIA",
    "amazon-linux-2": "AL2_x86_64",
    "amazon-linux-2-gpu": "AL2_x86_64_GPU",
    "amazon-linux-2-arm64": "AL2_ARM_64",
}
_BOTTLEROCKETS = {
    ("", "x86_64"): "BOTTLEROCKET_x86_64",
    ("", "arm64"): "BOTTLEROCKET_ARM_64",
    ("-fips", "x86_64"): "BOTTLEROCKET_x86_64_FIPS",
    ("-fips", "arm64"): "BOTTLEROCKET_ARM_64_FIPS",
    ("-nvidia", "x86_64"): "BOTTLEROCKET_x86_64_NVIDIA",
    ("-nvidia", "arm64"): "BOTTLEROCKET_ARM_64_NVIDIA",
    ("-nvidia-fips", "x86_64"): "BOTTLEROCKET_x86_64_NVIDIA_FIPS",
    ("-nvidia-fips", "arm64"): "BOTTLEROCKET_ARM_64_NVIDIA_FIPS",
}


def is_public(name: str) -> bool:
    return name.startswith((AMAZON_LINUX, BOTTLEROCKET))


def _below(world: World, path: str, now_s: float) -> dict[str, str]:
    """Values by name, of every minor that is out: all that are at this path or below it."""
    found: dict[str, str] = {}
    for known in world.known.minors:
        if known.status(at(now_s).date()) is None:
            continue
        for variant, ami_type in _VARIANTS.items():
            base = f"{AMAZON_LINUX}{known.minor}/{variant}"
            if not _meet(base, path):
                continue
            for number, release in enumerate(world.known.releases_of(ami_type, known.minor)):
                id_ = image(world.region, ami_type, known.minor, release)
                name = _name(variant, known.minor, release)
                told = {"image_id": id_, "image_name": name, "release_version": release}
                places = (name, "recommended") if number == 0 else (name,)
                for place in places:
                    found |= {f"{base}/{place}/{leaf}": value for leaf, value in told.items()}
                    found[f"{base}/{place}"] = json.dumps({"schema_version": "2", **told})
        for (variant, architecture), ami_type in _BOTTLEROCKETS.items():
            base = f"{BOTTLEROCKET}aws-k8s-{known.minor}{variant}/{architecture}"
            if not _meet(base, path):
                continue
            for number, release in enumerate(world.known.releases_of(ami_type, known.minor)):
                id_ = image(world.region, ami_type, known.minor, release)
                for place in (release, "latest") if number == 0 else (release,):
                    found[f"{base}/{place}/image_id"] = id_
                    found[f"{base}/{place}/image_version"] = release
    return found


def _meet(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _name(variant: str, minor: str, release: str) -> str:
    date = release.partition("-")[2]
    if variant.startswith("amazon-linux-2023"):
        _, architecture, kind = variant.split("/")
        return f"amazon-eks-node-al2023-{architecture}-{kind}-{minor}-v{date}"
    return f"amazon-eks{variant.removeprefix('amazon-linux-2')}-node-{minor}-v{date}"


def _told(world: World, name: str, value: str, now_s: float) -> dict[str, Any]:
    return {
        "Name": name,
        "Type": "String",
        "Value": value,
        "Version": 1,
        "LastModifiedDate": at(now_s),
        "ARN": f"arn:aws:ssm:{world.region}::parameter{name}",
        "DataType": "aws:ec2:image" if name.endswith("/image_id") else "text",
    }


def get(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    value = _below(world, call["Name"], now_s).get(call["Name"])
    if value is None:
        raise Refused("ParameterNotFound", f"Parameter {call['Name']} not found.")
    return {"Parameter": _told(world, call["Name"], value, now_s)}


def get_several(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    values = {name: _below(world, name, now_s).get(name) for name in call["Names"]}
    told = [_told(world, name, value, now_s) for name, value in values.items() if value is not None]
    missing = [name for name, value in values.items() if value is None]
    return {"Parameters": told, "InvalidParameters": missing}


def by_path(world: World, call: dict[str, Any], now_s: float) -> dict[str, Any]:
    base = call["Path"].rstrip("/") + "/"
    deep = call.get("Recursive", False)
    return {
        "Parameters": [
            _told(world, name, value, now_s)
            for name, value in sorted(_below(world, base, now_s).items())
            if name.startswith(base) and (deep or "/" not in name[len(base) :])
        ]
    }
