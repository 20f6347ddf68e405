package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sailpoint-go/sailpoint"
)

// PruneOptions configures [Prune].
type PruneOptions struct {
	// Kinds selects tokens for deletion by their findings, for example
	// FindingExpired. It needs at least one kind. FindingNearLimit,
	// FindingUnfinished and FindingManaged are not allowed. To keep some of the
	// tokens, remove their entries from Report.Findings.
	//
	// FindingExpiringSoon, FindingNoExpiry, FindingEveryRight,
	// FindingAdminScope and FindingLongBearer also select tokens in use.
	Kinds []Kind
	// Apply deletes the tokens. The default is a dry run, which changes
	// nothing.
	Apply bool
	// MaxDeletions is the maximum number of deletions in one call. The default
	// is 100. Any further tokens are StatusDeferred with a nil Err, so call
	// Audit and Prune again. A dry run has the same limit. Skipped tokens don't
	// count.
	MaxDeletions int
	// Concurrency is the maximum number of deletions at the same time. The
	// default is 4. Each waits for the client's rate limiter. Set 1 if other
	// jobs share the tenant's rate limit, or to delete in the order of the
	// findings, except for those tried again after a 429.
	Concurrency int
	// Progress is called for each selected token as soon as its Status is
	// final. It runs on the goroutine that called Prune. It may be nil.
	Progress func(done, total int, change Change)
}

// Prune deletes the tokens that have a finding of opts.Kinds in the report.
// Unless opts.Apply is set, it deletes nothing and returns which tokens it
// would delete. It returns one [Change] for each of these tokens, however many
// findings it has, in the order of the findings. The error is nil even if every
// deletion failed, so check the Status and Err of each Change.
//
// Prune first lists the tokens again, also in a dry run. This list is retried
// as that of [Audit]. If no token is selected, Prune sends nothing. It always
// skips:
//   - the token that the client itself uses
//   - managed tokens; those that the audit saw as managed get no Change at all,
//     because they have no other finding
//   - tokens with a temporary name, which an unfinished [Issue] or [Rotate]
//     made, and those that an unfinished Rotate is about to replace
//   - tokens that were used or changed since the audit
//
// Prune can still delete a token that somebody has begun to use. The API
// updates the date of the last use only once a day, and can't delete on a
// condition.
//
// After a failed deletion, such as one with a 403, Prune tries the others. Only
// two things stop it, and then it returns the changes with an error. If the
// tenant rejects the client's credentials, the error matches
// [sailpoint.ErrInvalidCredentials] or [sailpoint.ErrUnauthorized], and the
// other tokens are [StatusDeferred]. If ctx ends, the error is that of ctx.
// Prune then cancels the deletions in progress. A canceled deletion is
// [StatusUnknown] if it may have taken effect, and otherwise StatusDeferred.
//
// Prune returns an error without changes if the list fails, or if an argument
// is invalid. The latter matches [sailpoint.ErrInvalidArgument], for example for
// a nil report or empty Kinds.
//
// The client retries a deletion that gets a 429, like any call. If the last
// response is still a 429, Prune tries the deletion again after the others. It
// stops when every deletion that is left gets a 429. These are [StatusFailed],
// or StatusDeferred if they were not sent because an earlier response asked to
// wait. Prune therefore needs no Config.Limiter. Set one to get fewer of these
// responses.
//
// Prune keeps in memory the selected tokens and those with a temporary name. If
// these are more than 100,000, or need more than 256 MiB, it returns an error
// before it deletes anything. In that case audit fewer tokens at a time, with
// [AuditPolicy].OwnerID.
//
// Needs the rights of [Audit] and sp:my-personal-access-tokens:manage, or
// sp:all-personal-access-tokens:manage for others' tokens. If the client's
// Config.TokenSource returns no ClientID, also set Config.ClientID, because
// Prune must know the client's token.
func Prune(ctx context.Context, client *sailpoint.Client, report *Report, opts PruneOptions) ([]Change, error) {
	tokens, err := serviceOf(client)
	if err != nil {
		return nil, err
	}
	if err := opts.check(report); err != nil {
		return nil, err
	}
	p := pruning{client: client, tokens: tokens, opts: opts}
	p.choose(report)
	if len(p.changes) == 0 {
		return nil, nil
	}
	if err := requireOwnToken(ctx, client); err != nil {
		return nil, err
	}
	if err := p.recheck(ctx, report.Policy.OwnerID); err != nil {
		return nil, err
	}
	return p.changes, p.apply(ctx)
}

