package spreadsheet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/internal/spreadsheet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWrite shows one cell of each sort. The test of package report has them
// all.
func TestWrite(t *testing.T) {
	var out strings.Builder
	source := spreadsheet.Source{Tenant: "=acme", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600)), Demo: true}
	records := [][]string{{"=1+1", "007"}, {"a\x1b[31m,\nb", "plain"}}
	require.NoError(t, spreadsheet.Write(&out, source, []string{"name", "id"}, slices.Values(records)))
	assert.Equal(t, `tenant,time,demo,name,id
'=acme,2026-03-01T11:00:00Z,true,'=1+1,'007
'=acme,2026-03-01T11:00:00Z,true,"a [31m, b",plain
`, out.String())
	assert.Equal(t, "=1+1", records[0][0], "the records are not changed")
}

func TestToken(t *testing.T) {
	created, used := time.Date(2026, 3, 1, 12, 0, 0, 0, time.FixedZone("", 3600)), time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	owner := sailpoint.PersonalAccessTokenOwner{ID: "o1", Name: "Ana"}
	assert.Equal(t, []string{"t1", "ci", "o1", "Ana", "2026-03-01T11:00:00Z", "2026-03-02T00:00:00Z", "", "a b", "900", "true"},
		spreadsheet.Token(&sailpoint.PersonalAccessToken{
			ID: "t1", Name: "ci", Owner: owner, Created: created, LastUsed: &used, Scope: []string{"a", "b"},
			AccessTokenValiditySeconds: 900, Managed: true,
		}))
	assert.Equal(t, []string{"", "", "o1", "Ana", "", "", "", "", "", ""}, spreadsheet.Token(&sailpoint.PersonalAccessToken{Owner: owner}))
	assert.Len(t, spreadsheet.TokenColumns(), 10)
}

func TestWriteReportsAFailedWrite(t *testing.T) {
	long := [][]string{{strings.Repeat("x", 1<<16)}, {"y"}}
	for _, records := range [][][]string{long, long[1:], nil} {
		require.ErrorIs(t, spreadsheet.Write(failing{}, spreadsheet.Source{}, []string{"name"}, slices.Values(records)), errFull)
	}
}

var errFull = errors.New("full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }
