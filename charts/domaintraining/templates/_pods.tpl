{{/* What every pod here asks for less than the level `restricted` would allow. Takes the user's number. */}}
{{- define "domaintraining.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "domaintraining.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
  - ALL
{{- end -}}

{{/* The controller's settings: every variable that it reads and that a value stands for. */}}
{{- define "domaintraining.environment" -}}
{{- $allowed := .Values.allowed -}}
- name: TRAINER_IMAGE
  value: {{ include "domaintraining.trainerImage" . | quote }}
- name: OLLAMA_BASE_URL
  value: {{ include "domaintraining.endpoint" . | quote }}
{{- with include "domaintraining.requests" . }}
- name: OLLAMA_NUM_PARALLEL
  value: {{ . | quote }}
{{- end }}
- name: OLLAMA_MODEL_GENERATION
  value: {{ .Values.model.name | quote }}
- name: DSPY_AUTO_MODE
  value: {{ .Values.auto | quote }}
- name: DSPY_VERBOSE
  value: {{ .Values.verbose | quote }}
{{- with .Values.modelServers }}
- name: MODEL_SERVERS
  value: {{ toJson . | quote }}
{{- end }}
- name: TRAININGS_PER_SERVER
  value: {{ .Values.trainingsPerServer | int | quote }}
- name: ALLOWED_ENDPOINTS
  value: {{ $allowed.endpoints | join "," | quote }}
- name: ALLOWED_PULLS
  value: {{ $allowed.pulls | join "," | quote }}
- name: ALLOWED_REGISTRIES
  value: {{ $allowed.registries | join "," | quote }}
- name: ALLOWED_DATA_HOSTS
  value: {{ $allowed.dataHosts | join "," | quote }}
- name: ALLOWED_PRIORITY_CLASSES
  value: {{ $allowed.priorityClasses | join "," | quote }}
- name: ALLOWED_NODE_LABELS
  value: {{ $allowed.nodeLabels | join "," | quote }}
- name: ALLOWED_TOLERATIONS
  value: {{ $allowed.tolerations | join "," | quote }}
{{- with .Values.trainer.resources }}
- name: TRAINER_RESOURCES
  value: {{ toJson . | quote }}
{{- end }}
{{- with .Values.trainer.imagePullSecrets }}
- name: IMAGE_PULL_SECRETS
  value: {{ include "domaintraining.secretNames" . | quote }}
{{- end }}
{{- with .Values.watchNamespaces }}
- name: WATCH_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
{{- if or .Values.caBundle.configMap .Values.caBundle.inline }}
- name: CA_BUNDLE
  value: /etc/domaintraining/ca/{{ .Values.caBundle.key }}
{{- end }}
{{- with .Values.proxy.http }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.proxy.https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with .Values.proxy.noProxy }}
- name: NO_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with include "domaintraining.graph" . }}
- name: NEO4J_URI
  value: {{ . | quote }}
- name: NEO4J_USER
  value: {{ $.Values.graph.user | quote }}
{{- with include "domaintraining.graphSecret" $ }}
- name: NEO4J_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: {{ $.Values.graph.passwordSecret.key }}
{{- end }}
{{- with $.Values.graph.database }}
- name: NEO4J_DATABASE
  value: {{ . | quote }}
{{- end }}
{{- with $.Values.graph.cluster }}
- name: GRAPH_CLUSTER
  value: {{ . | quote }}
{{- end }}
{{- with $.Values.graph.domains }}
- name: GRAPH_DOMAINS
  value: {{ join "," . | quote }}
{{- end }}
{{- end }}
- name: NETWORK_POLICIES
  value: {{ .Values.networkPolicies.enabled | quote }}
{{- with .Values.networkPolicies.apiServerCidrs }}
- name: API_SERVER_CIDRS
  value: {{ join "," . | quote }}
{{- end }}
- name: RESYNC_SECONDS
  value: {{ .Values.resyncSeconds | int | quote }}
- name: CHECK_SECONDS
  value: {{ .Values.checkSeconds | int | quote }}
- name: OUTAGE_SECONDS
  value: {{ .Values.outageSeconds | int | quote }}
- name: HEALTH_PORT
  value: {{ .Values.healthPort | int | quote }}
{{- end -}}

{{/* Names of a list of {name}, separated by commas. */}}
{{- define "domaintraining.secretNames" -}}
{{- $names := list -}}
{{- range . }}{{ $names = append $names .name }}{{ end -}}
{{- join "," $names -}}
{{- end -}}
