package sailpoint_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

func TestDefaultVersionIsV2024(t *testing.T) {
	n := scripted(ok(`[]`))
	_, err := n.client(t).PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
	require.NoError(t, err)
	require.Contains(t, n.calls[0].onTheWire(), "GET /v2024/personal-access-tokens\n")
	require.Equal(t, sailpoint.V2024, n.client(t).APIVersion())
}

func TestZeroValuesFailWithoutPanic(t *testing.T) {
	var nilClient *sailpoint.Client
	assert.Empty(t, nilClient.ClientID())
	assert.Empty(t, nilClient.APIVersion())
	_, err := nilClient.WithCredentials("id", sailpoint.NewSecret("s"))
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	_, err = nilClient.AccessToken(t.Context(), sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	_, err = new(sailpoint.Client).AccessToken(t.Context(), sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)

	n := scripted(ok(`[]`))
	var nilContext context.Context
	_, err = n.client(t).AccessToken(nilContext, sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	for name, s := range map[string]*sailpoint.PersonalAccessTokensService{
		"nil service":  (&sailpoint.Client{}).PersonalAccessTokens,
		"zero service": {},
		"nil context":  n.client(t).PersonalAccessTokens,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Create(nilContext, inAYear)
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			_, err = s.List(nilContext, sailpoint.ListPersonalAccessTokensOptions{})
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			for _, err := range s.All(nilContext, sailpoint.ListPersonalAccessTokensOptions{}) {
				require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			}
			_, err = s.Get(nilContext, "id")
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			_, err = s.Self(nilContext)
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			_, err = s.Patch(nilContext, "id", sailpoint.NewPersonalAccessTokenPatch().ReplaceName("n"))
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			_, err = s.BulkUpdate(nilContext, []string{"id"}, sailpoint.NewPersonalAccessTokenPatch().NeverExpire())
			require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
			require.ErrorIs(t, s.Delete(nilContext, "id"), sailpoint.ErrInvalidArgument)
			require.ErrorIs(t, s.DeleteSelf(nilContext), sailpoint.ErrInvalidArgument)
		})
	}
	require.Empty(t, n.calls)
}

func TestWithCredentialsHasABearerOfItsOwn(t *testing.T) {
	n := scripted(ok(`[]`))
	first := n.client(t)
	second, err := first.WithCredentials("other", sailpoint.NewSecret("other-secret"))
	require.NoError(t, err)
	require.Equal(t, "other", second.ClientID())
	for _, client := range []*sailpoint.Client{first, second, first} {
		_, err := client.PersonalAccessTokens.List(t.Context(), sailpoint.ListPersonalAccessTokensOptions{})
		require.NoError(t, err)
	}
	require.Len(t, n.fetches, 2)
	require.Contains(t, n.calls[1].onTheWire(), "Authorization: Bearer bearer-2\n")
	require.Contains(t, n.calls[2].onTheWire(), "Authorization: Bearer bearer-1\n")

	_, err = first.WithCredentials("", sailpoint.Secret{})
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
}

func TestWithCredentialsIsAnotherPATOnTheSameNetwork(t *testing.T) {
	n := &network{}
	source := bearers("from-the-source")
	first := n.client(t, withSource(source.ask), func(cfg *sailpoint.Config) {
		cfg.BaseURL, cfg.APIVersion, cfg.UserAgent = "https://acme.example/gateway", sailpoint.V1, "mine/1"
	})
	second, err := first.WithCredentials("second-id", sailpoint.NewSecret("second-secret"))
	require.NoError(t, err)
	third, err := second.WithCredentials("third-id", sailpoint.NewSecret("third-secret"))
	require.NoError(t, err)
	for _, client := range []*sailpoint.Client{first, second, third, first, second, third} {
		require.NoError(t, list(t.Context(), client))
	}
	assert.Equal(t, []string{"from-the-source", "bearer-1", "bearer-2", "from-the-source", "bearer-1", "bearer-2"}, n.bearersSent())
	assert.Equal(t, []string{""}, source.refused)
	assert.Equal(t, "the-client-id second-id third-id", first.ClientID()+" "+second.ClientID()+" "+third.ClientID())
	require.Len(t, n.fetches, 2)
	assert.Equal(t, "client_id=second-id&client_secret=second-secret&grant_type=client_credentials", n.fetches[0].body)
	assert.Equal(t, "client_id=third-id&client_secret=third-secret&grant_type=client_credentials", n.fetches[1].body)
	for _, call := range n.calls {
		assert.Equal(t, "https://acme.example/gateway/personal-access-tokens/v1", call.url)
		assert.Equal(t, "mine/1 sailpoint-go/devel", call.header.Get("User-Agent"))
	}

	_, err = first.WithCredentials("id\n", sailpoint.NewSecret("hunter2\n"))
	require.ErrorIs(t, err, sailpoint.ErrInvalidArgument)
	assert.NotContains(t, err.Error(), "hunter2")
}
