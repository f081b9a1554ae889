"""Transcripts that somebody changes at both ends, with all that only follows from their bytes."""

import hashlib
import json
import struct

FIRST_LINE = b'qkd_gs transcript 1\n'
WELCOME, LOG_REQUEST, LOG_HEAD, SIFT_HEAD, DETECTIONS, SIFT_ANSWER, ERRORS = 2, 3, 4, 6, 7, 8, 9
PARITY_REQUEST, PARITY_ANSWER, VERIFY_ANSWER, OUTCOME, AMPLIFY, AMPLIFIED, TAG, STORED = 10, 11, 13, 14, 15, 16, 17, 18
CONFIRMED, CORRECT = 22, 26


def messages_of(path):
    """[sender, kind, payload] of every message."""
    data, at, found = path.read_bytes(), len(FIRST_LINE), []
    while at < len(data):
        sender, kind, size = struct.unpack('>BBI', data[at : at + 6])
        found.append([sender, kind, data[at + 6 : at + 6 + size]])
        at += 6 + size + 32
    return found


def write(path, messages):
    """The messages with a right chain; its hashes."""
    chain, parts, hashes = hashlib.sha256(FIRST_LINE).digest(), [FIRST_LINE], []
    for sender, kind, payload in messages:
        one = struct.pack('>BBI', sender, kind, len(payload)) + payload
        chain = hashlib.sha256(chain + one).digest()
        parts += [one, chain]
        hashes.append(chain.hex())
    path.write_bytes(b''.join(parts))
    return hashes


def key_of(session):
    return json.loads((session / 'session.json').read_text())['result']['key']


def change_key(session, **changes):
    document = json.loads((session / 'session.json').read_text())
    document['result']['key'] |= changes
    (session / 'session.json').write_text(json.dumps(document))


def forge(session, change):
    """Change the messages at both ends, and all hashes, names and figures that only follow from their bytes."""
    about = key_of(session)['transcript']
    messages = messages_of(session / about['file'])
    change(messages)
    kinds = [kind for _, kind, _ in messages]
    until = max(k for k in range(len(kinds)) if kinds[k] in (AMPLIFY, 21)) + 1
    total = hashlib.sha256()
    for sender, kind, payload in messages[:until]:
        total.update(bytes([sender]) + (len(payload) + 1).to_bytes(8, 'big') + bytes([kind]) + payload)
    for one in messages:
        if one[1] in (AMPLIFIED, STORED, CONFIRMED):
            one[2] = json.dumps({'key_id': total.hexdigest()[:32]}).encode()
    hashes = write(session / about['file'], messages)
    write(next(session.glob('satellite-transcript-*')), messages)
    number = kinds.index(AMPLIFIED) + 2
    about = {'file': about['file'], 'messages': number, 'sha256': hashes[number - 1]}
    change_key(session, key_id=total.hexdigest()[:32], transcript=about)


def first(messages, kind):
    return next(one for one in messages if one[1] == kind)


def edited(one, **changes):
    one[2] = json.dumps(json.loads(one[2]) | changes).encode()
