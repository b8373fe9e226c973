"""Labels and annotations that are read, ours first; the others' are aliases. Each is looked for as a label and as an
annotation, for projects have moved theirs from one to the other."""

POD_GROUP = "aliquot.dev/pod-group"
KAI_POD_GROUP = "pod-group-name"
COSCHEDULING_POD_GROUP = "scheduling.x-k8s.io/pod-group"
VOLCANO_POD_GROUPS = ("scheduling.k8s.io/group-name", "scheduling.volcano.sh/group-name")
"""In the order in which Volcano asks."""
VOLCANO_TASK = "volcano.sh/task-spec"
VOLCANO_MINIMUM = "scheduling.volcano.sh/group-min-member"
KUEUE_POD_GROUP = "kueue.x-k8s.io/pod-group-name"
KUEUE_TOTAL = "kueue.x-k8s.io/pod-group-total-count"
YUNIKORN_APPLICATIONS = ("yunikorn.apache.org/app-id", "applicationId", "spark-app-selector")
YUNIKORN_TASK_GROUPS = "yunikorn.apache.org/task-groups"
YUNIKORN_TASK_GROUP = "yunikorn.apache.org/task-group-name"

SUB_GROUPS = ("aliquot.dev/sub-group", "kai.scheduler/subgroup-name")
MINIMA = ("aliquot.dev/min-member", "kai.scheduler/batch-min-member", "kueue.x-k8s.io/job-min-parallelism")
QUEUES = (
    "aliquot.dev/queue",
    "kai.scheduler/queue",
    "kueue.x-k8s.io/queue-name",
    "scheduling.volcano.sh/queue-name",
    "volcano.sh/queue-name",
    "yunikorn.apache.org/queue",
)
USER = "aliquot.dev/user"
KAI_PRIORITY_CLASS = "priorityClassName"
PRIORITY_CLASSES = (KAI_PRIORITY_CLASS, "ray.io/priority-class-name")
PREEMPTIBILITIES = ("aliquot.dev/preemptibility", "kai.scheduler/preemptibility", "volcano.sh/preemptable")
MAX_RUNTIME = "aliquot.dev/max-runtime"
KUEUE_MAX_RUNTIME = "kueue.x-k8s.io/max-exec-time-seconds"
AFTER = "aliquot.dev/after"
AFTER_MET = "aliquot.dev/after-met"
"""An annotation of a pod that waits, written by the scheduler: the jobs of its list that have ended as they were to."""
MIN_RUNTIME = "aliquot.dev/min-runtime"
STALENESS = ("aliquot.dev/staleness-grace-period", "kai.scheduler/staleness-grace-period")
TOPOLOGIES = (
    ("aliquot.dev/topology", "aliquot.dev/required-topology-level", "aliquot.dev/preferred-topology-level"),
    (
        "kai.scheduler/topology",
        "kai.scheduler/topology-required-placement",
        "kai.scheduler/topology-preferred-placement",
    ),
    ("", "kueue.x-k8s.io/podset-required-topology", "kueue.x-k8s.io/podset-preferred-topology"),
)
"""Name of the topology, required level, preferred level. Kueue has no name: the level is a node label, which tells."""

REQUIRED_GPU_LEVEL = "aliquot.dev/required-gpu-level"
PREFERRED_GPU_LEVEL = "aliquot.dev/preferred-gpu-level"
"""Of a pod, as annotations alone: of the GPUs of each pod for itself."""

SPARK_APPLICATION = "spark-app-selector"
SPARK_ROLE = "spark-role"
