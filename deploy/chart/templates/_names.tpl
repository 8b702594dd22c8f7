{{/* Name of all objects: the release's, unless overridden. */}}
{{- define "podmeter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains "podmeter" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-podmeter" (.Release.Name | trunc 41 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "podmeter.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "podmeter.fullname" .) -}}
{{- end -}}

{{/* A DaemonSet's selector cannot be changed: no value but the release's name has a part in it. */}}
{{- define "podmeter.selectorLabels" -}}
app.kubernetes.io/name: podmeter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "podmeter.labels" -}}
{{ include "podmeter.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: agent
app.kubernetes.io/part-of: podmeter
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes a list of this chart's context and of values with `release` and `additionalLabels`; a label that is named twice stands once. */}}
{{- define "podmeter.labelsAnd" -}}
{{- $labels := include "podmeter.labels" (index . 0) | fromYaml -}}
{{- $more := index . 1 -}}
{{- with $more.release -}}
{{- $_ := set $labels "release" . -}}
{{- end -}}
{{- toYaml (mergeOverwrite $labels $more.additionalLabels) -}}
{{- end -}}

{{- define "podmeter.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Takes a list of this chart's context and the part of the name behind the common one. */}}
{{- define "podmeter.clusterBinding" -}}
{{- $root := index . 0 -}}
{{- $name := printf "%s%s" (include "podmeter.fullname" $root) (index . 1) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- include "podmeter.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
  {{- include "podmeter.subject" $root | nindent 2 }}
{{- end -}}

{{- define "podmeter.subject" -}}
- kind: ServiceAccount
  name: {{ include "podmeter.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}
