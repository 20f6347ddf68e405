package report_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle"
	"github.com/sailpoint-go/sailpoint/lifecycle/report"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// A page for people, and the same report for a program.
func Example() {
	tenant := sailpointtest.NewTenant()
	expiry := time.Now().AddDate(0, 0, -2)
	tenant.Add(sailpoint.PersonalAccessToken{Name: "old-job", Scope: []string{"sp:my-personal-access-tokens:read"}, ExpirationDate: &expiry})
	client, err := sailpoint.NewClient(tenant.Config())
	if err != nil {
		log.Fatal(err)
	}
	audit, err := lifecycle.Audit(context.Background(), client, lifecycle.AuditPolicy{})
	if err != nil {
		log.Fatal(err)
	}

	opts := report.Options{Tenant: "acme"}
	var page, data bytes.Buffer // or files
	if err := report.WriteHTML(&page, audit, opts); err != nil {
		log.Fatal(err)
	}
	if err := report.WriteJSON(&data, audit, opts); err != nil {
		log.Fatal(err)
	}

	fmt.Println(strings.Contains(page.String(), "old-job"))
	var read struct {
		Tenant string         `json:"tenant"`
		Counts map[string]int `json:"counts"`
	}
	if err := json.Unmarshal(data.Bytes(), &read); err != nil {
		log.Fatal(err)
	}
	fmt.Println(read.Tenant, read.Counts["expired"])
	// Output:
	// true
	// acme 1
}

// The names and expiries of expired tokens, for a spreadsheet.
func ExampleWriteCSV() {
	tenant := sailpointtest.NewTenant()
	expiry := time.Date(2025, 7, 31, 9, 0, 0, 0, time.UTC)
	tenant.Add(sailpoint.PersonalAccessToken{Name: "=old-job", Scope: []string{"sp:my-personal-access-tokens:read"}, ExpirationDate: &expiry})
	client, err := sailpoint.NewClient(tenant.Config())
	if err != nil {
		log.Fatal(err)
	}
	audit, err := lifecycle.Audit(context.Background(), client, lifecycle.AuditPolicy{})
	if err != nil {
		log.Fatal(err)
	}
	audit.Findings = audit.Of(lifecycle.FindingExpired)

	var sheet bytes.Buffer // or a file
	if err := report.WriteCSV(&sheet, audit, report.Options{Tenant: "acme"}); err != nil {
		log.Fatal(err)
	}
	lines, err := csv.NewReader(&sheet).ReadAll()
	if err != nil {
		log.Fatal(err)
	}
	name, expires := slices.Index(lines[0], "token_name"), slices.Index(lines[0], "expires")
	fmt.Println(lines[1][name], lines[1][expires]) // the apostrophe keeps a spreadsheet from reading a formula
	// Output: '=old-job 2025-07-31T09:00:00Z
}
