"""From a camera image to a measured spot."""
