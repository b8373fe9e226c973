import base64
import gzip

import pytest

from aliquot.eks.sightings.helm import encode, in_releases
from aliquot.eks.sightings.sighting import Sighting, Unchecked

MANIFEST = """\
---
# Source: shop/templates/pdb.yaml
apiVersion: policy/v1beta1
kind: PodDisruptionBudget
metadata: {name: web}
"""
HOOK = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: migrate, namespace: jobs}\n"


def secret(payload: object) -> dict[str, object]:
    return {
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {"name": "sh.helm.release.v1.web.v3", "namespace": "shop", "labels": {"name": "web"}},
        "data": {"release": payload},
    }


def test_manifest_and_hooks_of_a_release() -> None:
    release = {
        "name": "web",
        "namespace": "shop",
        "manifest": MANIFEST,
        "hooks": [{"path": "templates/migrate.yaml", "manifest": HOOK}],
        "chart": {"metadata": {"name": "shop", "version": "1.2.3"}},
    }
    found = [one for one in in_releases([secret(encode(release))]) if isinstance(one, Sighting)]
    assert [(one.api_version, one.object, str(one.where), one.owner) for one in found] == [
        ("policy/v1beta1", "PodDisruptionBudget shop/web", "Helm release shop/web", "chart shop-1.2.3"),
        ("batch/v1beta1", "CronJob jobs/migrate", "Helm release shop/web", "chart shop-1.2.3"),
    ]


def _twice(raw: bytes) -> str:
    return base64.b64encode(base64.b64encode(raw)).decode()


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (None, "it has none"),
        ("%%%", "it is not base64"),
        (base64.b64encode(b"%%%").decode(), "it is not base64"),
        (_twice(b"{"), "it is no release"),
        (_twice(b'{"manifest": ""}'), "it is no release"),
        (_twice(gzip.compress(b'{"name": "web"}')[:-9]), "its end is missing"),
        (_twice(b"\x1f\x8bnonsense"), "it is not gzip"),
        (_twice(gzip.compress(b" " * (65 << 20))), "it unpacks to more than 64 MiB"),
    ],
    ids=["none", "no base64", "no base64 within", "no json", "no name", "torn", "no gzip", "bomb"],
)
def test_a_broken_payload_is_unchecked_and_the_others_are_read(payload: object, why: str) -> None:
    whole = secret(encode({"name": "web", "manifest": MANIFEST}))
    broken, good = in_releases([secret(payload), whole])
    assert isinstance(broken, Unchecked)
    assert broken.what == "Helm release shop/web"
    assert why in broken.why
    assert isinstance(good, Sighting)
