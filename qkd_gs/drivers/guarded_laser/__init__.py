"""Lasers without a watchdog as the station's beacon: what all their drivers share.

Such a laser goes on emitting when its computer dies.  So its port belongs to a small process, the guard, which outlives
the beacon's node and switches the laser off when that is killed, hangs, or stops repeating ``on()``.

beacon -> guard (another process) -> control of one kind of laser -> its line
"""
