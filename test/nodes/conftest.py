"""A ROS graph for each test."""

import os

import pytest
from graph_station import machine_for_graphs
from one_graph import Station

DOMAIN = 101 + os.getpid() % 100


@pytest.fixture
def domain():
    """Nobody else is in it, and no whole station takes the processors meanwhile."""
    with machine_for_graphs(DOMAIN):
        yield


@pytest.fixture
def station(domain):
    made = Station()
    yield made
    made.close()
