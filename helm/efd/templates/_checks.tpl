{{/* What the schema cannot say: rules over several values. Each refusal names the value. */}}
{{- define "efd.check" -}}
{{- range $server := list "kafka" "influxdb" "registry" }}
{{- $it := get $.Values $server }}
{{- if and $it.enabled $it.address }}
{{- fail (printf "%s.address is given, but %s.enabled starts one: set %s.enabled to false" $server $server $server) }}
{{- end }}
{{- if not (or $it.enabled $it.address) }}
{{- fail (printf "%s.address is missing: give it, or set %s.enabled to true" $server $server) }}
{{- end }}
{{- end }}
{{- range $key := list "secret" "securityProtocol" "saslMechanism" "caSecret" }}
{{- if and $.Values.kafka.enabled (get $.Values.kafka $key) }}
{{- fail (printf "kafka.%s is given, but the broker of kafka.enabled asks for no credentials" $key) }}
{{- end }}
{{- end }}
{{- with .Values.kafka.external }}
{{- if and .enabled (not .host) }}
{{- fail "kafka.external.host is missing: the name or address of a node, as clients outside see it" }}
{{- end }}
{{- if and .enabled (not $.Values.kafka.enabled) }}
{{- fail "kafka.external.enabled needs kafka.enabled: other brokers have listeners of their own" }}
{{- end }}
{{- end }}
{{- range $backend, $host := .Values.ingress.hosts }}
{{- $service := eq $backend "grpc" | ternary "gateway" $backend }}
{{- if not (get $.Values $service).enabled }}
{{- fail (printf "ingress.hosts.%s is given, but %s.enabled is false" $backend $service) }}
{{- end }}
{{- end }}
{{- if and .Values.ingress.hosts.grpc (not .Values.ingress.tlsSecret) }}
{{- fail "ingress.tlsSecret is missing: gRPC through an Ingress needs TLS (ingress.hosts.grpc)" }}
{{- end }}
{{- include "efd.checkAutoscaling" (dict "name" "gateway.autoscaling" "it" .Values.gateway.autoscaling "lag" false) }}
{{- include "efd.checkOwners" . }}
{{- end }}

{{- define "efd.checkAutoscaling" -}}
{{- with .it }}
{{- if gt (int .min) (int .max) }}
{{- fail (printf "%s.min is %d, more than %s.max, %d" $.name (int .min) $.name (int .max)) }}
{{- end }}
{{- if and (not $.lag) (ne .by "cpu") }}
{{- fail (printf "%s.by is %s: only a sink worker has lag, give cpu" $.name .by) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Each component and topic has one worker. Takes the root. */}}
{{- define "efd.checkOwners" -}}
{{- $owners := dict }}
{{- range $key := list "worker" "components" "topics" }}
{{- range $name, $worker := merge (dict "" $.Values.sink) $.Values.sink.workers }}
{{- if hasKey ($worker.config | default dict) $key }}
{{- fail (printf "sink%s.config.%s is made by the chart: give it in sink.workers" (empty $name | ternary "" (print ".workers." $name)) $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- range $name, $worker := include "efd.workers" . | fromYaml }}
{{- include "efd.checkAutoscaling" (dict "name" (printf "sink.workers.%s.autoscaling" $name) "it" $worker.autoscaling "lag" true) }}
{{- range concat $worker.config.components $worker.config.topics }}
{{- if hasKey $owners . }}
{{- fail (printf "sink.workers.%s owns %s, which sink.workers.%s owns too" $name . (get $owners .)) }}
{{- end }}
{{- $_ := set $owners . $name }}
{{- end }}
{{- end }}
{{- range .Values.components }}
{{- if not (hasKey $owners .) }}
{{- fail (printf "components has %s, but no worker in sink.workers owns it: what no other names would be stored nowhere" .) }}
{{- end }}
{{- end }}
{{- with .Values.ingest.enabled | ternary .Values.test.topic "" }}
{{- if not (or (hasKey $owners .) (hasKey $owners (index (splitList "." .) 2))) }}
{{- fail (printf "test.topic is %s, which no worker in sink.workers stores: give another topic, or none" .) }}
{{- end }}
{{- end }}
{{- end }}
