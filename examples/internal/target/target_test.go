package target_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/examples/internal/target"
	"github.com/sailpoint-go/sailpoint/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSeededClient(t *testing.T) {
	for _, name := range []string{"SAIL_BASE_URL", "SAIL_CLIENT_ID", "SAIL_CLIENT_SECRET"} {
		t.Setenv(name, "")
	}
	var notes bytes.Buffer
	client, err := target.SeededClient(&notes, sailpoint.V2025)
	require.NoError(t, err)
	assert.Equal(t, sailpoint.V2025, client.APIVersion())
	assert.Contains(t, notes.String(), "in memory")
	tokens, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	require.NoError(t, err)
	assert.Len(t, tokens, 9)

	t.Chdir(t.TempDir()) // no config.json
	t.Setenv("SAIL_BASE_URL", "https://tenant.api.identitynow.com")
	_, err = target.SeededClient(&notes, sailpoint.V2025)
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
}

func TestKinds(t *testing.T) {
	kinds, err := target.Kinds("expired, stale")
	require.NoError(t, err)
	assert.Equal(t, []lifecycle.Kind{lifecycle.FindingExpired, lifecycle.FindingStale}, kinds)
	for _, value := range []string{"", "all", "expired,", "Expired"} {
		_, err := target.Kinds(value)
		assert.Error(t, err, value)
	}
}
