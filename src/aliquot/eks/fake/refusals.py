"""How EKS says no."""


class Refused(Exception):
    """An error of the service: `code` is the name of its shape."""

    def __init__(self, code: str, message: str, **names: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.names = names


class Unknown(Refused):
    """EKS has the operation, and the fake has not. Asking again does not help."""

    def __init__(self, operation: str) -> None:
        super().__init__("ServerException", f"the fake does not know {operation}")


def not_found(what: str, name: str, **names: str) -> Refused:
    return Refused("ResourceNotFoundException", f"No {what} found for name: {name}.", **names)


def in_use(message: str, **names: str) -> Refused:
    return Refused("ResourceInUseException", message, **names)


def wrong(message: str, **names: str) -> Refused:
    return Refused("InvalidParameterException", message, **names)


def not_now(message: str, **names: str) -> Refused:
    return Refused("InvalidRequestException", message, **names)


def too_many(message: str, **names: str) -> Refused:
    return Refused("ResourceLimitExceededException", message, **names)


def unready(insights: list[str], cluster: str) -> Refused:
    listed = ", ".join(insights)
    return Refused("InvalidStateException", f"Insights of status ERROR: {listed}", clusterName=cluster)
