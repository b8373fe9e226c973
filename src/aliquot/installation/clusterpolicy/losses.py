"""Why a field of NVIDIA's has no counterpart here, and what to do instead. The longest path that begins it says it."""

from collections.abc import Mapping

_SANDBOX = "virtual machines with GPUs (KubeVirt, Kata, vGPU) are not served: keep those nodes with NVIDIA's operator"
_OURS = "the node agent is Aliquot's own image and does this work"
_PROBES = "probes are fixed; how long a driver may take is spec.deadlines.driver"
_EXPORTER = "not set by the policy: give the exporter's own variables in spec.exporter.env"

WHY: Mapping[str, str] = {
    "spec.operator": "the operator is Aliquot's own; its pods are set by the values of the chart",
    "spec.operator.defaultRuntime": "containerd alone is set up by the toolkit operand; of CRI-O say spec.toolkit.preinstalled",
    "spec.operator.runtimeClass": "the RuntimeClass is called nvidia",
    "spec.operator.use_ocp_driver_toolkit": "OpenShift is not served",
    "spec.daemonsets.updateStrategy": "operands are rolled, 10% of the nodes at a time; drivers by spec.upgrade",
    "spec.daemonsets.rollingUpdate": "operands are rolled, 10% of the nodes at a time; drivers by spec.upgrade",
    "spec.daemonsets.podSecurityContext": "operands have fixed security contexts",
    "spec.daemonsets.tolerations": "a toleration has key, operator, value and effect here",
    "spec.driver.useNvidiaDriverCRD": "put the NVIDIADrivers into the same file: each becomes a GPUPolicy with its node selector",
    "spec.driver.startupProbe": _PROBES,
    "spec.driver.livenessProbe": _PROBES,
    "spec.driver.readinessProbe": _PROBES,
    "spec.driver.rdma": "GPUDirect RDMA modules are not loaded: they have to be on the nodes",
    "spec.driver.upgradePolicy": "spec.upgrade has no such field",
    "spec.driver.repoConfig": "package sources are not mounted into driver containers: take precompiled drivers, or an image of your own",
    "spec.driver.certConfig": "certificates are not mounted into driver containers: take an image of your own",
    "spec.driver.licensingConfig": "vGPU drivers are not served",
    "spec.driver.virtualTopology": "vGPU drivers are not served",
    "spec.driver.virtualTopologyConfig": "vGPU drivers are not served",
    "spec.driver.kernelModuleConfig": "parameters of kernel modules are not set: put them into /etc/modprobe.d of the nodes",
    "spec.driver.secretEnv": "driver containers take no Secret: spec.driver.env has plain variables",
    "spec.driver.driverType": "vGPU drivers are not served",
    "spec.driver.manager": "of the driver manager the image alone can be chosen",
    "spec.toolkit.installDir": "the toolkit is in /usr/local/nvidia",
    "spec.devicePlugin": _OURS,
    "spec.gfd": _OURS,
    "spec.migManager": _OURS,
    "spec.migManager.config.default": "label the nodes that are to have it: nvidia.com/mig.config",
    "spec.migManager.gpuClientsConfig": "host services that use GPUs are not stopped: stop them before a node is cut",
    "spec.dcgm": "the exporter has DCGM in it; a host engine of its own is not run",
    "spec.dcgmExporter.config": "copy the ConfigMap, mount it by an image of your own, or take spec.exporter.args -f FILE",
    "spec.dcgmExporter.serviceMonitor": "spec.exporter.serviceMonitor turns it on; make one of your own for other settings",
    "spec.dcgmExporter.service": "its Service is a plain ClusterIP",
    "spec.dcgmExporter.annotations": "spec.pods.annotations are those of all operands",
    "spec.dcgmExporter.hostPID": _EXPORTER,
    "spec.dcgmExporter.hpcJobMapping": _EXPORTER,
    "spec.dcgmExporter.enablePodLabels": _EXPORTER,
    "spec.dcgmExporter.enablePodUID": _EXPORTER,
    "spec.dcgmExporter.podLabelAllowlistRegex": _EXPORTER,
    "spec.nodeStatusExporter": "the validator and the agent have metrics of their own",
    "spec.validator": "the validator is Aliquot's own: driver, toolkit, plugin and workload are always checked",
    "spec.psp": "PodSecurityPolicies are gone from Kubernetes",
    "spec.gds": "GPUDirect Storage (nvidia-fs) is not brought: it has to be on the nodes",
    "spec.gdrcopy": "gdrdrv is not brought: it has to be on the nodes",
    "spec.sandboxWorkloads": _SANDBOX,
    "spec.vfioManager": _SANDBOX,
    "spec.sandboxDevicePlugin": _SANDBOX,
    "spec.vgpuManager": _SANDBOX,
    "spec.vgpuDeviceManager": _SANDBOX,
    "spec.kataManager": _SANDBOX,
    "spec.kataSandboxDevicePlugin": _SANDBOX,
    "spec.ccManager": "confidential computing is not set up",
    "spec.cdi": "how containers learn of their devices is said to the agent: spec.agent.args --device-list-strategy=cdi-cri",
    "spec.hostPaths.rootFS": "the root of the host is /",
    "spec.nodeAffinity": "write it as spec.nodeSelector.matchExpressions: terms that are joined by or are policies of their own",
    "metadata": "names and labels of the object itself are yours to set",
}
_ANYWHERE = {
    "hostNetwork": "operands are not in the network of their node",
    "imagePullPolicy": "it is said of each operand that has an image here",
}


def why(path: str) -> str:
    """Empty: nothing is known of it."""
    last = path.rpartition(".")[2]
    if last in _ANYWHERE:
        return _ANYWHERE[last]
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        if (found := WHY.get(".".join(parts[:length]))) is not None:
            return found
    return ""
