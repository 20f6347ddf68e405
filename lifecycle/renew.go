package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
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
// became of each, in the order of the list, also together with an error. The error is nil even if every token failed:
// check the Status and the Err of each [Change].
//
// Secrets stay as they are. That makes it easy, and a rotation better: a secret that has leaked is renewed too.
//
// A token is [StatusRenewed] only where the response shows the requested expiry, to the second. One that is shown with
// another expiry is [StatusFailed] with [ErrNotAsRequested]. One that isn't shown is [StatusUnknown]. The acknowledgement that a token never expires is not
// compared, because a bulk update does not return it.
//
// It leaves alone managed tokens, those with the mark of an unfinished rotation, and those that would expire sooner
// than before. What has expired already is not looked at.
//
// V2025, V2026 and V1; before, it is ErrNotRenewable, which also matches ErrInvalidArgument. In V1 it renews 25 tokens
// at a time, which needs sp:all-personal-access-tokens:manage; without that, and in V2025 and V2026, one by one, which
// needs sp:my-personal-access-tokens:manage and is refused for others' tokens. To list them takes what [Audit] takes.
//
// It holds the tokens that are about to expire in memory. More than 100,000 of them or 256 MiB is an error before anything
// is changed: choose fewer by OwnerID, Within or Select.
//
// A token that fails doesn't keep the others from being tried, unless the client's credentials are refused. A bulk
// update that the tenant rejects because of one of its tokens is repeated in halves and at last one by one. Where the
// route is missing (404, 405, 501) or not allowed, every token is renewed one by one.
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
			invalidArgument("rotate the tokens, or set Config.APIVersion to V2025 or later"))
	}
	switch {
	case min(r.opts.Within, r.opts.Lifetime) < 0:
		return invalidArgument("Within and Lifetime are not negative")
	case (r.opts.Lifetime > 0) == r.opts.NeverExpires:
		return invalidArgument("set Lifetime, or acknowledge by NeverExpires that the tokens never expire")
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
	listed := map[string]bool{}
	var held holding
	for token, err := range r.tokens.All(ctx, list) {
		if err != nil {
			return err
		}
		if listed[token.ID] || !r.selects(&token, horizon) {
			continue // a list that changes while it is read may show a token twice
		}
		if err := held.add(&token); err != nil {
			r.changes = nil
			return err
		}
		listed[token.ID] = true
		r.changes = append(r.changes, r.planned(token))
	}
	return nil
}

// selects reports whether a token is about to expire and the caller wants it renewed.
func (r *renewal) selects(token *sailpoint.PersonalAccessToken, horizon time.Time) bool {
	expiry := token.ExpirationDate
	return expiry != nil && expiry.After(r.now) && !expiry.After(horizon) && (r.opts.Select == nil || r.opts.Select(*token))
}

// planned returns the change of a selected token. It is without a Status if the token is to be renewed now.
func (r *renewal) planned(token sailpoint.PersonalAccessToken) Change {
	c := Change{Token: token}
	switch {
	case token.Managed:
		c.skip("the platform manages it")
	case marked(token.Name):
		c.skip("a rotation of it has not finished")
	case !r.opts.NeverExpires && !r.until.After(*token.ExpirationDate):
		c.skip("it would expire sooner than it does")
	case !r.opts.Apply:
		c.Status = StatusPlanned
	}
	return c
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
		for _, c := range batch {
			r.renewOne(ctx, c, nil)
		}
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
	case err == nil:
		r.compare(batch, renewed)
	case noBulkRoute(err):
		r.single = true
		r.renew(ctx, batch)
	case !oneSpoilsIt(err):
		for _, c := range batch {
			r.fail(ctx, c, err)
		}
	case len(batch) > 1:
		half := len(batch) / 2
		r.renew(ctx, batch[:half])
		r.renew(ctx, batch[half:])
	default:
		r.renewOne(ctx, batch[0], err)
		// Where the token is fine, it is the bulk update that the tenant or a gateway does not take.
		r.single = batch[0].Status == StatusRenewed
	}
}

// noBulkRoute reports whether err says that this client can do no bulk update at all: the right to all tokens is
// missing, and one's own may be left; or the tenant or a gateway has no such route, whose 404 says of no token that it
// is gone.
func noBulkRoute(err error) bool {
	switch status := statusOf(err); status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusGone,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	default:
		return status/100 == 3
	}
}

// oneSpoilsIt reports whether one token may be why a bulk update was not carried out. An id that no request can carry
// is refused before anything is sent.
func oneSpoilsIt(err error) bool {
	status := statusOf(err)
	return errors.Is(err, sailpoint.ErrInvalidArgument) ||
		status/100 == 4 && status != http.StatusUnauthorized && status != http.StatusTooManyRequests
}

// statusOf returns the status of the response that is the error, 0 if there is none: a later attempt may have had none,
// and a refusal by the token endpoint is not about the call.
func statusOf(err error) int {
	var failure *sailpoint.Error
	if !errors.As(err, &failure) || strings.HasPrefix(failure.Op, http.MethodPost) {
		return 0
	}
	if failure.Err != nil && failure.StatusCode/100 != 3 { // the Err of a redirect says where it leads
		return 0
	}
	return failure.StatusCode
}

// compare settles what became of a batch by what the response shows.
func (r *renewal) compare(batch []*Change, shown []sailpoint.PersonalAccessToken) {
	for _, c := range batch {
		i := slices.IndexFunc(shown, func(t sailpoint.PersonalAccessToken) bool { return strings.EqualFold(t.ID, c.Token.ID) })
		if i < 0 {
			c.Status = StatusUnknown
			c.Err = fmt.Errorf("%w: the response does not show the token %s", sailpoint.ErrOutcomeUnknown, c.Token.ID)
			continue
		}
		r.accept(c, shown[i])
	}
}

// accept settles what became of a token that a response shows.
func (r *renewal) accept(c *Change, shown sailpoint.PersonalAccessToken) {
	c.Token = shown
	expiry := shown.ExpirationDate
	if r.opts.NeverExpires && expiry == nil || !r.opts.NeverExpires && expiry != nil && sameSecond(*expiry, r.until) {
		c.Status = StatusRenewed
		return
	}
	wanted, got := "none", "none"
	if !r.opts.NeverExpires {
		wanted = timestamp(r.until)
	}
	if expiry != nil {
		got = timestamp(*expiry)
	}
	c.Status, c.Err = StatusFailed, fmt.Errorf("%w: the expiry of the token %s is %s instead of %s", ErrNotAsRequested, shown.ID, got, wanted)
}

// renewOne renews a token by itself. bulk is why a bulk update of it alone was rejected.
func (r *renewal) renewOne(ctx context.Context, c *Change, bulk error) {
	if r.refused != nil {
		c.skip("not tried: the client's credentials were refused")
		return
	}
	err := ctx.Err()
	var token *sailpoint.PersonalAccessToken
	if err == nil {
		token, err = r.tokens.Patch(ctx, c.Token.ID, r.patch())
	}
	if err == nil {
		r.compare([]*Change{c}, []sailpoint.PersonalAccessToken{*token})
		return
	}
	r.fail(ctx, c, err)
	if c.Status == StatusFailed && bulk != nil && !errors.Is(err, sailpoint.ErrInvalidArgument) {
		c.Err = fmt.Errorf("%w; one by one: %w", bulk, err)
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
