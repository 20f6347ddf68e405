package main

import (
	"bytes"
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/bytedance/sonic"
	"github.com/go-json-experiment/json"
	goccy "github.com/goccy/go-json"

	"github.com/sailpoint-go/sailpoint"
)

// bearer has the length of the API's bearers, which are JWTs.
var bearer = strings.Repeat("eyJhbGciOiJFUzI1NiJ9", 50)

// newClient returns this project's client for the API at base.
func newClient(base string) (*sailpoint.Client, error) {
	return sailpoint.NewClient(sailpoint.Config{
		BaseURL:      base,
		MaxListBytes: 1 << 30,
		MaxRetries:   -1,
		TokenSource: func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(bearer)}, nil
		},
	})
}

// byHand is the code that a user would write without this client: net/http with
// a time limit, a check of the status, and reading the whole body.
type byHand struct {
	http *http.Client
	base string
}

func newByHand(base string) *byHand {
	transport := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // it is net/http's
	transport.MaxIdleConnsPerHost = 100                          // the default of 2 is too small for many calls at once
	return &byHand{http: &http.Client{Transport: transport, Timeout: 30 * time.Second}, base: base + "/v2024/personal-access-tokens"}
}

func (h *byHand) do(ctx context.Context, method, path, contentType string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	// Like the client, so that no part of the secret stays on the connection.
	req.Close = method == http.MethodPost
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+bearer)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := h.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return resp, nil
}

// list reads the whole list and then unmarshals it.
func (h *byHand) list(ctx context.Context, unmarshal func([]byte, any) error) (int, error) {
	resp, err := h.do(ctx, http.MethodGet, "", "", nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var tokens []sailpoint.PersonalAccessToken
	err = unmarshal(data, &tokens)
	return len(tokens), err
}

// throwAway reads the list and discards it.
func (h *byHand) throwAway(ctx context.Context) (int, error) {
	resp, err := h.do(ctx, http.MethodGet, "", "", nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return 0, err
}

func (h *byHand) patch(ctx context.Context, id, name string) error {
	body, err := json.Marshal([]struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value string `json:"value"`
	}{{"replace", "/name", name}})
	if err != nil {
		return err
	}
	return h.one(ctx, http.MethodPatch, "/"+id, "application/json-patch+json", body, &sailpoint.PersonalAccessToken{})
}

func (h *byHand) create(ctx context.Context, req sailpoint.CreatePersonalAccessTokenRequest) error {
	body, err := json.Marshal(req)
	if err != nil {
		return err
	}
	return h.one(ctx, http.MethodPost, "", "application/json", body, &sailpoint.CreatePersonalAccessTokenResponse{})
}

func (h *byHand) one(ctx context.Context, method, path, contentType string, body []byte, to any) error {
	resp, err := h.do(ctx, method, path, contentType, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.UnmarshalRead(resp.Body, to)
}

func (h *byHand) remove(ctx context.Context, id string) error {
	resp, err := h.do(ctx, http.MethodDelete, "/"+id, "", nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// way is one way to read a list. It returns the number of tokens.
type way struct {
	name string
	run  func(context.Context) (int, error)
}

// The ways that other code refers to.
const (
	wayGoccy = "net/http, goccy/go-json"
	wayList  = "List"
	wayAll   = "All"

	wayNothing = "net/http, discarded"
)

// waysToList returns all ways to read the list at base.
func waysToList(base string) ([]way, error) {
	client, err := newClient(base)
	if err != nil {
		return nil, err
	}
	hand := newByHand(base)
	by := func(unmarshal func([]byte, any) error) func(context.Context) (int, error) {
		return func(ctx context.Context) (int, error) { return hand.list(ctx, unmarshal) }
	}
	return []way{
		{wayGoccy, by(goccy.Unmarshal)},
		{wayList, func(ctx context.Context) (int, error) { return list(ctx, client) }},
		{wayAll, func(ctx context.Context) (int, error) { return all(ctx, client) }},
		{wayNothing, hand.throwAway},
		{"net/http, encoding/json", by(stdjson.Unmarshal)},
		{"net/http, json/v2", by(func(data []byte, to any) error { return json.Unmarshal(data, to) })},
		{"net/http, sonic", by(sonic.Unmarshal)},
	}, nil
}

func list(ctx context.Context, client *sailpoint.Client) (int, error) {
	tokens, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{})
	return len(tokens), err
}

func all(ctx context.Context, client *sailpoint.Client) (n int, err error) {
	for token, err := range client.PersonalAccessTokens.All(ctx, sailpoint.ListPersonalAccessTokensOptions{}) {
		if err != nil {
			return n, err
		}
		if token.ID == "" {
			return n, errors.New("a token without an id")
		}
		n++
	}
	return n, nil
}

// call is one operation, once with the client and once by hand.
type call struct {
	name           string
	client, byHand func(context.Context) error
}

const anID = "2c918085842e69ae018432d22ccb212f"

func calls(base string) ([]call, error) {
	client, err := newClient(base + listPath(usual, 1))
	if err != nil {
		return nil, err
	}
	pats, hand := client.PersonalAccessTokens, newByHand(base+listPath(usual, 1))
	req := sailpoint.CreatePersonalAccessTokenRequest{Name: "Nightly export", Scope: []string{"idn:accounts:read"}}
	return []call{
		{
			"Create",
			func(ctx context.Context) error { _, err := pats.Create(ctx, req); return err },
			func(ctx context.Context) error { return hand.create(ctx, req) },
		},
		{
			"List of 1",
			func(ctx context.Context) error { _, err := list(ctx, client); return err },
			func(ctx context.Context) error {
				_, err := hand.list(ctx, func(data []byte, to any) error { return json.Unmarshal(data, to) })
				return err
			},
		},
		{
			"Patch",
			func(ctx context.Context) error {
				_, err := pats.Patch(ctx, anID, sailpoint.NewPersonalAccessTokenPatch().ReplaceName("Nightly export"))
				return err
			},
			func(ctx context.Context) error { return hand.patch(ctx, anID, "Nightly export") },
		},
		{
			"Delete",
			func(ctx context.Context) error { return pats.Delete(ctx, anID) },
			func(ctx context.Context) error { return hand.remove(ctx, anID) },
		},
	}, nil
}
