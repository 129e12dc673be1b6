# Makes the user of the Secret in InfluxDB, or gives it the Secret's password. Runs before InfluxDB, on the loopback
# interface, with authentication off.
set -euo pipefail
# shellcheck source=http.sh
source "$(dirname "$0")/http.sh"
username=${INFLUXDB_USERNAME:?is not in the Secret} password=${INFLUXDB_PASSWORD:?is not in the Secret} port=${1:-8086}
conf=$(dirname "$0")/influxdb.conf
unset INFLUXDB_USERNAME INFLUXDB_PASSWORD

# Text in InfluxQL between quotes, then in a form.
quoted() { local text=${2//\\/\\\\}; printf '%s%s%s' "$1" "${text//$1/\\$1}" "$1"; }
encoded() {
    local LC_ALL=C i c
    for ((i = 0; i < ${#1}; i++)); do
        c=${1:i:1}
        case $c in [a-zA-Z0-9._~-]) printf '%s' "$c" ;; *) printf '%%%02X' "'$c" ;; esac
    done
}
query() { request POST 127.0.0.1 "$port" /query application/x-www-form-urlencoded "q=$(encoded "$1")"; }

INFLUXDB_HTTP_AUTH_ENABLED=false INFLUXDB_HTTP_BIND_ADDRESS=127.0.0.1:$port influxd -config "$conf" &
server=$!
trap 'kill "$server"; wait "$server" || true' EXIT
until request GET 127.0.0.1 "$port" /ping text/plain "" >/dev/null 2>&1; do
    kill -0 "$server" || { echo "InfluxDB ended" >&2; exit 1; }
    sleep 0.5
done
user=$(quoted '"' "$username") secret=$(quoted "'" "$password")
# Fails where the user is there with another password, which the next line mends.
query "CREATE USER $user WITH PASSWORD $secret WITH ALL PRIVILEGES" >/dev/null || true
answer=$(query "SET PASSWORD FOR $user = $secret; GRANT ALL PRIVILEGES TO $user")
[[ $answer != *'"error"'* ]] || { echo "InfluxDB refused the user $username" >&2; exit 1; }
echo "user $username is ready"
