"""GPUs on Kubernetes, divided with nothing left over."""

__version__ = "0.1.0"
