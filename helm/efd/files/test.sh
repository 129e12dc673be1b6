# `helm test`: sends one sample to ingest, waits until the gateway gives it back, and looks at each part.
#   test.sh INGEST-HOST TOPIC    without a topic it only looks
set -euo pipefail
# shellcheck source=http.sh
source "$(dirname "$0")/http.sh"
host=$1 topic=${2:-}
efd() { command efd --config "$(dirname "$0")/config.yaml" "$@"; }

send() { request "$1" "$host" 8082 "$2" "${4:-application/json}" "${3:-}"; }
seconds=90
if [ "$topic" ]; then
    cluster=$(send GET /v3/clusters | sed -n 's/.*"cluster_id" *: *"\([^"]*\)".*/\1/p' | head -n 1)
    send POST "/v3/clusters/$cluster/topics" "{\"topic_name\": \"$topic\", \"partitions_count\": 1}" >/dev/null || true
    now=$(date +%s.%6N) value=$(date +%s%3N)
    schema="{\"type\":\"record\",\"name\":\"${topic##*.}\",\"namespace\":\"${topic%.*}\",\"fields\":[
        {\"name\":\"private_efdStamp\",\"type\":\"double\"},{\"name\":\"value\",\"type\":\"double\"}]}"
    schema=${schema//\"/\\\"}
    echo "sending a sample of $topic with value $value"
    send POST "/topics/$topic" "{\"value_schema\": \"${schema//$'\n'/ }\",
        \"records\": [{\"value\": {\"private_efdStamp\": $now, \"value\": $value}}]}" application/vnd.kafka.avro.v2+json
    until rows=$(efd get "$topic" --last 10m --fields value --format csv 2>&1) && [[ $rows == *"$value"* ]]; do
        [ "$SECONDS" -lt "$seconds" ] || { echo "not back after $seconds s; the last answer: $rows" >&2; exit 1; }
        sleep 1
    done
    echo "back after $SECONDS s:"
    echo "$rows"
fi
efd check kafka registry influxdb gateway
