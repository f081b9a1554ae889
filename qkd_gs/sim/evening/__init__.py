"""The evening in the twin, in lockstep: the station's own steps on simulated devices."""
