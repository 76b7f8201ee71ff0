{{/* Names and labels. */}}

{{- define "cinemo.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{/* By these a part's pods are found: dict "root" $ "part" "api" "pool" "". They never change. */}}
{{- define "cinemo.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- with .pool }}
cinemo/pool: {{ . }}
{{- end }}
{{- end }}

{{- define "cinemo.labels" -}}
{{ include "cinemo.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* Of the whole cluster, so they carry the namespace. */}}
{{- define "cinemo.priority" -}}
{{ .root.Release.Namespace }}-{{ include "cinemo.name" .root }}-{{ .of }}
{{- end }}

{{- define "cinemo.image" -}}
{{ index .root.Values.images .of }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end }}
