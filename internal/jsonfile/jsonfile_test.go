package jsonfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/internal/jsonfile"
)

func TestReadDecodesTheEncodingsOfWindows(t *testing.T) {
	const want = `{"a":"é😀"}`
	little := "{\x00\"\x00a\x00\"\x00:\x00\"\x00\xe9\x00\x3d\xd8\x00\xde\"\x00}\x00"
	big := "\x00{\x00\"\x00a\x00\"\x00:\x00\"\x00\xe9\xd8\x3d\xde\x00\x00\"\x00}"
	for name, content := range map[string]string{
		"UTF-8":                                 want,
		"UTF-8 with a byte order mark":          "\xef\xbb\xbf" + want,
		"UTF-16LE with a byte order mark":       "\xff\xfe" + little,
		"UTF-16BE with a byte order mark":       "\xfe\xff" + big,
		"UTF-16LE without one":                  little,
		"UTF-16BE without one":                  big,
		"UTF-8 that is cut in a character":      want[:7] + "\xc3",
		"nothing":                               "",
		"only the byte order mark of UTF-8":     "\xef\xbb\xbf",
		"only the byte order mark of UTF-16LE":  "\xff\xfe",
		"one byte, too short for UTF-16":        "{",
		"a second byte order mark is not taken": "\xef\xbb\xbf\xef\xbb\xbf",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			got, err := jsonfile.Read(path)
			require.NoError(t, err)
			switch {
			case strings.HasPrefix(name, "UTF-8 that is cut"):
				assert.Equal(t, content, string(got), "the JSON decoder refuses it")
			case strings.HasPrefix(name, "UTF"):
				assert.Equal(t, want, string(got))
			case strings.HasPrefix(name, "a second"):
				assert.Equal(t, "\ufeff", string(got))
			case strings.HasPrefix(name, "one byte"):
				assert.Equal(t, "{", string(got))
			default:
				assert.Empty(t, got)
			}
		})
	}
}

func TestReadRefusesBrokenUTF16(t *testing.T) {
	for name, content := range map[string]string{
		"odd length":                     "\xff\xfe{",
		"high surrogate at the end":      "\xff\xfe{\x00\x3d\xd8",
		"high surrogate, then a letter":  "\xff\xfe{\x00\x3d\xd8a\x00",
		"low surrogate alone":            "\xfe\xff\x00{\xde\x00\x00a",
		"surrogates in the wrong order":  "\xfe\xff\x00{\xde\x00\xd8\x3d",
		"odd length, no byte order mark": "{\x00}",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "f")
			require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
			_, err := jsonfile.Read(path)
			require.ErrorContains(t, err, "is not valid UTF-16: save it as UTF-8")
		})
	}
}

func TestReadRefusesADirectoryAndALargeFile(t *testing.T) {
	dir := t.TempDir()
	_, err := jsonfile.Read(dir)
	require.ErrorContains(t, err, "is a directory")
	_, err = jsonfile.Read(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)

	path := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<20), 0o600))
	data, err := jsonfile.Read(path)
	require.NoError(t, err)
	require.Len(t, data, 1<<20)
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<20+1), 0o600))
	_, err = jsonfile.Read(path)
	require.ErrorContains(t, err, "more than 1 MiB")
}
