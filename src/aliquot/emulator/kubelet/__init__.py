"""An emulated node: kubelet's side of the API server, of the device plugins and of a container runtime."""
