"""Settings of all tests: the same examples on every run, and no deadline (a first call may compile a numba kernel)."""

from hypothesis import settings

settings.register_profile('project', deadline=None, derandomize=True)
settings.load_profile('project')
