"""Devices behind an INDI server: one client that serves every kind."""
