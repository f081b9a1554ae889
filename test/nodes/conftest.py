"""A ROS graph for each test."""

import pytest
from one_graph import Station
from ros_domain import own_domain


@pytest.fixture
def domain():
    """A ROS domain in which nobody else is."""
    with own_domain() as number:
        yield number


@pytest.fixture
def station(domain):
    made = Station()
    yield made
    made.close()
