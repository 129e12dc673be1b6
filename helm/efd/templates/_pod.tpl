{{/* Environment of a container: where everything is, and the credentials for it. Takes: root, service. */}}
{{- define "efd.env" -}}
{{- $values := .root.Values }}
{{- $reaches := (get (include "efd.traffic" .root | fromYaml) .service).reaches }}
- {name: EFD_TOPIC_SUBNAME, value: {{ $values.topicSubname | quote }}}
- {name: EFD_KAFKA_BOOTSTRAP_SERVERS, value: {{ include "efd.kafka" .root | quote }}}
{{- with $values.kafka.securityProtocol }}
- {name: EFD_KAFKA_SECURITY_PROTOCOL, value: {{ . | quote }}}
{{- end }}
{{- with $values.kafka.saslMechanism }}
- {name: EFD_KAFKA_SASL_MECHANISM, value: {{ . | quote }}}
{{- end }}
{{- if $values.kafka.caSecret }}
- {name: EFD_KAFKA_SSL_CA_LOCATION, value: /etc/efd/kafka-ca/ca.crt}
{{- end }}
{{- include "efd.secretEnv" (list "EFD_KAFKA_SASL" $values.kafka.secret "username" "password") }}
{{- if and (has "registry" $reaches) (ne .service "registry") }}
- {name: EFD_REGISTRY_URL, value: {{ include "efd.registry" .root | quote }}}
{{- include "efd.secretEnv" (list "EFD_REGISTRY" $values.registry.secret "username" "password") }}
{{- end }}
{{- if has "influxdb" $reaches }}
- {name: EFD_INFLUXDB_URL, value: {{ include "efd.influxdb" .root | quote }}}
{{- include "efd.secretEnv" (list "EFD_INFLUXDB" (include "efd.influxdbSecret" .root) "username" "password" "token") }}
{{- end }}
{{- if and (has "gateway" $reaches) $values.gateway.enabled }}
- {name: EFD_GATEWAY_URL, value: http://{{ include "efd.fullname" .root }}-gateway:9180}
{{- end }}
{{- end }}

{{/* Variables from the keys of a Secret; one that it does not have stays unset. Takes a list: prefix, Secret, keys. */}}
{{- define "efd.secretEnv" -}}
{{- $prefix := index . 0 }}
{{- with index . 1 }}
{{- range $key := slice $ 2 }}
- name: {{ $prefix }}_{{ upper $key }}
  valueFrom: {secretKeyRef: {name: {{ index $ 1 }}, key: {{ $key }}, optional: true}}
{{- end }}
{{- end }}
{{- end }}

{{/* What every container has. */}}
{{- define "efd.hardened" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* What every pod has. Takes: root, service, workload, labels. */}}
{{- define "efd.podSpec" -}}
{{- $pod := .root.Values.pod }}
serviceAccountName: {{ include "efd.fullname" .root }}-{{ .service }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $pod.gracePeriod }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- with $pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $pod.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Container of one of our images. Takes: root, service, values, program, arguments, config (ConfigMap). */}}
{{- define "efd.container" -}}
- name: {{ .service }}
  image: {{ include "efd.image" . }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command: {{ toJson .command }}
  env:
  {{- include "efd.env" . | nindent 2 }}
  {{- with .values.secrets }}
  envFrom:
  {{- range . }}
  - secretRef: {name: {{ . }}}
  {{- end }}
  {{- end }}
  {{- include "efd.hardened" . | nindent 2 }}
  resources: {{ toJson .values.resources }}
  volumeMounts:
  - {name: config, mountPath: /etc/efd/config, readOnly: true}
  {{- if .root.Values.kafka.caSecret }}
  - {name: kafka-ca, mountPath: /etc/efd/kafka-ca, readOnly: true}
  {{- end }}
  {{- if .root.Values.interfaces.volume }}
  - {name: interfaces, mountPath: /usr/share/efd/interfaces, readOnly: true}
  {{- end }}
  {{- range $secret, $folder := .values.files }}
  - {name: secret-{{ $secret }}, mountPath: {{ $folder }}, readOnly: true}
  {{- end }}
  {{- if .values.cacheVolume }}
  - {name: cache, mountPath: /var/cache/efd}
  {{- end }}
  - {name: tmp, mountPath: /tmp}
{{- end }}

{{/* Volumes of that container. Takes: root, values, config (ConfigMap). */}}
{{- define "efd.volumes" -}}
- name: config
  configMap: {name: {{ .config }}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- with .root.Values.kafka.caSecret }}
- name: kafka-ca
  secret: {secretName: {{ . }}}
{{- end }}
{{- with .root.Values.interfaces.volume }}
- name: interfaces
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $secret, $folder := .values.files }}
- name: secret-{{ $secret }}
  secret: {secretName: {{ $secret }}}
{{- end }}
{{- with .values.cacheVolume }}
- name: cache
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
