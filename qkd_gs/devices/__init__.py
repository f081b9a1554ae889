"""Protocols of the hardware, drivers by name, and conformance tests for drivers.

Rules of every device, whatever its kind (``KIND`` is the first part of its fault codes):

- A call returns within the driver's time-out or raises `DeviceFault` with a stable code.
- Times are UTC in ns since the Unix epoch; `now_ns` is the station time of the call.  A driver reads no other clock.
- Stamps of readings never go back, and are not later than `now_ns`.
- Before ``open()`` and after ``close()`` a call raises ``KIND.closed``, except for ``close()`` and for the call that
  brings the device to its safe state (``stop()``, ``off()``): those are allowed in every state, any number of times.
- ``close()`` brings the device to its safe state.
- A device that has not answered for the driver's time-out is reported as ``KIND.silent`` by ``read()``.

`qkd_gs.devices.conformance` checks these rules and those of each kind on any driver.
"""
