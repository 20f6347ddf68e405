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

// PruneOptions says what [Prune] deletes.
type PruneOptions struct {
	// Kinds are the findings that cost a token its life; at least one. For a finer choice narrow Report.Findings.
	Kinds []Kind
	// Apply deletes. Without it Prune is a dry run.
	Apply bool
	// MaxDeletions is how many tokens are deleted at most; 0: 100. The rest is skipped.
	MaxDeletions int
	// Concurrency is how many deletions are under way at a time; 0: 4. Each asks the client's limiter.
	Concurrency int
	// Progress is told of each token that was chosen, as soon as it is known what became of it; nil: nobody is. It is
	// called by the goroutine that called Prune.
	Progress func(done, total int, change Change)
}

// Prune deletes the tokens that the report's findings of opts.Kinds name, or says which ones it would delete. It
// returns what became of each, in the order of the findings, also together with an error. The error is nil even if every
// token failed: check the Status and the Err of each [Change].
//
// Whatever a finding says, it leaves alone the client's own token, managed tokens, those with the mark of an unfinished
// rotation and those that one replaces, and what was used or changed since the audit looked. For that it lists the
// tokens once more before it deletes the first. What stays is the time from there to the deletion of each, in which a
// token can come into use: the API has no deletion on a condition, and shows a use only once a day.
//
// A deletion that fails doesn't keep the others from being tried, unless the client's credentials are refused. When
// ctx ends, those under way are given up: they are [StatusUnknown], or [StatusSkipped] like all that were not begun.
//
// It holds the chosen tokens and those of unfinished rotations in memory. More than 100,000 of them or 256 MiB is an error
// before anything is deleted: audit by OwnerID then.
//
// Needs what [Audit] needs, and sp:my-personal-access-tokens:manage, for others' tokens
// sp:all-personal-access-tokens:manage; and to know the client's own token: beside a TokenSource set Config.ClientID.
func Prune(ctx context.Context, client *sailpoint.Client, report *Report, opts PruneOptions) ([]Change, error) {
	tokens, err := service(client)
	if err != nil {
		return nil, err
	}
	if err := opts.check(client, report); err != nil {
		return nil, err
	}
	p := pruning{tokens: tokens, self: client.ClientID(), opts: opts}
	p.choose(report)
	if len(p.changes) == 0 {
		return nil, nil
	}
	if err := p.lookAgain(ctx, report.Policy.OwnerID); err != nil {
		return nil, err
	}
	return p.changes, p.apply(ctx)
}

func (o *PruneOptions) check(client *sailpoint.Client, report *Report) error {
	switch {
	case report == nil:
		return invalidArgument("no report: make one with Audit")
	case client.ClientID() == "":
		return invalidArgument("the client's own token is not known: set Config.ClientID beside TokenSource")
	case len(o.Kinds) == 0:
		return invalidArgument("Kinds is empty: name the findings whose tokens are to be deleted")
	case min(o.MaxDeletions, o.Concurrency) < 0:
		return invalidArgument("MaxDeletions and Concurrency are not negative: leave one at 0 for its default")
	}
	for _, kind := range o.Kinds {
		if !slices.Contains(Kinds(), kind) {
			return invalidArgument("%.80q is no kind of finding", kind)
		}
		if kind == FindingNearLimit || kind == FindingUnfinished || kind == FindingManaged {
			return invalidArgument("a finding of the kind %s is never a reason to delete a token", kind)
		}
	}
	return nil
}

// pruning is one call of Prune.
type pruning struct {
	tokens  *sailpoint.PersonalAccessTokensService
	self    string
	opts    PruneOptions
	changes []Change // without a Status: to be deleted
	settled int      // told to Progress
}

// choose makes each token of the selection a change, once.
func (p *pruning) choose(report *Report) {
	chosen := map[string]bool{}
	for _, f := range report.Of(p.opts.Kinds...) {
		if !chosen[f.Token.ID] {
			chosen[f.Token.ID] = true
			p.changes = append(p.changes, Change{Token: f.Token})
		}
	}
}

