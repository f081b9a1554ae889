"""Receivers of aircraft positions (ADS-B) by way of dump1090, readsb and the like."""
