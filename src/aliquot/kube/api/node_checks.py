"""What the validator of a node tells, and how the pod is known with which it tries a device."""

CHECKS_PASSED = "ChecksPassed"
"""The condition of a GPUNode. `Unknown` until the first checks of a validator are done."""
CHECKING = "Checking"
PASSED = "Passed"

WORKLOAD_LABELS = {
    "app.kubernetes.io/name": "aliquot",
    "app.kubernetes.io/component": "validation-workload",
    "app.kubernetes.io/managed-by": "aliquot-validator",
}
"""Of a pod that has a device for seconds, and is nobody's job: it is not waited for, nor evicted."""
