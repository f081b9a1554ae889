"""Lasers with the serial command set of Cobolt as the station's beacon.

Such a laser has no watchdog of its own: it goes on emitting when its computer dies.  So the port belongs to a small
process, the guard, which outlives the beacon's node and switches the laser off when that is killed, hangs, or stops
repeating ``on()``.

beacon -> guard (another process) -> control -> serial line
"""
