"""Protection of people from our beacon: aircraft, keep-out sectors, permitted times."""
