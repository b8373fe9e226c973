"""Spark: a driver, and executors that it asks for when it runs. Known by labels: a driver may have no owner."""

from collections.abc import Sequence

from aliquot.kube.api.core import Pod
from aliquot.kube.api.meta import ObjectMeta
from aliquot.scheduler.core.jobs import Group
from aliquot.scheduler.grouping import keys
from aliquot.scheduler.grouping.drawn import Drawn, job_key, reference, value

_DRIVER, _EXECUTOR = "driver", "executor"


def draw(pod: Pod, above: Sequence[ObjectMeta]) -> Drawn | None:
    """The driver is the minimum, executors are extras. `above`: of those who own the pod, from the top."""
    application = value(pod.metadata, keys.SPARK_APPLICATION)
    if not application:
        return None
    root = Group(minimum=2, groups=(Group(name=_DRIVER), Group(name=_EXECUTOR, minimum=0)))
    return Drawn(
        source=reference("v1", "Pod", pod.metadata),
        key=job_key(pod.metadata.namespace, "Application", "spark.apache.org", application),
        root=root,
        leaf=_DRIVER if value(pod.metadata, keys.SPARK_ROLE) == _DRIVER else _EXECUTOR,
        metadata=tuple(above),
        created=pod.metadata.creation_timestamp,
    )
