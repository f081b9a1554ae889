"""Pointing calibration: star visits, observations and the fit of the mount model."""
