"""What the node shows to Prometheus: figures of its GPUs under DCGM's names, and the agent's own under `aliquot_`.

`gpu_figures` and `agent_figures` make them of what was seen, `holders` says whose they are: plain functions. `counts` is
where the agent counts what happens; `telemetry_reader` asks the GPUs. What all parts share is in `aliquot.metrics`.
"""
