package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sailpoint-go/sailpoint"
)

// ErrNotRenewable says that the client's version of the API can't move the expiry of a token: rotate it instead.
var ErrNotRenewable = errors.New("lifecycle: the expiry of a token can't be moved")

// RenewOptions says what [Renew] renews, and for how long.
type RenewOptions struct {
	// OwnerID is whose tokens are renewed: an identity's id, or [sailpoint.OwnerMe]. "": everybody's in V1, and in
	// V2025 and V2026, where nobody can change another's token, one's own.
	OwnerID string
	// Within is how far ahead of its expiry a token is renewed; 0: 30 days.
	Within time.Duration
	// Lifetime is how long the tokens last from now on.
	Lifetime time.Duration
	// NeverExpires acknowledges, in place of Lifetime, that the tokens never expire.
	NeverExpires bool
	// Select says which of the tokens that expire are renewed; nil: all.
	Select func(sailpoint.PersonalAccessToken) bool
	// Apply renews. Without it Renew is a dry run.
	Apply bool
}

// Renew moves the expiry of the tokens that are about to expire, or says which ones it would renew. It returns what
// became of each, in the order of the list, also beside an error. Secrets stay as they are, which is what makes it
// easy and a rotation better: a secret that has leaked is renewed too.
//
// It leaves alone managed tokens, those with the mark of an unfinished rotation, and those that would expire sooner
// than before. What has expired already is not looked at.
//
// V2025, V2026 and V1; before, it is ErrNotRenewable, which also matches ErrInvalidArgument. In V1 it renews 25 tokens
// at a time, which needs sp:all-personal-access-tokens:manage; without that, and in V2025 and V2026, one by one, which
// needs sp:my-personal-access-tokens:manage and is refused for others' tokens. To list them takes what [Audit] takes.
//
// A token that fails doesn't keep the others from being tried, unless the client's credentials are refused.
func Renew(ctx context.Context, client *sailpoint.Client, opts RenewOptions) ([]Change, error) {
	tokens, err := service(client)
	if err != nil {
		return nil, err
	}
	r := renewal{tokens: tokens, version: client.APIVersion(), opts: opts, now: time.Now()}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.until = r.now.Add(opts.Lifetime)
	if err := r.choose(ctx); err != nil {
		return nil, err
	}
	return r.changes, r.apply(ctx)
}

// renewal is one call of Renew.
type renewal struct {
	tokens     *sailpoint.PersonalAccessTokensService
	version    sailpoint.APIVersion
	opts       RenewOptions
	now, until time.Time
	changes    []Change // without a Status: to be renewed
	single     bool     // no bulk updates
	refused    error    // which refused the client's credentials
}

func (r *renewal) check() error {
	switch r.version {
	case sailpoint.V2025, sailpoint.V2026, sailpoint.V1:
	default:
		return fmt.Errorf("%w in %s: %w", ErrNotRenewable, r.version,
			refuse("rotate the tokens, or set Config.APIVersion to V2025 or later"))
	}
	switch {
	case min(r.opts.Within, r.opts.Lifetime) < 0:
		return refuse("Within and Lifetime are not negative")
	case (r.opts.Lifetime > 0) == r.opts.NeverExpires:
		return refuse("set Lifetime, or acknowledge by NeverExpires that the tokens never expire")
	}
	return nil
}

// choose lists what expires, and settles what is not to be renewed.
func (r *renewal) choose(ctx context.Context) error {
	list := sailpoint.ListPersonalAccessTokensOptions{OwnerID: r.opts.OwnerID}
	if list.OwnerID == "" && r.version != sailpoint.V1 {
		list.OwnerID = sailpoint.OwnerMe
	}
	horizon := r.now.Add(cmp.Or(r.opts.Within, 30*day))
	for token, err := range r.tokens.All(ctx, list) {
		if err != nil {
			return err
		}
		expiry := token.ExpirationDate
		if expiry == nil || !expiry.After(r.now) || expiry.After(horizon) || r.opts.Select != nil && !r.opts.Select(token) {
			continue
		}
		c := Change{Token: token}
		switch {
		case token.Managed:
			c.skip("the platform manages it")
		case marked(token.Name):
			c.skip("a rotation of it has not finished")
		case !r.opts.NeverExpires && !r.until.After(*expiry):
			c.skip("it would expire sooner than it does")
		case !r.opts.Apply:
			c.Status = Planned
		}
		r.changes = append(r.changes, c)
	}
	return nil
}

// maxBulk is how many tokens a bulk update takes.
const maxBulk = 25

// apply renews what is left to be renewed.
func (r *renewal) apply(ctx context.Context) error {
	var rest []*Change
	for i := range r.changes {
		if r.changes[i].Status == "" {
			rest = append(rest, &r.changes[i])
		}
	}
	r.single = r.version != sailpoint.V1
	for batch := range slices.Chunk(rest, maxBulk) {
		r.renew(ctx, batch)
	}
	if r.refused != nil {
		return r.refused
	}
	return ctx.Err()
}

// renew renews at most maxBulk tokens, together where it can.
func (r *renewal) renew(ctx context.Context, batch []*Change) {
	if r.single || r.refused != nil {
		r.renewSingly(ctx, batch)
		return
	}
	ids := make([]string, len(batch))
	for i, c := range batch {
		ids[i] = c.Token.ID
	}
	err := ctx.Err()
	var renewed []sailpoint.PersonalAccessToken
	if err == nil {
		renewed, err = r.tokens.BulkUpdate(ctx, ids, r.patch())
	}
	switch {
	case errors.Is(err, sailpoint.ErrForbidden), errors.Is(err, sailpoint.ErrNotFound):
		// The right is to all tokens, and one's own may be left; or the tenant doesn't have this operation, whose 404
		// says of no token that it is gone.
		r.single = true
		r.renewSingly(ctx, batch)
		return
	case errors.Is(err, sailpoint.ErrBadRequest) && len(batch) > 1:
		half := len(batch) / 2 // one token spoils it for the others: it is found by halving
		r.renew(ctx, batch[:half])
		r.renew(ctx, batch[half:])
		return
	case err != nil:
		for _, c := range batch {
			r.fail(ctx, c, err)
		}
		return
	}
	shown := make(map[string]sailpoint.PersonalAccessToken, len(renewed))
	for _, token := range renewed {
		shown[token.ID] = token
	}
	for _, c := range batch {
		token, ok := shown[c.Token.ID]
		if !ok {
			c.Status, c.Err = Failed, errors.New("lifecycle: the answer to the bulk update does not show the token")
			continue
		}
		c.Status, c.Token = Renewed, token
	}
}

func (r *renewal) renewSingly(ctx context.Context, batch []*Change) {
	for _, c := range batch {
		if r.refused != nil {
			c.skip("not tried: the client's credentials were refused")
			continue
		}
		err := ctx.Err()
		var token *sailpoint.PersonalAccessToken
		if err == nil {
			token, err = r.tokens.Patch(ctx, c.Token.ID, r.patch())
		}
		if err != nil {
			r.fail(ctx, c, err)
			continue
		}
		c.Status, c.Token = Renewed, *token
	}
}

// fail settles what became of a token, and of all that are still to come if err concerns them too.
func (r *renewal) fail(ctx context.Context, c *Change, err error) {
	c.fail(ctx, err)
	if concernsAll(err) {
		r.refused = err
	}
}

func (r *renewal) patch() *sailpoint.PersonalAccessTokenPatch {
	if r.opts.NeverExpires {
		return sailpoint.NewPersonalAccessTokenPatch().NeverExpire()
	}
	return sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(r.until)
}
