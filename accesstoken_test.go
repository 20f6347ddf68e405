package sailpoint_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint"
)

func TestAccessTokenIsTheBearerOfTheCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{token: func(a arrival) response { return issued(fmt.Sprintf("bearer-%d", a.n), 600) }}
		client := n.client(t, func(cfg *sailpoint.Config) {
			cfg.Limiter = limiterFunc(func(context.Context) error { return errors.New("asked") })
		})
		started := time.Now()
		for range 3 {
			token, err := client.AccessToken(t.Context(), sailpoint.Secret{})
			require.NoError(t, err, "the limiter is not asked")
			require.Equal(t, "bearer-1", token.Bearer.Reveal())
			require.Equal(t, started.Add(10*time.Minute), token.Expiry)
			require.Equal(t, "the-client-id", token.ClientID)
		}
		n.requireCounts(t, 0, 1)

		<-time.After(9*time.Minute - time.Second)
		require.Equal(t, "bearer-1", accessToken(t, client, ""))
		<-time.After(time.Second)
		require.Equal(t, "bearer-2", accessToken(t, client, ""), "renewed a minute before its end")
		n.requireCounts(t, 0, 2)
	})
}

func TestAccessTokenReplacesARejectedBearer(t *testing.T) {
	n := &network{}
	client := n.client(t)
	require.Equal(t, "bearer-1", accessToken(t, client, "another"))
	require.Equal(t, "bearer-1", accessToken(t, client, "another"), "the rejection of another bearer")
	require.Equal(t, "bearer-2", accessToken(t, client, "bearer-1"))
	require.Equal(t, "bearer-2", accessToken(t, client, "bearer-1"), "a late rejection")
	require.NoError(t, list(t.Context(), client))
	require.Equal(t, []string{"bearer-2"}, n.bearersSent())
	n.requireCounts(t, 1, 2)
}

func TestAccessTokenReportsTheRejectedBearerToTheTokenSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := bearers("a", "b", "c")
		client := (&network{}).client(t, withSource(source.ask))
		require.Equal(t, "a", accessToken(t, client, "mine"), "the client has no bearer")
		require.Equal(t, "a", accessToken(t, client, "mine"))
		require.Equal(t, "b", accessToken(t, client, "a"))
		<-time.After(5 * time.Minute)
		require.Equal(t, "c", accessToken(t, client, "other"), "the client's own has expired")
		require.Equal(t, []string{"mine", "a", "other"}, source.refused)
	})
}

// TestFetchThatBeganBeforeTheRejection shows that such a fetch is repeated
// once, for AccessToken and for a call.
func TestFetchThatBeganBeforeTheRejection(t *testing.T) {
	for name, test := range map[string]struct {
		later string // what the source returns after the rejection
		get   func(*testing.T, *sailpoint.Client) string
		calls int
	}{
		"AccessToken": {"new", func(t *testing.T, client *sailpoint.Client) string {
			return accessToken(t, client, "old")
		}, 0},
		"AccessToken of a source that insists": {"old", func(t *testing.T, client *sailpoint.Client) string {
			return accessToken(t, client, "old")
		}, 0},
		"a call": {"new", func(t *testing.T, client *sailpoint.Client) string {
			require.NoError(t, list(t.Context(), client))
			return "new"
		}, 2},
		"a call of a source that insists": {"old", func(t *testing.T, client *sailpoint.Client) string {
			require.ErrorIs(t, list(t.Context(), client), sailpoint.ErrUnauthorized)
			return "old"
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var rejected []string
				source := func(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
					rejected = append(rejected, refused.Reveal())
					if len(rejected) == 2 {
						<-time.After(10 * time.Second) // the renewal
					}
					value := "old"
					if !refused.IsZero() {
						value = test.later
					}
					return sailpoint.AccessToken{Bearer: sailpoint.NewSecret(value)}, nil
				}
				n := &network{api: rejecting(ok(`[]`))}
				client := n.client(t, withSource(source))
				require.NoError(t, list(t.Context(), client))
				n.api = rejecting(ok(`[]`), "old")

				<-time.After(4*time.Minute + time.Second)
				var renewal sync.WaitGroup
				renewal.Go(func() { _, _ = client.AccessToken(t.Context(), sailpoint.Secret{}) })
				synctest.Wait()
				require.Equal(t, test.later, test.get(t, client))
				renewal.Wait()
				require.Equal(t, []string{"", "", "old"}, rejected)
				n.requireCounts(t, 1+test.calls, 0)
			})
		})
	}
}

