{{/* Settings as environment variables, and secrets as files. */}}

{{/* All settings of a process, as JSON: the chart's, overridden by the component's, then by those that the chart derives. */}}
{{- define "cinemo.settings" -}}
{{- mustMergeOverwrite (deepCopy .root.Values.settings) .own (.fixed | default dict) | toJson }}
{{- end }}

{{/* dict "root" $ "settings" {…} */}}
{{- define "cinemo.env" -}}
{{- range $name, $value := .settings }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- if .root.Values.secret }}
- {name: CINEMO_SECRETS_FOLDER, value: /var/lib/cinemo/secrets}
{{- end }}
{{- range $name, $value := .root.Values.telemetry }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "cinemo.secretMount" -}}
{{- if .Values.secret }}
- {name: secrets, mountPath: /var/lib/cinemo/secrets, readOnly: true}
{{- end }}
{{- end }}

{{- define "cinemo.secretVolume" -}}
{{- if .Values.secret }}
- name: secrets
  secret: {secretName: {{ .Values.secret }}, defaultMode: 0440}
{{- end }}
{{- end }}
