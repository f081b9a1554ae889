"""Building blocks of every node: base classes, parameters, process main, links to the simulated world."""
