"""Faults of a node: none that is present is hidden, none that is over is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qkd_gs.monitoring.node_faults import NodeFault, NodeFaults, Severity, from_text, to_text

CODES, SOURCES = ('mount.off', 'node.error', 'node.stranger'), ('read', 'command', 'node')
STEP = st.one_of(
    st.tuples(st.just('begin'), st.sampled_from(CODES), st.sampled_from(SOURCES), st.sampled_from(Severity)),
    st.tuples(st.just('end'), st.sampled_from(CODES), st.sampled_from(SOURCES)),
    st.tuples(st.just('end_all'), st.sampled_from(SOURCES), st.sampled_from(('', *CODES))),
)


@given(st.lists(STEP, max_size=40))
def test_present_is_what_some_source_has_begun_and_not_ended(steps):
    faults = NodeFaults()
    reports, since_s = {}, {}  # what a plain list of all reports says
    for now_s, (what, *of) in enumerate(steps):
        before = {code for code, _ in reports}
        if what == 'begin':
            code, source, severity = of
            begins = faults.begin(now_s, code, f'{code} {now_s}', severity, source)
            assert begins == (code not in before)
            reports.pop((code, source), None)
            reports[code, source] = (severity, f'{code} {now_s}')
            since_s.setdefault(code, now_s)
        else:
            source = of[1] if what == 'end' else of[0]
            ended = faults.end(source, of[0]) if what == 'end' else faults.end_all(source, of[1])
            over = [(of[0], source)] if what == 'end' else [(code, source) for code in CODES if code != of[1]]
            gone = {code: reports.pop((code, of_source)) for code, of_source in over if (code, of_source) in reports}
            left = {code for code, _ in reports}
            assert sorted(ended) == sorted(told for code, (_, told) in gone.items() if code not in left)
            since_s = {code: began_s for code, began_s in since_s.items() if code in left}
        expected = set()
        for code in {code for code, _ in reports}:
            worst = max(severity for (of_code, _), (severity, _) in reports.items() if of_code == code)
            newest = [told for (of_code, _), (of, told) in reports.items() if of_code == code and of is worst][-1]
            expected.add(NodeFault(code, newest, worst, now_s - since_s[code]))
        present = faults.present(now_s)
        assert set(present) == expected
        assert list(present) == sorted(present, key=lambda fault: (-fault.severity, -fault.for_s, fault.code))
        for source in SOURCES:
            assert faults.reported_by(source) == any(source == by for _, by in reports)
        assert from_text(to_text(present)) == present


def test_the_age_of_a_fault_is_that_of_its_first_report():
    faults = NodeFaults()
    faults.begin(10.0, 'mount.off', 'no power', Severity.FAILED, 'read')
    faults.begin(14.0, 'mount.off', 'no power at all', Severity.FAILED, 'command')
    assert faults.end('read', 'mount.off') == []  # the other source goes on
    assert faults.present(15.5) == (NodeFault('mount.off', 'no power at all', Severity.FAILED, 5.5),)


@pytest.mark.parametrize(
    'text', ['[{"code": "a"}]', 'x', '3', '[["a"]]', '[{"code":1,"message":2,"severity":3,"for_s":4}]']
)
def test_what_is_no_list_of_faults_is_refused(text):
    with pytest.raises(ValueError, match='no list of faults'):
        from_text(text)
