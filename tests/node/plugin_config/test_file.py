"""What NVIDIA's device plugin takes is taken; what it refuses or would drop in silence is refused in one line."""

import pytest

from aliquot.document import DocumentError
from aliquot.gpu.driver import TimeSlice
from aliquot.node.plugin_config.file import DeviceListStrategy, MigStrategy, PluginConfig, parse
from aliquot.node.plugin_config.references import References

DOCUMENTED = """
version: v1
flags:
  migStrategy: "none"
  failOnInitError: true
  mpsRoot: "/run/nvidia/mps"
  nvidiaDriverRoot: "/"
  nvidiaDevRoot: "/"
  gdrcopyEnabled: false
  gdsEnabled: false
  mofedEnabled: false
  useNodeFeatureAPI: null
  deviceDiscoveryStrategy: "auto"
  plugin:
    passDeviceSpecs: false
    deviceListStrategy: ["envvar"]
    deviceIDStrategy: "uuid"
    cdiAnnotationPrefix: "cdi.k8s.io/"
    nvidiaCTKPath: "/usr/bin/nvidia-ctk"
    containerDriverRoot: "/driver-root"
    sharedDevicesAllocationPolicy: "distributed"
  gfd:
    oneshot: false
    noTimestamp: false
    sleepInterval: 60s
    outputFile: /etc/kubernetes/node-feature-discovery/features.d/gfd
    machineTypeFile: /sys/class/dmi/id/product_name
resources:
  gpus:
  - {pattern: "*", name: gpu}
  mig:
  - {pattern: "1g.5gb", name: mig-1g.5gb}
sharing:
  timeSlicing:
    renameByDefault: true
    failRequestsGreaterThanOne: true
    resources:
    - name: nvidia.com/gpu
      rename: nvidia.com/shared-gpu
      replicas: 10
      devices: all
imex:
  channelIDs: [0]
  required: false
"""


def test_every_documented_option_is_read() -> None:
    config = parse(DOCUMENTED, source="f")
    assert config.flags.mig_strategy is MigStrategy.NONE
    assert config.flags.mps_root == "/run/nvidia/mps"
    assert config.flags.plugin is not None
    assert config.flags.plugin.nvidia_ctk_path == "/usr/bin/nvidia-ctk"
    assert config.flags.plugin.device_list_strategy == [DeviceListStrategy.ENVVAR]
    assert config.naming.of_gpu("x") == "nvidia.com/gpu"
    assert config.time_slicing is not None
    assert config.time_slicing.rename_by_default
    assert config.time_slicing.fail_requests_greater_than_one
    [shared] = config.time_slicing.resources
    assert (shared.resource, shared.rename, shared.replicas) == (
        "nvidia.com/gpu",
        "nvidia.com/shared-gpu",
        10,
    )
    assert shared.devices == References()
    assert shared.place == "f:38"
    assert config.imex_channel
    assert not config.imex_required


