"""A ROS graph for each test."""

import os

import pytest
from one_graph import Station

from qkd_gs.nodes.local import local_only

DOMAIN = 101 + os.getpid() % 100


@pytest.fixture
def domain(monkeypatch):
    """Nobody else is in it."""
    monkeypatch.setenv('ROS_DOMAIN_ID', str(DOMAIN))
    local_only()


@pytest.fixture
def station(domain):
    made = Station()
    yield made
    made.close()
