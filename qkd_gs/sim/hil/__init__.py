"""Hardware in the loop: counterparts of the real drivers, with the twin behind them.

The station's real drivers speak their real protocols to processes of this package: frames of the twin on a GigE Vision
server of Aravis, CiA 402 drives with the twin's servo and mount, an ELL14 and Cobolt's laser on pseudo-terminals, gpsd
with the twin's time, and the tag stream with the twin's photons.  Each process reads and writes the bus of the twin
(`qkd_gs.sim.remote.bus`), as the simulated devices do.  Nothing here is a driver, and no driver imports it.
"""
