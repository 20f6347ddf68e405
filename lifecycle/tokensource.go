package lifecycle

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

const (
	loadTimeout      = 10 * time.Second // of a Load by TokenSource
	maxStoredClients = 4                // per TokenSource
)

// TokenSource returns a [sailpoint.TokenSource] that gets bearers with the
// credential in store. Set it as the Config.TokenSource of a service. The
// service then keeps working whenever another program calls [Rotate] with that
// store, even without Grace, and needs no restart.
//
// client provides the tenant, the transport and the settings of requests. Its
// own credentials are not used. A nil client, a nil store, or a [SaveFunc],
// which can't be read, is an invalid argument. The first call of the source
// then returns an error that matches [sailpoint.ErrInvalidArgument].
//
// Each call of the source loads the credential from store, and waits at most 10
// seconds for it. It returns the bearer that it already has for that
// credential. It requests a new one if there is none, if the old one is about
// to expire, or if the API has rejected it. It starts no goroutine that
// outlives the call.
//
// If the tenant rejects the credential, the store may have returned an old one,
// or a rotation may be in progress. The call then loads and tries again after
// 1, 3 and 7 seconds. If the tenant rejects the last one as well, the error
// matches [ErrStoredCredential] and [sailpoint.ErrInvalidCredentials].
//
// If Load fails or returns no usable credential, the call uses the last
// credential that worked. If there is none, or if the tenant rejects it, the
// call returns the store's error, which does not match ErrInvalidCredentials.
func TokenSource(client *sailpoint.Client, store Store) sailpoint.TokenSource {
	return (&storedSource{client: client, store: store}).accessToken
}

// storedSource is the state of a TokenSource.
type storedSource struct {
	client *sailpoint.Client
	store  Store

	mu     sync.Mutex      // not held during a request or a Load
	recent []*storedClient // the newest first
	worked *storedClient   // the last one with a bearer
}

// storedClient is a client with a stored credential. It lives as long as that
// is stored, so that a pause of the token endpoint lasts as well.
type storedClient struct {
	*sailpoint.Client
	secret sailpoint.Secret
}

// accessToken implements [sailpoint.TokenSource].
func (s *storedSource) accessToken(ctx context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
	if err := s.check(ctx); err != nil {
		return sailpoint.AccessToken{}, err
	}
	var (
		tried []*storedClient
		err   error
		start = time.Now()
	)
	for n := 0; n < len(verifyTimes); n++ {
		if err := sleep(ctx, time.Until(start.Add(verifyTimes[n]))); err != nil {
			return sailpoint.AccessToken{}, err
		}
		client, loadErr := s.load(ctx)
		if client == nil {
			return sailpoint.AccessToken{}, loadErr
		}
		if !slices.Contains(tried, client) && len(tried) < maxRestarts {
			tried = append(tried, client)
			start, n = time.Now(), 0
		}
		var token sailpoint.AccessToken
		if token, err = client.AccessToken(ctx, refused); err == nil {
			s.setWorked(client)
			return token, nil
		}
		if !credentialRejected(ctx, err) {
			return sailpoint.AccessToken{}, err
		}
		err = wrap(ErrStoredCredential, err)
		if loadErr != nil {
			err = loadErr
		}
	}
	return sailpoint.AccessToken{}, err
}

func (s *storedSource) check(ctx context.Context) error {
	if _, ok := s.store.(SaveFunc); ok {
		return invalidArgument("a SaveFunc can't be read: give TokenSource a store whose Load returns the stored credential")
	}
	return checkArguments(ctx, s.client, s.store)
}

// load returns a client with the stored credential. If the store has none, it
// returns the store's error and the client that worked last, or nil.
func (s *storedSource) load(ctx context.Context) (*storedClient, error) {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	c, err := s.store.Load(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		return s.worked, storeError{redactorOf(s.secrets()).Error(err)}
	}
	if c.lacksID() {
		return s.worked, errNoID
	}
	if c.ID == "" {
		return s.worked, wrap(ErrStoredCredential, errors.New("nothing is stored: run Issue"))
	}
	client, err := s.clientOf(c)
	if err != nil {
		return s.worked, err
	}
	return client, nil
}

// clientOf returns the client with this credential. A store that lags returns
// the one before again, so the last few are kept.
func (s *storedSource) clientOf(c Credential) (*storedClient, error) {
	for _, known := range s.recent {
		if known.ClientID() == c.ID && known.secret.Equal(c.Secret) {
			return known, nil
		}
	}
	client, err := s.client.WithCredentials(c.ID, c.Secret)
	if err != nil {
		return nil, wrap(ErrStoredCredential, err)
	}
	stored := &storedClient{client, c.Secret}
	s.recent = append([]*storedClient{stored}, s.recent[:min(len(s.recent), maxStoredClients-1)]...)
	return stored, nil
}

func (s *storedSource) setWorked(client *storedClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worked = client
}

// secrets returns those that an error of the store may repeat.
func (s *storedSource) secrets() (list []sailpoint.Secret) {
	for _, client := range s.recent {
		list = append(list, client.secret)
	}
	if s.worked != nil {
		list = append(list, s.worked.secret)
	}
	return list
}
