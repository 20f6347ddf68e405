// Package report writes the result of [lifecycle.Audit] as JSON for programs,
// as CSV for spreadsheets, and as an HTML page for people. Owners can give
// their tokens any name, even one that holds HTML or a formula. Every format
// therefore escapes names, so the output is safe to open. No report contains a
// secret. A nil report, or [Options] without a Tenant, is an error that matches
// [sailpoint.ErrInvalidArgument].
package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

// Options tells the readers of a report which tenant it describes.
type Options struct {
	// Tenant names the audited tenant, for example by the host of its
	// Config.BaseURL. It must be set.
	Tenant string
	// Demo marks the report as one with invented data.
	Demo bool
}

// check returns an error for arguments without which no report can be written.
func (o Options) check(r *lifecycle.Report) error {
	if r == nil {
		return fmt.Errorf("%w: the report is nil: make one with lifecycle.Audit", sailpoint.ErrInvalidArgument)
	}
	if strings.TrimSpace(o.Tenant) == "" {
		return fmt.Errorf("%w: Options.Tenant is empty: name the tenant that was audited", sailpoint.ErrInvalidArgument)
	}
	return nil
}

// WriteJSON writes the report as one JSON object with the members tenant, demo,
// at, policy, tokens, counts, owners and findings. The first two hold the
// Options, and the others hold the fields of [lifecycle.Report]. Durations are
// in seconds. Each finding has the members kind, text, owner and token. A
// finding about an owner has no token. Tokens and owners have the same member
// names as in the API.
func WriteJSON(w io.Writer, r *lifecycle.Report, opts Options) error {
	if err := opts.check(r); err != nil {
		return err
	}
	type owner = sailpoint.PersonalAccessTokenOwner
	type total struct {
		Owner    owner `json:"owner"`
		Tokens   int   `json:"tokens"`
		Managed  int   `json:"managed"`
		Findings int   `json:"findings"`
	}
	type finding struct {
		Kind  lifecycle.Kind                 `json:"kind"`
		Text  string                         `json:"text"`
		Owner owner                          `json:"owner"`
		Token *sailpoint.PersonalAccessToken `json:"token,omitzero"` // missing if the finding is about the owner
	}
	type policy struct {
		OwnerID               string `json:"ownerId,omitzero"`
		NeverUsedAfterSeconds int64  `json:"neverUsedAfterSeconds"`
		StaleAfterSeconds     int64  `json:"staleAfterSeconds"`
		ExpiringWithinSeconds int64  `json:"expiringWithinSeconds"`
		MaxBearerSeconds      int64  `json:"maxBearerSeconds"`
		NearLimit             int    `json:"nearLimit"`
		GraceSeconds          int64  `json:"graceSeconds,omitzero"`
	}
	out := struct {
		Tenant   string                 `json:"tenant"`
		Demo     bool                   `json:"demo"`
		At       time.Time              `json:"at"`
		Policy   policy                 `json:"policy"`
		Tokens   int                    `json:"tokens"`
		Counts   map[lifecycle.Kind]int `json:"counts"`
		Owners   []total                `json:"owners"`
		Findings []finding              `json:"findings"`
	}{
		Tenant: opts.Tenant, Demo: opts.Demo, At: r.At.UTC(), Tokens: r.Tokens, Counts: r.Counts,
		Policy: policy{
			r.Policy.OwnerID, seconds(r.Policy.NeverUsedAfter), seconds(r.Policy.StaleAfter),
			seconds(r.Policy.ExpiringWithin), seconds(r.Policy.MaxBearer), r.Policy.NearLimit, seconds(r.Policy.Grace),
		},
	}
	for _, t := range r.Owners {
		out.Owners = append(out.Owners, total(t))
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		row := finding{Kind: f.Kind, Text: f.Text, Owner: f.Token.Owner}
		if f.Token.ID != "" {
			row.Token = &f.Token
		}
		out.Findings = append(out.Findings, row)
	}
	// Escaped for HTML, so that it can be embedded in a page.
	return json.MarshalWrite(w, out, json.Deterministic(true), jsontext.EscapeForHTML(true),
		jsontext.AllowInvalidUTF8(true), jsontext.Multiline(true))
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
