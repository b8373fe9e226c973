"""Which CUDA a pod brings along: names of images as they are published, variables, an annotation."""

from typing import Any

import pytest

from aliquot.eks.estate.gangs import asks_gpus
from aliquot.eks.preflight import cuda_needs
from aliquot.eks.preflight.cuda_needs import ANNOTATION, Need, NotTold
from tests.eks.preflight.estates import pods

IMAGES: list[tuple[str, tuple[int, int] | None, bool]] = [
    ("nvidia/cuda:12.4.1-base-ubuntu22.04", (12, 4), True),
    ("docker.io/nvidia/cuda:13.0.1-cudnn-devel-ubuntu24.04", (13, 0), True),
    ("nvcr.io/nvidia/cuda:11.8.0-runtime-ubi8@sha256:00", (11, 8), True),
    ("nvidia/cuda:latest", None, False),
    ("nvcr.io/nvidia/pytorch:25.01-py3", (12, 8), True),
    ("nvcr.io/nvidia/tritonserver:25.08-vllm-python-py3", (13, 0), True),
    ("nvcr.io/nvidia/pytorch:19.05-py3", None, False),
    ("nvcr.io/nvidia/nemo:25.02", None, False),
    ("registry:5000/nvidia/pytorch:25.01-py3", None, False),
    ("pytorch/pytorch:2.6.0-cuda12.6-cudnn9-runtime", (12, 6), False),
    ("pytorch/pytorch:2.9.0-cuda13.0-cudnn9-devel", (13, 0), False),
    ("vllm/vllm-openai:v0.28.0-cu129", (12, 9), False),
    ("vllm/vllm-openai:v0.8.5", None, False),
    ("rapidsai/base:26.08-cuda13-py3.13", (13, 0), False),
    ("rapidsai/base:24.10-cuda11.8-py3.12", (11, 8), False),
    ("registry:5000/team/train-cu124:7", (12, 4), False),
    ("team/cuda-12.8-trainer:v1", (12, 8), False),
    ("team/trainer:cuda126", (12, 6), False),
    ("team/cudnn9:v1", None, False),
    ("team/occu128x:v1", None, False),
    ("team/trainer:v1.2.3", None, False),
    ("team/trainer", None, False),
    ("registry:5000/team/trainer", None, False),
    ("", None, False),
]


@pytest.mark.parametrize(("image", "cuda", "package"), IMAGES)
def test_what_an_image_s_name_says(image: str, cuda: tuple[int, int] | None, package: bool) -> None:
    need = cuda_needs.of_image(image)
    assert (need.cuda if need else None) == cuda
    assert (need.package if need else False) == package


def pod(*containers: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "p", "namespace": "ml", "annotations": annotations},
        "spec": {"containers": list(containers)},
    }


def container(image: str, gpus: int = 1, **env: str) -> dict[str, Any]:
    resources = {"limits": {"nvidia.com/gpu": gpus}} if gpus else {}
    variables = [{"name": name, "value": value} for name, value in env.items()]
    return {"name": "c", "image": image, "resources": resources, "env": variables}


@pytest.mark.parametrize(
    ("one", "needs"),
    [
        (pod(container("team/x:1", CUDA_VERSION="12.4.1")), [(12, 4)]),
        (pod(container("team/x:1", NVIDIA_REQUIRE_CUDA="cuda>=13.0 brand=tesla,driver>=535")), [(13, 0)]),
        (pod(container("nvidia/cuda:12.4.1-base", CUDA_VERSION="12.6.0")), [(12, 6)]),
        (pod(container("nvidia/cuda:12.4.1-base", CUDA_VERSION="latest")), [(12, 4)]),
        (pod(container("team/x:1"), **{ANNOTATION: "12.8"}), [(12, 8)]),
        (pod(container("nvidia/cuda:13.0.0-base"), **{ANNOTATION: "12.8"}), [(12, 8)]),
        (pod(container("nvidia/cuda:12.4.1-base"), container("nvidia/cuda:13.0.0-base", 0)), [(12, 4)]),
        (pod(container("nvidia/cuda:12.4.1-base", 0)), []),
        (pod(container("team/x:1")), ["neither its image's name"]),
        (pod(container("team/x:1"), **{ANNOTATION: "new"}), ["write it as 12.4"]),
    ],
)
def test_what_a_pod_says(one: dict[str, Any], needs: list[Any]) -> None:
    (read,) = pods(one)
    found = list(cuda_needs.of_pod(read.metadata, read.spec))
    assert len(found) == len(needs)
    for got, wanted in zip(found, needs, strict=True):
        if isinstance(wanted, str):
            assert isinstance(got, NotTold)
            assert wanted in got.why
        else:
            assert isinstance(got, Need)
            assert got.cuda == wanted


def test_claims_count_for_all_containers() -> None:
    one = pod(container("nvidia/cuda:12.4.1-base", 0))
    one["spec"]["resourceClaims"] = [{"name": "gpu"}]
    (read,) = pods(one)
    assert asks_gpus(read.spec)
    assert [type(need) for need in cuda_needs.of_pod(read.metadata, read.spec)] == [Need]


@pytest.mark.parametrize("resource", ["nvidia.com/gpu", "nvidia.com/mig-1g.10gb", "class.aliquot.dev/small"])
def test_resources_that_are_gpus(resource: str) -> None:
    one = pod({"name": "c", "image": "x", "resources": {"requests": {resource: 1}}})
    (read,) = pods(one)
    assert asks_gpus(read.spec)
