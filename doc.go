// Package sailpoint manages the personal access tokens (PATs) of SailPoint
// Identity Security Cloud. It creates, lists, changes and deletes them.
//
//	cfg, err := sailpoint.LoadConfig() // or sailpoint.Config{BaseURL: …, ClientID: …, ClientSecret: …}
//	if err != nil { … }
//	client, err := sailpoint.NewClient(cfg)
//	if err != nil { … }
//	created, err := client.PersonalAccessTokens.Create(ctx, sailpoint.CreatePersonalAccessTokenRequest{
//		Name:  "nightly-report",
//		Scope: []string{"sp:my-personal-access-tokens:read"},
//	})
//
// # Authentication
//
// Here the word token alone always means a PAT. The id and the secret of a PAT
// are an OAuth2 client id and client secret. The client exchanges those of its
// own PAT for a bearer, which is an OAuth2 access token. It sends the bearer
// with each call, and renews it when necessary.
//
// The methods name the rights that they need, such as
// sp:my-personal-access-tokens:read. The scope of the client's PAT must include
// them.
//
// # Versions of the API
//
// Config.APIVersion selects the version. The default is [V2024]. The newest is
// [V1]. SailPoint has announced that all other versions stop working in the
// first quarter of 2029. In V3, Beta and V2024 a token lasts at most six
// months, and its expiry can't be changed.
//
// # Retries
//
// A client retries a call only if a second request can do no harm. It retries
// a call at most 3 times (Config.MaxRetries), with exponential backoff and full
// jitter. The wait before the first retry is random, up to 250 ms. This limit
// doubles with each retry, up to 10 s. A wait is never shorter than the
// Retry-After of the response before it.
//
// A temporary failure is a status of 408, 500, 502, 503 or 504, a broken
// connection, or no complete response within Config.AttemptTimeout.
//
//   - Every operation is retried after 429, once after 425 (Too Early), and
//     once with a new bearer after 401. It is also retried if the request was
//     never sent, or if an HTTP/2 server says that it has not processed it.
//   - List, Get, Self, Delete, DeleteSelf, and a Patch or BulkUpdate that only
//     sets whole fields are also retried after a temporary failure. So is All
//     until it yields its first token. OpReplace and OpAdd set whole fields.
//     A Patch or BulkUpdate whose successful response is cut short is not
//     retried, because it was carried out.
//   - Create, and any other Patch or BulkUpdate, are not retried if the server
//     may have carried out the request. The error then matches
//     [ErrOutcomeUnknown].
//   - No operation is retried if the TLS handshake was rejected, or if a proxy
//     requires authentication.
//
// If the wait for a retry would pass the context's deadline, the call fails at
// once. Without a deadline a call takes at most 2 minutes. For exceptions see
// Config.AttemptTimeout. After a 429 all calls of the client wait as long as
// the Retry-After says. A call that would wait too long fails at once. See
// Config.MaxRetryWait.
//
// All calls of a client share a budget, so that retries don't prolong an
// outage. It is enough for ten retries. A successful call refunds its own
// retries and a tenth of one more. When the budget is spent, each call sends
// one request. Retries after 429 don't take from the budget, and neither does a
// retry after 401 if the API has accepted the bearer before.
//
// # Errors
//
// A call with an invalid argument sends nothing, and its error matches
// [ErrInvalidArgument]. A Delete of the client's own token sends nothing
// either, and its error matches [ErrSelf]. Any other failed call has one
// [*Error] in its chain. The Error holds the status, the token's id, and the
// ids that SailPoint's support asks for. Use [errors.Is] with this package's
// variables to tell failures apart:
//
//	if errors.Is(err, sailpoint.ErrNotFound) { … }
//
// If no response came, the error matches [ErrUnreachable]. Statuses such as
// 302, 405, 408 and 422 have no variable. Compare Error.StatusCode instead.
//
// If the response to a Create is lost, a token may exist whose secret nobody
// knows. The error is then a [*CreateOutcomeError]. It says how to find the
// token.
//
// # Secrets
//
// Client secrets, bearers and the secrets of PATs have the type [Secret].
// Package fmt, loggers and encoders never write its value. Errors never contain
// secrets.
//
// # Other clients and tools
//
// [Client.AccessToken] gives the client's bearer to other clients and SDKs. A
// [TokenSource] gets the client's bearers from elsewhere. A [SharedLimiter]
// makes several processes wait after a 429 to one of them.
// [OperationFromContext] returns the name of the operation that a request
// belongs to, for traces and metrics.
//
// # Other packages
//
// Package lifecycle rotates tokens, audits them, deletes unused ones and renews
// expiries. The command sailpat does the same by hand and from cron. Package
// redisfleet lets several processes share a rate limit and a bearer. These two
// are modules of their own.
//
// # Testing
//
// Package sailpointtest provides a tenant in memory, for tests of code that
// uses this package. It opens no sockets, loses responses on demand, and works
// in a bubble of testing/synctest.
package sailpoint
