{{/* What the containers of Kafka and InfluxDB share. Takes: it (values), config and data (folders). */}}
{{- define "efd.serverContainer" -}}
image: {{ .it.image }}
{{ include "efd.hardened" . }}
resources: {{ toJson .it.resources }}
volumeMounts:
- {name: config, mountPath: {{ .config }}, readOnly: true}
- {name: data, mountPath: {{ .data }}}
- {name: tmp, mountPath: /tmp}
{{- end }}

{{/* Volumes beside the claim. Takes the name of the ConfigMap. */}}
{{- define "efd.serverVolumes" -}}
- name: config
  configMap: {name: {{ . }}}
- name: tmp
  emptyDir: {sizeLimit: 64Mi}
{{- end }}

{{/* The claim for the data; it outlives the release. Takes: storage, labels. */}}
{{- define "efd.claim" -}}
volumeClaimTemplates:
- metadata:
    name: data
    labels:
      {{- .labels | nindent 6 }}
  spec:
    accessModes: [ReadWriteOnce]
    storageClassName: {{ .storage.className }}
    resources: {requests: {storage: {{ .storage.size }}}}
{{- end }}
