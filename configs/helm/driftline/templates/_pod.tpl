{{- /* The pod of the Deployment and of the StatefulSet. */ -}}
{{- define "driftline.podTemplate" -}}
metadata:
  annotations:
    kubectl.kubernetes.io/default-container: driftline
    checksum/config: {{ include (print $.Template.BasePath "/configmap.yaml") . | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    {{- include "driftline.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "driftline.serviceAccountName" . }}
  automountServiceAccountToken: false
  # Variables of a Service called driftline would be taken for options of the command.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- toYaml .Values.podSecurityContext | nindent 4 }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  containers:
    - name: driftline
      image: {{ include "driftline.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      {{- if .Values.nativeKernels }}
      command: [env, -u, NUMBA_CPU_NAME, driftline]
      {{- end }}
      args:
        - run
        {{- range .Values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      env:
        - name: POD_NAME
          valueFrom:
            fieldRef:
              fieldPath: metadata.name
        - name: DRIFTLINE_CONFIG
          value: {{ include "driftline.configPaths" . }}
        {{- with .Values.revision }}
        - name: DRIFTLINE_REVISION
          value: {{ . | quote }}
        {{- end }}
        {{- if .Values.nativeKernels }}
        - name: NUMBA_CACHE_DIR
          value: /var/cache/driftline
        {{- end }}
        {{- range $name, $value := .Values.env }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
      {{- with .Values.envFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      ports:
        - name: http
          containerPort: {{ .Values.web.port }}
      {{- $prefix := .Values.web.routePrefix | trimSuffix "/" }}
      {{- range $name, $path := dict "startup" "/-/healthy" "liveness" "/-/healthy" "readiness" "/-/ready" }}
      {{ $name }}Probe:
        httpGet:
          path: {{ $prefix }}{{ $path }}
          port: http
        {{- toYaml (index $.Values (print $name "Probe")) | nindent 8 }}
      {{- end }}
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        {{- toYaml .Values.securityContext | nindent 8 }}
      volumeMounts:
        - name: config
          mountPath: /etc/driftline
          readOnly: true
        - name: state
          mountPath: /var/lib/driftline
        - name: tmp
          mountPath: /tmp
        {{- if .Values.nativeKernels }}
        - name: kernels
          mountPath: /var/cache/driftline
        {{- end }}
        {{- if .Values.secretFiles }}
        - name: secrets
          mountPath: /run/secrets
          readOnly: true
        {{- end }}
        {{- if or .Values.references.configMap .Values.references.claim }}
        - name: references
          mountPath: {{ .Values.references.mountPath }}
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: config
      projected:
        sources:
          - configMap:
              name: {{ include "driftline.fullname" . }}
          {{- with .Values.configExistingSecretName }}
          - secret:
              name: {{ . }}
              items:
                - key: driftline.yaml
                  path: driftline.yaml
          {{- end }}
    {{- if not (.Values.persistence).enabled }}
    - name: state
      emptyDir: {}
    {{- end }}
    - name: tmp
      emptyDir:
        sizeLimit: 128Mi
    {{- if .Values.nativeKernels }}
    - name: kernels
      emptyDir:
        sizeLimit: 512Mi
    {{- end }}
    {{- with .Values.secretFiles }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- range $name, $from := . }}
          - secret:
              name: {{ $from.secret }}
              items:
                - key: {{ $from.key }}
                  path: {{ $name }}
          {{- end }}
    {{- end }}
    {{- with .Values.references.configMap }}
    - name: references
      configMap:
        name: {{ . }}
    {{- end }}
    {{- with .Values.references.claim }}
    - name: references
      persistentVolumeClaim:
        claimName: {{ . }}
        readOnly: true
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  topologySpreadConstraints:
    {{- if .Values.topologySpreadConstraints }}
    {{- toYaml .Values.topologySpreadConstraints | nindent 4 }}
    {{- else }}
    {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
    - maxSkew: 1
      topologyKey: {{ $key }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "driftline.selectorLabels" $ | nindent 10 }}
    {{- end }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
