{{- define "driftline.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "driftline.fullname" -}}
{{- $name := include "driftline.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "driftline.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "driftline.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- /* Labels that never change: a workload's selector cannot. */ -}}
{{- define "driftline.instanceLabels" -}}
app.kubernetes.io/name: {{ include "driftline.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "driftline.selectorLabels" -}}
{{ include "driftline.instanceLabels" . }}
app.kubernetes.io/component: daemon
{{- end -}}

{{- define "driftline.commonLabels" -}}
{{ include "driftline.instanceLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "driftline.labels" -}}
{{ include "driftline.commonLabels" . }}
app.kubernetes.io/component: daemon
{{- end -}}

{{- define "driftline.releaseLabel" -}}
{{- with .Values.releaseLabel }}
release: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "driftline.image" -}}
{{- $path := .Values.image.repository -}}
{{- with .Values.image.registry }}{{ $path = printf "%s/%s" . $path }}{{ end -}}
{{- $tag := .Values.image.tag | default (ternary "" .Chart.AppVersion (ne .Values.image.digest "")) -}}
{{- with $tag }}{{ $path = printf "%s:%s" $path . }}{{ end -}}
{{- with .Values.image.digest }}{{ $path = printf "%s@%s" $path . }}{{ end -}}
{{- $path -}}
{{- end -}}

{{- define "driftline.isStateful" -}}
{{- if or .Values.staticMembership (.Values.persistence).enabled }}true{{ end -}}
{{- end -}}

{{- define "driftline.kind" -}}
{{- if include "driftline.isStateful" . }}StatefulSet{{ else }}Deployment{{ end -}}
{{- end -}}
