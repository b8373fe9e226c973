{{- define "aliquot.pullSecrets" -}}
{{- range .Values.imagePullSecrets }}
- name: {{ . | quote }}
{{- end }}
{{- end }}
{{- define "aliquot.apiPorts" -}}
{{- range .Values.network.apiPorts }}
- port: {{ . }}
  protocol: TCP
{{- end }}
{{- end }}
