"""All files of the chart, by their path in it."""

from collections.abc import Mapping

from aliquot import __version__
from aliquot.installation.chart.schema import values_schema, values_yaml
from aliquot.installation.chart.templates import HELPERS, NAME, templates
from aliquot.installation.cluster import OLDEST
from aliquot.kube import crds

_CHART = f"""apiVersion: v2
name: {NAME}
description: GPUs on Kubernetes, divided with nothing left over
type: application
version: {__version__}
appVersion: "{__version__}"
kubeVersion: ">=1.{OLDEST}.0-0"
"""


def files() -> Mapping[str, str]:
    return {
        "Chart.yaml": _CHART,
        "values.yaml": values_yaml(),
        "values.schema.json": values_schema(),
        "crds/crds.yaml": crds.manifests(),
        "templates/_names.tpl": HELPERS,
        **{f"templates/{name}": text for name, text in templates()},
    }
