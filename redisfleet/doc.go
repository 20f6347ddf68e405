// Package redisfleet lets several processes use one personal access token (PAT)
// together. They share its quota and its bearer through Redis.
//
//	rdb := redis.NewClient(&redis.Options{Addr: "redis:6379"})
//	cfg, err := redisfleet.Join(cfg, redisfleet.Options{Redis: rdb})
//	...
//	client, err := sailpoint.NewClient(cfg)
//
// SailPoint allows 100 requests in 10 seconds for each client id and API
// version, and not for each process. Processes that don't know of each other use
// up each other's quota, and get 429s. After [Join] they are the members of a
// fleet. The fleet sends at most Options.Limit requests in any Options.Window,
// and it has one bearer. See Quota and Failures of Redis for the exceptions.
//
// # Quota
//
// Requests wait in the order in which they came. A call whose turn would come
// after the deadline of its context fails at once, and takes no turn from
// others. Its error matches [context.DeadlineExceeded]. Without a deadline, a
// call has 2 minutes. A call that is cancelled while it waits gives its turn back
// if Redis responds within 20 ms. A process that ends keeps its turns until they
// are over. A call that continues too late after its wait, see Options.Slack,
// waits again at the end of the queue.
//
// If one member receives a 429, all members wait until its Retry-After has
// passed. Clients that WithCredentials returns wait in the same queue, because
// they use the Limiter of their parent.
//
// After Redis has started, after a failover and after its clock was set, the
// fleet sends nothing for one Window plus Slack, because Redis may not know
// what it let through last. For the same reason the first request to each version
// of the API waits, and so does the first one after 7 days without requests.
//
// Only a call that waits for its turn notices that the clock of Redis was set
// ahead, and only if it was by more than a quarter of Window plus Slack.
// Otherwise the fleet may send too many requests until it receives a 429.
//
// # Bearer
//
// One member fetches the bearer, and the others read it from Redis. If that
// member dies, another takes over after 10 seconds. One member renews the
// bearer before it expires. If the API rejects it, one member replaces it.
//
// The bearer is encrypted with AES-256-GCM. The key is derived from the client
// secret, or from Options.SealKey. So Redis and its administrators can't read
// the bearer. A member with another secret neither finds nor reads it.
//
// # Failures of Redis
//
// A call waits at most 3 seconds for one response of Redis, and at most 20 ms
// after its context has ended. A goroutine of the call may wait for longer, until
// go-redis gives up. Without Options.Fallback the call then fails, and nothing is
// sent.
//
// With a Fallback, the member first sends nothing for one Window plus Slack,
// and tries Redis again every second. After that each request asks Redis for at
// most 500 ms, and then the Fallback decides. Each member fetches a bearer of its
// own when it needs one. A call whose deadline is less than a second away may fail.
//
// If all members lose Redis, the fleet stays within its quota if the Fallbacks
// together allow no more. If only some do, their share comes on top of what the
// others send. When such a member reaches Redis again, the whole fleet sends
// nothing for one Window plus Slack.
//
// # Setup of Redis
//
// Use Redis 7 or a compatible server. Set maxmemory-policy to noeviction. Any
// other policy may drop the quota, and the fleet then sends too many requests.
// With the default Limit a fleet needs less than 20 KB, and 150 bytes for each
// call that waits. Keys expire 7 days after their last use, or earlier.
//
// With Sentinel, set min-replicas-to-write to 1. Otherwise a primary that is cut
// off from the others still lets requests through, in addition to the new one.
//
// TLS, Sentinel, Cluster and credentials are options of go-redis. All keys of a
// fleet are in the same slot of a Cluster. This user has all the rights that a
// member needs:
//
//	ACL SETUSER fleet on >PASSWORD resetkeys ~sailpoint:* resetchannels -@all +eval +evalsha +time +info +hget +hmget +hset +hdel +del +zadd +zscore +zrange +zrem +zremrangebyscore +pexpire
//
// A Cluster needs these rights in addition:
//
//	+cluster|slots +command
//
// Without +info, a fleet may exceed its quota once after a failover or a restart.
package redisfleet
