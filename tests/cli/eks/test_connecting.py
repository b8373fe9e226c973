"""A kubeconfig has to be of the cluster that AWS is asked of."""

import base64
import json
from pathlib import Path

import click
import pytest

from aliquot.cli.eks.connecting import of_cluster
from aliquot.eks.estate.estate import Cluster
from aliquot.eks.versions.minor import Minor

OURS, THEIRS = b"-----BEGIN CERTIFICATE-----\nours\n", b"-----BEGIN CERTIFICATE-----\ntheirs\n"
PROD = Cluster(
    name="prod",
    minor=Minor(1, 31),
    endpoint="https://ABC.gr7.eu-west-1.eks.amazonaws.com",
    authority=base64.b64encode(OURS).decode(),
)


def kubeconfig(path: Path, server: str, ca: bytes) -> str:
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(ca).decode()}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
    }
    path.write_text(json.dumps(document))
    return str(path)


@pytest.mark.parametrize(
    ("server", "ca"),
    [
        ("https://abc.gr7.eu-west-1.eks.amazonaws.com/", OURS),
        ("https://ABC.gr7.eu-west-1.eks.amazonaws.com", THEIRS),
        ("https://127.0.0.1:8443", OURS),
    ],
)
def test_the_right_one(tmp_path: Path, server: str, ca: bytes) -> None:
    of_cluster(kubeconfig(tmp_path / "config", server, ca), None, PROD)


def test_another_clusters(tmp_path: Path) -> None:
    other = kubeconfig(tmp_path / "config", "https://XYZ.gr7.eu-west-1.eks.amazonaws.com", THEIRS)
    with pytest.raises(click.ClickException, match="which is not prod: that is at https://ABC"):
        of_cluster(other, None, PROD)
