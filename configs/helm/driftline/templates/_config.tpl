{{- /* What the daemon will read, as far as it can be seen here: config with configFiles laid over it. */ -}}
{{- define "driftline.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- range $name, $text := .Values.configFiles -}}
{{- $layer := fromYaml $text -}}
{{- if hasKey $layer "Error" -}}
{{- fail (printf "\n\n%s - configFiles.%s - YAML\n" $layer.Error $name) -}}
{{- end -}}
{{- $config = mergeOverwrite $config $layer -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- /* Files of the configuration in the order in which they are laid over each other. */ -}}
{{- define "driftline.configPaths" -}}
{{- $paths := list "/etc/driftline/driftline.yaml" -}}
{{- range $name := keys .Values.configFiles | sortAlpha -}}
{{- $paths = append $paths (printf "/etc/driftline/%s.yaml" $name) -}}
{{- end -}}
{{- append $paths "/etc/driftline/pod.yaml" | join " " -}}
{{- end -}}

{{- define "driftline.group" -}}
{{- dig "kafka" "group" "driftline" (include "driftline.config" . | fromYaml) -}}
{{- end -}}

{{- /* Refuse what would fail later, and say what would be right. */ -}}
{{- define "driftline.check" -}}
{{- $wrong := list -}}
{{- $replicas := int .Values.replicas -}}
{{- $most := int .Values.inputPartitions -}}
{{- if .Values.configExistingSecretName -}}
{{- if .Values.configFiles -}}
{{- $wrong = append $wrong "two configurations - configFiles - leave it out, or configExistingSecretName" -}}
{{- end -}}
{{- else -}}
{{- $config := include "driftline.config" . | fromYaml -}}
{{- if not (dig "kafka" "brokers" "" $config) -}}
{{- $wrong = append $wrong "no broker - config.kafka.brokers - [kafka:9092]" -}}
{{- end -}}
{{- if not (dig "sources" "" $config) -}}
{{- $wrong = append $wrong "no source - config.sources - {predictions: {topic: predictions}}" -}}
{{- end -}}
{{- if not (dig "models" "" $config) -}}
{{- $wrong = append $wrong "no model - config.models - {churn: {reference: {file: /ref/churn.ref}}}" -}}
{{- end -}}
{{- $member := get (dig "kafka" "properties" (dict) $config) "group.instance.id" | toString -}}
{{- if and $member (not (contains "${" $member)) (or (.Values.keda).enabled (gt $replicas 1)) -}}
{{- $wrong = append $wrong (printf "pods would shut each other out as %s - config.kafka.properties.group.instance.id - leave it out, or staticMembership: true" $member) -}}
{{- end -}}
{{- $log := dig "state" "log" "local" $config -}}
{{- if and (eq $log "local") (not (.Values.persistence).enabled) -}}
{{- $wrong = append $wrong "local state would go with the pod - config.state.log - kafka, or persistence.enabled: true" -}}
{{- end -}}
{{- if and (ne $log "local") (.Values.persistence).enabled -}}
{{- $wrong = append $wrong (printf "a volume that nothing is kept on - persistence.enabled - false, as config.state.log is %s" $log) -}}
{{- end -}}
{{- end -}}
{{- if (.Values.persistence).enabled -}}
{{- if (.Values.keda).enabled -}}
{{- $wrong = append $wrong "local state is one process - keda.enabled - false, or config.state.log: kafka" -}}
{{- else if ne $replicas 1 -}}
{{- $wrong = append $wrong (printf "local state is one process, not %d - replicas - 1, or config.state.log: kafka" $replicas) -}}
{{- end -}}
{{- end -}}
{{- if (.Values.keda).enabled -}}
{{- if gt (int .Values.keda.maxReplicas) $most -}}
{{- $wrong = append $wrong (printf "more pods than the %d partitions - keda.maxReplicas - %d, or another inputPartitions" $most $most) -}}
{{- end -}}
{{- if gt (int .Values.keda.minReplicas) (int .Values.keda.maxReplicas) -}}
{{- $wrong = append $wrong (printf "above keda.maxReplicas - keda.minReplicas - at most %d" (int .Values.keda.maxReplicas)) -}}
{{- end -}}
{{- if gt (int .Values.keda.fallbackReplicas) (int .Values.keda.maxReplicas) -}}
{{- $wrong = append $wrong (printf "above keda.maxReplicas - keda.fallbackReplicas - at most %d" (int .Values.keda.maxReplicas)) -}}
{{- end -}}
{{- else if gt $replicas $most -}}
{{- $wrong = append $wrong (printf "more pods than the %d partitions - replicas - %d, or another inputPartitions" $most $most) -}}
{{- end -}}
{{- if and .Values.references.configMap .Values.references.claim -}}
{{- $wrong = append $wrong "two places - references - configMap or claim" -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\n%s\n" (join "\n" $wrong)) -}}
{{- end -}}
{{- end -}}
