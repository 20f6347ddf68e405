// Package sailpointtest is a tenant in memory: its token endpoint, and its personal access tokens in every version of
// the API. It is for the tests of programs that use package sailpoint, or any other client of the API.
//
//	tenant := sailpointtest.NewTenant()
//	client, err := sailpoint.NewClient(tenant.Config())
//
// It has no sockets and no goroutines, so that it works in a bubble of [testing/synctest], where the six months of a
// token pass in no time. Where a URL is needed, httptest.NewServer(tenant) serves it, and the command faketenant does
// so for programs in any language. [Fault] makes things go wrong.
//
// # What is known
//
// Paths, members, dates, defaults and bounds of each version, rights, statuses and the shapes of errors are those of
// the API's documents; what they don't allow is refused.
//
// # What is guessed
//
// The documents don't say the following. A program should not rely on it.
//
// Answers:
//   - The detailCode and causes of a 400, and that a name that exists and an eleventh token are 400 at all.
//   - 405 and 415, their bodies, and 404 without a bearer for a path that is none. HEAD is 405.
//   - Of several faults of a request, the first counts in the order 401, 429, 405, 403 (no right to the operation at
//     all), 415, 404 or 403 (of the one token), 400.
//   - Another's token that the caller may not see is 404, one that it may see but not change 403. The latter is also
//     what an administrator gets who patches another's token. A managed token that the caller may not see is 404.
//   - Failures of the token endpoint are 401 for the credentials, and 400 for the rest. Parameters are looked for in
//     the Basic header, then the query, then the body.
//   - A bearer's JWT is signed by nobody.
//
// Bearers:
//   - They end with their PAT, also when that is deleted (401). An expired or deleted PAT is invalid_client.
//   - lastUsed moves when a bearer is issued 24 hours or more after its last move.
//   - A change of scope shows in the next bearer, not up to 20 minutes later. The parameter scope is ignored.
//   - "sp:" and "idn:" before the name of a right are the same; any other scope is taken and grants nothing here.
//   - To manage is to read, and a right to all tokens is one to one's own; except that only the right to manage one's
//     own tokens patches them.
//
// Tokens:
//   - The list is in the order of creation; expired tokens are in it, and count. Managed ones don't count towards ten.
//   - The rate limit is over the last 10 seconds; what was refused doesn't count, nor does the token endpoint.
//   - A filter with le doesn't match a token that was never used; one with not le does. Filters can be combined.
//   - limit, offset, count, sorters and other parameters are ignored. An empty owner-id or filters is none, and an
//     owner that doesn't exist has no tokens.
//   - Six months after a 31st end on the last day of a shorter month.
//   - Names are compared as they are, and are not blank. A scope is any text that isn't empty.
//   - A token that never expires has null for expirationDate where the version's documents allow null in the list,
//     also in the answer to Create, and no expirationDate elsewhere. lastUsed is null until the first use.
//   - userAwareTokenNeverExpires is shown from v2025 on, but not for a token that was added without it.
//
// Patches:
//   - Operations are add, remove, replace and test, on whole fields; move and copy are refused. An empty patch changes
//     nothing. A member that is none of an operation's is ignored (RFC 6902).
//   - A scope that is removed, null or empty is every right of the owner, as in Create.
//   - The fields are judged by what they are in the end. To acknowledge alone doesn't remove an expiry; to take the
//     acknowledgement back is refused while the token has none.
//   - A bulk update is carried out for all of its tokens or for none. An id that doesn't exist, or a managed token that
//     the caller may not see, makes it a 400.
package sailpointtest
