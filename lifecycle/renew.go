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

// ErrNotRenewable says that the client's API version can't change a token's
// expiry. Use V2025 or later, or [Rotate] the token.
var ErrNotRenewable = errors.New("lifecycle: the expiry of a token can't be moved")

// RenewOptions configures [Renew].
type RenewOptions struct {
	// OwnerID selects the tokens of one owner. It is an identity's ID or
	// [sailpoint.OwnerMe]. The default in V1 is every owner. In V2025 and V2026
	// the default is OwnerMe, because nobody can change another owner's tokens
	// there.
	OwnerID string
	// Within is how long before its expiry a token is renewed. The default is
	// 30 days.
	Within time.Duration
	// Lifetime is how long the tokens last from now on. Set either Lifetime or
	// NeverExpires.
	Lifetime time.Duration
	// NeverExpires removes the expiry. It also sets userAwareTokenNeverExpires,
	// by which the API lets the caller acknowledge the risk.
	NeverExpires bool
	// Select reports whether to renew a token that will expire soon. The
	// default renews all of them.
	Select func(sailpoint.PersonalAccessToken) bool
	// Apply renews the tokens. The default is a dry run, which changes nothing.
	Apply bool
}

// Renew extends the expiry of the tokens that will expire soon. Unless
// opts.Apply is set, it changes nothing and returns which tokens it would
// renew. It returns one [Change] for each of these tokens, in the order of the
// list. The error is nil even if every renewal failed, so check the Status and
// Err of each Change.
//
// Secrets stay the same, so nothing has to be stored. But a leaked secret stays
// valid as well. [Rotate] replaces the secret.
//
// A token is [StatusRenewed] only if the response shows the requested expiry,
// to the second. If the response shows another expiry, the token is
// [StatusFailed] with [ErrNotAsRequested]. If the response does not show the
// token, it is [StatusUnknown]. Renew does not check
// userAwareTokenNeverExpires, because the response to a bulk update doesn't
// have it.
//
// Renew skips managed tokens, tokens with a temporary name, and tokens that
// would expire no later than before. It returns no Change for a token that has
// expired.
//
// Renew needs the API version V2025, V2026 or V1. With an older one it returns
// ErrNotRenewable, which also matches ErrInvalidArgument. In V1 it renews up to
// 25 tokens with one bulk update, which needs
// sp:all-personal-access-tokens:manage. Without that right, and in V2025 and
// V2026, it sends one request per token. That needs
// sp:my-personal-access-tokens:manage and fails for others' tokens. To list the
// tokens Renew needs the rights of [Audit]. The list is retried as that of
// Audit.
//
// After a failed token Renew tries the others. If the tenant rejects the
// client's credentials, or if ctx ends, the others are [StatusDeferred], and
// Renew returns the changes with an error, as [Prune] does. Tokens whose request
// was not sent because an earlier response asked to wait are StatusDeferred too,
// without such an error.
//
// A bulk update renews all of its tokens or none. If the tenant rejects one,
// perhaps because of a single token, Renew retries it in halves and finally one
// by one. If the tenant has no bulk updates (404, 405, 501) or does not allow
// them, Renew sends one request per token.
//
// Renew keeps in memory the tokens that will expire soon. If these are more
// than 100,000, or need more than 256 MiB, it returns an error before it
// changes anything. In that case select fewer with OwnerID, Within or Select.
func Renew(ctx context.Context, client *sailpoint.Client, opts RenewOptions) ([]Change, error) {
	tokens, err := serviceOf(client)
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
	changes    []Change // those without a Status will be renewed
	single     bool     // no bulk updates
	rejected   error    // the rejection of the client's credentials
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
		return invalidArgument("Within and Lifetime must not be negative: set a positive Lifetime, or leave it 0 and set NeverExpires")
	case (r.opts.Lifetime > 0) == r.opts.NeverExpires:
		return invalidArgument("set either Lifetime, or NeverExpires to acknowledge that the tokens never expire")
	}
	return nil
}

// choose lists the expiring tokens, and settles those that will not be renewed.
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
			continue // a list may repeat a token if it changes while it is read
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

// selects reports whether a token will expire soon and the caller wants to
// renew it.
func (r *renewal) selects(token *sailpoint.PersonalAccessToken, horizon time.Time) bool {
	expiry := token.ExpirationDate
	return expiry != nil && expiry.After(r.now) && !expiry.After(horizon) && (r.opts.Select == nil || r.opts.Select(*token))
}

