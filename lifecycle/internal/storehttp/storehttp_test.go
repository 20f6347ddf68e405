package storehttp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/lifecycle/internal/storehttp"
)

const secret = "5ecf00d15ecf00d15ecf00d1"

func token(context.Context) (sailpoint.Secret, error) { return sailpoint.NewSecret("t0ken-t0ken"), nil }

// TestSendQuotesNoResponse covers responses that net/http doesn't understand.
// Errors of the network keep their texts.
func TestSendQuotesNoResponse(t *testing.T) {
	for response, says := range map[string]string{
		"HTTP/1.1 2xx " + secret + "\r\n\r\n":                       "the connection failed, or the response is not HTTP",
		"HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n": "the connection failed, or the response is not HTTP",
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + secret:   "unexpected EOF",
		"HTTP/1.1 302 Found\r\nLocation: :" + secret + "\r\n\r\n":   "",
		"": "EOF",
	} {
		listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		var running sync.WaitGroup
		running.Go(func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, response)
		})
		transport := &http.Transport{DisableKeepAlives: true}
		server, err := storehttp.New("http://"+listener.Addr().String(), token, &http.Client{Transport: transport})
		require.NoError(t, err)
		_, err = server.Send(t.Context(), storehttp.Request{Method: http.MethodGet, Path: "/x", TokenHeader: "X-Token"})
		require.ErrorContains(t, err, says, response)
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), secret)
		_ = listener.Close()
		running.Wait()
	}
}

// TestEscapePath checks that a path can't lead elsewhere.
func TestEscapePath(t *testing.T) {
	for path, want := range map[string]string{"a/b": "a/b", "a b/ü?#%": "a%20b/%C3%BC%3F%23%25", "a..b": "a..b"} {
		got, err := storehttp.EscapePath(path)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
	for _, path := range []string{"", "/a", "a/", "a//b", "a/./b", "a/../b", ".."} {
		_, err := storehttp.EscapePath(path)
		assert.Error(t, err, path)
	}
}
