"""Ground station for quantum key distribution with a satellite.

The names below are the public interface; they are loaded when they are first used, so that ``import qkd_gs`` is quick
and needs no ROS.  Times are UTC as integer nanoseconds since the Unix epoch; angles are radians unless a name says
otherwise.  The packages follow the path of a photon: `orbit`, `pointing`, `tracking`, `timing`, `qkd`, `keys`; see
doc/design.md.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qkd_gs.api.key import key_length
    from qkd_gs.api.passes import find_passes, forecast_pass, trajectory
    from qkd_gs.api.pointing import fit_pointing
    from qkd_gs.api.simulation import simulate_pass
    from qkd_gs.api.tags import import_tags, look_at_tags
    from qkd_gs.audit.session_audit import Audit, audit_session
    from qkd_gs.calibration.fit import PointingFit
    from qkd_gs.calibration.observations import Observations
    from qkd_gs.errors import DeviceFault, StationError
    from qkd_gs.orbit.elements import Elements, load_elements
    from qkd_gs.orbit.passes import Limits, Pass
    from qkd_gs.orbit.target import TargetState
    from qkd_gs.orbit.timescale import format_utc, parse_utc
    from qkd_gs.orbit.trajectory import Trajectory
    from qkd_gs.pointing.mount_model import MountModel
    from qkd_gs.qkd.amplification.amplify import toeplitz
    from qkd_gs.qkd.finite_key.counts import KeyCounts
    from qkd_gs.qkd.finite_key.key_length import KeyLength, Overhead
    from qkd_gs.qkd.reconciliation.cascade import Reconciled, reconcile
    from qkd_gs.recording.reader import Bag, open_bag
    from qkd_gs.session.session import Session, open_session
    from qkd_gs.settings.site import Site, load_site
    from qkd_gs.tracking.camera.spot import Spot, SpotDetector

# Run from the repository's root, this folder hides the installed one, where the generated
# message modules (qkd_gs.msg, qkd_gs.srv, qkd_gs.action) live; extend_path joins the two.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = '0.2.0'

_MODULE_OF = {
    'Audit': 'audit.session_audit',
    'Bag': 'recording.reader',
    'DeviceFault': 'errors',
    'Elements': 'orbit.elements',
    'KeyCounts': 'qkd.finite_key.counts',
    'KeyLength': 'qkd.finite_key.key_length',
    'Limits': 'orbit.passes',
    'MountModel': 'pointing.mount_model',
    'Observations': 'calibration.observations',
    'Overhead': 'qkd.finite_key.key_length',
    'Pass': 'orbit.passes',
    'PointingFit': 'calibration.fit',
    'Reconciled': 'qkd.reconciliation.cascade',
    'Session': 'session.session',
    'Site': 'settings.site',
    'Spot': 'tracking.camera.spot',
    'SpotDetector': 'tracking.camera.spot',
    'StationError': 'errors',
    'TargetState': 'orbit.target',
    'Trajectory': 'orbit.trajectory',
    'audit_session': 'audit.session_audit',
    'find_passes': 'api.passes',
    'forecast_pass': 'api.passes',
    'fit_pointing': 'api.pointing',
    'format_utc': 'orbit.timescale',
    'import_tags': 'api.tags',
    'key_length': 'api.key',
    'load_elements': 'orbit.elements',
    'load_site': 'settings.site',
    'look_at_tags': 'api.tags',
    'open_bag': 'recording.reader',
    'open_session': 'session.session',
    'parse_utc': 'orbit.timescale',
    'reconcile': 'qkd.reconciliation.cascade',
    'simulate_pass': 'api.simulation',
    'toeplitz': 'qkd.amplification.amplify',
    'trajectory': 'api.passes',
}

__all__ = [
    'Audit',
    'Bag',
    'DeviceFault',
    'Elements',
    'KeyCounts',
    'KeyLength',
    'Limits',
    'MountModel',
    'Observations',
    'Overhead',
    'Pass',
    'PointingFit',
    'Reconciled',
    'Session',
    'Site',
    'Spot',
    'SpotDetector',
    'StationError',
    'TargetState',
    'Trajectory',
    '__version__',
    'audit_session',
    'find_passes',
    'fit_pointing',
    'forecast_pass',
    'format_utc',
    'import_tags',
    'key_length',
    'load_elements',
    'load_site',
    'look_at_tags',
    'open_bag',
    'open_session',
    'parse_utc',
    'reconcile',
    'simulate_pass',
    'toeplitz',
    'trajectory',
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
    value = getattr(import_module(f'{__name__}.{_MODULE_OF[name]}'), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
