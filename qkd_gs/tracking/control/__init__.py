"""Acquisition and the closed tracking loop."""
