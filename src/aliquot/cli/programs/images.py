"""References of images, and the refusal of those that no registry has."""

from aliquot.emulator.kubelet.runtimes.base import StartRefused


def name_of(image: str) -> str:
    """The last part of its path, without a tag or a digest."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def tag_of(image: str) -> str:
    """Empty: it has none, or is named by a digest."""
    return "" if "@" in image else image.rpartition("/")[2].partition(":")[2]


def not_pulled(image: str, known: str) -> StartRefused:
    """`known`: which there are, for people."""
    why = f'failed to resolve reference "{image}": not found'
    return StartRefused(
        "ImagePullBackOff",
        f'Back-off pulling image "{image}": ErrImagePull: {why}; on the emulator there are {known}',
    )
