package sailpoint_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

func TestLoadConfigRejectsInvalidUTF16(t *testing.T) {
	for name, content := range map[string]string{
		"odd length":                     "\xff\xfe{",
		"high surrogate at the end":      "\xff\xfe{\x00\x3d\xd8",
		"high surrogate, then a letter":  "\xff\xfe{\x00\x3d\xd8a\x00",
		"low surrogate alone":            "\xfe\xff\x00{\xde\x00\x00a",
		"surrogates in the wrong order":  "\xfe\xff\x00{\xde\x00\xd8\x3d",
		"odd length, no byte order mark": "{\x00}",
	} {
		t.Run(name, func(t *testing.T) {
			inDirectory(t, content, nil)
			_, err := sailpoint.LoadConfig()
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.ErrorContains(t, err, "it is not valid UTF-16: save it as UTF-8")
		})
	}
}

func TestLoadConfigRejectsALargeFile(t *testing.T) {
	inDirectory(t, completeFile+strings.Repeat(" ", 1<<20), nil)
	_, err := sailpoint.LoadConfig()
	require.ErrorContains(t, err, `"config.json" has more than 1 MiB`)
}

func TestLoadConfigReportsAFileThatCantBeRead(t *testing.T) {
	inDirectory(t, "", nil)
	require.NoError(t, os.Mkdir("config.json", 0o700))
	_, err := sailpoint.LoadConfig()
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	require.EqualError(t, err, "sailpoint: invalid argument: SAIL_BASE_URL, SAIL_CLIENT_ID, SAIL_CLIENT_SECRET not set in the environment, "+
		`and config.json can't be read: "config.json" is not a regular file`)
}
