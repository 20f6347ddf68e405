package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/sailpoint-go/sailpoint/redisfleet/internal/redistest"
)

// cluster is a Redis Cluster of three primaries with a replica each.
type cluster struct {
	nodes   []*redistest.Server // the replica of node i is node i+3
	clients []*redis.Client
}

const (
	primaries    = 3
	clusterSlots = 16384
)

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{}
	var buses []string
	for range 2 * primaries {
		_, bus, err := net.SplitHostPort(redistest.FreeAddress(t))
		require.NoError(t, err)
		node := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000")
		c.nodes, c.clients, buses = append(c.nodes, node), append(c.clients, node.Client(t)), append(buses, bus)
	}
	for i := range primaries {
		require.NoError(t, c.clients[i].ClusterAddSlotsRange(t.Context(), i*clusterSlots/primaries, (i+1)*clusterSlots/primaries-1).Err())
	}
	for i, node := range c.nodes {
		require.NoError(t, c.clients[i].Do(t.Context(), "cluster", "set-config-epoch", i+1).Err())
		if i > 0 {
			host, port, err := net.SplitHostPort(node.Address)
			require.NoError(t, err)
			require.NoError(t, c.clients[0].Do(t.Context(), "cluster", "meet", host, port, buses[i]).Err())
		}
	}
	c.until(t, "all nodes know each other", func(rdb *redis.Client) bool {
		return strings.Contains(rdb.ClusterInfo(t.Context()).Val(), fmt.Sprint("cluster_known_nodes:", 2*primaries))
	})
	for i := range primaries {
		id := c.clients[i].Do(t.Context(), "cluster", "myid").Val()
		require.NoError(t, c.clients[i+primaries].ClusterReplicate(t.Context(), fmt.Sprint(id)).Err())
	}
	c.until(t, "the cluster is ready", func(rdb *redis.Client) bool {
		info := rdb.Info(t.Context(), "replication").Val()
		return strings.Contains(rdb.ClusterInfo(t.Context()).Val(), "cluster_state:ok") &&
			(strings.Contains(info, "connected_slaves:1") || strings.Contains(info, "master_link_status:up"))
	})
	return c
}

func (c *cluster) until(t *testing.T, what string, ready func(*redis.Client) bool) {
	t.Helper()
	for _, rdb := range c.clients {
		require.Eventually(t, func() bool { return ready(rdb) }, patience, 50*time.Millisecond, what)
	}
}

// addresses returns the addresses of all nodes, as in the flag -redis.
func (c *cluster) addresses() string {
	var all []string
	for _, node := range c.nodes {
		all = append(all, node.Address)
	}
	return strings.Join(all, ",")
}

// killPrimary kills the primary that has keys. It returns its replica.
func (c *cluster) killPrimary(t *testing.T) (replica *redis.Client) {
	t.Helper()
	for i, node := range c.nodes[:primaries] {
		if c.clients[i].DBSize(t.Context()).Val() > 0 {
			node.Kill()
			return c.clients[i+primaries]
		}
	}
	require.Fail(t, "no primary has the fleet's keys")
	return nil
}

func isPrimary(ctx context.Context, rdb *redis.Client) bool {
	return strings.Contains(rdb.Info(ctx, "replication").Val(), "role:master")
}

func TestClusterFailover(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	f := startFleet(t, c.addresses(), setup{})
	f.await(windowAndHalf)
	replica := c.killPrimary(t)
	f.until("the replica takes over", func() bool { return isPrimary(t.Context(), replica) })
	f.await(windowAndHalf)
	m := f.stop()
	requireQuota(t, m)
	assert.Equal(t, 1, m.fetches)
}
