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
