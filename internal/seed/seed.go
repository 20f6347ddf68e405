// Package seed reads identities and tokens of a tenant in memory from JSON.
package seed

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// Seed is the content of a tenant. docs/faketenant.md documents its JSON.
type Seed struct {
	Identities []Identity `json:"identities"`
	Tokens     []Token    `json:"tokens"`
}

// Identity is an owner of tokens.
type Identity struct {
	ID     string   `json:"id"`
	Name   string   `json:"name"`
	Rights []string `json:"rights"`
}

// Token is a personal access token. Its dates may be relative to the start of
// the tenant.
type Token struct {
	ID     string `json:"id"`
	Secret string `json:"secret"`
	Name   string `json:"name"`
	Owner  struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"owner"`
	Scope                      []string `json:"scope"`
	Created                    date     `json:"created"`
	LastUsed                   date     `json:"lastUsed"`
	ExpirationDate             date     `json:"expirationDate"`
	Managed                    bool     `json:"managed"`
	AccessTokenValiditySeconds int      `json:"accessTokenValiditySeconds"`
	UserAwareTokenNeverExpires *bool    `json:"userAwareTokenNeverExpires"`
}

// Parse reads a seed. clientID is the ID of the tenant's first token, which no
// other token may have.
func Parse(data []byte, clientID string) (*Seed, error) {
	content := new(Seed)
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // a byte order mark, as Windows writes it
	if err := json.Unmarshal(data, content, json.RejectUnknownMembers(true)); err != nil {
		return nil, Explain(data, err)
	}
	if err := content.check(clientID); err != nil {
		return nil, err
	}
	return content, nil
}

// Explain returns a JSON error with the line and the place of the fault.
func Explain(data []byte, err error) error {
	at := func(offset int64, place jsontext.Pointer, text string) error {
		line := 1 + bytes.Count(data[:offset], []byte("\n"))
		if place != "" {
			text = string(place) + ": " + text
		}
		return fmt.Errorf("line %d: %s", line, text)
	}
	var syntactic *jsontext.SyntacticError
	var semantic *json.SemanticError
	switch {
	case errors.As(err, &syntactic):
		return at(syntactic.ByteOffset, syntactic.JSONPointer, syntactic.Err.Error())
	case errors.As(err, &semantic) && semantic.Err != nil:
		return at(semantic.ByteOffset, semantic.JSONPointer, semantic.Err.Error())
	case errors.As(err, &semantic):
		return at(semantic.ByteOffset, semantic.JSONPointer,
			fmt.Sprintf("a JSON %v is not allowed here: see docs/faketenant.md for the type", semantic.JSONKind))
	}
	return err
}

// check returns an error for content that the tenant would change silently, or
// that no tenant has.
func (s *Seed) check(clientID string) error {
	identities := map[string]bool{}
	for i, identity := range s.Identities {
		switch {
		case identity.ID == "":
			return fmt.Errorf("/identities/%d: id is missing: add it", i)
		case identities[identity.ID]:
			return fmt.Errorf("/identities/%d: another identity has the id %q: change one of them", i, identity.ID)
		}
		identities[identity.ID] = true
	}
	tokens := map[string]bool{}
	for i := range s.Tokens {
		token := &s.Tokens[i]
		switch problem := token.problem(); {
		case problem != "":
			return fmt.Errorf("/tokens/%d: %s", i, problem)
		case token.ID != "" && token.ID == clientID:
			return fmt.Errorf("/tokens/%d: -client-id has the same id: change one of them", i)
		case token.ID != "" && tokens[token.ID]:
			return fmt.Errorf("/tokens/%d: another token has the id %q: change one of them", i, token.ID)
		}
		tokens[token.ID] = true
	}
	return nil
}

// problem returns what is wrong with a token by itself, or "".
func (t *Token) problem() string {
	switch {
	case t.Secret != "" && t.ID == "":
		return "it has a secret and no id: add the id, which a client needs in addition"
	case t.Owner.ID == "" && t.Owner.Name != "":
		return "its owner has a name and no id: add the id"
	case t.AccessTokenValiditySeconds < 0:
		return "accessTokenValiditySeconds is negative: set it to 15 to 43200"
	case strings.TrimSpace(t.Name) == "" && t.Name != "":
		return "name is blank: set it, or leave it out for a random one"
	}
	return ""
}

// NewTenant returns a tenant with this content. Its relative dates begin now.
func (s *Seed) NewTenant(opts ...sailpointtest.Option) *sailpointtest.Tenant {
	for _, identity := range s.Identities {
		opts = append(opts, sailpointtest.WithIdentity(sailpointtest.Identity(identity)))
	}
	tenant := sailpointtest.NewTenant(opts...)
	now := time.Now()
	for i := range s.Tokens {
		token := &s.Tokens[i]
		pat := sailpoint.PersonalAccessToken{
			ID: token.ID, Name: token.Name, Scope: token.Scope, Managed: token.Managed,
			Owner:    sailpoint.PersonalAccessTokenOwner{ID: token.Owner.ID, Name: token.Owner.Name},
			LastUsed: token.LastUsed.after(now), ExpirationDate: token.ExpirationDate.after(now),
			AccessTokenValiditySeconds: token.AccessTokenValiditySeconds,
			UserAwareTokenNeverExpires: token.UserAwareTokenNeverExpires,
		}
		if created := token.Created.after(now); created != nil {
			pat.Created = *created
		}
		tenant.AddWithSecret(pat, sailpoint.NewSecret(token.Secret))
	}
	return tenant
}

// date is a time in a seed file. It is fixed, or relative to the start of the
// tenant. The zero date is none.
type date struct {
	fixed    time.Time
	offset   time.Duration
	relative bool
}

var relativeDate = regexp.MustCompile(`^([+-][0-9]{1,5})([dhms])$`)

// UnmarshalText reads a time such as "2026-01-31T12:00:00Z" or "-90d".
func (d *date) UnmarshalText(text []byte) error {
	if match := relativeDate.FindSubmatch(text); match != nil {
		unit := map[string]time.Duration{"d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}[string(match[2])]
		count, err := strconv.Atoi(string(match[1]))
		*d = date{offset: time.Duration(count) * unit, relative: true}
		return err
	}
	fixed, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf(`%.40q is not a date: write one such as "2026-01-31T12:00:00Z", or a time from now, such as "-90d" or "+12h"`, text)
	}
	*d = date{fixed: fixed}
	return nil
}

// after returns the time of d in a tenant that starts at now, or nil.
func (d date) after(now time.Time) *time.Time {
	switch at := now.Add(d.offset); {
	case d.relative:
		return &at
	case d.fixed.IsZero():
		return nil
	}
	return &d.fixed
}
