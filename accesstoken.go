package sailpoint

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// TokenSource returns a bearer. If the API has just rejected a bearer with 401,
// refused is that bearer, and the TokenSource should return another. Otherwise
// refused is empty. The method [Client.AccessToken] of another client can be
// used as a TokenSource. See [Config] for when ctx ends.
type TokenSource func(ctx context.Context, refused Secret) (AccessToken, error)

// AccessToken is a bearer with its expiry. A [TokenSource] and
// [Client.AccessToken] return it.
type AccessToken struct {
	Bearer   Secret
	Expiry   time.Time // if a TokenSource leaves it zero, the client assumes 5 minutes from now
	ClientID string    // the id of the PAT that the bearer belongs to, or "" if the TokenSource doesn't know it
}

// AccessToken returns the client's bearer, for use in another SDK or as the
// [TokenSource] of another client. It returns the cached bearer. If there is
// none, or if it is about to expire, AccessToken gets a new one. Callers that
// wait at the same time share one request.
//
//	POST /oauth/token
//
// If the API has just rejected a bearer with 401, pass that bearer as refused,
// and AccessToken returns another. Otherwise pass an empty Secret. If the
// client has a Config.TokenSource, refused is passed on to it when a new bearer
// is needed.
//
// The Expiry is never zero, and at most 24 h from now. Config.Limiter is not
// called. The request is retried after a temporary failure. If ctx has no
// deadline, AccessToken takes at most 2 minutes. A failure has one [*Error] in
// its chain.
//
// The bearer is a secret that grants the rights of the PAT. Send it only to the
// tenant's own host.
func (c *Client) AccessToken(ctx context.Context, refused Secret) (AccessToken, error) {
	if c == nil || c.bearers == nil {
		return AccessToken{}, invalidArgument("no client: make one with NewClient")
	}
	if ctx == nil {
		return AccessToken{}, invalidArgument("the context is nil: use context.Background()")
	}
	c.bearers.refuseElsewhere(refused)
	b := c.bearers.cached()
	if b == nil || b.Equal(refused) || ctx.Err() != nil {
		var err error
		if b, err = c.call(ctx, c.tokenOperation(), nil).awaitBearer(refused); err != nil {
			return AccessToken{}, err
		}
	}
	return AccessToken{Bearer: b.Secret, Expiry: b.expiry, ClientID: c.clientIDOf(b)}, nil
}

// ClientID returns the id of the client's own PAT. It is the last ClientID that
// Config.TokenSource returned with a bearer, or else Config.ClientID. It is
// empty if neither is known yet.
func (c *Client) ClientID() string {
	if c == nil || c.bearers == nil {
		return ""
	}
	return cmp.Or(c.bearers.lastClientID(), c.cfg.ClientID)
}

// clientIDOf returns the id of the PAT behind b, or "".
func (c *Client) clientIDOf(b *bearer) string { return cmp.Or(b.clientID, c.cfg.ClientID) }

// ownTokenID returns the id of the client's own token. With a TokenSource, that
// is the token of the next request's bearer, because each bearer may belong to
// another token.
func (c *Client) ownTokenID(ctx context.Context) (string, error) {
	if c.cfg.TokenSource == nil {
		return c.cfg.ClientID, nil
	}
	token, err := c.AccessToken(ctx, Secret{})
	if err != nil {
		return "", err
	}
	id := cmp.Or(token.ClientID, c.ClientID())
	if id == "" {
		return "", invalidArgument("the client's own token is not known: set Config.ClientID in addition to TokenSource, or AccessToken.ClientID in it")
	}
	return id, nil
}

// awaitBearer returns a bearer, or the error of a call that failed to get one.
func (c *call) awaitBearer(refused Secret) (*bearer, error) {
	ctx, cancel := c.bounded()
	defer cancel()
	if ctx.Err() != nil {
		return nil, c.finalError(ended(ctx))
	}
	b, err := c.bearerInsteadOf(ctx, refused)
	if err != nil {
		return nil, c.finalError(err)
	}
	return b, nil
}

// bearerInsteadOf returns a bearer, and fails at once if a pause of the token
// endpoint is longer than the call may wait.
func (c *call) bearerInsteadOf(ctx context.Context, refused Secret) (*bearer, error) {
	bearers := c.client.bearers
	if left := bearers.pause.left(); left > 0 && bearers.usable() == nil && !c.mayWait(left, left) {
		return nil, bearers.pause.heldBack(&Error{Op: c.client.tokenOperation().name()})
	}
	b, err := bearers.getInsteadOf(ctx, refused)
	if err != nil && c.client.cfg.TokenSource == nil && errors.Is(context.Cause(ctx), errCallTimeout) {
		// The fetch began later, and would fail in the same way.
		return nil, &Error{Op: c.client.tokenOperation().name(), Err: errCallTimeout, noReply: true}
	}
	return b, err
}
