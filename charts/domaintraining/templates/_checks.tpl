{{/* Values that each are valid and do not go together, refused in words. */}}
{{- define "domaintraining.checks" -}}
{{- with .Values -}}
{{- if and .caBundle.configMap .caBundle.inline -}}
{{- fail "caBundle: give configMap or inline, not both" -}}
{{- end -}}
{{- if and .neo4j.enabled (not .neo4j.existingSecret) -}}
{{- fail "neo4j.existingSecret is empty: create a Secret with the key `password` (at least 8 characters) in the release's namespace and give its name" -}}
{{- end -}}
{{- $seen := dict -}}
{{- range .modelServers -}}
{{- $endpoint := trimSuffix "/" .endpoint -}}
{{- if hasKey $seen $endpoint -}}
{{- fail (printf "modelServers: %s is named twice" .endpoint) -}}
{{- end -}}
{{- $_ := set $seen $endpoint true -}}
{{- end -}}
{{- end -}}
{{- end -}}
