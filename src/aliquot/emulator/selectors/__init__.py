"""Label and field selectors, compiled once into predicates over JSON objects.

Grammar and error texts are Kubernetes' (labels.Parse, fields.ParseSelector, metav1.LabelSelectorAsSelector).
Parsing is strict, matching never fails.
"""

from aliquot.emulator.selectors.errors import SelectorError
from aliquot.emulator.selectors.fields import FieldSelector, Term, field_terms, parse_fields
from aliquot.emulator.selectors.labels import (
    EVERYTHING,
    NOTHING,
    LabelSelector,
    from_object,
    from_set,
    parse_labels,
)
from aliquot.emulator.selectors.syntax import label_key_problems, label_value_problems

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "FieldSelector",
    "LabelSelector",
    "SelectorError",
    "Term",
    "field_terms",
    "from_object",
    "from_set",
    "label_key_problems",
    "label_value_problems",
    "parse_fields",
    "parse_labels",
]
