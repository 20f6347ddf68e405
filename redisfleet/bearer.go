package redisfleet

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

//go:embed bearer.lua
var bearerLua string

var bearerScript = newScript(bearerLua)

const (
	lease          = 10 * time.Second // of the member that fetches
	releaseTimeout = time.Second
	firstPoll      = 25 * time.Millisecond
	longestPoll    = 250 * time.Millisecond
)

// bearerSource is the TokenSource of a member. An elected member fetches the
// fleet's bearer, and the others take it from Redis.
type bearerSource struct {
	member *member
	sealer *sealer
	issuer *sailpoint.Client // fetches bearers, for this member only

	mu      sync.Mutex
	fetched sailpoint.Secret // the issuer's last bearer
}

// sharedBearer is what Redis has of the fleet's bearer.
type sharedBearer struct {
	token   sailpoint.AccessToken // zero if there is none that this member can read
	digest  string                // "" if there is none
	elected bool                  // this member must fetch another
}

// accessToken implements [sailpoint.TokenSource].
func (s *bearerSource) accessToken(ctx context.Context, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
	owner := rand.Text()
	refusedDigest := digest(refused)
	for poll := firstPoll; ; poll = min(2*poll, longestPoll) {
		shared, err := s.look(ctx, refusedDigest, owner)
		if failure, ok := errors.AsType[redisError](err); ok {
			if err = s.member.withoutRedis(ctx, failure); err == nil {
				return s.fetch(ctx, refused)
			}
		}
		switch {
		case errors.Is(err, errRetry):
			continue
		case err != nil:
			if ctx.Err() != nil {
				s.release(ctx, owner) // Redis may have elected this member meanwhile
			}
			return sailpoint.AccessToken{}, err
		case shared.elected:
			return s.renew(ctx, owner, shared.token, refused)
		case !shared.token.Bearer.IsZero():
			return shared.token, nil
		case shared.digest != "": // sealed by nobody in the fleet
			refusedDigest = shared.digest
		}
		if err := sleep(ctx, poll/2+mathrand.N(poll)); err != nil { //nolint:gosec // only spreads the members
			return sailpoint.AccessToken{}, err
		}
	}
}

// look returns the fleet's bearer, and elects this member if another is due.
func (s *bearerSource) look(ctx context.Context, refusedDigest, owner string) (sharedBearer, error) {
	asked := time.Now()
	response, err := s.member.run(ctx, bearerScript, []string{s.sealer.key}, "look", refusedDigest, owner, lease.Milliseconds())
	if err != nil {
		return sharedBearer{}, err
	}
	fields, err := response.StringSlice()
	if err != nil || len(fields) != 4 {
		return sharedBearer{}, errUnexpectedResponse
	}
	s.member.setWorking()
	shared := sharedBearer{digest: fields[1], elected: fields[3] == "1"}
	left, err := strconv.ParseInt(fields[2], 10, 64)
	if token, ok := s.sealer.open(fields[0]); ok && err == nil {
		token.Expiry = asked.Add(time.Duration(left) * time.Millisecond) // members' clocks may differ
		shared.token = token
	}
	return shared, nil
}

// renew fetches the fleet's next bearer. If that fails, the current one is used
// while it is valid.
func (s *bearerSource) renew(ctx context.Context, owner string, current sailpoint.AccessToken, refused sailpoint.Secret) (sailpoint.AccessToken, error) {
	unwanted := refused
	if unwanted.IsZero() {
		unwanted = current.Bearer
	}
	token, err := s.fetch(ctx, unwanted)
	switch {
	case err == nil && !token.Bearer.Equal(refused):
		s.store(ctx, owner, token)
		return token, nil
	case err != nil && time.Now().Before(current.Expiry):
		token, err = current, nil
	}
	s.release(ctx, owner)
	return token, err
}

// fetch gets another bearer than unwanted, and than the last one that it got.
// The issuer has that in its cache, but the API may have rejected it since.
func (s *bearerSource) fetch(ctx context.Context, unwanted sailpoint.Secret) (sailpoint.AccessToken, error) {
	s.mu.Lock()
	last := s.fetched
	s.mu.Unlock()
	token, err := s.issuer.AccessToken(ctx, last)
	if err == nil && token.Bearer.Equal(unwanted) { // a TokenSource may have a cache of its own
		token, err = s.issuer.AccessToken(ctx, unwanted)
	}
	if err != nil {
		return sailpoint.AccessToken{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched = token.Bearer
	return token, nil
}

// store gives the bearer to the fleet. If Redis fails, only this member has it.
func (s *bearerSource) store(ctx context.Context, owner string, token sailpoint.AccessToken) {
	life := time.Until(token.Expiry).Milliseconds()
	_, _ = s.member.run(context.WithoutCancel(ctx), bearerScript, []string{s.sealer.key}, "store", owner, s.sealer.seal(token), digest(token.Bearer), life)
}

// release lets another member fetch, even if ctx has ended.
func (s *bearerSource) release(ctx context.Context, owner string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	_, _ = s.member.run(ctx, bearerScript, []string{s.sealer.key}, "release", owner)
}
