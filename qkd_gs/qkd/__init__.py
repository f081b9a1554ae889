"""The protocol with the satellite: `protocol` runs it, over `link`, by way of the other packages."""
