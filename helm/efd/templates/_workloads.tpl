{{/*
What each service listens on and talks to. Environment, containers, Services and NetworkPolicies all come from here.
*/}}
{{- define "efd.traffic" -}}
ingest:   {ports: {http: 8082, grpc: 9182, admin: 9601}, reaches: [kafka, registry]}
registry: {ports: {http: 8081, grpc: 9181, admin: 9602}, reaches: [kafka, registry]}
sink:     {ports: {grpc: 9183, admin: 9603}, reaches: [kafka, registry, influxdb]}
gateway:  {ports: {http: 8080, grpc: 9180, admin: 9604}, reaches: [kafka, registry, influxdb]}
kafka:    {ports: {kafka: 9092}, reaches: []}
influxdb: {ports: {http: 8086}, reaches: []}
efd:      {ports: {}, reaches: [kafka, registry, influxdb, gateway, ingest, sink]}
{{- end }}

{{/*
The sink workers: name -> values, its own over those of `sink`; components and topics go to the settings. A topic that is
given to one worker is left out by the worker that owns its component, so that a component can be split.
*/}}
{{- define "efd.workers" -}}
{{- $workers := .Values.sink.workers }}
{{- if not $workers }}
{{- $workers = empty .Values.components | ternary dict (dict "main" (dict "components" .Values.components)) }}
{{- end }}
{{- $all := dict }}
{{- range $name, $worker := $workers }}
{{- $values := mergeOverwrite (deepCopy (omit $.Values.sink "workers")) (deepCopy (omit $worker "components" "topics")) }}
{{- $owned := dict "worker" $name "components" ($worker.components | default list) "topics" ($worker.topics | default list) }}
{{- $_ := set $values "config" (merge $owned $values.config) }}
{{- with include "efd.ownedByOthers" (dict "root" $ "name" $name "workers" $workers) | fromJsonArray }}
{{- $_ := set $values.config "exclude" (concat . ($values.config.exclude | default list)) }}
{{- end }}
{{- $_ := set $all $name $values }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{/* Topics of a worker's components that other workers have. Takes: root, name, workers. */}}
{{- define "efd.ownedByOthers" -}}
{{- $found := list }}
{{- range $name, $worker := .workers }}
{{- range $topic := (eq $name $.name | ternary list ($worker.topics | default list)) }}
{{- range (get $.workers $.name).components }}
{{- /* A topic may be an expression: ^lsst\.sal\.MTM1M3\.applied.*$ */}}
{{- if hasPrefix (printf "lsst.%s.%s." $.root.Values.topicSubname .) ($topic | trimPrefix "^" | replace "\\" "") }}
{{- $found = append $found $topic }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* All Deployments: workload -> service, its values, its ports. */}}
{{- define "efd.workloads" -}}
{{- $traffic := include "efd.traffic" . | fromYaml }}
{{- $all := dict }}
{{- range $service := list "ingest" "registry" "gateway" }}
{{- $values := get $.Values $service }}
{{- if $values.enabled }}
{{- $_ := set $all $service (dict "service" $service "values" $values "ports" (get $traffic $service).ports) }}
{{- end }}
{{- end }}
{{- range $name, $values := include "efd.workers" . | fromYaml }}
{{- $_ := set $all (printf "sink-%s" $name) (dict "service" "sink" "values" $values "ports" $traffic.sink.ports) }}
{{- end }}
{{- toYaml $all }}
{{- end }}

{{/* Settings of the command: its own, and where each sink worker is and what it owns. */}}
{{- define "efd.commandConfig" -}}
{{- $sinks := dict }}
{{- range $name, $worker := include "efd.workers" . | fromYaml }}
{{- $admin := printf "http://%s-sink-%s:9603" (include "efd.fullname" $) $name }}
{{- $_ := set $sinks $name (dict "admin" $admin "components" $worker.config.components "topics" $worker.config.topics "exclude" ($worker.config.exclude | default list)) }}
{{- end }}
{{- toYaml (merge (dict "sinks" $sinks) .Values.efd.config) }}
{{- end }}
