{{/* What the schema cannot say: values that do not go together. Each message names the value to change. */}}
{{- define "podmeter.validate" -}}
{{- include "podmeter.validateConfig" . -}}
{{- include "podmeter.validateAccess" . -}}
{{- include "podmeter.validateProxy" . -}}
{{- include "podmeter.validateDrain" . -}}
{{- end -}}

{{/* Keys of the configuration that a value of the chart decides. */}}
{{- define "podmeter.validateConfig" -}}
{{- $owned := dict
  "listen" "listenAddress and metrics.port"
  "node" "nothing: the pod's own node is taken"
  "proc" "host.proc"
  "cgroup.root" "host.cgroup"
  "tls" "tls.secretName and tls.clients"
  "access.mode" "access.mode"
  "standalone" "nothing: pods have the API server"
  "state" "state.type"
  "kubernetes.kubeconfig" "serviceAccount"
  "kubernetes.diagnose" "diagnose"
  "kubernetes.events" "podEvents"
  "proxy.listen" "proxy.http.port"
  "proxy.listen_tls" "proxy.https.port"
  "proxy.ingress_class" "proxy.ingressClass.name"
  "proxy.publish_address" "proxy.publishAddress" -}}
{{- range $key, $instead := $owned -}}
{{- $parts := splitList "." $key -}}
{{- $at := $.Values.config -}}
{{- range initial $parts -}}
{{- $at = (get $at .) | default dict -}}
{{- end -}}
{{- if hasKey $at (last $parts) -}}
{{- fail (printf "config.%s is the chart's to set; instead use %s" $key $instead) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.config.proxy (not .Values.proxy.enabled) -}}
{{- fail "config.proxy has no effect while proxy.enabled is false; set proxy.enabled=true or take config.proxy out" -}}
{{- end -}}
{{- end -}}

{{- define "podmeter.validateAccess" -}}
{{- $v := .Values -}}
{{- if and (eq $v.access.mode "certificate") (not (and $v.tls.secretName $v.tls.clients.secretName)) -}}
{{- fail "access.mode certificate needs tls.secretName, and tls.clients.secretName with the authorities of the clients' certificates" -}}
{{- end -}}
{{- if and $v.tls.clients.secretName (not $v.tls.secretName) -}}
{{- fail "tls.clients.secretName needs tls.secretName: only HTTPS has client certificates" -}}
{{- end -}}
{{- if and $v.tls.clients.crl (not $v.tls.clients.secretName) -}}
{{- fail "tls.clients.crl needs tls.clients.secretName, the Secret that has ca.crl" -}}
{{- end -}}
{{- if and (or $v.access.readers $v.access.scraper.create) (ne $v.access.mode "kubernetes") -}}
{{- fail (printf "access.readers and access.scraper have no effect with access.mode %s; take them out" $v.access.mode) -}}
{{- end -}}
{{- if and (or $v.access.readers $v.access.scraper.create) (not $v.rbac.create) -}}
{{- fail "access.readers and access.scraper need rbac.create: without roles nobody can be let in" -}}
{{- end -}}
{{- if $v.podMonitor.enabled -}}
{{- if and (eq $v.access.mode "kubernetes") (not $v.podMonitor.credentials.secretName) (not $v.access.scraper.create) -}}
{{- fail "podMonitor with access.mode kubernetes needs a token: set access.scraper.create=true, or podMonitor.credentials.secretName" -}}
{{- end -}}
{{- if and (eq $v.access.mode "certificate") (not $v.podMonitor.tls.clientSecretName) -}}
{{- fail "podMonitor with access.mode certificate needs podMonitor.tls.clientSecretName, the certificate that Prometheus shows" -}}
{{- end -}}
{{- if and $v.tls.secretName (not $v.podMonitor.tls.serverName) (not $v.podMonitor.tls.insecureSkipVerify) -}}
{{- fail "podMonitor with tls.secretName needs podMonitor.tls.serverName, a name in that certificate" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "podmeter.validateProxy" -}}
{{- $v := .Values -}}
{{- with $v.proxy -}}
{{- if .enabled -}}
{{- if not (or .http.port .https.port) -}}
{{- fail "proxy.enabled needs a port: set proxy.http.port or proxy.https.port" -}}
{{- end -}}
{{- range $name := list "http" "https" -}}
{{- $side := get $v.proxy $name -}}
{{- if and $side.hostPort (not $side.port) -}}
{{- fail (printf "proxy.%s.hostPort needs proxy.%s.port, the port in the pod" $name $name) -}}
{{- end -}}
{{- if and $side.hostPort $v.updateStrategy.maxSurge -}}
{{- fail (printf "updateStrategy.maxSurge cannot go with proxy.%s.hostPort: two pods cannot share a port of the node; set maxSurge to 0 or take the hostPort out" $name) -}}
{{- end -}}
{{- if and $side.port (eq (int $side.port) (int $v.metrics.port)) -}}
{{- fail (printf "proxy.%s.port and metrics.port are the same; change one" $name) -}}
{{- end -}}
{{- end -}}
{{- if and .http.port (eq (int .http.port) (int .https.port)) -}}
{{- fail "proxy.http.port and proxy.https.port are the same; change one" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Only whole seconds are compared; other ways to write a duration are the reader's to add up. */}}
{{- define "podmeter.validateDrain" -}}
{{- if .Values.proxy.enabled -}}
{{- $drain := ((.Values.config.proxy | default dict).drain) | default dict -}}
{{- $delay := get $drain "delay" | default "5s" | toString -}}
{{- $timeout := get $drain "timeout" | default "15s" | toString -}}
{{- if and (regexMatch "^[0-9]+s$" $delay) (regexMatch "^[0-9]+s$" $timeout) -}}
{{- $needed := add (trimSuffix "s" $delay | int) (trimSuffix "s" $timeout | int) 10 -}}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $needed) -}}
{{- fail (printf "terminationGracePeriodSeconds is %d, but draining takes up to %s and %s: set it to %d or more" (int .Values.terminationGracePeriodSeconds) $delay $timeout $needed) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
