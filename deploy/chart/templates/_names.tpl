{{/* Names and labels. */}}

{{- define "cinemo.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{/* Labels that select a component's pods, which must never change: dict "root" $ "part" "api" "pool" "" */}}
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

{{/* Cluster-wide, so their names include the namespace. */}}
{{- define "cinemo.priority" -}}
{{ .root.Release.Namespace }}-{{ include "cinemo.name" .root }}-{{ .of }}
{{- end }}

{{- define "cinemo.image" -}}
{{ index .root.Values.images .of }}:{{ .root.Values.images.tag | default .root.Chart.AppVersion }}
{{- end }}
