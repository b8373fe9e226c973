"""What a node is told when it starts, in all the ways in which it may be written."""

import base64
import gzip

import pytest

from aliquot.eks.estate.user_data import decoded

SCRIPT = "#!/bin/sh\nbootstrap.sh prod --kubelet-extra-args --runonce\n"
NODE_CONFIG = "apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {kubelet: {flags: [--runonce]}}\n"


def written(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def mime(*parts: tuple[str, str, str]) -> bytes:
    lines = ['Content-Type: multipart/mixed; boundary="B"', "MIME-Version: 1.0", ""]
    for kind, encoding, body in parts:
        lines += ["--B", f"Content-Type: {kind}", f"Content-Transfer-Encoding: {encoding}", "", body]
    return "\n".join([*lines, "--B--", ""]).encode()


IN_PARTS = mime(
    ("text/x-shellscript", "7bit", SCRIPT),
    ("application/node.eks.aws", "base64", base64.b64encode(NODE_CONFIG.encode()).decode()),
)
POD = base64.b64encode(b"kind: Pod\nspec: {volumes: [{secret: {secretName: x}}]}\n").decode()
BOTTLEROCKET = f'[settings.kubernetes]\ncluster-name = "prod"\n[settings.kubernetes.static-pods.a]\nenabled = true\nmanifest = "{POD}"\n'


@pytest.mark.parametrize(
    ("raw", "has"),
    [
        (SCRIPT.encode(), ("--runonce",)),
        (gzip.compress(SCRIPT.encode(), mtime=0), ("--runonce",)),
        (IN_PARTS, ("bootstrap.sh", "kind: NodeConfig")),
        (b"MIME-Version: 1.0\n" + IN_PARTS, ("bootstrap.sh", "kind: NodeConfig")),
        (gzip.compress(IN_PARTS, mtime=0), ("bootstrap.sh", "kind: NodeConfig")),
        (BOTTLEROCKET.encode(), ("cluster-name", "secretName")),
        (b"", ("",)),
        ("#!/bin/sh\n# ü\n".encode(), ("ü",)),
        (b"\xff\n--runonce", ("--runonce",)),
    ],
)
def test_the_text_that_a_node_reads(raw: bytes, has: tuple[str, ...]) -> None:
    text = decoded(written(raw))
    assert all(words in text for words in has)


def test_what_nobody_encoded_is_taken_as_it_is() -> None:
    assert decoded(SCRIPT) == SCRIPT


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"\x1f\x8bnothing", "it is not gzip"),
        (gzip.compress(b"\0" * (3 << 20), mtime=0), "more than 1 MiB"),
        (b"MZ\0\0", "it is no text"),
        (BOTTLEROCKET.replace(POD, POD[:-3]).encode(), "not base64"),
    ],
)
def test_what_no_node_could_read_says_so(raw: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        decoded(written(raw))
    assert "\n" not in str(refused.value)
