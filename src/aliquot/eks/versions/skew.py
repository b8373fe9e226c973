"""How far the parts of a cluster may be apart (Kubernetes' version skew policy, and the guide of EKS)."""

from aliquot.eks.versions.minor import Minor

_THREE_SINCE = Minor(1, 28)


def oldest_kubelet(api_server: Minor) -> Minor:
    """Also kube-proxy's."""
    behind = 3 if api_server >= _THREE_SINCE else 2
    return Minor(api_server.major, api_server.minor - behind)


def kubelet_fits(kubelet: Minor, api_server: Minor) -> bool:
    return oldest_kubelet(api_server) <= kubelet <= api_server


def kube_proxy_fits(kube_proxy: Minor, api_server: Minor, kubelet: Minor) -> bool:
    """It may be older or newer than the kubelet beside it, as far as that one may be from the API server."""
    behind = api_server.minus(oldest_kubelet(api_server))
    return kubelet_fits(kube_proxy, api_server) and abs(kube_proxy.minus(kubelet)) <= behind


KARPENTER = {
    Minor(1, 30): (0, 37, 0),
    Minor(1, 31): (1, 0, 5),
    Minor(1, 32): (1, 2, 0),
    Minor(1, 33): (1, 5, 0),
    Minor(1, 34): (1, 6, 0),
    Minor(1, 35): (1, 9, 0),
    Minor(1, 36): (1, 13, 0),
    Minor(1, 37): (1, 14, 0),
}
"""The first release of Karpenter for a minor (its own compatibility matrix; 1.37: reported to work)."""