// planned returns the change of a selected token. It has no Status if the token
// will be renewed now.
func (r *renewal) planned(token sailpoint.PersonalAccessToken) Change {
	c := Change{Token: token}
	switch {
	case token.Managed:
		c.skip("the platform manages it")
	case marked(token.Name):
		c.skip("its rotation has not finished")
	case !r.opts.NeverExpires && !r.until.After(*token.ExpirationDate):
		c.skip("it would expire sooner than before")
	case !r.opts.Apply:
		c.Status = StatusPlanned
	}
	return c
}

// maxBulk is the API's limit of tokens in a bulk update.
const maxBulk = 25

// apply renews the remaining tokens.
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
	if r.rejected != nil {
		return r.rejected
	}
	return ctx.Err()
}

// renew renews at most maxBulk tokens, together if possible.
func (r *renewal) renew(ctx context.Context, batch []*Change) {
	if r.single || r.rejected != nil {
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
	case !oneTokenMayFail(err):
		for _, c := range batch {
			r.fail(ctx, c, err)
		}
	case len(batch) > 1:
		half := len(batch) / 2
		r.renew(ctx, batch[:half])
		r.renew(ctx, batch[half:])
	default:
		r.renewOne(ctx, batch[0], err)
		// If the token is valid, the tenant or a gateway rejects bulk updates.
		r.single = batch[0].Status == StatusRenewed
	}
}

// noBulkRoute reports whether this client can't do any bulk update. It may lack
// the right to all tokens but have that to its own. Or the tenant or a gateway
// has no such route, and its 404 says nothing about a token.
func noBulkRoute(err error) bool {
	switch status := statusOf(err); status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusGone,
		http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	default:
		return status/100 == 3
	}
}

// oneTokenMayFail reports whether one token may have failed the whole bulk
// update. An ID that no request can carry fails before anything is sent.
func oneTokenMayFail(err error) bool {
	status := statusOf(err)
	return errors.Is(err, sailpoint.ErrInvalidArgument) ||
		status/100 == 4 && status != http.StatusUnauthorized && status != http.StatusTooManyRequests
}

// statusOf returns the status of the response that is the error, or 0. It is 0
// if a later attempt had no response. It is also 0 for the token endpoint,
// which says nothing about the call.
func statusOf(err error) int {
	var failure *sailpoint.Error
	if !errors.As(err, &failure) || strings.HasPrefix(failure.Op, http.MethodPost) {
		return 0
	}
	if failure.Err != nil && failure.StatusCode/100 != 3 { // a redirect's Err only says where it leads
		return 0
	}
	return failure.StatusCode
}

// compare settles a batch by the tokens that the response shows.
func (r *renewal) compare(batch []*Change, shown []sailpoint.PersonalAccessToken) {
	for _, c := range batch {
		i := slices.IndexFunc(shown, func(t sailpoint.PersonalAccessToken) bool { return strings.EqualFold(t.ID, c.Token.ID) })
		if i < 0 {
			c.Status = StatusUnknown
			c.Err = fmt.Errorf("%w: the response does not show the token %s", sailpoint.ErrOutcomeUnknown, c.Token.ID)
			continue
		}
		r.settle(c, shown[i])
	}
}

// settle settles a token that a response shows.
func (r *renewal) settle(c *Change, shown sailpoint.PersonalAccessToken) {
	c.Token = shown
	expiry := shown.ExpirationDate
	if r.opts.NeverExpires && expiry == nil || !r.opts.NeverExpires && expiry != nil && sameSecond(*expiry, r.until) {
		c.Status = StatusRenewed
		return
	}
	wanted, got := "never", "has no expiry"
	if !r.opts.NeverExpires {
		wanted = timestamp(r.until)
	}
	if expiry != nil {
		got = "expires on " + timestamp(*expiry)
	}
	c.Status, c.Err = StatusFailed, fmt.Errorf("%w: the token %s %s instead of %s", ErrNotAsRequested, shown.ID, got, wanted)
}

// renewOne renews a single token. bulk is why a bulk update of it alone was
// rejected.
func (r *renewal) renewOne(ctx context.Context, c *Change, bulk error) {
	if r.rejected != nil {
		c.stop()
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

// fail settles a token whose renewal failed, and all later ones if err concerns
// them too.
func (r *renewal) fail(ctx context.Context, c *Change, err error) {
	c.fail(ctx, err)
	if concernsAll(err) {
		r.rejected = err
	}
}

func (r *renewal) patch() *sailpoint.PersonalAccessTokenPatch {
	if r.opts.NeverExpires {
		return sailpoint.NewPersonalAccessTokenPatch().NeverExpire()
	}
	return sailpoint.NewPersonalAccessTokenPatch().ReplaceExpirationDate(r.until)
}
