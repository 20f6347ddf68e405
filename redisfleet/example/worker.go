package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sailpoint-go/sailpoint"
	"github.com/sailpoint-go/sailpoint/redisfleet"
)

const (
	workerRole = "worker" // the first argument of a worker process

	// nameVariable names a worker, so that the tenant's log shows its requests.
	nameVariable = "FLEET_WORKER"

	pauseAfterFailure = 100 * time.Millisecond
)

func workerEnv(i int) string { return fmt.Sprintf("%s=worker-%d", nameVariable, i) }

// report is what a worker prints.
type report struct {
	Successful int            `json:"successful"`
	Failed     map[string]int `json:"failed"` // by the error
}

func (r report) calls() int { return r.Successful + sum(r.Failed) }

// runWorker is a worker. It has its credentials from the environment, as usual.
// It closes rdb.
func runWorker(ctx context.Context, s settings, rdb redis.UniversalClient, stdout io.Writer) error {
	defer rdb.Close()
	cfg, err := sailpoint.LoadConfig()
	if err != nil {
		return err
	}
	cfg.UserAgent = os.Getenv(nameVariable)
	if !s.alone {
		if cfg, err = join(cfg, s, rdb); err != nil {
			return err
		}
	}
	return list(ctx, cfg, s.calls, stdout)
}

// newRedis returns a client of one server, or of a Cluster if there are several
// addresses.
func newRedis(addresses string) redis.UniversalClient {
	return redis.NewUniversalClient(&redis.UniversalOptions{Addrs: strings.Split(addresses, ",")})
}

// join makes the worker a member of the fleet.
func join(cfg sailpoint.Config, s settings, rdb redis.UniversalClient) (sailpoint.Config, error) {
	return redisfleet.Join(cfg, redisfleet.Options{
		Redis:  rdb,
		Window: time.Duration(float64(limitWindow) / s.speed), // 10 s by the tenant's clock
		Slack:  s.slack,
	})
}

// list makes so many calls, one after the other, and prints a report.
func list(ctx context.Context, cfg sailpoint.Config, calls int, stdout io.Writer) error {
	client, err := sailpoint.NewClient(cfg)
	if err != nil {
		return err
	}
	r := report{Failed: map[string]int{}}
	for range calls {
		_, err := client.PersonalAccessTokens.List(ctx, sailpoint.ListPersonalAccessTokensOptions{OwnerID: sailpoint.OwnerMe})
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			r.Successful++
			continue
		}
		r.Failed[reason(err)]++
		select {
		case <-time.After(pauseAfterFailure):
		case <-ctx.Done():
		}
	}
	return json.NewEncoder(stdout).Encode(r)
}

// reason returns the same text for all failures of a kind.
func reason(err error) string {
	if errors.Is(err, sailpoint.ErrRateLimited) {
		return sailpoint.ErrRateLimited.Error() // without the tracking id
	}
	return err.Error()
}

// ping returns an error if Redis can't be reached.
func ping(ctx context.Context, addresses string) error {
	rdb := newRedis(addresses)
	defer rdb.Close()
	return rdb.Ping(ctx).Err()
}
