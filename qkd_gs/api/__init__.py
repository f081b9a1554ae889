"""Entry points for notebooks and scripts, in the units and types that are convenient there; `qkd_gs` exports them.

Everything here is thin: it converts arguments and calls the package that does the work.
"""
