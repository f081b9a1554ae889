"""What every node is built from: base classes, parameters, process main, links to the simulated world."""
