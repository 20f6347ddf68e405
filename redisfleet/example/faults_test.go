package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"sync/atomic"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// The environment variables that make a worker of a test faulty.
const (
	killVariable   = "FLEET_TEST_KILL"    // "before N" or "after N": end at its Nth script, without a warning
	noColdVariable = "FLEET_TEST_NO_COLD" // not empty: use the quota at once after Redis has started
)

// addFaults makes rdb do what the environment says.
func addFaults(rdb redis.UniversalClient) error {
	if at := os.Getenv(killVariable); at != "" {
		rdb.AddHook(&killer{at: at})
	}
	if os.Getenv(noColdVariable) == "" {
		return nil
	}
	fault, err := newNoCold()
	if err == nil {
		rdb.AddHook(fault)
	}
	return err
}

// killer kills this process, as kill -9 does.
type killer struct {
	ignored
	at      string
	scripts atomic.Int64
}

func (k *killer) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() != "evalsha" && cmd.Name() != "eval" {
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

// noCold replaces limiter.lua by a script that doesn't wait after Redis has
// started.
type noCold struct {
	ignored
	hash, changedHash, changedText string
}

func newNoCold() (noCold, error) {
	text, err := os.ReadFile("../limiter.lua")
	changed := regexp.MustCompile(`(?m)^local cold = .*$`).ReplaceAllLiteralString(string(text), "local cold = false")
	if err == nil && changed == string(text) {
		err = errors.New("limiter.lua has no line that this fault can change")
	}
	return noCold{hash: redis.NewScript(string(text)).Hash(), changedHash: redis.NewScript(changed).Hash(), changedText: changed}, err
}

func (f noCold) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		args := cmd.Args()
		switch {
		case cmd.Name() == "evalsha" && args[1] == f.hash:
			args[1] = f.changedHash
		case cmd.Name() == "eval" && redis.NewScript(fmt.Sprint(args[1])).Hash() == f.hash:
			args[1] = f.changedText
		}
		return next(ctx, cmd)
	}
}

// ignored are the hooks that do nothing.
type ignored struct{}

func (ignored) DialHook(next redis.DialHook) redis.DialHook { return next }

func (ignored) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
