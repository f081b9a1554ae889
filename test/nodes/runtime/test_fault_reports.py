"""Every present fault of a node is in its heartbeat, whatever else fails or recovers meanwhile."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_graph import in_this_process
from rclpy.lifecycle import TransitionCallbackReturn

from qkd_gs.errors import DeviceFault, StationError, in_words
from qkd_gs.monitoring.health import health_of
from qkd_gs.nodes.conversions.diagnostics import read
from qkd_gs.nodes.runtime.device import DeviceNode
from qkd_gs.nodes.runtime.fault_reports import FaultReports

KINDS = {
    'mount.off': DeviceFault('mount.off', 'no power'),
    'mount.stall': DeviceFault('mount.stall', 'azimuth stands still'),
    'node.refused': StationError('no such file'),
    'node.error': ZeroDivisionError('division by zero'),
}
GONE_ON = ('camera.images', 'node.stranger')  # what the node reports by itself and works on with
OUTCOME = st.sampled_from((*KINDS, ''))
STEP = st.one_of(
    st.tuples(st.sampled_from(range(3)), OUTCOME), st.tuples(st.sampled_from(GONE_ON), st.sampled_from((True, False)))
)


class Silent:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.said = []

    def error(self, text):
        self.said.append(text)

    info = error


class Reporting(FaultReports):
    """A node without a graph: its heartbeat is a list."""

    def __init__(self):
        super().__init__()
        self.log, self.beats = Silent(), []

    def get_logger(self):
        return self.log

    def heartbeat(self):
        self.beats.append((self.fault, {fault.code for fault in self.faults.present(0.0)}))


def failing(outcome):
    """Work that ends as the test wants it next; `outcome` holds a code, or '' for success."""

    def work():
        if outcome[0]:
            raise KINDS[outcome[0]]

    return work


@given(st.lists(STEP, max_size=30))
def test_no_present_fault_is_hidden_and_none_that_is_over_is_told(steps):
    node = Reporting()
    outcomes = [[''] for _ in range(3)]
    works = [node.guarded(failing(outcome)) for outcome in outcomes]
    gone_on = set()
    for what, how in steps:
        if what in GONE_ON:
            (gone_on.add if how else gone_on.discard)(what)
            (node.degraded(what, 'in words') if how else node.recovered(what))
        else:
            outcomes[what][0] = how
            works[what]()
        present = {outcome for (outcome,) in outcomes if outcome} | gone_on
        assert {fault.code for fault in node.faults.present(0.0)} == present
        assert (node.fault in present) if present else (node.fault == '')
        if present & set(KINDS):
            assert node.fault in KINDS  # the worse one
        if node.beats:
            assert node.beats[-1] == (node.fault, present)  # what was told last is so
        assert node.beats or not present


def test_one_call_ends_what_another_call_of_the_same_work_has_reported():
    """Callers wrap a method again for every call."""
    node, outcome = Reporting(), ['mount.off']

    class Disk:
        def write(self):
            failing(outcome)()

    disk, other = Disk(), Disk()
    node.guarded(disk.write)()
    node.guarded(other.write)()
    outcome[0] = ''
    node.guarded(disk.write)()
    assert node.fault == 'mount.off'  # of the other disk
    node.guarded(other.write)()
    assert node.fault == ''


class Dome(DeviceNode):
    """A device whose every action may fail."""

    name = 'dome'
    of_a_station = False

    def __init__(self):
        self.outcomes = {what: [''] for what in ('opened', 'started', 'stopped', 'closed', 'read', 'command')}
        super().__init__()
        self.read = self.guarded(failing(self.outcomes['read']))
        self.command = self.guarded(failing(self.outcomes['command']))

    def opened(self):
        failing(self.outcomes['opened'])()

    def started(self):
        failing(self.outcomes['started'])()

    def stopped(self):
        failing(self.outcomes['stopped'])()

    def closed(self):
        failing(self.outcomes['closed'])()

    def heartbeat(self):
        super().heartbeat()
        self.told = {fault.code for fault in self.faults.present(0.0)}


@pytest.fixture
def dome(domain):
    with in_this_process(Dome) as node:
        yield node


def activate(node):
    assert node.trigger_configure() is TransitionCallbackReturn.SUCCESS
    assert node.trigger_activate() is TransitionCallbackReturn.SUCCESS


def test_a_device_that_cannot_even_be_stopped_tells_both_until_it_is_open_again(dome):
    activate(dome)
    dome.outcomes['read'][0], dome.outcomes['stopped'][0] = 'mount.off', 'mount.stall'
    dome.read()
    assert dome.told == {'mount.off', 'mount.stall'}
    assert dome.state_label == 'waiting for the clock'
    dome.outcomes['read'][0] = dome.outcomes['stopped'][0] = ''
    dome.read()  # there is nothing to read: that is no success
    assert dome.told == {'mount.off', 'mount.stall'}
    dome.outcomes['opened'][0] = 'node.refused'
    assert dome.trigger_configure() is TransitionCallbackReturn.FAILURE
    assert dome.told == {'mount.off', 'mount.stall', 'node.refused'}
    dome.outcomes['opened'][0] = ''
    activate(dome)
    assert dome.told == set()
    assert dome.fault == ''


def test_a_device_that_does_not_start_says_so_until_it_does(dome):
    dome.outcomes['started'][0] = 'mount.off'
    dome.trigger_configure()
    assert dome.trigger_activate() is TransitionCallbackReturn.ERROR
    assert dome.told == {'mount.off'}
    dome.trigger_configure()
    assert dome.told == {'mount.off'}  # it is open, and does not work yet
    dome.outcomes['started'][0] = ''
    dome.trigger_activate()
    assert dome.told == set()


def test_what_a_device_works_on_with_outlives_its_other_faults(dome):
    activate(dome)
    dome.degraded('detector.tags_unwritten', 'the disk is full')
    dome.outcomes['command'][0] = 'mount.stall'
    dome.command()
    assert dome.told == {'detector.tags_unwritten', 'mount.stall'}
    dome.outcomes['command'][0] = ''
    activate(dome)
    assert dome.told == {'detector.tags_unwritten'}
    assert dome.trigger_deactivate() is TransitionCallbackReturn.SUCCESS  # the disk keeps nobody from stopping it
    dome.recovered('detector.tags_unwritten')
    assert dome.told == set()


def test_the_heartbeat_names_the_worst_and_lists_all(dome):
    sent = []
    dome._diagnostics.publish = sent.append
    dome.warning = 'no satellites'
    dome.degraded('node.stranger', '2 messages refused')
    dome.outcomes['read'][0] = 'mount.off'
    dome.read()
    (status,) = read(sent[-1])
    assert (status.values['fault'], status.message, status.level) == ('mount.off', 'mount.off: no power', 2)
    health = health_of('dome', status.values, status.message, 0.0)
    assert [fault.code for fault in health.faults] == ['mount.off', 'node.stranger']
    dome.outcomes['read'][0] = ''
    dome.read()
    dome.recovered('node.stranger')
    (status,) = read(sent[-1])
    assert (status.message, status.level) == ('no satellites', 1)  # a fault does not make it forgotten


@pytest.mark.parametrize('error', [KeyError('temperature'), DeviceFault('dome.silent', 'no answer')])
def test_a_driver_that_cannot_tell_of_its_device_does_not_stop_the_heartbeat(dome, error):
    def health():
        raise error

    dome.device = SimpleNamespace(health=health)
    dome.heartbeat()
    assert dome.own_values()['device_health'] == in_words(error)
    dome.device = SimpleNamespace(health=lambda: {'firmware': 3})
    assert dome.own_values()['device_firmware'] == '3'
