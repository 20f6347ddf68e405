// Package target selects the tenant of the examples.
package target

import (
	"os"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// Config returns the configuration of the tenant in SAIL_BASE_URL,
// SAIL_CLIENT_ID and SAIL_CLIENT_SECRET. If none of them is set, it returns the
// configuration of a tenant in memory, and that tenant.
func Config() (sailpoint.Config, *sailpointtest.Tenant, error) {
	if os.Getenv("SAIL_BASE_URL")+os.Getenv("SAIL_CLIENT_ID")+os.Getenv("SAIL_CLIENT_SECRET") == "" {
		tenant := sailpointtest.NewTenant()
		return tenant.Config(), tenant, nil
	}
	cfg, err := sailpoint.LoadConfig()
	return cfg, nil, err
}
