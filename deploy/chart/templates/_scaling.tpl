{{/* KEDA, on what the service says of itself. */}}

{{/* Every API tells all of it, so one release's series are those of one Service. */}}
{{- define "cinemo.series" -}}
namespace="{{ .Release.Namespace }}", service="{{ include "cinemo.name" . }}-api"
{{- end }}

{{/* Jobs that wait for some queues or run; each API tells the same, so the largest of them, not their sum. */}}
{{- define "cinemo.jobs" -}}
{{- $labels := printf `%s, kind=~"%s"` (include "cinemo.series" .root) (join "|" .queues) -}}
{{ .share }} * (sum(max by (kind) (cinemo_queue_jobs{ {{- $labels -}} })) + sum(max by (kind) (cinemo_running_jobs{ {{- $labels -}} })))
{{- end }}

{{- define "cinemo.oldest" -}}
max(cinemo_queue_oldest_seconds{ {{- include "cinemo.series" .root }}, kind=~"{{ join "|" .queues }}"})
{{- end }}

{{/* dict "root" $ "of" {labels} "name" … "scaling" {min, max} "triggers" [{query, threshold, type}] */}}
{{- define "cinemo.scaledObject" -}}
{{- $root := .root -}}
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: {{ .name }}
  labels:
    {{- include "cinemo.labels" .of | nindent 4 }}
spec:
  scaleTargetRef: {name: {{ .name }}}
  minReplicaCount: {{ .scaling.min }}
  maxReplicaCount: {{ .scaling.max }}
  pollingInterval: 15
  cooldownPeriod: 300
  advanced:
    horizontalPodAutoscalerConfig:
      behavior:
        # Whoever is taken away may be at work: what it has not ended in its grace period begins anew elsewhere.
        scaleDown:
          stabilizationWindowSeconds: 300
          policies:
            - {type: Percent, value: 25, periodSeconds: 60}
  triggers:
    {{- range .triggers }}
    - type: prometheus
      metricType: {{ .type }}
      metadata:
        serverAddress: {{ required "prometheus.address is needed where something has `scaling`" $root.Values.prometheus.address }}
        query: {{ .query | squote }}
        threshold: {{ .threshold | quote }}
        # No answer is no reason to take workers away.
        ignoreNullValues: "false"
      {{- with $root.Values.prometheus.authentication }}
      authenticationRef: {name: {{ . }}}
      {{- end }}
    {{- end }}
{{- end }}
