{{/* The configuration files, in the words of the program that reads them. */}}

{{- define "zerotier-k8s-link.agentConfig" -}}
{{- $networks := .Values.networks }}
{{- if .Values.controller.enabled }}
{{- $file := dict "idFile" "/etc/zerotier-k8s-link-network/networkId" }}
{{- $networks = append $networks (merge $file .Values.controller.join) }}
{{- end }}
{{- if include "zerotier-k8s-link.networkSecretName" . }}
{{- $file := dict "idFile" "/etc/zerotier-k8s-link-network-secret/networkId" }}
{{- $networks = append $networks (merge $file .Values.networkSecret.join) }}
{{- end -}}
home: /var/lib/zerotier-k8s-link
port: {{ .Values.agent.port }}
{{- if include "zerotier-k8s-link.worldConfigMapName" . }}
planet: /etc/zerotier-k8s-link-world/planet
{{- end }}
{{- /* As JSON, as are routes: some ids look like numbers to some readers of YAML. */}}
networks:
{{- range $networks }}
  - {{ toJson . }}
{{- end }}
http:
  {{- toYaml .Values.agent.http | nindent 2 }}
log:
  level: {{ .Values.logLevel }}
  format: {{ .Values.logFormat }}
onStop: {{ .Values.agent.onStop }}
metrics: {{ toJson .Values.agent.metrics }}
dns: {{ toJson .Values.agent.dns }}
routing: {{ toJson .Values.agent.routing }}
cluster:
  {{- toYaml .Values.agent.cluster | nindent 2 }}
{{- with .Values.agent.routes }}
routes:
{{- range . }}
  - {{ toJson . }}
{{- end }}
{{- end }}
{{- with .Values.agent.firewall }}
firewall:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* What an agent reads once; all else it follows while it runs. */}}
{{- define "zerotier-k8s-link.agentChecksum" -}}
{{- list .Values.agent.port .Values.world .Values.controller.endpoints | toJson | sha256sum }}
{{- end }}

{{- define "zerotier-k8s-link.controllerConfig" -}}
home: /var/lib/zerotier-k8s-link
port: {{ .Values.controller.port }}
planet: /etc/zerotier-k8s-link-world/planet
identity: /etc/zerotier-k8s-link-identity/identity.secret
http:
  {{- toYaml .Values.controller.http | nindent 2 }}
log:
  level: {{ .Values.logLevel }}
  format: {{ .Values.logFormat }}
controller:
  autoAuthorize: {{ .Values.controller.autoAuthorize }}
  networks:
    - idFile: /etc/zerotier-k8s-link-network/networkId
      settings:
        {{- toYaml .Values.controller.network | nindent 8 }}
{{- end }}

{{- define "zerotier-k8s-link.bootstrapConfig" -}}
namespace: {{ .Release.Namespace }}
secretName: {{ include "zerotier-k8s-link.identitySecretName" . }}
worldConfigMapName: {{ include "zerotier-k8s-link.bootstrapWorldName" . }}
networkConfigMapName: {{ include "zerotier-k8s-link.networkConfigMapName" . }}
endpoints:
  {{- toYaml .Values.controller.endpoints | nindent 2 }}
labels:
  {{- include "zerotier-k8s-link.podLabels" (dict "root" . "component" "bootstrap") | nindent 2 }}
{{- end }}

{{- define "zerotier-k8s-link.retireConfig" -}}
namespace: {{ .Release.Namespace }}
configMapName: {{ include "zerotier-k8s-link.fullname" . }}
daemonSetName: {{ include "zerotier-k8s-link.fullname" . }}
labels:
  {{- include "zerotier-k8s-link.selectorLabels" (dict "root" . "component" "agent") | nindent 2 }}
http: {{ pick .Values.agent.http "enabled" "port" "address" | toJson }}
timeoutSeconds: {{ .Values.uninstall.timeoutSeconds }}
image: {{ include "zerotier-k8s-link.image" . }}
{{- end }}