// TestManyRejectionsOfOneBearer shows that a bearer is replaced once, however
// many callers report it.
func TestManyRejectionsOfOneBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &network{token: func(a arrival) response {
			return response{after: time.Second, body: issued(fmt.Sprintf("bearer-%d", a.n), 43200).body}
		}}
		client := n.client(t)
		require.Equal(t, "bearer-1", accessToken(t, client, ""))
		var callers sync.WaitGroup
		for range 200 {
			callers.Go(func() {
				token, err := client.AccessToken(t.Context(), sailpoint.NewSecret("bearer-1"))
				assert.NoError(t, err)
				assert.Equal(t, "bearer-2", token.Bearer.Reveal())
			})
		}
		callers.Wait()
		n.requireCounts(t, 0, 2)
	})
}

func TestAccessTokenFailures(t *testing.T) {
	mine := errors.New("mine")
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(mine)
	for name, test := range map[string]struct {
		network *network
		change  func(*sailpoint.Config)
		ctx     context.Context
		want    []error
		text    string
		fetches int
	}{
		"rejected credentials": {
			&network{token: always(response{status: 401, body: `{"error":"invalid_client"}`})}, nil, t.Context(),
			[]error{sailpoint.ErrInvalidCredentials},
			"POST /oauth/token: 401 Unauthorized: invalid_client", 1,
		},
		"a token endpoint that fails": {
			&network{token: always(response{status: 503})}, withoutRetries, t.Context(),
			[]error{sailpoint.ErrServer},
			"503", 1,
		},
		"a rate limit longer than MaxRetryWait": {
			&network{token: always(response{status: 429, header: map[string]string{"Retry-After": "90"}})}, nil, t.Context(),
			[]error{sailpoint.ErrRateLimited},
			"retry after 1m30s", 1,
		},
		"a TokenSource that hangs": {&network{}, withSource(func(ctx context.Context, _ sailpoint.Secret) (sailpoint.AccessToken, error) {
			<-ctx.Done()
			return sailpoint.AccessToken{}, ctx.Err()
		}), t.Context(), []error{context.DeadlineExceeded}, "2m0s", 0},
		"a TokenSource that fails": {&network{}, withSource(func(context.Context, sailpoint.Secret) (sailpoint.AccessToken, error) {
			return sailpoint.AccessToken{}, mine
		}), t.Context(), []error{mine}, "TokenSource: mine", 0},
		"a TokenSource whose error quotes the rejected bearer": {
			&network{}, withSource(func(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
				return sailpoint.AccessToken{}, fmt.Errorf("not %s again: %w", refused.Reveal(), mine)
			}), t.Context(), []error{mine}, "not [REDACTED] again", 0,
		},
		"a context that has ended": {&network{}, nil, ended, []error{context.Canceled, mine}, "context canceled", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				change := test.change
				if change == nil {
					change = func(*sailpoint.Config) {}
				}
				client := test.network.client(t, change)
				token, err := client.AccessToken(test.ctx, sailpoint.NewSecret("the-rejected-bearer"))
				require.Zero(t, token.Expiry)
				requireMatches(t, err, test.want...)
				require.ErrorContains(t, err, test.text)
				require.NotContains(t, err.Error(), "the-rejected-bearer")
				require.Equal(t, "POST /oauth/token", requireOneError(t, err).Op)
				test.network.requireCounts(t, 0, test.fetches)
			})
		})
	}
}

// TestContextThatHasEndedStillReportsARejection shows that the next caller does
// not receive the bearer again.
func TestContextThatHasEndedStillReportsARejection(t *testing.T) {
	n := &network{}
	client := n.client(t)
	require.Equal(t, "bearer-1", accessToken(t, client, ""))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.AccessToken(ctx, sailpoint.NewSecret("bearer-1"))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "bearer-2", accessToken(t, client, ""))
}

// TestJoinedFetchQuotesNoRejectedBearer covers a call that joins a fetch
// without knowing the rejected bearer.
func TestJoinedFetchQuotesNoRejectedBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := (&network{}).client(t, withSource(func(_ context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
			<-time.After(time.Second)
			return sailpoint.AccessToken{}, errors.New("instead of " + refused.Reveal())
		}))
		var reporter sync.WaitGroup
		reporter.Go(func() { _, _ = client.AccessToken(t.Context(), sailpoint.NewSecret("the-rejected-bearer")) })
		synctest.Wait()
		require.ErrorContains(t, list(t.Context(), client), "instead of [REDACTED]")
		reporter.Wait()
	})
}

