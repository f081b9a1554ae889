"""Forecast of a pass: expected sifted bits, error rate and secret key, with an interval."""
