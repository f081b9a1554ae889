"""Simulated physics: mount, rotator, beacons, atmosphere and the light path."""
