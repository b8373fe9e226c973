import pytest

from aliquot.node.plugin_config.names import BadResourceName, Naming, Pattern, full_name, shared_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("gpu", "nvidia.com/gpu"),
        ("nvidia.com/gpu", "nvidia.com/gpu"),
        ("mig-1g.5gb.me", "nvidia.com/mig-1g.5gb.me"),
        ("a" * 52, "nvidia.com/" + "a" * 52),
    ],
)
def test_a_name_has_nvidias_prefix(text: str, name: str) -> None:
    assert full_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "GPU", "gpu_x", "-gpu", "gpu.", "a/b", "example.com/gpu", "a" * 53, "gpu x"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(BadResourceName):
        full_name(text)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*", "anything", True),
        ("*", "", True),
        ("1g.5gb", "1g.5gb", True),
        ("1g.5gb", "1g.5gb+me", False),
        ("1g.5gb+me", "1g.5gb", False),
        ("1g.5gb+me", "1g.5gb+me", True),
        ("1g.24gb-me", "1g.24gb", False),
        ("1g.5gb", "11g.5gb", False),
        ("1g.5gb", "1gx5gb", False),
        ("1g.5gb*", "1g.5gb+me", True),
        ("*A100*", "NVIDIA A100-SXM4-40GB", True),
        ("A100", "NVIDIA A100-SXM4-40GB", False),
        ("NVIDIA*40GB", "NVIDIA A100-SXM4-40GB", True),
        ("NVIDIA*80GB", "NVIDIA A100-SXM4-40GB", False),
        ("[a-z]*", "abc", False),
    ],
)
def test_a_pattern_matches_the_whole(pattern: str, text: str, matches: bool) -> None:
    assert Pattern(pattern, "nvidia.com/x").matches(text) is matches


def test_the_first_pattern_that_matches_counts() -> None:
    naming = Naming(
        gpus=(Pattern("*A100*", "nvidia.com/a100"), Pattern("*", "nvidia.com/other")),
        mig=(Pattern("1g.*", "nvidia.com/small"),),
    )
    assert naming.of_gpu("NVIDIA A100-SXM4-40GB") == "nvidia.com/a100"
    assert naming.of_gpu("NVIDIA H100") == "nvidia.com/other"
    assert naming.of_profile("1g.5gb+me") == "nvidia.com/small"
    assert naming.of_profile("2g.10gb") == "nvidia.com/mig-2g.10gb"
    assert Naming().of_gpu("NVIDIA H100") == "nvidia.com/gpu"


def test_shares_are_named_once() -> None:
    assert shared_name("nvidia.com/gpu") == "nvidia.com/gpu.shared"
    assert shared_name("nvidia.com/gpu.shared") == "nvidia.com/gpu.shared"
