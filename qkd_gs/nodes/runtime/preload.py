"""Import everything that nodes need once, in the server process that they are forked from."""

from __future__ import annotations

import gc
import importlib

from qkd_gs.station.graph import NODES

for _spec in NODES:
    importlib.import_module(_spec.module)
importlib.import_module('qkd_gs.sim.remote.bus')
importlib.import_module('qkd_gs.station.finish_session')
importlib.import_module('rosidl_generator_py')  # of rclpy, with the first message
gc.collect()
gc.freeze()  # stays shared with the children until its reference counts change
