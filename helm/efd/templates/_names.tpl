{{/* Name of all objects: the release, with `efd` in it. */}}
{{- define "efd.fullname" -}}
{{- if contains "efd" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-efd{{ end }}
{{- end }}

{{/* Labels of an object. Takes: root, service, workload. */}}
{{- define "efd.labels" -}}
{{ include "efd.selector" . }}
app.kubernetes.io/part-of: efd
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Labels that select the pods of a workload; without workload those of all pods of a service, such as all sink workers. */}}
{{- define "efd.selector" -}}
app.kubernetes.io/name: efd
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .service }}
{{- with .workload }}
efd/workload: {{ . }}
{{- end }}
{{- end }}

{{/* Image of a service. Takes: root, service, values. */}}
{{- define "efd.image" -}}
{{- $image := .root.Values.image }}
{{- $name := printf "%s:%s" (eq .service "efd" | ternary "efd" (printf "efd-%s" .service)) ($image.tag | default .root.Chart.AppVersion) }}
{{- .values.image | default (empty $image.registry | ternary $name (printf "%s/%s" $image.registry $name)) }}
{{- end }}

{{/* Brokers. */}}
{{- define "efd.kafka" -}}
{{- if .Values.kafka.enabled }}{{ include "efd.fullname" . }}-kafka.{{ .Release.Namespace }}.svc:9092{{ else }}{{ .Values.kafka.address }}{{ end }}
{{- end }}

{{/* URL of the registry. */}}
{{- define "efd.registry" -}}
{{- if .Values.registry.enabled }}http://{{ include "efd.fullname" . }}-registry:8081{{ else }}{{ .Values.registry.address }}{{ end }}
{{- end }}

{{/* URL of InfluxDB. */}}
{{- define "efd.influxdb" -}}
{{- if .Values.influxdb.enabled }}http://{{ include "efd.fullname" . }}-influxdb:8086{{ else }}{{ .Values.influxdb.address }}{{ end }}
{{- end }}

{{/* Secret with the credentials for InfluxDB; may be none. */}}
{{- define "efd.influxdbSecret" -}}
{{- .Values.influxdb.secret | default (.Values.influxdb.enabled | ternary (printf "%s-influxdb" (include "efd.fullname" .)) "") }}
{{- end }}

{{/* Whether to render an object of another API. Takes: root, wish (auto, always, never), api. */}}
{{- define "efd.wanted" -}}
{{- if or (eq .wish "always") (and (eq .wish "auto") (.root.Capabilities.APIVersions.Has .api)) }}yes{{ end }}
{{- end }}
