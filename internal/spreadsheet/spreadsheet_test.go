package spreadsheet_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/sailpoint-go/sailpoint/internal/spreadsheet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWrite shows one cell of each sort. The test of package report has them
// all.
func TestWrite(t *testing.T) {
	var out strings.Builder
	require.NoError(t, spreadsheet.Write(&out, slices.Values([][]string{
		{"name", "id"},
		{"=1+1", "007"},
		{"a\x1b[31m,\nb", "plain"},
	})))
	assert.Equal(t, "name,id\n'=1+1,'007\n\"a [31m, b\",plain\n", out.String())
}

func TestWriteReportsAFailedWrite(t *testing.T) {
	long := [][]string{{strings.Repeat("x", 1<<16)}, {"y"}}
	require.ErrorIs(t, spreadsheet.Write(failing{}, slices.Values(long)), errFull)
	require.ErrorIs(t, spreadsheet.Write(failing{}, slices.Values(long[1:])), errFull)
}

var errFull = errors.New("full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }
