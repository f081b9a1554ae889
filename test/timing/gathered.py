"""Events of a stream in one piece."""

import numpy as np

from qkd_gs.timing.gate import GatedEvents


def joined(parts):
    parts = list(parts)
    return GatedEvents(np.concatenate([part.pulse for part in parts]), np.concatenate([part.channel for part in parts]))
