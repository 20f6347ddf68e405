package redisfleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// script is a Lua script. Redis runs it as one step.
type script struct{ text, hash string }

func newScript(text string) script { return script{text, redis.NewScript(text).Hash()} }

// run runs the script. It adds an argument that is 1 if the server didn't have
// the script, because it has probably just started, and else 0.
func (s script) run(ctx context.Context, rdb redis.UniversalClient, keys []string, args []any) *redis.Cmd {
	response := rdb.EvalSha(ctx, s.hash, keys, slices.Concat(args, []any{0})...)
	if redis.HasErrorPrefix(response.Err(), "NOSCRIPT") {
		response = rdb.Eval(ctx, s.text, keys, slices.Concat(args, []any{1})...)
	}
	if cluster, ok := rdb.(interface{ ReloadState(context.Context) }); ok && response.Err() != nil {
		cluster.ReloadState(ctx) // or go-redis would use a dead primary for up to a minute
	}
	return response
}

// sleep waits for d, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ended(ctx)
}

// ended returns an error that matches ctx.Err and the cause, or nil if ctx
// hasn't ended.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return errors.Join(err, cause)
}
