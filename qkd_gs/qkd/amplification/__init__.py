"""Verification of the corrected key and privacy amplification."""
