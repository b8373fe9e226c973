"""A change of one GPU in words: each row is the GPU as it is, as it is wanted, and the sentence."""

import pytest

from aliquot.kube.api.gpunode import GPUStatus
from aliquot.partition.controller.claims import Claim
from aliquot.partition.controller.wording import change_in_words
from tests.partition.controller.test_wishes import before, claim
from tests.partition.objects import status


def claimed(*pods: str) -> list[Claim]:
    return [Claim(f"default/{name}", claim("1g.10gb@6"), False, 0.0) for name in pods]


@pytest.mark.parametrize(
    ("gpu", "wanted", "pods", "words"),
    [
        (status("1g.10gb@6"), "mig 1g.10gb@6", "", ""),
        (status("whole"), "whole", "", ""),
        (status("empty"), "mig 1g.10gb@6", "p", "makes 1g.10gb at slot 6 for default/p"),
        (
            status("whole"),
            "mig 1g.10gb@4 1g.10gb@6",
            "p q",
            "switches MIG on; makes 1g.10gb at slot 4, 1g.10gb at slot 6 for default/p, default/q",
        ),
        (
            status("empty"),
            "mig 1g.10gb@6",
            "p q r s",
            "makes 1g.10gb at slot 6 for default/p, default/q and 2 more",
        ),
        (
            status("1g.10gb@0=x 3g.40gb@4"),
            "mig 1g.10gb@0 2g.20gb@4",
            "p",
            "makes 2g.20gb at slot 4 for default/p; gives up 3g.40gb at slot 4, which nobody has; keeps 1 in use",
        ),
        (
            status("1g.10gb@0"),
            "whole :big",
            "p",
            "switches MIG off; gives up 1g.10gb at slot 0, which nobody has; offers it whole as class big for default/p",
        ),
        (
            status("whole"),
            "whole :small*4,mps",
            "p",
            "offers it in 4 shares (mps) as class small for default/p",
        ),
        (status("1g.10gb@0"), "mig 1g.10gb@0:small", "p", "offers slices by class: 1 as small"),
        (
            status("1c.3g.40gb@0=x 2c.3g.40gb@0"),
            "mig 3g.40gb@0 1g.10gb@6",
            "p",
            "makes 1g.10gb at slot 6 for default/p; keeps 1 in use",
        ),
    ],
)
def test_a_change_in_words(gpu: GPUStatus, wanted: str, pods: str, words: str) -> None:
    gpu.index = 3
    entry = before(wanted)
    assert entry is not None
    assert change_in_words(gpu, entry, claimed(*pods.split())) == (f"GPU 3: {words}" if words else "")
