// Package jsonfile reads small JSON files that people and other programs write.
package jsonfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"unicode/utf16"
	"unicode/utf8"
)

// maxBytes is far more than a configuration or a credential takes.
const maxBytes = 1 << 20

// Read returns the content of a regular file as UTF-8. It decodes UTF-16, which Windows PowerShell writes, and removes
// a byte order mark. A directory, a named pipe, a device and a file of more than 1 MiB are errors, and Read never waits
// for a writer. An error never repeats what the file holds.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if err := CheckRegular(path, info); err != nil { // before the open, which can have effects on a device
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0) //nolint:gosec // the path is the caller's to choose
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if err := CheckRegular(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxBytes:
		return nil, fmt.Errorf("the file %q has more than 1 MiB", path)
	}
	if data, err = toUTF8(data); err != nil {
		return nil, fmt.Errorf("the file %q %w", path, err)
	}
	return data, nil
}

// CheckRegular returns an error that names the kind of a file that isn't a regular one.
func CheckRegular(path string, info os.FileInfo) error {
	kind := "a special file"
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		kind = "a directory"
	case mode&os.ModeSymlink != 0:
		kind = "a symbolic link"
	case mode&os.ModeNamedPipe != 0:
		kind = "a named pipe"
	case mode&os.ModeSocket != 0:
		kind = "a socket"
	case mode&os.ModeDevice != 0:
		kind = "a device"
	}
	return fmt.Errorf("%q is %s: it has to be a regular file", path, kind)
}

// toUTF8 decodes UTF-16 with a byte order mark, or without one, where a zero byte gives it away: JSON starts with ASCII.
func toUTF8(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\ufeff")):
		return data[len("\ufeff"):], nil
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return fromUTF16(data[2:], binary.BigEndian)
	case len(data) > 1 && data[0] != 0 && data[1] == 0:
		return fromUTF16(data, binary.LittleEndian)
	case len(data) > 1 && data[0] == 0 && data[1] != 0:
		return fromUTF16(data, binary.BigEndian)
	}
	return data, nil
}

var errUTF16 = errors.New("is not valid UTF-16: save it as UTF-8")

// fromUTF16 decodes strictly, because a replacement character would change a secret silently.
func fromUTF16(data []byte, order binary.ByteOrder) ([]byte, error) {
	if len(data)%2 != 0 {
		return nil, errUTF16
	}
	text := make([]byte, 0, len(data))
	for ; len(data) > 0; data = data[2:] {
		char := rune(order.Uint16(data))
		if utf16.IsSurrogate(char) {
			if len(data) < 4 {
				return nil, errUTF16
			}
			if char = utf16.DecodeRune(char, rune(order.Uint16(data[2:]))); char == utf8.RuneError {
				return nil, errUTF16
			}
			data = data[2:]
		}
		text = utf8.AppendRune(text, char)
	}
	return text, nil
}
