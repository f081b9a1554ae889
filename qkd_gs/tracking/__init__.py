"""Tracking of a pass: spots in images, acquisition and closed loop, metrics and manifest."""
