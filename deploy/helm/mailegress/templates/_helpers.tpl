{{- define "mailegress.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "mailegress.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "mailegress.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "mailegress.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "mailegress.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "mailegress.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "mailegress.selectorLabels" -}}
app.kubernetes.io/name: {{ include "mailegress.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "mailegress.labels" -}}
{{ include "mailegress.selectorLabels" . }}
app.kubernetes.io/part-of: mailegress
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "mailegress.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end }}

{{- /* Port of probes and metrics: that of settings.httpAddress. */}}
{{- define "mailegress.httpPort" -}}
{{- $port := regexFind "[0-9]+$" (default "0.0.0.0:8080" .Values.settings.httpAddress) -}}
{{- if eq (int $port) 0 -}}
{{- fail "settings.httpAddress: probes and metrics need a fixed port, such as 0.0.0.0:8080" -}}
{{- end -}}
{{- $port -}}
{{- end }}

{{- /* What the operator does with policies. YAML 1.1 reads Off without quotes as false. */}}
{{- define "mailegress.policyMode" -}}
{{- .Values.policy.mode | default "Off" -}}
{{- end }}

{{- /* The operator's settings as variables; what is unset is left to its own defaults. */}}
{{- define "mailegress.settings" -}}
{{- $many := gt (int .Values.replicaCount) 1 -}}
{{- if and $many (eq (toString .Values.settings.leaderElect) "false") -}}
{{- fail "settings.leaderElect: several replicas need it; leave it unset, or set replicaCount to 1" -}}
{{- end -}}
{{- $settings := .Values.settings -}}
{{- if $many -}}
{{- $settings = merge (dict "leaderElect" true) $settings -}}
{{- end -}}
{{- range $name, $value := $settings }}
{{- if not (kindIs "invalid" $value) }}
- name: MAILEGRESS_{{ regexReplaceAll "([A-Z])" $name "_${1}" | upper }}
{{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
{{- else if kindIs "bool" $value }}
  value: {{ ternary "on" "off" $value | quote }}
{{- else }}
  value: {{ printf "%v" $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
