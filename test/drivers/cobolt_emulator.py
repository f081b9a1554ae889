"""The laser of `qkd_gs.sim.hil.cobolt` behind pyserial's interface."""

from serial_emulators import Pluggable

from qkd_gs.sim.hil import cobolt


class Cobolt(Pluggable, cobolt.Cobolt):
    pass
