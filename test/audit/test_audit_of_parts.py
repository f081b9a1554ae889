"""The auditor agrees with a pass in parts, and finds a part that was left out, exchanged or answered twice."""

import json
import re
import shutil

import pytest
from forging import (
    CORRECT,
    ERRORS,
    LOG_REQUEST,
    PARITY_REQUEST,
    SIFT_ANSWER,
    SIFT_HEAD,
    edited,
    forge,
    key_of,
    messages_of,
    write,
)

from qkd_gs.audit.session_audit import audit_session
from qkd_gs.bench.security.short_sessions import short_session
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.processing.parts import Recorded
from qkd_gs.processing.pipeline import process_session
from qkd_gs.sim.satellite import simulated_satellite


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('parts')
    keys, session = KeyFolder.create(folder / 'keys'), folder / 'session'
    manifest = short_session(seconds=12.0, before_s=6.0, gain=8.0).write(session, keys.session_public_key)
    start_ns = manifest.locked[0].start_ns
    parts = Recorded(start_ns, [start_ns + round(end_s * 1e9) for end_s in (6.0, 9.0, 12.0)])
    process_session(session, keys, lambda: simulated_satellite(session, keys), lambda *_: None, recording=parts)
    return session


@pytest.fixture
def session(made, tmp_path):
    shutil.copytree(made, tmp_path / 'session')
    return tmp_path / 'session'


def parts_of(messages):
    """Where each part begins, and where the report behind the last one stands."""
    kinds = [kind for _, kind, _ in messages]
    return [k for k, kind in enumerate(kinds) if kind == LOG_REQUEST] + [kinds.index(ERRORS)]


def a_part_left_out(session, number=1):
    def change(messages):
        starts = parts_of(messages)
        del messages[starts[number] : starts[number + 1]]

    forge(session, change)


def the_last_part_left_out(session):
    """And the second one is said to be the last."""

    def change(messages):
        _, _, third, report = parts_of(messages)
        correct = max(k for k in range(third) if messages[k][1] == CORRECT)
        del messages[third:report], messages[correct:third]

    forge(session, change)


def the_first_part_left_out(session):
    """And the number expected is said in the second."""

    def change(messages):
        first, second, *_ = parts_of(messages)
        heads = [one for one in messages if one[1] == SIFT_HEAD]
        edited(heads[1], expected=json.loads(heads[0][2])['expected'])
        del messages[first:second]

    forge(session, change)


def parts_in_another_order(session):
    def change(messages):
        first, second, third, _ = parts_of(messages)
        messages[first:third] = messages[second:third] + messages[first:second]

    forge(session, change)


def another_number_expected(session):
    forge(session, lambda messages: edited(next(one for one in messages if one[1] == SIFT_HEAD), expected=1000))


def a_number_expected_in_the_second_part(session):
    forge(session, lambda messages: edited([one for one in messages if one[1] == SIFT_HEAD][1], expected=1000))


def a_part_answered_twice(session):
    def change(messages):
        answers = [k for k, one in enumerate(messages) if one[1] == SIFT_ANSWER]
        messages.insert(answers[1], list(messages[answers[1]]))

    forge(session, change)


def a_part_said_and_answered_twice(session):
    """Its detections once more, as another part; the answers tell more bits."""

    def change(messages):
        _, second, third, _ = parts_of(messages)
        messages[third:third] = [list(one) for one in messages[second:third]]

    forge(session, change)


def a_part_corrected_without_a_word(session):
    """The parities of a part are said not to have been told."""

    def change(messages):
        _, second, _, _ = parts_of(messages)
        correct = next(k for k, one in enumerate(messages) if one[1] == CORRECT)
        del messages[correct:second]

    forge(session, change)


def a_parity_of_a_part_left_out(session):
    def change(messages):
        k = next(k for k, one in enumerate(messages) if one[1] == PARITY_REQUEST)
        del messages[k : k + 2]

    forge(session, change)


def a_part_announced_otherwise_before(session):
    """A broken run had other detections in its second part."""
    messages = messages_of(session / key_of(session)['transcript']['file'])
    _, _, third, _ = parts_of(messages)
    edited([one for one in messages if one[1] == SIFT_HEAD][1], detections=7)
    write(session / 'transcript-7.qgt', messages[:third])


def fewer_parts_agreed(session):
    forge(session, lambda messages: edited(messages[0], parts=2))


def test_an_honest_pass_in_parts_agrees(made):
    audit = audit_session(made)
    assert audit.differences == []
    assert audit.secret_bits == key_of(made)['secret_bits'] > 20_000


@pytest.mark.parametrize(
    ('tamper', 'told'),
    [
        (a_part_left_out, r'sifted_bits is \d+ in the session, \d+ by the transcript'),
        (the_last_part_left_out, r'sifted_bits is \d+ in the session, \d+ by the transcript'),
        (the_first_part_left_out, r'sifted_bits is \d+ in the session, \d+ by the transcript'),
        (parts_in_another_order, 'the parts are not as was said at first'),
        (another_number_expected, r'secret_bits is \d+ in the session, \d+ by the transcript|the counts allow'),
        (a_number_expected_in_the_second_part, 'the parts are not as was said at first'),
        (a_part_answered_twice, 'not every block of detections has one answer'),
        (a_part_said_and_answered_twice, 'detections are out of order or outside locked time'),
        (a_part_corrected_without_a_word, 'the order of the messages is not that of a run'),
        (a_parity_of_a_part_left_out, r'disclosed_bits is \d+ in the session, \d+ by the transcript'),
        (a_part_announced_otherwise_before, 'transcript-7.qgt announces other detections'),
        (fewer_parts_agreed, 'the parts are not as was said at first'),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_a_forged_part_is_found(session, tamper, told):
    tamper(session)
    audit = audit_session(session)
    assert not audit.agrees
    assert re.search(told, '\n'.join(audit.differences)), audit.differences
