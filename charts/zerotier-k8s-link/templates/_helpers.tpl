{{/* Names. 40 characters leave room for what Kubernetes and the templates append. */}}
{{- define "zerotier-k8s-link.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "zerotier-k8s-link.controllerName" -}}
{{ include "zerotier-k8s-link.fullname" . }}-controller
{{- end }}

{{- define "zerotier-k8s-link.bootstrapName" -}}
{{ include "zerotier-k8s-link.fullname" . }}-bootstrap
{{- end }}

{{- define "zerotier-k8s-link.uninstallName" -}}
{{ include "zerotier-k8s-link.fullname" . }}-uninstall
{{- end }}

{{/* Objects that the bootstrap Job makes, and that outlive the release. */}}
{{- define "zerotier-k8s-link.identitySecretName" -}}
{{ include "zerotier-k8s-link.fullname" . }}-identity
{{- end }}

{{- define "zerotier-k8s-link.networkConfigMapName" -}}
{{ include "zerotier-k8s-link.fullname" . }}-network
{{- end }}

{{- define "zerotier-k8s-link.bootstrapWorldName" -}}
{{ include "zerotier-k8s-link.fullname" . }}-world
{{- end }}

{{- define "zerotier-k8s-link.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "zerotier-k8s-link.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/*
What selects pods: the same in every version of the chart, whatever the values are.
Call with (dict "root" $ "component" "agent").
*/}}
{{- define "zerotier-k8s-link.selectorLabels" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "zerotier-k8s-link.labels" -}}
{{- with .root.Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: {{ .root.Chart.Name }}
{{ include "zerotier-k8s-link.selectorLabels" . }}
{{- end }}

{{/* Labels of pods; further ones in "labels". */}}
{{- define "zerotier-k8s-link.podLabels" -}}
{{- with .root.Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
{{- with .labels }}
{{- toYaml . }}
{{ end -}}
{{ include "zerotier-k8s-link.selectorLabels" . }}
{{- end }}

{{/* By digest first, then by tag, then by the version that the chart is for. */}}
{{- define "zerotier-k8s-link.image" -}}
{{- $image := .Values.image }}
{{- $registry := default $image.registry .Values.global.imageRegistry }}
{{- $name := ternary (printf "%s/%s" $registry $image.repository) $image.repository (not (empty $registry)) }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- define "zerotier-k8s-link.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* For pods on the nodes' network: whose address they have, and where `kubectl exec` finds the state. */}}
{{- define "zerotier-k8s-link.hostPodEnv" -}}
- name: HOST_IP
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: ZTLINK_HOME
  value: /var/lib/zerotier-k8s-link
{{- end }}

{{/* Linux, and what the values of a component say. */}}
{{- define "zerotier-k8s-link.nodeSelector" -}}
{{- toYaml (merge (dict "kubernetes.io/os" "linux") .) }}
{{- end }}

{{/* Ports and probes of a container; call with the values of its component. */}}
{{- define "zerotier-k8s-link.ports" -}}
ports:
  - name: zerotier
    containerPort: {{ .port }}
    hostPort: {{ .port }}
    protocol: UDP
  {{- if .http.enabled }}
  - name: health
    containerPort: {{ .http.port }}
    hostPort: {{ .http.port }}
    protocol: TCP
  {{- end }}
{{- end }}

{{- define "zerotier-k8s-link.probes" -}}
{{- if .http.enabled }}
{{- $component := . }}
{{- range $probe, $path := dict "startupProbe" "startup" "livenessProbe" "live" "readinessProbe" "ready" }}
{{ $probe }}:
  httpGet:
    {{- if and $component.http.address (not (has $component.http.address (list "0.0.0.0" "::"))) }}
    host: {{ $component.http.address | quote }}
    {{- end }}
    path: /zerotier/health/{{ $path }}
    port: health
  {{- toYaml (index $component $probe) | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "zerotier-k8s-link.tmpVolume" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- end }}
