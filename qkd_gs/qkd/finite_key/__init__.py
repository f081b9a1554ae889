"""Decoy-state bounds and the finite key length."""
