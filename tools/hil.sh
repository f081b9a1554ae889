#!/usr/bin/env bash
# Hardware in the loop: a shortened pass with the real drivers, the same with simulated devices, and both compared.
# Usage: tools/hil.sh FOLDER [FROM_EL_DEG]. INSTALL=1 installs missing Debian packages.
# The station runs in a network of its own, in which each camera has an address; that takes root or user namespaces.
set -euo pipefail
bin="$(cd "$(dirname "$0")/.." && pwd)/.venv/bin"
folder="$1" from_el="${2:-42}"

missing="$("$bin/python" -m qkd_gs.sim.hil.counterparts)"
for program in unshare:util-linux ip:iproute2; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${program%:*}" >/dev/null || missing="$missing ${program#*:}"
done
if [ -n "${missing// /}" ]; then
    if [ "${INSTALL:-}" != 1 ]; then
        echo "make hil needs Debian packages that are not installed:$missing" >&2
        echo "sudo apt-get install$missing   (or: make hil INSTALL=1)" >&2
        exit 2
    fi
    # shellcheck disable=SC2086  # a list
    $([ "$(id -u)" = 0 ] || echo sudo) apt-get install -y --no-install-recommends $missing
fi

export PATH="$PATH:/usr/sbin:/sbin"
map=$([ "$(id -u)" = 0 ] || echo --map-root-user)
# shellcheck disable=SC2086
unshare $map --net true 2>/dev/null || {
    echo "make hil: this machine allows no network namespaces; run it as root, or allow them to users" >&2
    exit 2
}
# shellcheck disable=SC2086
unshare $map --net sh -euc '
    ip link set lo up multicast on
    ip address add 127.0.0.2/8 dev lo
    ip route add 224.0.0.0/4 dev lo
    exec "$@"' sh "$bin/qkd-gs" demo --devices hil --from-el "$from_el" --session "$folder/hil"
"$bin/qkd-gs" demo --devices sim --speed 1 --from-el "$from_el" --session "$folder/sim"
"$bin/python" -m qkd_gs.bench.hil "$folder/hil" "$folder/sim"
