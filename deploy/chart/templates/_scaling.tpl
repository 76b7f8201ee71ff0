{{/* KEDA, with the service's metrics. */}}

{{/* Every API exports all series, so those of one Service are those of one release. */}}
{{- define "cinemo.series" -}}
namespace="{{ .Release.Namespace }}", service="{{ include "cinemo.name" . }}-api"
{{- end }}

{{/*
Waiting jobs of some queues, and those on a device, as those that are finishing keep no worker from the next: the maximum
over the APIs, since each exports the same values.
*/}}
{{- define "cinemo.jobs" -}}
{{- $labels := printf `%s, kind=~"%s"` (include "cinemo.series" .root) (join "|" .queues) -}}
{{ .share }} * (sum(max by (kind) (cinemo_queue_jobs{ {{- $labels -}} })) + sum(max by (kind) (cinemo_running_jobs{ {{- $labels -}} })) - sum(max by (kind) (cinemo_finishing_jobs{ {{- $labels -}} })))
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
        # A removed worker may be running a job, which starts over elsewhere if the grace period is too short for it.
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
        # Don't remove workers if Prometheus does not respond.
        ignoreNullValues: "false"
      {{- with $root.Values.prometheus.authentication }}
      authenticationRef: {name: {{ . }}}
      {{- end }}
    {{- end }}
{{- end }}
