{{/* Settings common to all pods and containers. */}}

{{/* dict "root" $ "priority" "serving" "nodeSelector" … "tolerations" … */}}
{{- define "cinemo.pod" -}}
serviceAccountName: {{ include "cinemo.name" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- if .root.Values.priorities.create }}
priorityClassName: {{ include "cinemo.priority" (dict "root" .root "of" .priority) }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{ include "cinemo.podSecurity" . }}
{{- end }}

{{- define "cinemo.podSecurity" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "cinemo.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{/* Spread pods over machines if possible. */}}
{{- define "cinemo.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "cinemo.selector" . | nindent 8 }}
{{- end }}

{{/* A worker has no port; it touches a file while it makes progress. */}}
{{- define "cinemo.workerProbe" -}}
livenessProbe:
  exec: {command: [python, -m, worker.health]}
  initialDelaySeconds: {{ .startSeconds }}
  periodSeconds: 30
  timeoutSeconds: 30
  failureThreshold: 3
{{- end }}
