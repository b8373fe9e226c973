"""Health of devices: `policy` (which checks count), `xids` and `figures` (what is wrong, from events and from what GPUs
tell of themselves), `devices` (which devices are fit, and how the others come back), `watch` (asks the driver), and
`announcer` (tells every change once).
"""
