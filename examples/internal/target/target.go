// Package target says which tenant the examples work with.
package target

import (
	"os"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/sailpointtest"
)

// Config returns the configuration of the tenant that SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET name. Where
// none of them is set, it is that of a tenant in memory, which is returned too.
func Config() (sailpoint.Config, *sailpointtest.Tenant, error) {
	if os.Getenv("SAIL_BASE_URL")+os.Getenv("SAIL_CLIENT_ID")+os.Getenv("SAIL_CLIENT_SECRET") == "" {
		tenant := sailpointtest.NewTenant()
		return tenant.Config(), tenant, nil
	}
	cfg, err := sailpoint.LoadConfig()
	return cfg, nil, err
}