// requireOwnToken returns an error if the client doesn't know its own token. It
// gets a bearer first, because a TokenSource may name the token only with one.
func requireOwnToken(ctx context.Context, client *sailpoint.Client) error {
	if client.ClientID() != "" {
		return nil
	}
	if _, err := client.AccessToken(ctx, sailpoint.Secret{}); err != nil {
		return err
	}
	if client.ClientID() == "" {
		return invalidArgument("the client's own token is not known: set Config.ClientID in addition to TokenSource, or AccessToken.ClientID in it")
	}
	return nil
}

func (o *PruneOptions) check(report *Report) error {
	switch {
	case report == nil:
		return invalidArgument("the report is nil: make one with Audit")
	case len(o.Kinds) == 0:
		return invalidArgument("Kinds is empty: list the kinds of findings whose tokens to delete")
	case min(o.MaxDeletions, o.Concurrency) < 0:
		return invalidArgument("MaxDeletions and Concurrency must not be negative: use 0 for the default")
	}
	for _, kind := range o.Kinds {
		if !slices.Contains(Kinds(), kind) {
			return invalidArgument("%.80q is not a kind of finding: use one of Kinds()", kind)
		}
		if kind == FindingNearLimit || kind == FindingUnfinished || kind == FindingManaged {
			return invalidArgument("a finding of the kind %s is never a reason to delete a token: leave it out", kind)
		}
	}
	return nil
}

// pruning is one call of Prune.
type pruning struct {
	client  *sailpoint.Client
	tokens  *sailpoint.PersonalAccessTokensService
	opts    PruneOptions
	changes []Change // those without a Status will be deleted
	settled int      // reported to Progress
}

// choose adds a change for each selected token, once.
func (p *pruning) choose(report *Report) {
	chosen := map[string]bool{}
	for _, f := range report.Of(p.opts.Kinds...) {
		if !chosen[f.Token.ID] {
			chosen[f.Token.ID] = true
			p.changes = append(p.changes, Change{Token: f.Token})
		}
	}
}

// recheck lists the tokens again, and settles those that will not be deleted.
func (p *pruning) recheck(ctx context.Context, ownerID string) error {
	now, err := p.list(ctx, ownerID)
	if err != nil {
		return err
	}
	self := p.client.ClientID() // after the list, which may have needed the bearer of a newer token
	left := cmp.Or(p.opts.MaxDeletions, 100)
	for i := range p.changes {
		c := &p.changes[i]
		reason := now.reasonToKeep(&c.Token, self)
		token, exists := now.tokens[c.Token.ID]
		if exists {
			c.Token = token
		}
		switch {
		case reason != "":
			c.skip(reason)
		case !exists:
			c.Status = StatusGone
		case left == 0:
			c.postpone("the limit of deletions is reached")
		default:
			left--
			if !p.opts.Apply {
				c.Status = StatusPlanned
			}
		}
		if c.Status != "" {
			p.report(c)
		}
	}
	return nil
}

// present holds the selected tokens and unfinished rotations as listed now.
type present struct {
	tokens    map[string]sailpoint.PersonalAccessToken // by ID, only those selected
	replacing map[string]bool                          // tags of tokens that a rotation is about to replace
}

