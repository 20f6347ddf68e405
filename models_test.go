package sailpoint_test

import (
	stdjson "encoding/json"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

// TestModelsRoundTrip shows that both JSON packages read and write the models
// under the API's names.
func TestModelsRoundTrip(t *testing.T) {
	const token = `{"id":"a","name":"n","scope":["x"],"owner":{"type":"IDENTITY","id":"o","name":"Support"},` +
		`"created":"2017-07-11T18:45:37.098Z","lastUsed":"2017-07-12T00:00:00.001Z","expirationDate":"2026-12-31T23:59:59.999Z",` +
		`"managed":true,"accessTokenValiditySeconds":36900,"userAwareTokenNeverExpires":false}`
	const request = `{"name":"n","scope":["x"],"accessTokenValiditySeconds":15,"expirationDate":"2026-12-31T23:59:59.000Z","userAwareTokenNeverExpires":true}`
	const response = `{"id":"a","name":"n","scope":["x"],"owner":{"type":"IDENTITY","id":"o","name":"Support"},"created":"2017-07-11T18:45:37.098Z"}`
	for name, codec := range map[string]struct {
		marshal   func(any) ([]byte, error)
		unmarshal func([]byte, any) error
	}{
		"encoding/json": {stdjson.Marshal, stdjson.Unmarshal},
		"json/v2": {
			func(v any) ([]byte, error) { return json.Marshal(v) },
			func(b []byte, v any) error { return json.Unmarshal(b, v) },
		},
	} {
		for text, v := range map[string]any{
			token: &sailpoint.PersonalAccessToken{}, request: &sailpoint.CreatePersonalAccessTokenRequest{},
			response: &sailpoint.CreatePersonalAccessTokenResponse{},
		} {
			require.NoError(t, codec.unmarshal([]byte(text), v), name)
			got, err := codec.marshal(v)
			require.NoError(t, err, name)
			assert.JSONEq(t, text, string(got), name)
		}
	}
}

func TestRequestIsWrittenInMillisecondsUTC(t *testing.T) {
	for at, want := range map[time.Time]string{
		time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC):                                  "2030-01-02T03:04:05.000Z",
		time.Date(2030, 1, 2, 3, 4, 5, 999_999_999, time.FixedZone("", 2*3600+1800)): "2030-01-02T00:34:05.999Z",
	} {
		got, err := stdjson.Marshal(sailpoint.CreatePersonalAccessTokenRequest{Name: "n", Scope: []string{"s"}, ExpirationDate: at})
		require.NoError(t, err)
		assert.Equal(t, `{"name":"n","scope":["s"],"expirationDate":"`+want+`"}`, string(got))
	}
}
