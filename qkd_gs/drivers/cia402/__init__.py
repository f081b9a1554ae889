"""Mount of two servo drives with the profile CiA 402 on CANopen, one drive an axis.

mount -> axis (one drive: states, set-points, units) -> bus (frames, SDO)
"""
