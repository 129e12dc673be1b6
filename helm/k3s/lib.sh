# shellcheck shell=bash
# Shared by the scripts of this folder: options, requirements, and commands that are said before they run.
set -euo pipefail

# shellcheck disable=SC2034 # used by the scripts
image=rancher/k3s:v1.35.8-k3s1 name=efd-k3s

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
script=$(basename "$0")
dry_run=
kubeconfig=${KUBECONFIG:-$PWD/kubeconfig}

# The comment at the head of a script is its help.
usage() { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$here/$script"; }
say() { echo "$script: $*"; }
refuse() { echo "$script: $*" >&2; exit 1; }

# Called for each argument; takes the options that all scripts have.
common() {
    case $1 in
    --help | -h) usage; exit 0 ;;
    --dry-run) dry_run=yes ;;
    *) echo "$script: unknown option $1, see $script --help" >&2; exit 64 ;;
    esac
}

# needs OPTION "$@": the value of an option that must have one.
needs() { [ "${2:-}" ] || { echo "$script: $1 needs a value, see $script --help" >&2; exit 64; }; }

# Prints a command, and runs it unless this is a dry run.
run() {
    printf '+ %s\n' "$(printf '%q ' "$@" | sed 's/ $//')"
    [ "$dry_run" ] || "$@"
}

# Something is missing: the end, or in a dry run only a line.
missing() { if [ "$dry_run" ]; then echo "# missing: $*"; else refuse "$*"; fi; }

on_linux() { [ "$(uname -s)" = Linux ] || missing "k3s runs only on Linux, this is $(uname -s)"; }
has() { command -v "$1" >/dev/null || missing "$1 is not installed: $2"; }
has_docker() {
    has docker "install Docker (https://docs.docker.com/engine/install)"
    if command -v docker >/dev/null && ! docker version >/dev/null 2>&1; then
        missing "the Docker daemon does not answer: start it, and let this user use it (group docker)"
    fi
}
has_cgroups() {
    [ -e /sys/fs/cgroup/cgroup.controllers ] || [ -d /sys/fs/cgroup/memory ] ||
        missing "no cgroups at /sys/fs/cgroup: the kubelet cannot run; boot a kernel with cgroups"
}
has_cluster() {
    has kubectl "install kubectl (https://kubernetes.io/docs/tasks/tools)"
    [ "$dry_run" ] || [ -r "$kubeconfig" ] || refuse "no kubeconfig at $kubeconfig: run $here/kubeconfig, or set KUBECONFIG"
    export KUBECONFIG=$kubeconfig
    [ "$dry_run" ] || kubectl version --request-timeout=10s >/dev/null 2>&1 ||
        refuse "the cluster of $kubeconfig does not answer: run $here/up, or correct KUBECONFIG"
}
is_free() { ! (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# running CONTAINER, exists CONTAINER; false in a dry run, which shows everything.
exists() { [ ! "$dry_run" ] && [ "$(docker ps --all --quiet --filter "name=^$1\$")" ]; }
running() { [ ! "$dry_run" ] && [ "$(docker ps --quiet --filter "name=^$1\$")" ]; }

# until_true SECONDS WHAT COMMAND...: asks once a second.
until_true() {
    local end=$((SECONDS + $1)) what=$2
    shift 2
    [ ! "$dry_run" ] || { printf '# waits for %s\n' "$what"; return; }
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || refuse "no $what: see docker logs $name"
        sleep 1
    done
}
