{{- define "podmeter.mounts" -}}
{{- $v := .Values -}}
- {name: config, mountPath: /etc/podmeter, readOnly: true}
{{- if $v.host.cgroup }}
- {name: cgroup, mountPath: /host/sys/fs/cgroup, readOnly: true}
{{- end }}
{{- if $v.host.proc }}
- {name: proc, mountPath: /host/proc, readOnly: true}
{{- end }}
{{- if $v.tls.secretName }}
- {name: tls, mountPath: /etc/podmeter-tls, readOnly: true}
{{- end }}
{{- if $v.tls.clients.secretName }}
- {name: clients, mountPath: /etc/podmeter-clients, readOnly: true}
{{- end }}
{{- if ne $v.state.type "none" }}
- {name: state, mountPath: /var/lib/podmeter}
{{- end }}
{{- range $at, $mount := $v.secretMounts }}
- {name: secret-{{ $at }}, mountPath: {{ $mount.path | quote }}, readOnly: true}
{{- end }}
{{- end -}}

{{/* Mounted as folders, not single files, so that what changes in them is seen. */}}
{{- define "podmeter.volumes" -}}
{{- $v := .Values -}}
- name: config
  configMap:
    name: {{ include "podmeter.fullname" . }}
{{- if $v.host.cgroup }}
- name: cgroup
  hostPath: {path: {{ $v.host.cgroup | quote }}, type: Directory}
{{- end }}
{{- if $v.host.proc }}
- name: proc
  hostPath: {path: {{ $v.host.proc | quote }}, type: Directory}
{{- end }}
{{- if $v.tls.secretName }}
- name: tls
  secret: {secretName: {{ $v.tls.secretName }}, defaultMode: 0440}
{{- end }}
{{- if $v.tls.clients.secretName }}
- name: clients
  secret: {secretName: {{ $v.tls.clients.secretName }}, defaultMode: 0440}
{{- end }}
{{- if eq $v.state.type "emptyDir" }}
- name: state
  emptyDir: {sizeLimit: 16Mi}
{{- else if eq $v.state.type "hostPath" }}
# `Directory`, not `DirectoryOrCreate`: what the kubelet makes belongs to root, and Podmeter could not write to it.
- name: state
  hostPath: {path: {{ $v.state.hostPath | quote }}, type: Directory}
{{- end }}
{{- range $at, $mount := $v.secretMounts }}
- name: secret-{{ $at }}
  secret: {secretName: {{ $mount.secretName }}, defaultMode: 0440}
{{- end }}
{{- end -}}
