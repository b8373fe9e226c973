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
