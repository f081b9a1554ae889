"""Devices behind an ASCOM Alpaca server: one client that serves every kind."""
