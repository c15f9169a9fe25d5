{{/* The database's settings as JSON: those of this chart over those that all charts of a release share. */}}
{{- define "ark-pod.database" -}}
{{- $set := dict -}}
{{- range $settings := list .Values.global.storage.postgresql .Values.storage.postgresql -}}
{{- range $name, $value := $settings -}}
{{- if not (empty $value) }}{{ $_ := set $set $name $value }}{{ end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "host" "user" "passwordSecretName" -}}
{{- if not (get $set $name) -}}
{{- fail (printf "%s: the database's %s is required: set global.storage.postgresql.%s, which all charts of a release share, or storage.postgresql.%s of this chart" $.Chart.Name $name $name $name) -}}
{{- end -}}
{{- end -}}
{{- toJson $set -}}
{{- end }}

{{- define "ark-pod.databaseEnv" -}}
{{- $db := fromJson (include "ark-pod.database" .) -}}
{{- $user := $db.user | urlquery | replace "+" "%20" -}}
- name: ARK_DATABASE_URL
  value: "postgresql://{{ $user }}@{{ $db.host }}:{{ $db.port }}/{{ $db.database | urlquery }}?sslmode={{ $db.sslMode }}{{ if $db.sslRootCertSecretName }}&sslrootcert=/etc/ark/database-ca/ca.crt{{ end }}"
- name: ARK_DATABASE_PASSWORD_FILE
  value: /etc/ark/database/password
{{- end }}

{{- define "ark-pod.databaseMounts" -}}
{{- $db := fromJson (include "ark-pod.database" .) -}}
- name: database-password
  mountPath: /etc/ark/database
  readOnly: true
{{- if $db.sslRootCertSecretName }}
- name: database-ca
  mountPath: /etc/ark/database-ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "ark-pod.databaseVolumes" -}}
{{- $db := fromJson (include "ark-pod.database" .) -}}
- name: database-password
  secret:
    secretName: {{ $db.passwordSecretName }}
    defaultMode: 288 # 0440
    items:
      - key: {{ $db.passwordSecretKey }}
        path: password
{{- if $db.sslRootCertSecretName }}
- name: database-ca
  secret:
    secretName: {{ $db.sslRootCertSecretName }}
    defaultMode: 288 # 0440
    items:
      - key: {{ $db.sslRootCertKey }}
        path: ca.crt
{{- end }}
{{- end }}
