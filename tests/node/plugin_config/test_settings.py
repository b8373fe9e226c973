import pytest

from aliquot.kube.api.gpunode import AllocationPolicy
from aliquot.node.plugin_config.file import (
    DeviceIdStrategy,
    DeviceListStrategy,
    Flags,
    MigStrategy,
    PluginFlags,
    parse,
)
from aliquot.node.plugin_config.settings import Companion, Settings, SettingsError, resolve


def of(text: str, given: Flags | None = None) -> Settings:
    return resolve(given or Flags(), parse(text, source="f"))


def test_nothing_given_is_the_defaults() -> None:
    assert of("") == Settings()


def test_what_is_given_goes_before_the_file_and_the_file_before_the_default() -> None:
    text = "flags: {migStrategy: single, nvidiaDriverRoot: /driver, plugin: {deviceIDStrategy: index}}"
    from_file = of(text)
    assert from_file.mig_strategy is MigStrategy.SINGLE
    assert from_file.device_id_strategy is DeviceIdStrategy.INDEX
    given = Flags(mig_strategy=MigStrategy.NONE, plugin=PluginFlags(pass_device_specs=False))
    both = of(text, given)
    assert both.mig_strategy is MigStrategy.NONE
    assert both.pass_device_specs is False
    assert both.device_id_strategy is DeviceIdStrategy.INDEX
    assert both.driver_root == "/driver"


def test_the_dev_root_is_the_driver_root_unless_it_is_given() -> None:
    assert of("flags: {nvidiaDriverRoot: /driver}").dev_root == "/driver"
    assert of("flags: {nvidiaDriverRoot: /driver, nvidiaDevRoot: /}").dev_root == "/"


def test_a_false_that_is_given_counts() -> None:
    assert of("flags: {gdsEnabled: true}", Flags(gds_enabled=False)).companions == ()


def test_companions_are_those_that_are_asked_for() -> None:
    text = "flags: {gdrcopyEnabled: true, gdsEnabled: false}\nimex: {channelIDs: [0], required: true}"
    settings = of(text, Flags(mofed_enabled=True))
    assert settings.companions == (Companion.IMEX_CHANNEL, Companion.GDRCOPY, Companion.MOFED)
    assert settings.imex_required


def test_a_channel_that_is_required_and_not_asked_for_is_told() -> None:
    settings = of("imex: {required: true}")
    assert settings.without_effect == ("imex.required: no channel is asked for: give channelIDs: [0]",)


@pytest.mark.parametrize(
    ("strategies", "expected"),
    [
        ("cdi-cri", (DeviceListStrategy.CDI_CRI,)),
        (
            "[envvar, cdi-annotations, envvar]",
            (DeviceListStrategy.ENVVAR, DeviceListStrategy.CDI_ANNOTATIONS),
        ),
    ],
)
def test_strategies_are_one_or_several(strategies: str, expected: tuple[DeviceListStrategy, ...]) -> None:
    settings = of(f"flags: {{plugin: {{deviceListStrategy: {strategies}}}}}")
    assert settings.device_list_strategies == expected
    assert settings.uses_cdi


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("flags: {plugin: {deviceListStrategy: []}}", "deviceListStrategy is empty"),
        ("flags: {deviceDiscoveryStrategy: tegra}", "deviceDiscoveryStrategy tegra is not supported"),
        ("flags: {mpsRoot: run/mps}", "mpsRoot run/mps is no path from the root: begin it with /"),
        ("flags: {nvidiaDriverRoot: drv}", "nvidiaDriverRoot drv is no path from the root"),
        ("flags: {nvidiaDevRoot: drv}", "nvidiaDevRoot drv is no path from the root"),
        ("flags: {plugin: {nvidiaCTKPath: nvidia-ctk}}", "nvidiaCTKPath nvidia-ctk is no path from the root"),
        ("flags: {plugin: {cdiAnnotationPrefix: 'two words/'}}", "'two words/' makes no annotation"),
        ("flags: {plugin: {cdiAnnotationPrefix: cdi.k8s.io}}", "'cdi.k8s.io' makes no annotation"),
        ("sharing: {mps: {resources: [{name: gpu, replicas: 2}]}}", "sharing.mps needs mpsRoot"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(text: str, complaint: str) -> None:
    with pytest.raises(SettingsError) as refused:
        of(text)
    assert complaint in str(refused.value)


def test_all_that_is_wrong_is_said_at_once() -> None:
    text = "flags: {mpsRoot: mps, nvidiaDriverRoot: drv, plugin: {deviceListStrategy: []}}"
    with pytest.raises(SettingsError) as refused:
        of(text)
    assert str(refused.value).count(";") == 2


def test_an_allocation_policy_is_nobodys_until_it_is_given() -> None:
    assert of("").allocation_policy is None
    given = "flags: {plugin: {sharedDevicesAllocationPolicy: packed}}"
    assert of(given).allocation_policy is AllocationPolicy.PACKED


def test_options_without_effect_are_named() -> None:
    [said] = of("flags: {gfd: {sleepInterval: 5s}}").without_effect
    assert said == "gfd.sleepInterval: labels follow every change at once"
