import pytest

from aliquot.eks.versions import addons, skew
from aliquot.eks.versions.minor import Minor


def _m(minor: int) -> Minor:
    return Minor(1, minor)


@pytest.mark.parametrize(
    ("kubelet", "api_server", "fits"),
    [
        (31, 31, True),
        (28, 31, True),
        (27, 31, False),
        (32, 31, False),
        (25, 27, True),
        (24, 27, False),
        (25, 28, True),
    ],
)
def test_kubelet(kubelet: int, api_server: int, fits: bool) -> None:
    assert skew.kubelet_fits(_m(kubelet), _m(api_server)) is fits


@pytest.mark.parametrize(
    ("kube_proxy", "api_server", "kubelet", "fits"),
    [(31, 31, 31, True), (28, 31, 31, True), (31, 31, 28, True), (32, 31, 31, False), (27, 31, 28, False)],
)
def test_kube_proxy(kube_proxy: int, api_server: int, kubelet: int, fits: bool) -> None:
    assert skew.kube_proxy_fits(_m(kube_proxy), _m(api_server), _m(kubelet)) is fits


def test_each_supported_minor_has_a_build_of_the_add_ons_that_every_cluster_has() -> None:
    for minor in range(28, 38):
        for addon in ("kube-proxy", "coredns", "vpc-cni"):
            assert addons.build(addon, _m(minor)), (addon, minor)
    assert addons.build("kube-proxy", _m(32)) != addons.build("kube-proxy", _m(33))
    assert addons.build("unknown", _m(32)) is None
