{{/* Facts about each service that no value changes. `state`: it keeps a directory; `stable`: its pods have stable
names, which identify its consumers in their groups; `database`: it reads DATABASE_URL; `public`: it serves
more than monitoring; `prefix`: of its settings for listening. */}}
{{- define "trackly.services" -}}
ingest: {name: ingest, port: 8080, prefix: TRACKLY_INGEST, public: true}
streams: {name: streams, port: 8082, prefix: TRACKLY_STREAMS, stable: true, state: true}
sinks: {name: sinks, port: 8083, prefix: TRACKLY_SINKS, stable: true}
console: {name: console, port: 8081, prefix: TRACKLY_CONSOLE, public: true, stable: true, state: true, database: true}
readModel: {name: read-model, port: 8084, prefix: TRACKLY_READ_MODEL, database: true}
mirror: {name: mirror, port: 8086, prefix: TRACKLY_MIRROR, stable: true}
registry: {name: registry, port: 8085, arguments: [--host, 0.0.0.0, --port, "8085"], public: true}
{{- end }}

{{- define "trackly.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "trackly.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end }}

{{/* Labels that select the pods of a service: (dict "root" $ "name" name). */}}
{{- define "trackly.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end }}

{{- define "trackly.labels" -}}
{{ include "trackly.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "trackly.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{ default (include "trackly.fullname" .) .Values.serviceAccount.name }}
{{- else -}}
{{ default "default" .Values.serviceAccount.name }}
{{- end -}}
{{- end }}

{{/* Text of a setting: YAML reads whole numbers as floating-point ones, which would be written as 1.34217728e+08. */}}
{{- define "trackly.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end }}

{{/* The environment of a service: (dict "root" $ "service" its values "facts" its line above). */}}
{{- define "trackly.environment" -}}
{{- $settings := mergeOverwrite (deepCopy .root.Values.settings) .service.settings -}}
{{- $shared := deepCopy .root.Values.secretSettings -}}
{{- if not .facts.database }}{{ $_ := unset $shared "DATABASE_URL" }}{{ end -}}
{{- $secrets := mergeOverwrite $shared .service.secretSettings -}}
{{- range $name, $value := $settings }}
{{- if and (not (kindIs "invalid" $value)) (ne (toString $value) "") (not (hasKey $secrets $name)) }}
- name: {{ $name }}
  value: {{ include "trackly.text" $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $place := $secrets }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $place.secret | quote }}, key: {{ $place.key | quote }}}
{{- end }}
{{- range $name, $value := .root.Values.environment }}
- name: {{ $name }}
  value: {{ include "trackly.text" $value | quote }}
{{- end }}
{{- with .facts.prefix }}
- name: {{ . }}_HOST
  value: 0.0.0.0
- name: {{ . }}_PORT
  value: {{ $.facts.port | toString | quote }}
{{- end }}
{{- if .facts.stable }}
- name: TRACKLY_INSTANCE_ID
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
{{- end }}
{{- if .root.Values.rackFromZone }}
- name: KAFKA_CLIENT_RACK
  valueFrom:
    fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}
{{- end }}
{{- $tls := mergeOverwrite (deepCopy .root.Values.kafkaTls) .service.kafkaTls }}
{{- if $tls.ca.secret }}
- name: KAFKA_SSL_CAFILE
  value: /etc/trackly/kafka-ca/{{ $tls.ca.key }}
{{- end }}
{{- if $tls.client.secret }}
- name: KAFKA_SSL_CERTFILE
  value: /etc/trackly/kafka-client/{{ $tls.client.certificate }}
- name: KAFKA_SSL_KEYFILE
  value: /etc/trackly/kafka-client/{{ $tls.client.privateKey }}
{{- end }}
{{- end }}

{{- define "trackly.mounts" -}}
- {name: data, mountPath: /var/lib/trackly}
- {name: tmp, mountPath: /tmp}
{{- $tls := mergeOverwrite (deepCopy .root.Values.kafkaTls) .service.kafkaTls }}
{{- if $tls.ca.secret }}
- {name: kafka-ca, mountPath: /etc/trackly/kafka-ca, readOnly: true}
{{- end }}
{{- if $tls.client.secret }}
- {name: kafka-client, mountPath: /etc/trackly/kafka-client, readOnly: true}
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "trackly.volumes" -}}
{{- if not .isPersistent }}
- {name: data, emptyDir: {}}
{{- end }}
- {name: tmp, emptyDir: {sizeLimit: 1Gi}}
{{- $tls := mergeOverwrite (deepCopy .root.Values.kafkaTls) .service.kafkaTls }}
{{- if $tls.ca.secret }}
- name: kafka-ca
  secret: {secretName: {{ $tls.ca.secret | quote }}}
{{- end }}
{{- if $tls.client.secret }}
- name: kafka-client
  secret: {secretName: {{ $tls.client.secret | quote }}}
{{- end }}
{{- with .root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A container without its probes: (dict "root" "service" "facts" "arguments"). */}}
{{- define "trackly.container" -}}
image: {{ include "trackly.image" .root | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ toJson .arguments }}
env: {{- include "trackly.environment" . | nindent 2 }}
{{- with .root.Values.accountSecrets }}
envFrom:
{{- range . }}
  - secretRef: {name: {{ . | quote }}}
{{- end }}
{{- end }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{- toYaml .service.resources | nindent 2 }}
volumeMounts: {{- include "trackly.mounts" . | nindent 2 }}
{{- end }}

{{- define "trackly.security" -}}
{{- $security := dict "runAsNonRoot" true "runAsUser" 10001 "runAsGroup" 10001 "fsGroup" 10001 "fsGroupChangePolicy" "OnRootMismatch" "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- toYaml (mergeOverwrite $security (deepCopy .Values.podSecurityContext)) -}}
{{- end }}

{{/* Checks of combinations of values; values.schema.json checks each one. */}}
{{- define "trackly.check" -}}
{{- $v := .Values -}}
{{- if not $v.settings.KAFKA_BOOTSTRAP_SERVERS -}}
{{- fail "settings.KAFKA_BOOTSTRAP_SERVERS is not set: name the brokers as host:port, separated by commas." -}}
{{- end -}}
{{- range $key, $facts := include "trackly.services" . | fromYaml -}}
{{- $service := get $v $key -}}
{{- if and $service.enabled $facts.database -}}
{{- if not (hasKey (merge dict $service.secretSettings $v.secretSettings) "DATABASE_URL") -}}
{{- fail (printf "secretSettings.DATABASE_URL is not set: %s needs a PostgreSQL, which the console and the read model share." $key) -}}
{{- end -}}
{{- end -}}
{{- if and $service.enabled (or (eq $key "streams") (eq $key "sinks")) -}}
{{- $partitions := int (default 12 $v.settings.TRACKLY_PARTITIONS) -}}
{{- $most := int $service.replicas -}}
{{- with $service.autoscaling }}{{ if .enabled }}{{ $most = int .maxReplicas }}{{ end }}{{ end -}}
{{- if gt $most $partitions -}}
{{- fail (printf "%s.replicas is %d, but there are %d partitions (settings.TRACKLY_PARTITIONS): the others would have nothing to do." $key $most $partitions) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}
