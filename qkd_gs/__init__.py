"""Ground station for quantum key distribution with a satellite.

The rooms follow the photon's way: `orbit` (where it will be), `pointing` (where the mount points),
`tracking` (how the beacon is held), `timing` (when each photon came), `qkd` (what is shared in secret),
`keys` (who may fetch it).  See doc/design.md.
"""

import pkgutil

# Run from the repository's root, this folder hides the installed one, where the generated
# message modules (qkd_gs.msg, qkd_gs.srv, qkd_gs.action) live; extend_path joins the two.
__path__ = pkgutil.extend_path(__path__, __name__)

__version__ = '0.2.0'
