"""The auditor agrees with an honest session, and finds what somebody changed in one, however carefully."""

import json
import shutil
import struct

import pytest
from forging import (
    AMPLIFY,
    DETECTIONS,
    ERRORS,
    LOG_HEAD,
    PARITY_REQUEST,
    SIFT_ANSWER,
    SIFT_HEAD,
    TAG,
    VERIFY_ANSWER,
    WELCOME,
    change_key,
    edited,
    first,
    forge,
    key_of,
    messages_of,
    write,
)

from qkd_gs.audit.session_audit import audit_session
from qkd_gs.bench.security.link_attacks import cut_before
from qkd_gs.bench.security.short_sessions import make, process, short_session
from qkd_gs.cli import main
from qkd_gs.errors import StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.qkd.link.channel import Kind
from qkd_gs.qkd.link.faults import ProtocolError
from qkd_gs.qkd.protocol.session_record import RecordInMemory


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp('audited')
    return folder / 'session', make(folder)


@pytest.fixture
def session(made, tmp_path):
    shutil.copytree(made[0], tmp_path / 'session')
    return tmp_path / 'session'


def test_an_honest_session_agrees(made, capsys):
    session, processed = made
    audit = audit_session(session)
    assert audit.differences == []
    assert audit.agrees
    assert audit.secret_bits == processed.key['secret_bits'] > 20_000
    assert audit.checked['disclosed_bits'] == processed.key['disclosed_bits']
    assert any('pre-shared' in line for line in audit.not_seen)
    assert main(['audit', str(session), '--json']) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said['agrees'], said['secret_bits'], said['differences']) == (True, audit.secret_bits, [])


def test_a_session_that_took_two_runs_agrees(tmp_path):
    keys = KeyFolder.create(tmp_path / 'keys')
    session = tmp_path / 'session'
    short_session(seconds=6.0, before_s=3.0).write(session, keys.session_public_key)
    record = RecordInMemory()
    with pytest.raises(ProtocolError):
        process(session, keys, wrap=cut_before(Kind.VERIFY_REQUEST), record=record)
    made = process(session, keys, record=record)
    audit = audit_session(session)
    assert audit.differences == []
    hashes = 65 * made.key['blocks']
    assert audit.checked['disclosed_before'] == made.key['disclosed_before'] == hashes  # the parities are the same ones
    compared = made.key['epsilon_ledger']['verification']  # once, and as often as so many bits of hashes allow
    assert compared == pytest.approx(2 * made.key['blocks'] * 2.0**-64)
    change_key(session, epsilon_ledger=made.key['epsilon_ledger'] | {'verification': compared / 2})
    assert any('for verification' in line for line in audit_session(session).differences)
    (session / 'transcript-1.qgt').unlink()
    told = f'the ground does not charge {made.key["disclosed_bits"]} earlier bits, 0 were said again'
    assert told in audit_session(session).differences


def test_no_bit_of_the_key_is_in_the_transcript(made):
    session, processed = made
    for path in session.glob('*transcript-*.qgt'):
        assert processed.ground_key[:8] not in path.read_bytes()


def test_forging_without_a_change_is_no_change(session):
    forge(session, lambda messages: None)
    assert audit_session(session).agrees


