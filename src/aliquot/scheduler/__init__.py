"""Where pods go: which node, and on it which GPU or slice.

`core` decides: plain data in, plain data out, no Kubernetes and no clock. The modules beside it read the API into
the core's data and carry its decisions out.
"""
