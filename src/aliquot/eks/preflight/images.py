"""Names of images, taken apart."""


def split(image: str) -> tuple[str, str]:
    """Repository and tag, without a digest. A colon before the last slash is of a registry's port."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")
