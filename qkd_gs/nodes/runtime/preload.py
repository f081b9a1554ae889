"""Import what the nodes need, once, in the server that they are forked from."""

from __future__ import annotations

import gc
import importlib

from qkd_gs.station.graph import NODES

for _spec in NODES:
    importlib.import_module(_spec.module)
importlib.import_module('qkd_gs.nodes.runtime.sim_link')
importlib.import_module('qkd_gs.station.finish_session')
gc.collect()
gc.freeze()  # shared with the children for as long as nobody counts its references anew