// lookAgain compares what was chosen with the tokens as they are now, and settles what is not to be deleted.
func (p *pruning) lookAgain(ctx context.Context, ownerID string) error {
	now, err := p.list(ctx, ownerID)
	if err != nil {
		return err
	}
	left := cmp.Or(p.opts.MaxDeletions, 100)
	for i := range p.changes {
		c := &p.changes[i]
		reason := now.reasonToKeep(&c.Token, p.self)
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
			c.skip("the ceiling of deletions is reached")
		default:
			left--
			if !p.opts.Apply {
				c.Status = StatusPlanned
			}
		}
		if c.Status != "" {
			p.tell(c)
		}
	}
	return nil
}

// present is what the second look shows.
type present struct {
	tokens    map[string]sailpoint.PersonalAccessToken // by id, of those that were chosen
	replacing map[string]bool                          // the tags of tokens that a rotation is about to replace
}

// list looks at the tokens as they are now.
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

// reasonToKeep returns why a token that is there is not to be deleted, whatever was found of it. seen is as the audit
// saw it. "": there is no reason.
func (now *present) reasonToKeep(seen *sailpoint.PersonalAccessToken, self string) string {
	token, exists := now.tokens[seen.ID]
	switch {
	case strings.EqualFold(seen.ID, self):
		return "it is the client's own"
	case !exists:
		return ""
	case token.Managed:
		return "the platform manages it"
	case marked(token.Name) || now.replacing[tagFor(token.ID)]:
		return "a rotation of it has not finished"
	case !sameTime(token.LastUsed, seen.LastUsed):
		return "it was used since the audit looked"
	case token.Name != seen.Name, !sameScope(token.Scope, seen.Scope), !sameTime(token.ExpirationDate, seen.ExpirationDate):
		return "it was changed since the audit looked"
	}
	return ""
}

// tell reports a change to the caller's callback.
func (p *pruning) tell(c *Change) {
	p.settled++
	if p.opts.Progress != nil {
		p.opts.Progress(p.settled, len(p.changes), *c)
	}
}

// apply deletes what is left to be deleted. What the rate limit refuses, and refuses the client again, goes to the end
// of the queue: the API has not touched it.
func (p *pruning) apply(ctx context.Context) error {
	var doomed []*Change
	for i := range p.changes {
		if p.changes[i].Status == "" {
			doomed = append(doomed, &p.changes[i])
		}
	}
	for len(doomed) > 0 {
		limited, err := p.pass(ctx, doomed)
		if len(limited) == len(doomed) || err != nil {
			for _, c := range limited {
				c.Status = StatusFailed
				p.tell(c)
			}
			return err
		}
		doomed = limited
	}
	return ctx.Err()
}

// pass tries to delete each of doomed once, and returns those that the rate limit refused. An error is one that would
// refuse every other deletion too.
func (p *pruning) pass(ctx context.Context, doomed []*Change) (limited []*Change, err error) {
	var (
		next    atomic.Int64
		refused atomic.Pointer[error]
		workers sync.WaitGroup
	)
	done := make(chan *Change, len(doomed))
	for range min(cmp.Or(p.opts.Concurrency, 4), len(doomed)) {
		workers.Go(func() {
			for n := next.Add(1); n <= int64(len(doomed)); n = next.Add(1) {
				c := doomed[n-1]
				if refused.Load() != nil {
					c.skip("not tried: the client's credentials were refused")
				} else if err := p.delete(ctx, c); concernsAll(err) {
					refused.Store(&err)
				}
				done <- c
			}
		})
	}
	defer workers.Wait()
	defer next.Store(int64(len(doomed))) // where Progress panics
	for range doomed {
		if c := <-done; c.Status == "" {
			limited = append(limited, c)
		} else {
			p.tell(c)
		}
	}
	if err := refused.Load(); err != nil {
		return limited, *err
	}
	return limited, nil
}

// delete tries to delete a token, and settles what became of it unless that is the rate limit's refusal.
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
