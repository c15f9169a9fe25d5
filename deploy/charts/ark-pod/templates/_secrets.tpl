{{/* The right to get Secrets: "*" stands for every namespace, else it is granted in each of the named ones. */}}
{{- define "ark-pod.secretsRbac" -}}
{{- $name := printf "%s-secrets" (include "ark-pod.name" .) -}}
{{- $all := has "*" .Values.global.secretNamespaces -}}
{{- range $namespace := ternary (list "") .Values.global.secretNamespaces $all }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "ClusterRole" "Role" $all }}
metadata:
  name: {{ $name }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "ark-pod.labels" $ | nindent 4 }}
rules:
  - apiGroups: [""]
    resources: [secrets]
    verbs: [get]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ ternary "ClusterRoleBinding" "RoleBinding" $all }}
metadata:
  name: {{ $name }}
  {{- with $namespace }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "ark-pod.labels" $ | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ ternary "ClusterRole" "Role" $all }}
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "ark-pod.serviceAccountName" $ }}
    namespace: {{ $.Release.Namespace }}
{{- end }}
{{- end }}