def sharing(text: str) -> str:
    return f"version: v1\nsharing: {{timeSlicing: {{resources: [{text}]}}}}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: v1",
        'version: ""',
        "flags: {migStrategy: mixed}",
        '{"version": "v1", "flags": {"migStrategy": "single"}}',
        "flags: {plugin: {deviceListStrategy: cdi-cri}}",
        "flags: {gfd: {sleepInterval: 60000000000}}",
        "flags: {gfd: {sleepInterval: infinite}}",
        "flags: {gfd: {sleepInterval: 1h30m0.5s}}",
        "imex: {channelIDs: []}",
        "sharing: {timeSlicing: {interval: short, resources: [{name: gpu, replicas: 2}]}}",
        "sharing: {mps: {failRequestsGreaterThanOne: false, resources: [{name: gpu, replicas: 2}]}}",
        sharing("{name: gpu, replicas: 2}"),
        sharing("{name: gpu, replicas: 2, devices: 1}"),
        sharing("{name: gpu, replicas: 2, devices: ['0:1', 2]}"),
        sharing("{name: gpu, replicas: 2, rename: shared}"),
    ],
)
def test_a_file_is_taken(text: str) -> None:
    parse(text, source="f")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("version: v2", "f:1: version 'v2' is not 'v1', the only one there is"),
        ("version: v2\nunknown: 1", "f:1: version 'v2'"),
        ("flag: {}", "f:1: unknown field 'flag'; did you mean 'flags'?"),
        (
            "flags: {renameByDefault: true}",
            "unknown field 'renameByDefault' in flags",
        ),
        ("flags: {migstrategy: none}", "unknown field 'migstrategy' in flags; did you mean 'migStrategy'?"),
        ("flags: {migStrategy: mixd}", "'mixd' is not a known value; did you mean 'mixed'?"),
        ("flags: {failOnInitError: maybe}", "true or false is expected"),
        ("flags: {plugin: {deviceListStrategy: cdi}}", "'cdi' is not a known value"),
        ("flags: {plugin: {deviceIDStrategy: name}}", "'name' is not a known value"),
        ("flags: {gfd: {sleepInterval: soon}}", "'soon' is no duration"),
        ("flags: {gfd: {sleepInterval: -5s}}", "'-5s' is less than nothing"),
        ("flags: {gfd: {sleepInterval: -1}}", "'-1' is less than nothing"),
        ("imex: {channelIDs: [1]}", "channelIDs is [] or [0], not [1]"),
        ("imex: {channelIDs: [0, 1]}", "channelIDs is [] or [0]"),
        ("sharing: {timeSlicing: {}}", "field 'resources' is missing"),
        ("sharing: {timeSlicing: {resources: []}}", "no resource is shared"),
        ("sharing: {mps: {resources: []}}", "no resource is shared: list one, or remove mps"),
        ("sharing: {mps: {interval: short, resources: []}}", "unknown field 'interval'"),
        ("sharing: {timeslicing: {}}", "did you mean 'timeSlicing'?"),
        (sharing("{replicas: 2}"), "field 'name' is missing"),
        (sharing("{name: gpu}"), "field 'replicas' is missing"),
        (sharing("{name: gpu, replicas: 1}"), "f:2: 1 replicas: two is the least that can be shared"),
        (sharing("{name: gpu, replicas: 0}"), "0 replicas"),
        (sharing("{name: gpu, replicas: 99999999999}"), "99999999999 replicas: 1000 is the most"),
        (sharing("{name: gpu, replicas: -1}"), "-1 replicas"),
        (sharing("{name: gpu, replicas: 2.5}"), "a whole number is expected"),
        (sharing("{name: GPU, replicas: 2}"), "'GPU' is no resource name"),
        (sharing("{name: amd.com/gpu, replicas: 2}"), "no resource name"),
        (sharing("{name: gpu, replicas: 2, rename: a b}"), "'a b' is no resource name"),
        (sharing("{name: gpu, replicas: 2, devices: none}"), "devices is 'all', a number or a list"),
        (sharing("{name: gpu, replicas: 2, devices: 0}"), "0 devices"),
        (sharing("{name: gpu, replicas: 2, devices: [gpu0]}"), "'gpu0' names no device"),
        ("a: 1\n---\nb: 2", "a second document begins here"),
        ("- 1", "an object is expected"),
    ],
)
def test_a_file_is_refused_in_one_line(text: str, complaint: str) -> None:
    with pytest.raises(DocumentError) as refused:
        parse(text, source="f")
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_empty_file_asks_for_nothing() -> None:
    assert parse("# nothing\n", source="f") == PluginConfig()


def test_our_own_interval_is_read() -> None:
    config = parse(
        "sharing: {timeSlicing: {interval: long, resources: [{name: gpu, replicas: 2}]}}", source="f"
    )
    assert config.time_slicing is not None
    assert config.time_slicing.interval is TimeSlice.LONG
