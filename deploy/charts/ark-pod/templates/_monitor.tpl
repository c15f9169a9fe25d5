{{/* How the Prometheus operator finds the pods; a ServiceMonitor needs a Service, which nothing else does. */}}
{{- define "ark-pod.monitor" -}}
{{- $monitor := .Values.metrics.monitor -}}
{{- if $monitor.enabled }}
{{- if eq $monitor.kind "ServiceMonitor" }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "ark-pod.name" . }}-metrics
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "ark-pod.labels" . | nindent 4 }}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  ports:
    - name: metrics
      port: {{ .Values.metrics.port }}
      targetPort: metrics
  selector:
    {{- include "ark-pod.selectorLabels" . | nindent 4 }}
{{- end }}
---
apiVersion: monitoring.coreos.com/v1
kind: {{ $monitor.kind }}
metadata:
  name: {{ include "ark-pod.name" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "ark-pod.labels" . | nindent 4 }}
    {{- with $monitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "ark-pod.selectorLabels" . | nindent 6 }}
  {{ ternary "endpoints" "podMetricsEndpoints" (eq $monitor.kind "ServiceMonitor") }}:
    - port: metrics
      path: /metrics
      interval: {{ $monitor.interval }}
{{- end }}
{{- end }}
