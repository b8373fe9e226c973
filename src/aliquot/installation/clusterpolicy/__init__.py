"""NVIDIA's ClusterPolicy (and NVIDIADriver) as a GPUPolicy. What has no counterpart is said, field by field; nothing is dropped
unsaid."""
