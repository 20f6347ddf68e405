package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// The environment variables that make a worker of a test faulty.
const (
	killVariable   = "FLEET_TEST_KILL"    // "before N" or "after N": end at its Nth script, without a warning
	noColdVariable = "FLEET_TEST_NO_COLD" // not empty: never notice that Redis has just started
)

func faultsOf(getenv func(string) string) (faults []redis.Hook) {
	if at := getenv(killVariable); at != "" {
		faults = append(faults, &killer{at: at})
	}
	if getenv(noColdVariable) != "" {
		faults = append(faults, noCold{})
	}
	return faults
}

// killer kills this process, as kill -9 does.
type killer struct {
	ignored
	at      string
	scripts atomic.Int64
}

func (k *killer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if !isScript(cmd) {
			return next(ctx, cmd)
		}
		n := k.scripts.Load() + 1
		k.reached(fmt.Sprint("before ", n))
		err := next(ctx, cmd)
		if err == nil {
			k.scripts.Add(1)
			k.reached(fmt.Sprint("after ", n))
		}
		return err
	}
}

func (k *killer) reached(here string) {
	if k.at == here {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// noCold makes scripts believe that the server has always had them. Their last
// argument says whether it had.
type noCold struct{ ignored }

func (noCold) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); isScript(cmd) {
			args[len(args)-1] = 0
		}
		return next(ctx, cmd)
	}
}

func isScript(cmd redis.Cmder) bool { return cmd.Name() == "evalsha" || cmd.Name() == "eval" }

// ignored are the hooks that do nothing.
type ignored struct{}

func (ignored) DialHook(next redis.DialHook) redis.DialHook { return next }

func (ignored) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
