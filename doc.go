// Package sailpoint is a client for the personal access tokens (PATs) of SailPoint Identity Security Cloud.
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
// # What is sent again
//
// A call is sent again only where that can do no harm, at most Config.MaxRetries times, with full jitter, and never
// before a Retry-After has passed:
//
//   - every operation after 429, once after 425, once with a new bearer after 401, and when it was never sent,
//     or not processed as HTTP/2 says;
//   - List, All up to its first token, Delete, and a Patch or BulkUpdate that only replaces whole fields also after
//     408, 500, 502, 503, 504 and any failure of the connection;
//   - Create, and any other Patch or BulkUpdate, not: what may have been carried out is reported as ErrOutcomeUnknown.
//
// A wait that would not fit the context's deadline is not begun: the failure is returned at once. Across all calls of
// a client the retries are bounded too, so that an outage of the API costs about one request a call, also where it
// answers 401 to everything. After a 429 all calls of the client wait together.
//
// # Errors
//
// A refused argument matches [ErrInvalidArgument]; nothing was sent. Every other failed call has one [*Error] in its
// chain, with the status, the token's id, and the ids that SailPoint's support asks for. Most match one of this package's
// variables:
//
//	if errors.Is(err, sailpoint.ErrNotFound) { … }
//
// [ErrUnreachable] is matched where no response came. Statuses without a variable, such as 302, 405, 408 and 422, match
// none, nor does an error of the caller's context, Limiter or TokenSource: see [Error].
//
// A [CreateOutcomeError] is the one to prepare for: a token that may exist and whose secret nobody has.
//
// # Secrets
//
// Client secrets, bearers and PATs' secrets are of type [Secret], which no verb of fmt, no logger and no encoder
// prints. Errors hold none either.
//
// # Tests
//
// Package sailpointtest is a tenant in memory for tests of code that uses this package.
package sailpoint
