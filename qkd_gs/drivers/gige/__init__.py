"""Cameras with GigE Vision (GenICam), by way of PyPI's `viva-genicam`.

Registers of a camera are written and read with answers that may take seconds when the camera hangs.  So this driver has
a thread of its own (`session`), which owns the camera; the calls of the loop take what that thread has received.
"""
