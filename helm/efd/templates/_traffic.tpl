{{/* Ports of a service for others of this release and for users. Takes its entry in the traffic. */}}
{{- define "efd.userPorts" -}}
{{- $ports := list }}
{{- range $name, $port := .ports }}
{{- if ne $name "admin" }}{{ $ports = append $ports (int $port) }}{{ end }}
{{- end }}
{{- toJson $ports }}
{{- end }}

{{- define "efd.ports" -}}
{{- $all := list }}
{{- range . }}{{ $all = append $all (dict "port" (int .) "protocol" "TCP") }}{{ end }}
{{- toJson $all }}
{{- end }}

{{/* Takes: root, service, traffic, here (the services of this release). */}}
{{- define "efd.ingressRules" -}}
{{- $policy := .root.Values.networkPolicy }}
{{- $own := get .traffic .service }}
{{- $ports := include "efd.userPorts" $own | fromJsonArray }}
{{- $callers := list }}
{{- range $caller, $its := .traffic }}
{{- if and (has $caller $.here) (has $.service $its.reaches) }}
{{- $callers = append $callers (dict "podSelector" (dict "matchLabels" (include "efd.selector" (dict "root" $.root "service" $caller) | fromYaml))) }}
{{- end }}
{{- end }}
{{- $users := eq .service "sink" | ternary $callers (concat $callers $policy.clients) }}
{{- /* `efd check` reads the metrics of the sink. */}}
{{- $readers := eq .service "sink" | ternary (concat $callers $policy.monitoring) $policy.monitoring }}
{{- /* A rule without anybody in `from` would let everybody in. */}}
{{- if and $ports $users }}
- from: {{ toJson $users }}
  ports: {{ include "efd.ports" $ports }}
{{- end }}
{{- if and $own.ports.admin $readers }}
- from: {{ toJson $readers }}
  ports: {{ include "efd.ports" (list $own.ports.admin) }}
{{- end }}
{{- if and (eq .service "kafka") .root.Values.kafka.external.enabled }}
- ports: {{ include "efd.ports" (list 9094) }}
{{- end }}
{{- end }}

{{/* Takes: root, service, traffic, here. */}}
{{- define "efd.egressRules" -}}
{{- $reaches := (get .traffic .service).reaches }}
{{- if $reaches }}
- to: [{namespaceSelector: {}}]
  ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
{{- end }}
{{- range $target := $reaches }}
{{- if has $target $.here }}
{{- $ports := include "efd.userPorts" (get $.traffic $target) | fromJsonArray }}
{{- if eq $target "sink" }}{{ $ports = append $ports $.traffic.sink.ports.admin }}{{ end }}
- to: [{podSelector: {matchLabels: {{ include "efd.selector" (dict "root" $.root "service" $target) | fromYaml | toJson }}}}]
  ports: {{ include "efd.ports" $ports }}
{{- else if has $target (list "kafka" "registry" "influxdb") }}
- ports: {{ include "efd.ports" (include "efd.outsidePorts" (get $.root.Values $target).address | fromJsonArray) }}
{{- end }}
{{- end }}
{{- if $reaches }}
{{- with .root.Values.networkPolicy.egress }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{/* Ports in a list of host:port, or in a URL. */}}
{{- define "efd.outsidePorts" -}}
{{- $ports := list }}
{{- range splitList "," . }}
{{- $default := hasPrefix "https:" . | ternary "443" "80" }}
{{- $ports = append $ports (regexFind ":[0-9]+" (regexReplaceAll "^https?:" . "") | trimPrefix ":" | default $default) }}
{{- end }}
{{- toJson (uniq $ports) }}
{{- end }}
