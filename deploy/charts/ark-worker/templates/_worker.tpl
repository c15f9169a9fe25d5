{{/* The drain in seconds; written as Go writes durations, e.g. 10m or 1h30m. */}}
{{- define "ark-worker.drainSeconds" -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+[hms]" .Values.drain -1 -}}
{{- $number := trimSuffix (regexFind "[hms]" .) . | int -}}
{{- $seconds = add $seconds (mul $number (get (dict "h" 3600 "m" 60 "s" 1) (regexFind "[hms]" .))) -}}
{{- end -}}
{{- $seconds -}}
{{- end }}

{{/* Executions per worker that a scaler aims at. */}}
{{- define "ark-worker.target" -}}
{{- max 1 (div (mul .slots .percent) 100) -}}
{{- end }}

{{- define "ark-worker.isScaled" -}}
{{- if and .Values.autoscaling.enabled .Values.keda.enabled -}}
{{- fail "autoscaling.enabled and keda.enabled exclude each other: both would set the number of workers" -}}
{{- end -}}
{{- if or .Values.autoscaling.enabled .Values.keda.enabled }}true{{ end -}}
{{- end }}
