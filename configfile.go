package sailpoint

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

// maxConfigBytes is far more than a configuration takes.
const maxConfigBytes = 1 << 20

// readConfigFile returns the content of a configuration file as UTF-8. Its
// errors never repeat the content.
func readConfigFile(path string) ([]byte, error) {
	info, err := os.Stat(path) // before the open, which waits for the writer of a named pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file", path)
	}
	f, err := os.Open(path) //nolint:gosec // the path is a constant of LoadConfig
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxConfigBytes {
		return nil, fmt.Errorf("%q has more than 1 MiB", path)
	}
	return toUTF8(data)
}

// toUTF8 removes a byte order mark and decodes UTF-16, which Windows PowerShell
// writes. JSON starts with an ASCII character, so a zero byte at the start
// shows UTF-16 without a mark.
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

var errUTF16 = errors.New("it is not valid UTF-16: save it as UTF-8")

// fromUTF16 rejects invalid UTF-16, because a replacement character would
// change a secret silently.
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
