{{/* Which world the nodes take: the name of its ConfigMap, empty for the public one. */}}
{{- define "zerotier-k8s-link.worldConfigMapName" -}}
{{- if .Values.controller.enabled }}
{{- include "zerotier-k8s-link.bootstrapWorldName" . }}
{{- else if .Values.world.existingConfigMap }}
{{- .Values.world.existingConfigMap }}
{{- else if .Values.world.planet }}
{{- include "zerotier-k8s-link.fullname" . }}-planet
{{- end }}
{{- end }}

{{- define "zerotier-k8s-link.worldVolume" -}}
- name: world
  configMap:
    name: {{ include "zerotier-k8s-link.worldConfigMapName" . }}
    items:
      - key: {{ ternary "planet" .Values.world.key .Values.controller.enabled }}
        path: planet
{{- end }}

{{/* The Secret with a network's id, empty for none. */}}
{{- define "zerotier-k8s-link.networkSecretName" -}}
{{- if .Values.networkSecret.existingSecret }}
{{- .Values.networkSecret.existingSecret }}
{{- else if .Values.networkSecret.networkId }}
{{- include "zerotier-k8s-link.fullname" . }}
{{- end }}
{{- end }}

{{/* Changes with all that the controller reads when it starts and that an upgrade may change. */}}
{{- define "zerotier-k8s-link.checksum" -}}
{{- $values := .root.Values }}
{{- list .config $values.world $values.controller.endpoints | toJson | sha256sum }}
{{- end }}
