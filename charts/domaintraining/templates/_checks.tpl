{{/*
What the schema can't say, or says by a pattern alone, refused in words. Values that may hold a secret by mistake
are not repeated.
*/}}
{{- define "domaintraining.checks" -}}
{{- with .Values -}}
{{- $url := `^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._/-]*)?$` -}}
{{- $words := "must be http:// or https:// with a host, such as http://ollama.ollama:11434, without user, password or query" -}}
{{- if .model.endpoint -}}
{{- include "domaintraining.check" (list "model.endpoint" .model.endpoint $url $words) -}}
{{- end -}}
{{- $seen := dict -}}
{{- range $number, $server := .modelServers -}}
{{- include "domaintraining.check" (list (printf "modelServers[%d].endpoint" $number) $server.endpoint $url $words) -}}
{{- $endpoint := trimSuffix "/" $server.endpoint -}}
{{- if hasKey $seen $endpoint -}}
{{- fail (printf "modelServers: %s is named twice" $server.endpoint) -}}
{{- end -}}
{{- $_ := set $seen $endpoint true -}}
{{- end -}}
{{- range $name, $patterns := .allowed -}}
{{- range $patterns -}}
{{- include "domaintraining.check" (list (printf "allowed.%s" $name) . `^[^,\s]+$` "each entry is one pattern, without commas and blanks") -}}
{{- end -}}
{{- end -}}
{{- $bolt := `^((bolt|neo4j)(\+s|\+ssc)?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?)?$` -}}
{{- if not (regexMatch $bolt .graph.uri) -}}
{{- fail "graph.uri: must be such as neo4j://neo4j.graph:7687 or bolt+s://graph.example.com, without user, password and query" -}}
{{- end -}}
{{- range .graph.domains -}}
{{- include "domaintraining.check" (list "graph.domains" . `^[a-z0-9*?-]+=[a-z0-9_*?]+$` "must be patterns NAMESPACE=DOMAIN such as team-a=*") -}}
{{- end -}}
{{- range .watchNamespaces -}}
{{- include "domaintraining.check" (list "watchNamespaces" . `^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$` "must be names of namespaces, no patterns") -}}
{{- end -}}
{{- range .networkPolicies.apiServerCidrs -}}
{{- include "domaintraining.check" (list "networkPolicies.apiServerCidrs" . `^[0-9a-fA-F.:]+/[0-9]{1,3}$` "must be networks such as 10.96.0.1/32") -}}
{{- end -}}
{{- $proxy := `^https?://([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?/?$` -}}
{{- range $name := list "http" "https" -}}
{{- with get $.Values.proxy $name -}}
{{- if not (regexMatch $proxy .) -}}
{{- fail (printf "proxy.%s: must be such as http://proxy.example.com:3128, without user and password: every trainer's pod shows it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .caBundle.configMap .caBundle.inline -}}
{{- fail "caBundle: give configMap or inline, not both" -}}
{{- end -}}
{{- with .caBundle.inline -}}
{{- if or (contains "PRIVATE KEY" .) (not (contains "-----BEGIN CERTIFICATE-----" .)) -}}
{{- fail "caBundle.inline: must be certificates in PEM, without a private key" -}}
{{- end -}}
{{- end -}}
{{- range $place, $resources := dict "resources" .resources "trainer.resources" .trainer.resources "ollama.resources" .ollama.resources "neo4j.resources" .neo4j.resources -}}
{{- range $part, $amounts := $resources -}}
{{- range $name, $amount := $amounts -}}
{{- /* numbers of a values file are floats, and large ones have a text with an exponent */ -}}
{{- if kindIs "float64" $amount -}}
{{- $amount = int64 $amount -}}
{{- end -}}
{{- include "domaintraining.check" (list (printf "%s.%s.%s" $place $part $name) (toString $amount) `^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$` "must be an amount such as 500m, 2 or 4Gi") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .neo4j.enabled (not .neo4j.existingSecret) -}}
{{- fail "neo4j.existingSecret is empty: create a Secret with the key `password` (at least 8 characters) in the release's namespace and give its name" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Ends with words where a text is not as it must be. Takes a list: its place, the text, a pattern, the words. */}}
{{- define "domaintraining.check" -}}
{{- if not (regexMatch (index . 2) (index . 1)) -}}
{{- fail (printf "%s: %s, not %q" (index . 0) (index . 3) (index . 1)) -}}
{{- end -}}
{{- end -}}
