"""Sessions whose files somebody or something has changed: a clear complaint or a true key, and nothing else."""

import json
import logging
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qkd_gs.bench.security.short_sessions import process, short_session
from qkd_gs.errors import DeviceFault, StationError
from qkd_gs.keys.folder import KeyFolder
from qkd_gs.session.telemetry import Telemetry

FEW = settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
SOME = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@pytest.fixture(scope='module')
def session(tmp_path_factory):
    """A short session that makes a key, and one with telemetry."""
    folder = tmp_path_factory.mktemp('fuzzed')
    keys = KeyFolder.create(folder / 'keys')
    short_session(seconds=7.0, before_s=3.5, gain=4.0).write(folder / 'session', keys.session_public_key)
    Telemetry().save(folder / 'session')
    return folder


def changed(base, tmp_path_factory, name, content):
    folder = tmp_path_factory.mktemp('changed')
    shutil.copytree(base / 'session', folder / 'session')
    shutil.copytree(base / 'keys', folder / 'keys')
    (folder / 'session' / name).write_bytes(content)
    return folder


def survives(folder):
    """Process it; anything but a StationError, a fault of the link or a key that both sides share is a failure."""
    logging.disable(logging.WARNING)
    try:
        done = process(folder / 'session', KeyFolder(folder / 'keys'))
    except (StationError, DeviceFault):
        return None
    finally:
        logging.disable(logging.NOTSET)
    bits = np.unpackbits(np.frombuffer(done.ground_key, np.uint8))
    np.testing.assert_array_equal(bits, done.satellite.key[: len(bits)])
    return done


def places(value, at=()):
    """Every place in a JSON value."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from places(part, (*at, key))


def put(value, at, what):
    if not at:
        return what
    copy = value.copy()
    copy[at[0]] = put(value[at[0]], at[1:], what)
    return copy


def test_the_session_as_it_is_makes_a_key(session, tmp_path_factory):
    whole = (session / 'session' / 'session.json').read_bytes()
    assert survives(changed(session, tmp_path_factory, 'session.json', whole)).key['secret_bits'] > 0


@pytest.mark.parametrize('name', ['session.json', 'simulated_satellite.json'])
@SOME
@given(data=st.data())
def test_any_value_may_be_anything(session, tmp_path_factory, name, data):
    whole = json.loads((session / 'session' / name).read_text())
    at = data.draw(st.sampled_from(list(places(whole))))
    folder = changed(session, tmp_path_factory, name, json.dumps(put(whole, at, data.draw(ODD))).encode())
    survives(folder)


@pytest.mark.parametrize(
    'name', ['session.json', 'simulated_satellite.json', 'telemetry.npz', 'elements.tle', 'tags.sealed']
)
@FEW
@given(data=st.data())
def test_any_byte_may_be_anything(session, tmp_path_factory, name, data):
    content = bytearray((session / 'session' / name).read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    survives(changed(session, tmp_path_factory, name, bytes(content[:end])))


@pytest.mark.parametrize(
    ('name', 'at', 'value', 'complaint'),
    [
        ('session.json', ('station', 'source', 'mu_decoy'), 1.0, 'mu_decoy 1 is not below mu_signal 0.8'),
        ('simulated_satellite.json', ('epoch_utc_ns',), 0, 'does not start in the day of the pass'),
    ],
)  # found by the fuzzing above
def test_a_complaint_says_what_is_wrong(session, tmp_path_factory, name, at, value, complaint):
    whole = json.loads((session / 'session' / name).read_text())
    folder = changed(session, tmp_path_factory, name, json.dumps(put(whole, at, value)).encode())
    with pytest.raises(StationError, match=complaint):
        process(folder / 'session', KeyFolder(folder / 'keys'))