// list reads the tokens as they are now.
func (p *pruning) list(ctx context.Context, ownerID string) (*present, error) {
	chosen := make(map[string]bool, len(p.changes))
	for i := range p.changes {
		chosen[p.changes[i].Token.ID] = true
	}
	now := &present{map[string]sailpoint.PersonalAccessToken{}, map[string]bool{}}
	var held holding
	for token, err := range p.tokens.All(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: ownerID}) {
		if err != nil {
			return nil, err
		}
		_, m, rotating := markOf(token.Name)
		if !rotating && !chosen[token.ID] {
			continue
		}
		if err := held.add(&token); err != nil {
			return nil, err
		}
		if chosen[token.ID] {
			now.tokens[token.ID] = token
		}
		if rotating {
			now.replacing[m.tag] = true
		}
	}
	return now, nil
}

// reasonToKeep returns why a token must not be deleted, or "". seen is the
// token as the audit saw it.
func (now *present) reasonToKeep(seen *sailpoint.PersonalAccessToken, self string) string {
	token, exists := now.tokens[seen.ID]
	switch {
	case strings.EqualFold(seen.ID, self):
		return "it is the client's own token"
	case !exists:
		return ""
	case token.Managed:
		return "the platform manages it"
	case marked(token.Name) || now.replacing[tagFor(token.ID)]:
		return "its rotation has not finished"
	case !sameTime(token.LastUsed, seen.LastUsed):
		return "it was used since the audit looked"
	case token.Name != seen.Name, !sameScope(token.Scope, seen.Scope), !sameTime(token.ExpirationDate, seen.ExpirationDate):
		return "it was changed since the audit looked"
	}
	return ""
}

// report passes a change to Progress.
func (p *pruning) report(c *Change) {
	p.settled++
	if p.opts.Progress != nil {
		p.opts.Progress(p.settled, len(p.changes), *c)
	}
}

// apply deletes the remaining tokens. A deletion that the rate limit rejects,
// even after the client's retries, moves to the end of the queue. It had no
// effect.
func (p *pruning) apply(ctx context.Context) error {
	var pending []*Change
	for i := range p.changes {
		if p.changes[i].Status == "" {
			pending = append(pending, &p.changes[i])
		}
	}
	for len(pending) > 0 {
		limited, err := p.pass(ctx, pending)
		if len(limited) == len(pending) || err != nil {
			for _, c := range limited {
				if err != nil {
					c.stop()
				} else {
					c.fail(ctx, c.Err)
				}
				p.report(c)
			}
			return cmp.Or(err, ctx.Err())
		}
		pending = limited
	}
	return ctx.Err()
}

// pass tries to delete each pending token once, and returns those that the rate
// limit rejected. It returns an error that would also fail every other
// deletion.
func (p *pruning) pass(ctx context.Context, pending []*Change) (limited []*Change, err error) {
	var (
		next     atomic.Int64
		rejected atomic.Pointer[error]
		workers  sync.WaitGroup
	)
	done := make(chan *Change, len(pending))
	for range min(cmp.Or(p.opts.Concurrency, 4), len(pending)) {
		workers.Go(func() {
			for n := next.Add(1); n <= int64(len(pending)); n = next.Add(1) {
				c := pending[n-1]
				if rejected.Load() != nil {
					c.stop()
				} else if err := p.delete(ctx, c); concernsAll(err) {
					rejected.Store(&err)
				}
				done <- c
			}
		})
	}
	defer workers.Wait()
	defer next.Store(int64(len(pending))) // if Progress panics
	for range pending {
		if c := <-done; c.Status == "" {
			limited = append(limited, c)
		} else {
			p.report(c)
		}
	}
	if err := rejected.Load(); err != nil {
		return limited, *err
	}
	return limited, nil
}

// delete tries to delete a token. It settles the token unless the rate limit
// rejects the deletion.
func (p *pruning) delete(ctx context.Context, c *Change) error {
	c.Err = ctx.Err()
	if c.Err == nil {
		c.Err = p.tokens.Delete(ctx, c.Token.ID)
	}
	switch err := c.Err; {
	case err == nil:
		c.Status = StatusDeleted
	case !errors.Is(err, sailpoint.ErrRateLimited) || errors.Is(err, sailpoint.ErrOutcomeUnknown) || ctx.Err() != nil:
		c.fail(ctx, err)
	}
	return c.Err
}
