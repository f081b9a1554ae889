"""The ELL14 of `qkd_gs.sim.hil.ell14` behind pyserial's interface."""

from serial_emulators import Pluggable

from qkd_gs.sim.hil import ell14

COUNTS = ell14.COUNTS


class Ell14(Pluggable, ell14.Ell14):
    pass
