"""The twin: simulated physics, images and photons behind the Protocols of the devices."""