func TestClientIDComesWithTheBearer(t *testing.T) {
	client := (&network{}).client(t, withSource(withIDs("first", "", "second")))
	require.Equal(t, "the-client-id", client.ClientID(), "the configured id, before there is a bearer")
	for i, want := range []string{"first", "first", "second"} {
		refused := ""
		if i > 0 {
			refused = fmt.Sprintf("bearer-%d", i)
		}
		accessToken(t, client, refused)
		require.Equal(t, want, client.ClientID())
	}
	var none *sailpoint.Client
	require.Empty(t, none.ClientID())
	require.Empty(t, new(sailpoint.Client).ClientID())
}

// TestDeleteKnowsTheOwnTokenByItsBearer covers a Delete that has to get the
// first bearer itself.
func TestDeleteKnowsTheOwnTokenByItsBearer(t *testing.T) {
	n := scripted(response{status: 204})
	client := n.client(t, withSource(withIDs("live")), func(cfg *sailpoint.Config) { cfg.ClientID = "" })
	for range 2 {
		err := client.PersonalAccessTokens.Delete(t.Context(), "LIVE")
		require.ErrorIs(t, err, sailpoint.ErrSelf)
		require.ErrorContains(t, err, "DeleteSelf")
	}
	n.requireCounts(t, 0, 0)
	require.NoError(t, client.PersonalAccessTokens.Delete(t.Context(), "the-client-id"))
	n.requireCounts(t, 1, 0)
}

func TestDeleteSelfKnowsTheOwnTokenByItsBearer(t *testing.T) {
	n := scripted(response{status: 204})
	client := n.client(t, withSource(withIDs("live")), func(cfg *sailpoint.Config) { cfg.ClientID = "" })
	require.NoError(t, client.PersonalAccessTokens.DeleteSelf(t.Context()))
	require.Equal(t, "https://acme.example/v2024/personal-access-tokens/live", n.calls[0].url)

	n = scripted(response{status: 204})
	require.NoError(t, n.client(t, withSource(withIDs("live"))).PersonalAccessTokens.DeleteSelf(t.Context()))
	require.Equal(t, "https://acme.example/v2024/personal-access-tokens/live", n.calls[0].url, "not the configured id")
}

// TestDeleteSelfAfterTheBearerExpired covers a TokenSource whose PAT was
// replaced meanwhile.
func TestDeleteSelfAfterTheBearerExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := scripted(response{status: 204})
		client := n.client(t, withSource(withIDs("first", "second")))
		accessToken(t, client, "")
		<-time.After(5 * time.Minute)
		require.NoError(t, client.PersonalAccessTokens.DeleteSelf(t.Context()))
		require.Equal(t, "https://acme.example/v2024/personal-access-tokens/second", n.calls[0].url)
	})
}

// TestChainOfClients uses a client's AccessToken as the TokenSource of another
// client.
func TestChainOfClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := &network{token: func(a arrival) response {
			return response{after: time.Second, body: issued(fmt.Sprintf("bearer-%d", a.n), 43200).body}
		}}
		source := issuer.client(t)
		n := &network{api: rejecting(ok(`[]`))}
		client := n.client(t, withSource(source.AccessToken))
		require.NoError(t, list(t.Context(), client))
		require.Equal(t, "the-client-id", client.ClientID())

		n.api = rejecting(ok(`[]`), "bearer-1") // as if it had been revoked
		var calls sync.WaitGroup
		for range 200 {
			calls.Go(func() { assert.NoError(t, list(t.Context(), client)) })
		}
		calls.Wait()
		issuer.requireCounts(t, 0, 2)
		require.LessOrEqual(t, len(n.calls), 401)

		n.api = rejecting(ok(`[]`), "bearer-1", "bearer-2")
		issuer.token = always(response{after: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for range 200 {
			calls.Go(func() { assert.ErrorIs(t, list(ctx, client), context.DeadlineExceeded) })
		}
		calls.Wait()
		synctest.Wait() // synctest and goleak would find a fetch that outlived its callers
		issuer.requireCounts(t, 0, 3)
		require.EqualValues(t, 1, issuer.canceled.Load())

		issuer.token = always(response{status: 400, body: `{"error":"invalid_client"}`})
		err := list(t.Context(), client)
		require.ErrorIs(t, err, sailpoint.ErrInvalidCredentials)
		assert.Equal(t, "POST /oauth/token", requireOneError(t, err).Op)
	})
}
