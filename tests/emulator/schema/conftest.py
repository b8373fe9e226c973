"""No test depends on the speed of the machine: Hypothesis shall not judge how long an example takes."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
