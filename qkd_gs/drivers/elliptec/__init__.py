"""Rotation stages of the Thorlabs Elliptec series (ELL14 and relatives) as rotators of the half-wave plate."""
