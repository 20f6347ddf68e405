// Package sailpoint manages the personal access tokens (PATs) of SailPoint
// Identity Security Cloud.
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
// # Retries
//
// A client retries a call only if that can do no harm. It makes at most
// Config.MaxRetries retries, with full jitter, and never one before the
// server's Retry-After has passed.
//
//   - Every operation is retried after 429, once after 425, and once with a new
//     bearer after 401. It is also retried if the request was never sent, or
//     was not processed according to HTTP/2.
//   - List, Get, Self, Delete, All up to its first token, and a Patch or
//     BulkUpdate that only replaces whole fields are also retried after 408,
//     500, 502, 503, 504 and any connection failure.
//   - Create, and any other Patch or BulkUpdate, are not retried if the server
//     may have carried out the request. The error then matches
//     ErrOutcomeUnknown.
//
// If the wait for a retry would pass the context's deadline, the call fails at
// once. All calls of a client share a budget of retries. During an outage each
// call therefore sends about one request, even if the API rejects everything
// with 401. After a 429 all calls of the client wait together.
//
// # Errors
//
// An invalid argument matches [ErrInvalidArgument], and nothing was sent. Every
// other failed call has one [*Error] in its chain. It holds the status, the
// token's id, and the ids that SailPoint's support asks for. Most errors match
// one of this package's variables:
//
//	if errors.Is(err, sailpoint.ErrNotFound) { … }
//
// If no response came, the error matches [ErrUnreachable]. Some statuses have
// no variable, such as 302, 405, 408 and 422. An error from the caller's
// context, Limiter or TokenSource matches no variable either. See [Error].
//
// Prepare for [CreateOutcomeError]. It means that a token may exist, but its
// secret is lost.
//
// # Secrets
//
// Client secrets, bearers and PATs' secrets have the type [Secret]. No verb of
// fmt, no logger and no encoder prints its value. Errors never contain secrets.
//
// # Other programs
//
// [Client.AccessToken] shares the client's bearer with other clients and SDKs,
// and a [TokenSource] gets bearers from elsewhere. A [SharedLimiter] makes
// several processes wait after a 429. [OperationFromContext] names the requests
// for traces and metrics.
//
// # Tests
//
// Package sailpointtest provides a tenant in memory for tests of code that uses
// this package.
package sailpoint
