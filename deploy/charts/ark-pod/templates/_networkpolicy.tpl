{{/* What every role needs: metrics in; names, the database and the Kubernetes API out. */}}
{{- define "ark-pod.networkPolicySpec" -}}
{{- $policy := .Values.networkPolicy -}}
{{- $db := fromJson (include "ark-pod.database" .) -}}
podSelector:
  matchLabels:
    {{- include "ark-pod.selectorLabels" . | nindent 4 }}
policyTypes: [Ingress, Egress]
ingress:
  - ports:
      - port: metrics
    {{- with $policy.metricsFrom }}
    from:
      {{- toYaml . | nindent 6 }}
    {{- end }}
egress:
  - ports:
      - {port: 53, protocol: UDP}
      - {port: 53, protocol: TCP}
  - ports:
      - port: {{ $db.port }}
    {{- with $policy.databaseTo }}
    to:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  - ports:
      {{- range $policy.kubernetesPorts }}
      - port: {{ . }}
      {{- end }}
  {{- with .Values.global.tracing.endpoint }}
  {{- $url := urlParse . }}
  - ports:
      - port: {{ regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}
  {{- end }}
  {{- with $policy.extraEgress }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
