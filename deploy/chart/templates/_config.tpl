{{/* What the chart says of the configuration: addresses, mounts, and what has a value of its own. */}}
{{- define "podmeter.ownConfig" -}}
{{- $v := .Values -}}
listen: [{{ printf "%s:%d" $v.listenAddress (int $v.metrics.port) | quote }}]
{{- if $v.host.cgroup }}
cgroup: {root: /host/sys/fs/cgroup}
{{- end }}
{{- if $v.host.proc }}
proc: /host/proc
{{- end }}
{{- if ne $v.access.mode "open" }}
access: {mode: {{ $v.access.mode }}}
{{- end }}
{{- if $v.tls.secretName }}
tls:
  certificate: /etc/podmeter-tls/tls.crt
  key: /etc/podmeter-tls/tls.key
  {{- if $v.tls.clients.secretName }}
  client_ca: /etc/podmeter-clients/ca.crt
  {{- if $v.tls.clients.crl }}
  client_crl: /etc/podmeter-clients/ca.crl
  {{- end }}
  {{- end }}
{{- end }}
{{- if or (not $v.diagnose) $v.podEvents }}
kubernetes:
  {{- if not $v.diagnose }}
  diagnose: false
  {{- end }}
  {{- with $v.podEvents }}
  events: {{ toJson . }}
  {{- end }}
{{- end }}
{{- if ne $v.state.type "none" }}
state: {path: /var/lib/podmeter}
{{- end }}
{{- with $v.proxy }}
{{- if .enabled }}
proxy:
  {{- if .http.port }}
  listen: [{{ printf "%s:%d" $v.listenAddress (int .http.port) | quote }}]
  {{- end }}
  {{- if .https.port }}
  listen_tls: [{{ printf "%s:%d" $v.listenAddress (int .https.port) | quote }}]
  {{- end }}
  {{- with .ingressClass.name }}
  ingress_class: {{ quote . }}
  {{- end }}
  {{- with .publishAddress }}
  publish_address: {{ toJson . }}
  {{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "podmeter.config" -}}
{{- $own := include "podmeter.ownConfig" . | fromYaml -}}
{{- mergeOverwrite (deepCopy .Values.config) $own | toYaml -}}
{{- end -}}

{{/* Routes and services are followed while Podmeter runs; a change of anything else rolls the pods. */}}
{{- define "podmeter.checksum" -}}
{{- $config := include "podmeter.config" . | fromYaml -}}
{{- if $config.proxy -}}
{{- $_ := set $config "proxy" (omit $config.proxy "routes" "services") -}}
{{- end -}}
{{- toYaml $config | sha256sum -}}
{{- end -}}

{{/* Whether labels of namespaces are asked for, by the key's name of today or of before. */}}
{{- define "podmeter.namespaceLabels" -}}
{{- $labels := .Values.config.labels | default dict -}}
{{- $kubernetes := .Values.config.kubernetes | default dict -}}
{{- if or $labels.namespace $kubernetes.namespace_labels -}}true{{- end -}}
{{- end -}}
