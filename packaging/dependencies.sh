# Debian 12 packages by purpose, for run-tests and run-demo. Sourced, not run.
BUILD_PACKAGES="gcc meson ninja-build pkg-config libev-dev libjansson-dev libsystemd-dev libmicrohttpd-dev libexpat1-dev libsqlite3-dev libhiredis-dev libedit-dev libcmocka-dev libfuse3-dev scdoc python3"
TEST_PACKAGES="systemd dbus ansible curl zsh supervisor python3-pytest python3-pytest-xdist fuse3 procps strace util-linux chromium chromium-driver python3-selenium prometheus redis-server"
DEMO_PACKAGES="nginx-light curl procps"

install_packages() { # install_packages NAME...: what is missing of them
    local missing= package
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    echo "== installing:$missing"
    # shellcheck disable=SC2086
    if { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; } >/tmp/reeve-apt.log 2>&1
    then
        return 0
    fi
    tail -n 40 /tmp/reeve-apt.log
    echo "cannot install:$missing" >&2
    return 1
}
