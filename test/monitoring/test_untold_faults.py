"""Faults that are over before they are told: none is lost, none is told twice after its end."""

from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.monitoring.node_faults import NodeFault, NodeFaults, Severity
from qkd_gs.monitoring.untold_faults import UntoldFaults

CODES = ('recorder.not_recorded', 'node.error', 'node.stranger')
STEP = st.one_of(
    st.tuples(st.sampled_from(('begin', 'end')), st.sampled_from(CODES), st.sampled_from(Severity)),
    st.just(('tell', '', Severity.DEGRADED)),
)


@given(st.lists(STEP, max_size=40))
def test_each_fault_is_told_once_at_least_and_never_again_after_its_end(steps):
    node, untold = NodeFaults(), UntoldFaults()
    since = set()  # codes that were present at some time since they were told last
    for now_s, (what, code, severity) in enumerate([*steps, ('tell', '', Severity.DEGRADED)]):
        if what == 'tell':
            present = node.present(now_s)
            told = untold.take('recorder', present)
            assert {fault.code for fault in told} == since | {fault.code for fault in present}
            assert set(present) <= set(told)  # what is present is told as it is now
            assert list(told) == sorted(told, key=lambda fault: (-fault.severity, -fault.for_s, fault.code))
            since = set()
        elif what == 'begin':
            node.begin(now_s, code, 'in words', severity, 'read')
        else:
            node.end('read', code)
        if what != 'tell':  # a heartbeat
            untold.hear('recorder', node.present(now_s))
            since |= {fault.code for fault in node.present(now_s)}


def test_faults_of_nodes_are_kept_apart():
    untold = UntoldFaults()
    fault = NodeFault('recorder.not_recorded', 'no space left')
    untold.hear('recorder', [fault])
    assert untold.take('detector', ()) == ()
    assert untold.take('recorder', ()) == (fault,)
    assert untold.take('recorder', ()) == ()
