"""Simulated photons: link budget, transmitter, receiver, detectors, clocks and tags."""
