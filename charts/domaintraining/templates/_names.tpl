{{/* What names begin with: the release, and the chart where the release does not say it. */}}
{{- define "domaintraining.name" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "domaintraining.controller" -}}
{{- include "domaintraining.name" . }}-controller
{{- end -}}

{{/* Labels that select a part's pods. Takes {root, part}. */}}
{{- define "domaintraining.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{/* Labels of an object of a part. Takes {root, part}. */}}
{{- define "domaintraining.labels" -}}
{{ include "domaintraining.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image as pods name it. Takes {image, registry, tag}: the tag where the image has none. */}}
{{- define "domaintraining.image" -}}
{{- $name := list .registry .image.repository | compact | join "/" -}}
{{- if .image.digest -}}
{{ $name }}@{{ .image.digest }}
{{- else -}}
{{ $name }}:{{ .image.tag | default .tag }}
{{- end -}}
{{- end -}}

{{- define "domaintraining.controllerImage" -}}
{{- include "domaintraining.image" (dict "image" .Values.images.controller "registry" .Values.images.registry "tag" .Chart.AppVersion) -}}
{{- end -}}

{{- define "domaintraining.trainerImage" -}}
{{- include "domaintraining.image" (dict "image" .Values.images.trainer "registry" .Values.images.registry "tag" .Chart.AppVersion) -}}
{{- end -}}

{{/* URL of the default model server. */}}
{{- define "domaintraining.endpoint" -}}
{{- $own := printf "http://ollama.%s:11434" .Release.Namespace -}}
{{- .Values.model.endpoint | default (ternary $own "http://ollama.ollama:11434" .Values.ollama.enabled) -}}
{{- end -}}

{{/* What the default model server serves at once; empty: nobody knows. */}}
{{- define "domaintraining.requests" -}}
{{- $own := and .Values.ollama.enabled (not .Values.model.endpoint) -}}
{{- .Values.model.requests | default (ternary .Values.ollama.parallel "" $own) -}}
{{- end -}}

{{/* URI of the graph; empty: there is none. */}}
{{- define "domaintraining.graph" -}}
{{- $own := printf "bolt://neo4j.%s:7687" .Release.Namespace -}}
{{- .Values.graph.uri | default (ternary $own "" .Values.neo4j.enabled) -}}
{{- end -}}

{{/* The Secret with its password; empty: there is none. */}}
{{- define "domaintraining.graphSecret" -}}
{{- $own := and .Values.neo4j.enabled (not .Values.graph.uri) -}}
{{- .Values.graph.passwordSecret.name | default (ternary .Values.neo4j.existingSecret "" $own) -}}
{{- end -}}

{{- define "domaintraining.caConfigMap" -}}
{{- .Values.caBundle.configMap | default (printf "%s-ca" (include "domaintraining.name" .)) -}}
{{- end -}}
