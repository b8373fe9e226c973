"""Deprecated APIs that somebody has asked the API server for since it was started, by its own metric.

`apiserver_requested_deprecated_apis` has no client in it, and each server of a control plane has its own: what it shows is true,
what it does not show proves nothing.
"""

import re
from collections.abc import Iterable, Iterator

from aliquot.eks.sightings.sighting import Sighting, Trace, Where

METRIC = "apiserver_requested_deprecated_apis"
SHA1_COUNTERS = (
    "apiserver_webhooks_x509_insecure_sha1_total",
    "apiserver_kube_aggregator_x509_insecure_sha1_total",
)
"""Connections to servers that showed a certificate signed with SHA-1."""
_SAMPLE = re.compile(rf"^{METRIC}\{{([^}}]*)\}} ([0-9.e+]+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def in_metrics(text: str, kind_of: dict[tuple[str, str], str]) -> Iterator[Sighting]:
    """`text`: the answer of /metrics. `kind_of`: kinds by (group, resource); a resource that is not there stands for itself."""
    for labels, value in _SAMPLE.findall(text):
        if float(value) < 1:
            continue
        found = dict(_LABEL.findall(labels))
        group, resource, version = found.get("group", ""), found.get("resource", ""), found.get("version", "")
        yield Sighting(
            api_version=f"{group}/{version}" if group else version,
            kind=kind_of.get((group, resource)) or resource,
            where=Where(trace=Trace.REQUESTS),
        )


def counters(text: str, names: Iterable[str]) -> dict[str, float]:
    """Of metrics by name, summed over their labels; one that is not there is left out."""
    found: dict[str, float] = {}
    for name in names:
        samples = re.findall(rf"^{re.escape(name)}(?:\{{[^}}]*\}})? ([0-9.e+]+)", text, re.MULTILINE)
        if samples:
            found[name] = sum(float(value) for value in samples)
    return found
