"""Label selectors, compiled once into predicates over labels.

Grammar and error texts are Kubernetes' (labels.Parse, metav1.LabelSelectorAsSelector). Parsing is strict, matching never
fails.
"""

from aliquot.kube.selectors.errors import SelectorError
from aliquot.kube.selectors.labels import (
    EVERYTHING,
    NOTHING,
    LabelSelector,
    from_object,
    from_set,
    parse_labels,
)
from aliquot.kube.selectors.syntax import label_key_problems, label_value_problems

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "LabelSelector",
    "SelectorError",
    "from_object",
    "from_set",
    "label_key_problems",
    "label_value_problems",
    "parse_labels",
]
