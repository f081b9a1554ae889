"""Drivers of real devices, one package each; `doc/drivers/` describes them.

All of them follow the same pattern:

- ``open()`` connects, identifies and configures the device, and may wait for its answers up to the driver's time-out.
  It moves nothing and emits no light.
- Every other call only takes what has arrived and sends what is due; it never waits.  There is no thread: the driver
  works when its node calls it; only the answers of cameras are waited for in a thread (`gige.session`).
- A device that is lost (silent, port gone) stays lost until it is opened again.  Set-points and orders from before are
  forgotten, and none is sent after it was opened again.
- A missing optional library is a `StationError` that names the extra to install, see `extras`.
"""
