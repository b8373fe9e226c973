"""Which pods belong together: what owners, group objects, labels and annotations say, as jobs of the core.

Pure: pods, the objects that own them and the objects that they name come in, a Membership comes out. Reading them from the API
is `aliquot.scheduler.groups`.
"""
