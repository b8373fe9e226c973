"""One error for every kind of selector."""


class SelectorError(ValueError):
    """A selector that Kubernetes would refuse; the text is Kubernetes', and the server's answer is 400."""
