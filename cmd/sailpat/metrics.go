package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/common/expfmt"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// writeMetrics writes the times of all tokens, and the number of findings of
// each kind. It lists the tokens again, because a report has only those with
// findings. No sample has a time, because node_exporter rejects a file with one.
func writeMetrics(ctx context.Context, w io.Writer, s *session, found *lifecycle.Report) error {
	registry := prometheus.NewRegistry()
	factory := promauto.With(prometheus.WrapRegistererWith(prometheus.Labels{"tenant": s.tenant}, registry))
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return factory.NewGaugeVec(prometheus.GaugeOpts{Name: "sailpoint_pat_" + name, Help: help}, labels)
	}
	ofToken := []string{"id", "name", "owner_id", "owner"}
	created := gauge("created_timestamp_seconds", "When the token was created.", ofToken...)
	lastUsed := gauge("last_used_timestamp_seconds", "When the token was last used, or up to a day earlier. Missing if it was never used.", ofToken...)
	expires := gauge("expiration_timestamp_seconds", "When the token expires. Missing if no expiry is reported.", ofToken...)
	findings := gauge("findings", "Number of findings of each kind.", "kind")
	for _, kind := range lifecycle.Kinds() {
		findings.WithLabelValues(string(kind)).Set(float64(found.Counts[kind]))
	}
	gauge("tokens", "Number of tokens.").WithLabelValues().Set(float64(found.Tokens))
	gauge("audit_timestamp_seconds", "When the audit started.").WithLabelValues().Set(float64(found.At.Unix()))
	for token, err := range s.client.PersonalAccessTokens.All(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: found.Policy.OwnerID}) {
		if err != nil {
			return err
		}
		labels := []string{token.ID, token.Name, token.Owner.ID, token.Owner.Name}
		for vector, t := range map[*prometheus.GaugeVec]*time.Time{created: &token.Created, lastUsed: token.LastUsed, expires: token.ExpirationDate} {
			if t != nil && !t.IsZero() {
				vector.WithLabelValues(labels...).Set(float64(t.Unix()))
			}
		}
	}
	families, err := registry.Gather()
	encoder := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeOpenMetrics))
	for _, family := range families {
		err = errors.Join(err, encoder.Encode(family))
	}
	_, endErr := expfmt.FinalizeOpenMetrics(w)
	return errors.Join(err, endErr)
}
