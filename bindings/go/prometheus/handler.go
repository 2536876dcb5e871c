// Package prometheus serves the metrics of an engine to Prometheus.
package prometheus

import (
	"io"
	"net/http"

	thalweg "example.invalid/thalweg/bindings/go"
)

// Handler answers each request with what the engine counts, in the text exposition format, version 0.0.4.
func Handler(engine *thalweg.Engine) http.Handler {
	return http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		text, err := engine.MetricsPrometheus(request.Context())
		if err != nil {
			http.Error(writer, err.Error(), http.StatusServiceUnavailable)
			return
		}
		writer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		// Whoever has gone away does not miss it.
		_, _ = io.WriteString(writer, text)
	})
}
