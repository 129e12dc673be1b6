# shellcheck shell=bash
# Names that up, down and run share; each takes the folder of `build` as its first argument.
set -euo pipefail
# shellcheck disable=SC2034 # used by the scripts
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=$(realpath -m "${1:?the first argument is the folder of tests/cluster/build}")
# shellcheck disable=SC2034 # used by the scripts
{
    state=$folder/run            # everything that goes with the cluster
    namespace=efd-e2e            # of the network
    containerd=/run/efd-e2e      # its socket must have a short path
    node=node1 address=10.245.0.1
    services=10.96.0             # first three numbers of the addresses of Services
    pods=10.244.0.0/24
}
export PATH=$folder/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
images() { ctr --address "$containerd/containerd.sock" --namespace k8s.io "$@"; }