def a_flipped_bit(session):
    path = session / key_of(session)['transcript']['file']
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def a_missing_end(session):
    path = session / key_of(session)['transcript']['file']
    path.write_bytes(path.read_bytes()[: -len(path.read_bytes()) // 3])


def more_bits_in_the_session(session):
    change_key(session, secret_bits=key_of(session)['secret_bits'] + 1000)


def more_bits_requested(session):
    more = key_of(session)['secret_bits'] + 1000

    def change(messages):
        request = first(messages, AMPLIFY)
        request[2] = struct.pack('>Q', more) + request[2][8:] + bytes(125)

    forge(session, change)
    change_key(session, secret_bits=more)


def hidden_parities(session):
    """A question, its answer, and their price are taken out everywhere."""
    asked = []

    def change(messages):
        k = next(k for k, one in enumerate(messages) if one[1] == PARITY_REQUEST and k > 20)
        asked.append(struct.unpack('>I', messages[k][2][4:8])[0])
        del messages[k : k + 2]

    forge(session, change)


def fewer_errors(session):
    def change(messages):
        report = first(messages, ERRORS)
        edited(report, errors=[[0, 0], [0, 0]])

    forge(session, change)


def another_qber(session):
    forge(session, lambda messages: edited(first(messages, ERRORS), qber=0.001))


def more_singles(session):
    """Decoys that are said to be signal make the key longer."""

    def change(messages):
        answer = first(messages, SIFT_ANSWER)
        match, symbols, kept, opened = struct.unpack('>4I', answer[2][:16])
        answer[2] = struct.pack('>4I', match, symbols, kept - 1, opened) + answer[2][16:]

    forge(session, change)


def other_settings(session):
    document = json.loads((session / 'session.json').read_text())
    document['station']['source']['mu_signal'] = 0.7
    (session / 'session.json').write_text(json.dumps(document))


def other_terms(session):
    def change(messages):
        hello = messages[0]
        terms = json.loads(hello[2])['terms'] | {'epsilon_total': 1e-6}
        edited(hello, terms=terms)

    forge(session, change)


def a_broken_run(session, **welcome):
    """Another run of the session that broke after its parities, as its transcript tells."""
    messages = messages_of(session / key_of(session)['transcript']['file'])
    edited(first(messages, WELCOME), **welcome)
    kinds = [kind for _, kind, _ in messages]
    write(session / 'transcript-7.qgt', messages[: kinds.index(VERIFY_ANSWER)])
    return messages


def earlier_parities_not_charged(session):
    a_broken_run(session, pre_shared_slot='another')


def pre_shared_bits_used_twice(session):
    document = json.loads((session / 'session.json').read_text())
    document |= {'simulated': False, 'seed': None}  # those of a simulated session are no secret
    (session / 'session.json').write_text(json.dumps(document))
    a_broken_run(session)


def another_announcement(session):
    messages = a_broken_run(session, pre_shared_slot='another')
    edited(first(messages, SIFT_HEAD), locked=[[1, 2]])
    write(session / 'transcript-7.qgt', messages[:9])


def detections_left_out(session):
    forge(session, lambda messages: messages.remove(first(messages, DETECTIONS)))


def a_short_tag(session):
    def change(messages):
        first(messages, TAG)[2] = bytes(8)

    forge(session, change)


def the_satellite_heard_otherwise(session):
    path = next(session.glob('satellite-transcript-*'))
    messages = messages_of(path)
    edited(first(messages, ERRORS), qber=0.01)
    write(path, messages)


def a_cheaper_ledger(session):
    ledger = key_of(session)['epsilon_ledger'] | {'privacy_amplification': 0.0}
    change_key(session, epsilon_ledger=ledger)


def a_log_of_another_length(session):
    forge(session, lambda messages: edited(first(messages, LOG_HEAD), pulses=7))


@pytest.mark.parametrize(
    ('tamper', 'told'),
    [
        (a_flipped_bit, 'hash chain breaks at message'),
        (a_missing_end, 'cut short|not the one in session.json'),
        (more_bits_in_the_session, r'secret_bits is \d+ in the session'),
        (more_bits_requested, r'\d+ bits were requested, the counts allow \d+'),
        (hidden_parities, r'disclosed_bits is \d+ in the session, \d+ by the transcript'),
        (fewer_errors, 'the decoys tell'),
        (another_qber, 'the error rate is said to be 0.001'),
        (more_singles, 'contradicts its own header|inflates to another size'),
        (other_settings, 'recorded with other settings'),
        (other_terms, 'the terms have epsilon_total 1e-06, the settings 1e-10'),
        (earlier_parities_not_charged, r'earlier runs disclosed \d+ bits, the ground charges 0'),
        (pre_shared_bits_used_twice, 'uses the same pre-shared bits as another run'),
        (another_announcement, 'announces other detections'),
        (detections_left_out, r'a message has \d+ bytes for \d+ bits'),
        (a_short_tag, 'another length than 16 bytes'),
        (the_satellite_heard_otherwise, "no transcript of the satellite's side has the same messages"),
        (a_cheaper_ledger, 'the ledger adds up to'),
        (a_log_of_another_length, 'the beacon log has'),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_a_tampered_session_does_not_agree(session, tamper, told):
    import re

    tamper(session)
    audit = audit_session(session)
    assert not audit.agrees
    assert re.search(told, '\n'.join(audit.differences)), audit.differences
    assert main(['audit', str(session)]) == 1


def test_what_cannot_be_audited_is_refused(session, capsys):
    change_key(session, transcript=None)
    assert main(['audit', str(session)]) == 2
    assert 'has no transcript' in capsys.readouterr().err
    with pytest.raises(StationError, match=r'session\.json'):
        audit_session(session / 'nowhere')
